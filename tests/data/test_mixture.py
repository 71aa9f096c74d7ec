"""`take` chooses rows by their content, whatever their order."""

import hashlib
import random
from dataclasses import replace

import pytest

from burnish.core.context import Input
from burnish.data.document import make_row
from burnish.data.mapping import Mapped
from burnish.data.mixture import HashSampler, Part, named, open_part
from burnish.data.record import Bad, ReadReport

ROWS = [make_row("text", f"x:{number}", text=f"text {number}") for number in range(50)]


def taken(rows: list[dict], take: int) -> list[int]:
    """The numbers of the rows that are taken."""
    items = [Mapped(row) for row in rows]
    taker = HashSampler([Bad("x:0", "text", "empty", ""), *items], take)
    reasons = [taker(row) for row in rows]
    assert set(reasons) <= {"", "beyond take"}
    return sorted(int(row["text"].split()[1]) for row, reason in zip(rows, reasons, strict=True) if not reason)


def point(row: dict) -> bytes:
    return hashlib.sha256(f"take:{row['id']}".encode()).digest()[:8]


@pytest.mark.parametrize("take", [1, 2, 7, 49, 50, 51, 1000])
def test_the_rows_with_the_smallest_hashes_are_taken_in_any_order(take):
    expected = sorted(ROWS.index(row) for row in sorted(ROWS, key=point)[:take])
    shuffled = ROWS[:]
    random.Random(0).shuffle(shuffled)
    assert taken(ROWS, take) == taken(ROWS[::-1], take) == taken(shuffled, take) == expected


def test_equal_rows_are_taken_as_often_as_take_says():
    assert len(taken([ROWS[0]] * 5, 3)) == 3
    assert len(taken([ROWS[0]] * 5 + ROWS[1:], 20)) == 20


def part(name: str, tmp_path, subset: str | None = None) -> Part:
    return Part(name, tmp_path, None, {}, subset)


def test_parts_have_names_of_their_own(tmp_path):
    parts = [
        part("a", tmp_path),
        part("a", tmp_path, "s"),
        part("a", tmp_path),
        part("b", tmp_path),
        part("a", tmp_path),
    ]
    table = named(parts)
    assert list(table) == ["a", "a (subset s)", "a #2", "b", "a #3"]
    assert list(table.values()) == parts


def test_rows_of_a_part_carry_its_tag_and_in_a_mix_its_folder(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "one"}\n{"text": 3}\n')
    given = Input("file:some/rows.jsonl", "file", tmp_path / "rows.jsonl")
    part = open_part(given, given.path, "auto", {}, None)
    for is_mixed, folder in ((False, ""), (True, "some/")):
        row, bad = replace(part, is_mixed=is_mixed, tag="t").items(ReadReport())
        assert (row.row["source"], row.row["tag"], row.row["text"]) == (f"{folder}rows.jsonl:1", "t", "one")
        assert bad.source == f"{folder}rows.jsonl:2"
    assert "tag" not in next(part.items(ReadReport())).row


@pytest.mark.parametrize(
    ("name", "is_file", "folder"),
    [
        ("file:a/rows.jsonl", True, "a/"),
        ("file:rows.jsonl", True, ""),
        ("file:a", False, "a/"),
        ("step:a", False, "step:a/"),
    ],
)
def test_a_source_is_named_with_its_folder(tmp_path, name, is_file, folder):
    path = tmp_path / "rows.jsonl"
    path.write_text("")
    expected = folder if name != "step:a" else "a/"
    assert part(name, path if is_file else tmp_path).folder == expected
