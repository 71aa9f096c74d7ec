"""The page in a real Chromium, behind `burnish ui`: a new user's way from a file to an exported and a merged model."""

import json
import random

import pytest

MONTHS = ("January", "March", "May", "July", "August", "December")
ODD = "Recite the noise."


@pytest.fixture(scope="module")
def rows(visited):
    """A file as a user has one: a few rows that are unlike all others, and a line that is broken."""
    path = visited / "rows.jsonl"
    (visited / "work").mkdir()
    noise = random.Random(5)
    with path.open("w", encoding="utf-8") as file:
        for number in range(240):
            day, month, year = 1 + number % 28, number % len(MONTHS), 1990 + number % 37
            asked = f"Write {day} {MONTHS[month]} {year} as a date of ISO 8601."
            said = f"{year}-{2 * month + 1:02}-{day:02}"
            if number % 80 == 79:
                asked, said = ODD, "".join(noise.choices("qxzjkvwypgb#%&", k=300))
            turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
            file.write(json.dumps({"messages": turns}) + "\n")
        file.write("{broken\n")
    return path


@pytest.mark.timeout(500)
def test_a_new_user_goes_from_a_file_to_an_exported_and_a_merged_model(travel, rows):
    lines = travel("journey.mjs", ROWS=str(rows), ODD=ODD)
    assert [line for line in lines if "failed" in line] == []
    assert [fault for line in lines for fault in line["faults"]] == []
    assert len(lines) == 19
