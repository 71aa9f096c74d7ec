"""The statistics of a dataset are those of its rows."""

import math
import random

import pytest

from burnish.data.document import make_row
from burnish.data.filters.language import spoken_text
from burnish.data.profile import Distribution, Profile, characters
from burnish.data.profile import statistics as profiles


@pytest.mark.parametrize(
    ("numbers", "near"),
    [
        *((few, 0.0) for few in ([0], [7], [0, 0, 5], list(range(1000)), [3] * 50 + [40_000], [62] * 33 + [64] * 24)),
        (list(range(20_000)), 0.045),
    ],
)
def test_a_distribution_is_exact_but_for_percentiles_of_many_numbers_which_are_near(numbers, near):
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
        assert found.percentile(share) == pytest.approx(exact, rel=near, abs=0.5 if near else 0)
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
    numbers = [int(text) for text in found._sample.kept]
    assert len(numbers) == len(set(numbers)) == 10
    assert max(numbers) > 100
    assert numbers != list(range(10))


# The whole report


def text(content: str, **more) -> dict:
    return make_row("text", "x:1", text=content, **more)


def distribution(*numbers: int) -> Distribution:
    found = Distribution()
    for number in numbers:
        found.add(number)
    return found


CALL_F = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
TALK = make_row(
    "chat",
    "x:1",
    messages=[
        turn("system", "Be kind"),
        turn("user", "Hi there"),
        turn("assistant", "", tool_calls=[CALL_F, CALL_F], reasoning_content="Hm"),
        turn("tool", "9"),
        turn("assistant", "Nine"),
    ],
    tools=[{"type": "function", "function": {"name": "f"}}],
    tag="b",
    extra={"topic": 1, "messages.0.at": 2, "messages.1.at": 3},
)
ENGLISH = "The weather is lovely today, and we are going to the park with our friends."


def test_the_whole_report_of_three_rows():
    found = Profile()
    found.add(text(ENGLISH, tag="a", extra={"topic": 2}), tokens=20, learned=19, remarks=["cut"])
    found.add(TALK, tokens=30, learned=4, remarks=["joined", "cut"])
    found.add(text(ENGLISH + ENGLISH, tag="b"), tokens=40, learned=39)
    assert found.as_dict() == {
        "kinds": {"text": 2, "chat": 1},
        "roles": {"assistant": 2, "system": 1, "user": 1, "tool": 1},
        "tags": {"b": 2, "a": 1},
        "unmapped": {"topic": 2, "messages.*.at": 1},
        "remarks": {"cut": 2, "joined": 1},
        "rows_with": {"system": 1, "tools": 1, "tool_calls": 1, "reasoning": 1},
        "characters": {
            "count": 3,
            "total": 251,
            "mean": 83.7,
            "min": 26,
            "p50": 75,
            "p90": 150,
            "p99": 150,
            "max": 150,
        },
        "turns": {"count": 1, "total": 5, "mean": 5.0, "min": 5, "p50": 5, "p90": 5, "p99": 5, "max": 5},
        "languages": {"sample": 3, "rows": {"en": 3}},
        "tokens": {"count": 3, "total": 90, "mean": 30.0, "min": 20, "p50": 30, "p90": 40, "p99": 40, "max": 40},
        "learned": {"count": 3, "total": 62, "mean": 20.7, "min": 4, "p50": 19, "p90": 39, "p99": 39, "max": 39},
    }
    assert list(found.as_dict()["kinds"]) == ["text", "chat"]
    assert list(found.as_dict()["tags"]) == ["b", "a"]


def test_the_report_of_nothing():
    assert Profile().as_dict() == {
        "kinds": {},
        "roles": {},
        "tags": {},
        "unmapped": {},
        "remarks": {},
        "rows_with": {},
        "characters": {"count": 0},
        "turns": {"count": 0},
        "languages": {"sample": 0, "rows": {}},
    }


def test_a_length_may_be_counted_by_itself():
    found = Profile()
    found.add_length(7, 3)
    found.add_length(0, 0)
    report = found.as_dict()
    assert report["tokens"] == {"count": 2, "total": 7, "mean": 3.5, "min": 0, "p50": 0, "p90": 7, "p99": 7, "max": 7}
    assert report["learned"]["total"] == 3
    found = Profile()
    found.add(text("a"), tokens=0)
    assert found.as_dict()["tokens"]["count"] == found.as_dict()["learned"]["count"] == 1
    assert found.as_dict()["learned"]["max"] == 0


@pytest.mark.parametrize("name", ["tags", "unmapped", "remarks"])
def test_of_many_names_the_report_shows_a_hundred(name):
    found = Profile()
    for number in range(101):
        more = {"tag": f"{number}"} if name == "tags" else {"extra": {f"{number}": 1}} if name == "unmapped" else {}
        found.add(text("a", **more), remarks=[f"{number}"] if name == "remarks" else [])
    assert found.as_dict()[name] == {f"{number}": 1 for number in range(100)}


def test_the_least_and_the_most_are_those_of_the_numbers_in_any_order():
    assert (Distribution().count, Distribution().total, Distribution().least, Distribution().most) == (0, 0, 0, 0)
    assert (distribution(5, 9, 2).least, distribution(5, 9, 2).most) == (2, 9)
    assert (distribution(0, 3).least, distribution(3, 0).least, distribution(0).most) == (0, 0, 0)
    assert distribution(4).as_dict() == {
        "count": 1,
        "total": 4,
        "mean": 4.0,
        "min": 4,
        "p50": 4,
        "p90": 4,
        "p99": 4,
        "max": 4,
    }
    assert distribution(1, 2, 2).as_dict()["mean"] == 1.7


def test_small_numbers_have_exact_percentiles():
    draw = random.Random(0)
    for size in (1, 2, 3, 10, 99, 100, 101):
        numbers = [draw.randrange(12) for _ in range(size)]
        found = distribution(*numbers)
        for share in (0.01, 0.25, 0.5, 0.9, 0.99, 1.0):
            assert found.percentile(share) == sorted(numbers)[max(1, math.ceil(share * size)) - 1], (numbers, share)


def test_large_numbers_have_percentiles_within_their_bin():
    """A bin spans a sixteenth of a doubling, so its middle is within 2^(1/32) - 1 = 2.2 % of each number + 1."""
    for number in (*range(20, 3000, 7), 10**5, 10**6 + 1, 10**9):
        found = distribution(0, number, 10 * number)
        assert abs(found.percentile(0.5) - number) <= 0.022 * (number + 1) + 1


def test_the_memory_of_a_distribution_is_that_of_its_bins():
    found = distribution(*range(20_000))
    assert len(found._bins) < 16 * math.log2(20_001)


def test_the_characters_of_a_row_are_those_that_are_read_or_written():
    assert characters(TALK) == 7 + 8 + 2 + 4 + 1 + 4
    assert characters(text("abc")) == 3
    answers = {"chosen": [turn("assistant", "ab")], "rejected": [turn("assistant", "cde")]}
    assert characters(make_row("preference", "x:1", messages=[turn("user", "f")], **answers)) == 6


def test_what_is_said_of_columns_and_changes():
    found = Profile()
    for number in range(1500):
        extra = {"all": 1} | ({"some": 1} if number % 500 else {})
        found.add(text("a", extra=extra), remarks=["cut"] * (number > 9) + ["joined"] * (number == 3))
    assert found.messages() == [
        "unmapped columns, kept in `extra` and not trained on: all (all rows), some (1,497 of 1,500 rows)",
        "1,490 rows: cut",
        "1 rows: joined",
    ]


def test_of_many_columns_twelve_are_named():
    for columns, more in ((12, ""), (13, " and 1 more"), (15, " and 3 more")):
        found = Profile()
        found.add(text("a", extra={f"c{i}": 1 for i in range(columns)}))
        shown = ", ".join(f"c{i} (all rows)" for i in range(12))
        assert found.messages() == [f"unmapped columns, kept in `extra` and not trained on: {shown}{more}"]


def test_of_many_changes_twenty_are_named_and_a_thousand_are_counted_apart():
    found = Profile()
    found.add(text("a"), remarks=[f"r{i}" for i in range(1003)])
    found.add(text("a"), remarks=["r5", "r1000", "r5"])
    assert found.messages() == ["4 rows: others", "3 rows: r5", *(f"1 rows: r{i}" for i in range(19) if i != 5)]
    assert len(found.remarks) == 1001
    assert found.remarks["r999"] == 1


def test_the_sample_of_languages_is_of_three_hundred_rows_and_each_row_is_as_likely_to_stay():
    found = Profile()
    for number in range(300):
        found.add(text(f"{number}"))
    assert found._sample.kept == [f"{number}" for number in range(300)]
    for number in range(300, 3000):
        found.add(text(f"{number}"))
    numbers = [int(one) for one in found._sample.kept]
    assert len(set(numbers)) == 300
    assert 20 <= sum(number < 300 for number in numbers) <= 42
    assert abs(sum(numbers) / 300 - 1500) < 150
    assert sum(numbers) == 435_829  # as in earlier versions: the same rows have the same report


def test_the_sample_holds_what_people_say(monkeypatch):
    monkeypatch.setattr(profiles, "_LANGUAGE_SAMPLE", 1)
    found = Profile()
    found.add(TALK)
    assert found._sample.kept == [spoken_text(TALK)] == ["Hi there\nNine"]
    for _ in range(50):
        found.add(text(ENGLISH))
    assert found._sample.kept == [ENGLISH]
