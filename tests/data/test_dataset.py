"""A dataset is written as a stream and read back the same; a raw file can stand in for one."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from burnish.core.errors import DataError
from burnish.data import dataset
from burnish.data.dataset import DatasetWriter, open_rows, read_counted, read_rows, row_count, split_names, splits
from burnish.data.document import make_row
from burnish.testing import input_at


def rows(count: int) -> list[dict]:
    return [make_row("text", f"x:{i}", text=f"Text {i} ü", tag="t" if i % 2 else None) for i in range(count)]


def test_what_is_written_is_read_back(tmp_path):
    written = rows(2500)
    with DatasetWriter(tmp_path / "set", counted=True) as writer:
        for i, row in enumerate(written):
            writer.write(row, "test" if i % 5 == 0 else "train", tokens=i, learned=i - 1)
    (tmp_path / "set/stats.json").write_text("{}")
    assert splits(tmp_path / "set") == ["train", "test"]
    assert list(read_rows(tmp_path / "set", "train")) == [row for i, row in enumerate(written) if i % 5]
    assert list(read_counted(tmp_path / "set", "test"))[1] == (written[5], {"tokens": 5, "learned": 4})
    assert row_count(tmp_path / "set", "test") == writer.rows["test"] == 500
    sample = [json.loads(line) for line in (tmp_path / "set/sample.jsonl").read_text().splitlines()]
    assert sample[0] == {"split": "test"} | written[0]
    assert len(sample) == 40
    input = input_at(tmp_path / "set")
    assert input.kind == "dataset"
    assert split_names(input) == ["train", "test"]
    assert len(list(open_rows(input, "test"))) == 500


def test_an_unknown_split_is_an_error_that_lists_the_splits(tmp_path, write):
    with DatasetWriter(tmp_path / "set") as writer:
        writer.write(rows(1)[0], "train")
    (tmp_path / "set/stats.json").write_text("{}")
    for path in (tmp_path / "set", write("x.jsonl", [{"text": "a"}])):
        with pytest.raises(DataError, match="has no split 'test': it has train") as caught:
            list(open_rows(input_at(path), "test"))
        assert caught.value.code == "data.not-prepared"


def test_a_raw_file_is_a_dataset_of_one_split(write):
    input = input_at(write("x.jsonl", [{"question": "Hi", "answer": "Hello"}]))
    assert split_names(input) == ["train"]
    assert [row["messages"][1]["content"] for row in open_rows(input, "train")] == ["Hello"]


def test_a_bad_row_of_a_raw_file_is_an_error_that_says_where(write):
    input = input_at(write("x.jsonl", '{"text": "a"}\n{"text": 7}\n'))
    with pytest.raises(DataError, match=r"x\.jsonl:2: text: the column must be a text, not a number"):
        list(open_rows(input, "train"))


def test_raw_rows_tell_their_layout_and_what_nothing_maps(write):
    said: list[str] = []
    rows = [{"question": "Hi", "answer": "Hello", "mood": "good"}, {"question": "Why?", "answer": "So."}]
    assert len(list(open_rows(input_at(write("x.jsonl", rows)), "train", report=said.append))) == 2
    assert "format question_answer, since" in said[0]
    assert "unmapped columns, kept in `extra` and not trained on: mood (1 of 2 rows)" in said[1]


@pytest.mark.parametrize("counted", [False, True])
def test_the_columns_of_a_prepared_dataset_are_those_of_the_contract(tmp_path, counted):
    with DatasetWriter(tmp_path, counted=counted) as writer:
        for row in rows(2):
            writer.write(row, "train", tokens=7, learned=3)
    table = pq.read_table(tmp_path / "train.parquet")
    assert table.column_names == ["id", "source", "kind", "tag", "row"] + ["tokens", "learned"] * counted
    for line, row in zip(table.to_pylist(), rows(2), strict=True):
        assert json.loads(line["row"]) == row
        assert [line[key] for key in ("id", "source", "kind", "tag")] == [
            row.get(key) for key in ("id", "source", "kind", "tag")
        ]
    assert [counts for _, counts in read_counted(tmp_path, "train")] == [
        {"tokens": 7, "learned": 3} if counted else {}
    ] * 2


def test_rows_are_held_in_batches_by_number_and_by_size(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "_BATCH_ROWS", 4)
    with DatasetWriter(tmp_path) as writer:
        for row in rows(9):
            writer.write(row, "train")
    assert pq.read_metadata(tmp_path / "train.parquet").num_row_groups == 3
    monkeypatch.setattr(dataset, "_BATCH_CHARACTERS", 1)
    with DatasetWriter(tmp_path) as writer:
        for row in rows(5):
            writer.write(row, "test")
    assert pq.read_metadata(tmp_path / "test.parquet").num_row_groups == 5
    assert [row["source"] for row in read_rows(tmp_path, "test")] == [f"x:{i}" for i in range(5)]


def test_a_parquet_file_of_others_is_not_prepared(tmp_path):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "train.parquet")
    with pytest.raises(DataError) as caught:
        list(read_rows(tmp_path, "train"))
    assert caught.value.code == "data.not-prepared"
    assert row_count(tmp_path, "train") == 1
    assert row_count(tmp_path, "test") == 0
