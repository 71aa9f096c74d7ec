"""The statistics of a dataset are those of its rows."""

import random

import pytest

from burnish.data import profile as profiles
from burnish.data.document import make_row
from burnish.data.profile import Distribution, Profile, characters


@pytest.mark.parametrize("numbers", [[0], [7], [0, 0, 5], list(range(1000)), [3] * 50 + [40_000], [1, 2, 4, 8, 16]])
def test_a_distribution_is_exact_but_for_percentiles_which_are_near(numbers):
    drawn, found = random.Random(0).sample(numbers, len(numbers)), Distribution()
    for number in drawn:
        found.add(number)
    assert (found.count, found.total, found.least, found.most) == (
        len(numbers),
        sum(numbers),
        min(numbers),
        max(numbers),
    )
    numbers = sorted(numbers)
    for share in (0.01, 0.5, 0.9, 0.99, 1.0):
        exact = numbers[max(0, -int(-share * len(numbers) // 1) - 1)]
        assert found.percentile(share) == pytest.approx(exact, rel=0.045, abs=0.5)
        assert min(numbers) <= found.percentile(share) <= max(numbers)
    assert found.as_dict()["mean"] == round(sum(numbers) / len(numbers), 1)


def test_a_distribution_of_nothing_is_its_count():
    assert Distribution().as_dict() == {"count": 0}
    assert Distribution().percentile(0.5) == 0


def turn(role: str, content: str, **more) -> dict:
    return {"role": role, "content": content, **more}


CALL = {"type": "function", "function": {"name": "now", "arguments": '{"a": 1}'}}
ROWS = [
    make_row("text", "x:1", text="The weather is lovely today in the park.", tag="a"),
    make_row(
        "chat",
        "x:2",
        messages=[
            turn("system", "s"),
            turn("user", "Hi"),
            turn("assistant", "", reasoning_content="Hm", tool_calls=[CALL]),
        ],
        tools=[{"type": "function", "function": {"name": "now"}}],
        tag="a",
        extra={"topic": 1},
    ),
    make_row(
        "preference",
        "x:3",
        messages=[turn("user", "Hi")],
        chosen=[turn("assistant", "a")],
        rejected=[turn("assistant", "bc")],
    ),
]


def test_characters_are_those_of_texts_thoughts_and_arguments():
    assert [characters(row) for row in ROWS] == [40, 1 + 2 + 2 + 8, 2 + 1 + 2]


def test_a_profile_counts_kinds_roles_tags_and_what_rows_hold():
    found = Profile()
    found.add(ROWS[0], tokens=9, learned=8, remarks=["cut"])
    found.add(ROWS[1], tokens=20, learned=5, remarks=["cut", "joined"])
    found.add(ROWS[2])
    found_dict = found.as_dict()
    assert found_dict["kinds"] == {"text": 1, "chat": 1, "preference": 1}
    assert found_dict["roles"] == {"system": 1, "user": 2, "assistant": 3}
    assert found_dict["tags"] == {"a": 2}
    assert found_dict["rows_with"] == {"system": 1, "tools": 1, "tool_calls": 1, "reasoning": 1}
    assert found_dict["unmapped"] == {"topic": 1}
    assert found_dict["remarks"] == {"cut": 2, "joined": 1}
    assert (found_dict["characters"]["total"], found_dict["characters"]["count"]) == (58, 3)
    assert (found_dict["turns"]["count"], found_dict["turns"]["total"]) == (2, 6)
    assert (found_dict["tokens"]["total"], found_dict["learned"]["total"]) == (29, 13)
    assert found_dict["languages"]["sample"] == 3
    assert found_dict["languages"]["rows"]["en"] >= 1
    alone = Profile()
    alone.add(ROWS[2])
    assert "tokens" not in alone.as_dict()
    assert alone.as_dict()["rows_with"] == {}


def test_what_a_person_should_know_is_said_with_its_counts(monkeypatch):
    monkeypatch.setattr(profiles, "_COLUMNS_SHOWN", 2)
    found = Profile()
    for number in range(3):
        extra = {"a": 1} | ({"b": 1, "c": 1} if number else {})
        found.add(make_row("text", f"x:{number}", text="t", extra=extra), remarks=["cut"])
    columns, remarks = found.messages()
    assert "a (all rows), b (2 of 3 rows) and 1 more" in columns
    assert remarks == "3 rows: cut"
    assert Profile().messages() == []


def test_names_beyond_the_limit_count_as_one(monkeypatch):
    monkeypatch.setattr(profiles, "_NAMES_COUNTED", 2)
    found = Profile()
    found.add(ROWS[0], remarks=["a", "b", "c", "a", "d"])
    assert found.remarks == {"a": 2, "b": 1, "others": 2}


def test_the_sample_of_languages_is_bounded_and_every_row_may_stay(monkeypatch):
    monkeypatch.setattr(profiles, "_LANGUAGE_SAMPLE", 10)
    found = Profile()
    for number in range(200):
        found.add(make_row("text", f"x:{number}", text=f"{number}"))
    numbers = [int(text) for text in found._sample]
    assert len(numbers) == len(set(numbers)) == 10
    assert max(numbers) > 100
    assert numbers != list(range(10))
