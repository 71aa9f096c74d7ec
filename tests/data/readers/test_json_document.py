"""The layouts of a .json file: numbered elements, splits as keys, and tables by column."""

import json

import pytest

from burnish.core.errors import DataError
from burnish.data.dataset import read_rows
from burnish.data.readers import json_document
from burnish.data.record import Record
from burnish.specs.data import PrepareSpec
from burnish.stages.data.prepare import run
from burnish.testing import temporary_context


def found(records: list[Record]) -> list[tuple]:
    return [(record.raw.get("a"), record.split, record.source) for record in records]


def test_every_element_of_one_line_has_a_source_of_its_own(write, read_all):
    records, bad, _ = read_all(write("x.json", '[{"a": 1}, {"a": 2}, 7, {"a": 3}]'))
    assert [record.source for record in records] == ["x.json:1#1", "x.json:1#2", "x.json:1#4"]
    assert [row.source for row in bad] == ["x.json:1#3"]
    records, _, _ = read_all(write("x.json", '{"a": 1} {"a": 2}'))
    assert [record.source for record in records] == ["x.json:1#1", "x.json:1#2"]


def test_keys_of_a_document_tell_splits(write, read_all):
    document = {"version": 1, "train": [{"a": 1}, {"a": 2}], "dev": [{"a": 3}], "about": {"b": [4]}, "test": [{"a": 5}]}
    for indent in (None, 1):
        records, bad, reading = read_all(write("x.json", json.dumps(document, indent=indent)))
        assert [(record.raw["a"], record.split) for record in records] == [
            (1, "train"),
            (2, "train"),
            (3, "validation"),
            (5, "test"),
        ]
        assert len({record.source for record in records}) == 4
        assert not bad
        assert any("not read: version" in note for note in reading.notes)
        assert any("not read: about" in note for note in reading.notes)


def test_lists_of_a_document_may_be_longer_than_a_window(write, read_all):
    rows = [{"a": i, "text": "ü" * (i * 3571 % 5000)} for i in range(800)]
    document = {"train": rows[:500], "notes": ["x" * 3_000_000], "test": rows[500:]}
    records, bad, _ = read_all(write("x.json", json.dumps(document, ensure_ascii=False)))
    assert [record.raw for record in records] == rows
    assert [record.split for record in records] == ["train"] * 500 + ["test"] * 300
    assert not bad


def test_a_document_that_breaks_off_between_its_lists_is_a_bad_row(write, read_all):
    for rest in (', "test" [{"a": 2}]}', ', "test": [{"a": 2}', ', "x": tru', "} more"):
        records, bad, reading = read_all(write("x.json", '{"train": [{"a": 1}]' + rest))
        assert records[0].raw == {"a": 1}
        assert bad or any("rows at the end may be missing" in text for text in reading.warnings)


@pytest.mark.parametrize(
    "document",
    [
        {"a": [1, 2, None], "b": ["x", "y", "z"]},
        {"a": {"0": 1, "1": 2, "2": None}, "b": {"0": "x", "1": "y", "2": "z"}},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_table_by_column_is_read_by_row(document, indent, write, read_all):
    records, bad, reading = read_all(write("x.json", json.dumps(document, indent=indent)))
    assert [record.raw for record in records] == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": None, "b": "z"}]
    assert [record.source for record in records] == ["x.json#1", "x.json#2", "x.json#3"]
    assert not bad
    assert any("column-wise" in note for note in reading.notes)


def test_a_large_table_of_conversations_is_read_by_row(write, read_all):
    talks = [[{"role": "user", "content": "x" * 1000}, {"role": "assistant", "content": str(i)}] for i in range(3000)]
    document = {"id": list(range(3000)), "messages": talks}
    records, bad, _ = read_all(write("x.json", json.dumps(document)))
    assert [record.raw["messages"] for record in records] == talks
    assert not bad


def test_columns_of_different_lengths_are_a_bad_row(write, read_all):
    records, bad, _ = read_all(write("x.json", '{"a": [1, 2], "b": ["x"]}'))
    assert not records
    assert "different lengths: a 2, b 1" in bad[0].reason


@pytest.mark.parametrize(
    "row",
    [
        {"tags": ["x"], "messages": [{"role": "user", "content": "a"}]},
        {"tags": ["x", "y"], "prompt": "a"},
        {"conversations": [{"from": "human", "value": "a"}]},
        {"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]},
    ],
)
def test_one_row_with_lists_is_no_table(row, write, read_all):
    assert [record.raw for record in read_all(write("x.json", json.dumps(row)))[0]] == [row]
    pretty = "\n".join(json.dumps(row, indent=1) for _ in range(3))
    assert [record.raw for record in read_all(write("x.json", pretty))[0]] == [row] * 3


def test_splits_of_a_document_become_those_of_the_dataset(tmp_path):
    document = {split: [{"question": f"{split}?", "answer": "a"}] for split in ("train", "test")}
    (tmp_path / "x.json").write_text(json.dumps(document))
    context, _ = temporary_context(tmp_path / "run", {"source": tmp_path / "x.json"})
    run(PrepareSpec(source="file:x.json"), context)
    for split in document:
        (row,) = read_rows(context.out, split)
        assert row["messages"][0]["content"] == f"{split}?"


@pytest.mark.parametrize("length", [1_500_000, 3_300_000])
@pytest.mark.parametrize("is_cut_off", [False, True])
def test_an_endless_element_is_left_behind_with_its_size(write, read_all, monkeypatch, length, is_cut_off):
    monkeypatch.setattr(json_document, "MAX_ROW_BYTES", 200)
    element = '{"text": "' + "x" * length + '"}'
    rest = "" if is_cut_off else ', {"text": "after"}]'
    text = '[{"text": "before"}, ' + (element[:-2] if is_cut_off else element) + rest
    records, bad, _ = read_all(write("rows.json", text))
    assert [r.raw["text"] for r in records] == ["before"] + ["after"] * (not is_cut_off)
    assert len(bad) == 1
    assert bad[0].source == "rows.json:1#2"
    assert f"{len(element) - 2 * is_cut_off:,} characters" in bad[0].reason


def test_a_table_that_is_too_long_to_be_held_is_refused(write, read_all, monkeypatch):
    monkeypatch.setattr(json_document, "_MOST_OF_A_TABLE", 1_000_000)
    with pytest.raises(DataError, match="looks column-wise"):
        read_all(write("rows.json", json.dumps({"text": ["a word"] * 300_000})))
    records, _, _ = read_all(write("short.json", json.dumps({"text": ["a word"] * 10})))
    assert len(records) == 10
