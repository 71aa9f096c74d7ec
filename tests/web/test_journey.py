"""The page in a real Chromium, behind `burnish ui`: a new user's way, and every screen in widths and themes."""

import json

import pytest

MONTHS = ("January", "March", "May", "July", "August", "December")
SCREENS = (
    *("/", "/new", "/new?recipe=demo", "/new?stage=sft", "/runs", "/runs/journey/1", "/runs/journey/1?step=tune"),
    *(f"/runs/journey/1?step=tune&tab={tab}" for tab in ("seen", "rows", "logs", "config", "proofs", "files")),
    *("/jobs", "/compare", "/data", "/playground", "/evaluate", "/adapters", "/merge", "/export", "/settings"),
)


@pytest.fixture(scope="module")
def rows(visited):
    """A file as a user has one."""
    path = visited / "rows.jsonl"
    (visited / "work").mkdir()
    with path.open("w", encoding="utf-8") as file:
        for number in range(240):
            day, month, year = 1 + number % 28, number % len(MONTHS), 1990 + number % 37
            asked = f"Write {day} {MONTHS[month]} {year} as a date of ISO 8601."
            said = f"{year}-{2 * month + 1:02}-{day:02}"
            turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
            file.write(json.dumps({"messages": turns}) + "\n")
    return path


@pytest.mark.timeout(500)
def test_a_new_user_goes_from_a_file_to_a_tuned_model(browse, rows):
    lines = browse("journey.mjs", ROWS=str(rows))
    assert [line for line in lines if "failed" in line] == []
    assert [fault for line in lines for fault in line["faults"]] == []
    assert len(lines) >= 16


@pytest.mark.parametrize(
    "views", ["1440-light", "390-dark", pytest.param("1440-dark 390-light", marks=pytest.mark.torture)]
)
def test_every_screen_is_whole_and_without_barriers(browse, rows, views):
    lines = browse("screens.mjs", PATHS=" ".join(SCREENS), VIEWS=views)
    assert len(lines) == len(SCREENS) * len(views.split())
    faults = [f"{line['screen']}: {fault}" for line in lines for fault in (*line["faults"], *line["barriers"])]
    faults += [f"{line['screen']} is {line['overflow']} px too wide" for line in lines if line["overflow"] > 0]
    assert faults == []
