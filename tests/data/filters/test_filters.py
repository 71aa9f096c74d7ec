"""Filters keep a row or name the reason; the set behind them is small; statistics are right."""

import random
import statistics

import pytest

from burnish.data.document import make_row
from burnish.data.filters.duplicates import Duplicates
from burnish.data.hashset import HashSet
from burnish.data.profile import Distribution, Profile

ENGLISH = "The weather is lovely today, and we are going to the park with our friends."
GERMAN = "Das Wetter ist heute sehr schön, und wir gehen mit unseren Freunden in den Park."
CHINESE = "今天天气很好，我们打算和朋友们一起去公园散步。"


def text(content: str) -> dict:
    return make_row("text", "x:1", text=content)


def test_the_second_of_two_equal_rows_is_a_duplicate():
    drop = Duplicates()
    assert [drop(text(content)) for content in "abab"] == ["", "", "duplicate", "duplicate"]


def test_all_columns_that_are_kept_are_compared_or_those_that_a_model_sees():
    def rows() -> list[dict]:
        ids = [{"id": 1, "mood": "glad"}, {"id": 2}, {"id": 1, "mood": "glad"}, {}, {}]
        return [make_row("text", f"x:{i}", text="a", extra=extra) for i, extra in enumerate(ids)]

    drop = Duplicates()
    assert [drop(row) for row in rows()] == ["", "", "duplicate", "", "duplicate"]
    assert "2 rows equal an earlier one except for unmapped columns (id)" in drop.message()
    drop = Duplicates(content_only=True)
    near = "duplicate except for unmapped columns"
    assert [drop(row) for row in rows()] == ["", near, "duplicate", near, "duplicate"]
    assert Duplicates().message() == ""


def test_the_hash_set_agrees_with_pythons_own():
    generator = random.Random(0)
    ours, theirs = HashSet(), set()
    for _ in range(20_000):
        value = generator.choice(
            [generator.getrandbits(64), generator.randrange(2, 2000), generator.randrange(1, 50) << 40]
        )
        assert (value in ours) == (value in theirs)
        assert ours.add(value) == (value not in theirs)
        theirs.add(value)
    assert len(ours) == len(theirs)


def test_the_hash_set_holds_nought():
    ours = HashSet()
    assert 0 not in ours
    assert ours.add(0)
    assert 0 in ours
    assert not ours.add(0)


def test_percentiles_are_near_the_true_ones():
    generator = random.Random(0)
    numbers = [int(generator.lognormvariate(6, 1.5)) for _ in range(5000)]
    distribution = Distribution()
    for number in numbers:
        distribution.add(number)
    cuts = statistics.quantiles(numbers, n=100)
    for share in (0.5, 0.9, 0.99):
        assert distribution.percentile(share) == pytest.approx(cuts[round(share * 100) - 1], rel=0.05)
    shown = distribution.as_dict()
    assert (shown["min"], shown["max"], shown["total"]) == (min(numbers), max(numbers), sum(numbers))


def test_a_profile_counts_roles_turns_and_characters():
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "abc"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "de"},
        {"role": "assistant", "content": "f"},
    ]
    profile = Profile()
    profile.add(make_row("chat", "x:1", messages=turns), 10, 4)
    profile.add(text(ENGLISH), 6, 5)
    shown = profile.as_dict()
    assert shown["roles"] == {"assistant": 2, "user": 1, "tool": 1}
    assert shown["kinds"] == {"chat": 1, "text": 1}
    assert shown["characters"]["total"] == 8 + len(ENGLISH)
    assert shown["turns"]["max"] == 4
    assert (shown["tokens"]["total"], shown["learned"]["total"]) == (16, 9)
    assert shown["rows_with"] == {"tool_calls": 1}


def test_what_is_said_of_rows_of_equal_content_is_counted_by_column():
    assert Duplicates().message() == ""
    rows = [{}, {"a": 1}, {"a": 2, "b": 1}, {"b": 2, "c": 1}, {"d": 1, "e": 1, "f": 1}, {"a": 1}]
    for content_only, end in (
        (False, "they are kept; deduplicate: content drops them"),
        (True, "dropped by deduplicate: content"),
    ):
        drop = Duplicates(content_only)
        reasons = [drop(make_row("text", f"x:{i}", text="a", extra=extra)) for i, extra in enumerate(rows)]
        near = "duplicate except for unmapped columns" if content_only else ""
        assert reasons == ["", near, near, near, near, "duplicate"]
        assert drop.differing == {"": 4, "a": 2, "b": 2, "c": 1, "d": 1, "e": 1, "f": 1}
        assert drop.message() == f"4 rows equal an earlier one except for unmapped columns (a, b, c, d): {end}"


def test_of_a_row_of_many_columns_twenty_are_counted():
    drop = Duplicates()
    for value in (1, 2):
        drop(make_row("text", "x:1", text="a", extra={f"c{i}": value for i in range(25)}))
    assert drop.differing == {"": 1} | {f"c{i}": 1 for i in range(20)}


def test_source_and_tag_are_not_compared():
    drop = Duplicates()
    assert drop(make_row("text", "x:1", text="a", tag="t", extra={"n": 1})) == ""
    assert drop(make_row("text", "y:2", text="a", extra={"n": 1})) == "duplicate"
