"""`take` chooses rows by their content, whatever their order."""

import hashlib
import json
import random
from dataclasses import replace

import pytest

from burnish.core.context import Input
from burnish.core.errors import AskError, DataError
from burnish.data.dataset import DatasetWriter
from burnish.data.document import make_row
from burnish.data.mapping import Mapped
from burnish.data.mixture import HashSampler, Part, named, open_part, open_prepared
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
        ("file:a:b/c/rows.jsonl", True, "a:b/c/"),
        ("a/rows.jsonl", True, "a/"),
        ("a", False, "a/"),
        ("file:a", False, "a/"),
        ("step:a", False, "step:a/"),
    ],
)
def test_a_source_is_named_with_its_folder(tmp_path, name, is_file, folder):
    path = tmp_path / "rows.jsonl"
    path.write_text("")
    expected = folder if name != "step:a" else "a/"
    assert part(name, path if is_file else tmp_path).folder == expected


def test_a_row_is_taken_up_to_the_largest_hash_and_no_more():
    sampler = HashSampler([], 3)
    assert sampler(ROWS[0]) == "beyond take"
    first, second = sorted(ROWS, key=point)[:2]
    sampler = HashSampler([Mapped(second), Mapped(first)], 1)
    assert [sampler(row) for row in (second, first, first)] == ["beyond take", "", "beyond take"]


def input_of(path) -> Input:
    return Input(f"file:{path.name}", "file", path)


def opened(path, columns=(), subset=None, **settings) -> Part:
    return open_part(input_of(path), path, "auto", dict(columns), subset, **settings)


def test_a_part_is_not_mixed_and_without_tag_unless_told(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": "one", "tag": "t"}\n')
    given = Input("file:some/rows.jsonl", "file", path)
    part = open_part(given, path, "auto", {"a": "text"}, None)
    assert (part.name, part.path, part.columns, part.subset) == ("file:some/rows.jsonl", path, {"a": "text"}, None)
    assert (part.take, part.tag, part.encoding, part.is_mixed) == (None, None, None, False)
    (item,) = part.items(ReadReport())
    assert item == Mapped(make_row("text", "rows.jsonl:1", text="one", tag="t"))
    (item,) = replace(part, tag="").items(ReadReport())
    assert item.row["tag"] == ""


def test_a_prepared_dataset_keeps_its_rows_and_splits(tmp_path):
    with DatasetWriter(tmp_path / "set") as writer:
        for number, row in enumerate(ROWS[:3]):
            writer.write(row, "train" if number else "test")
    (tmp_path / "set/stats.json").write_text("{}")
    part = open_prepared(input_of(tmp_path / "set"))
    assert part == Part("file:set", tmp_path / "set", None, {}, None)
    items = {item.row["id"]: item for item in part.items(ReadReport())}
    assert items == {row["id"]: Mapped(row, "train" if n else "test") for n, row in enumerate(ROWS[:3])}
    (tmp_path / "raw").mkdir()
    assert open_prepared(input_of(tmp_path / "raw")) is None
    part.refuse_settings(format="auto", columns={}, subset=None, roles=())
    with pytest.raises(AskError) as caught:
        part.refuse_settings(format="text", columns={}, subset="a", roles={"a": "b"})
    assert (caught.value.code, caught.value.what, caught.value.fix) == (
        "ask.wrong-value",
        "file:set is a prepared dataset, where format and subset and roles has no effect",
        "remove the setting, or give it where the raw rows are prepared",
    )


def test_a_part_of_raw_rows_takes_every_setting(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "one"}\n')
    opened(path).refuse_settings(format="text", subset="a")


def test_names_that_no_row_has_are_refused_when_a_part_is_opened(tmp_path):
    path = tmp_path / "rows.jsonl"
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    path.write_text(json.dumps({"messages": turns}) + "\n")
    for settings, setting in (
        ({"columns": {"a": "text"}}, "`columns` names 'a'"),
        ({"roles": {"b": "user"}}, "`roles` names 'b'"),
    ):
        with pytest.raises(DataError) as caught:
            opened(path, **settings)
        assert caught.value.what.startswith(f"{setting}, which no ")
    roles = opened(path, roles={"assistant": "user"}).found
    assert roles is not None
    assert roles.roles == {"assistant": "user"}


def test_the_columns_of_an_entry_of_a_folder_are_checked_too(tmp_path):
    entry = {"file_name": "rows.jsonl", "columns": {"prompt": "ask", "response": "reply"}}
    (tmp_path / "rows.jsonl").write_text('{"ask": "Hi", "reply": "Hello"}\n')
    described = tmp_path / "dataset_info.json"
    described.write_text(json.dumps({"x": entry}))
    (item,) = opened(tmp_path).items(ReadReport())
    assert item.row["messages"][0] == {"role": "user", "content": "Hi"}
    described.write_text(json.dumps({"x": entry | {"columns": {"prompt": "ask", "response": "replay"}}}))
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    what = f"`columns of dataset_info.json` names 'replay', which no row of file:{tmp_path.name} has; "
    assert caught.value.what == f"{what}its columns are: ask, reply"
    described.unlink()
    assert [
        item.row["kind"] for item in opened(tmp_path, {"ask": "prompt", "reply": "answer"}).items(ReadReport())
    ] == ["chat"]


def test_an_encoding_is_used_or_reported(tmp_path):
    path = tmp_path / "rows.jsonl"
    for content, text, warnings in (
        (b'{"text": "caf\xe9"}\n', "café", []),
        (b'\xef\xbb\xbf{"text": "caf"}\n', "caf", [
            "encoding: latin-1 has no effect on file:rows.jsonl: none of its files is text without a byte-order mark",
        ]),
    ):  # fmt: skip
        path.write_bytes(content)
        part = opened(path, encoding="latin-1")
        for _ in range(2):
            reading = ReadReport(used_encoding=not warnings)
            (item,) = part.items(reading)
            assert (item.row["text"], reading.warnings) == (text, warnings)
        reading = ReadReport(encoding="utf-16")
        list(replace(part, encoding=None).items(reading))
        assert (reading.encoding, [w for w in reading.warnings if w.startswith("encoding")]) == (None, [])
