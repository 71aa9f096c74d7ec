"""A dataset is written as a stream and read back the same; a raw file can stand in for one."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from burnish.core.context import Input
from burnish.core.errors import DataError
from burnish.data import dataset
from burnish.data.dataset import (
    DatasetWriter,
    find_rows,
    is_prepared,
    open_rows,
    read_counted,
    read_rows,
    row_count,
    split_file,
    split_names,
    splits,
)
from burnish.data.document import make_row
from burnish.data.paging.pages import prepared_page
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


# The folder: when a batch is written, what the sample holds, and what is refused


def row(number: int = 0, size: int = 1) -> dict:
    return make_row("text", f"x:{number}", text="é" * size, tag="t")


def groups(path) -> list[int]:
    metadata = pq.read_metadata(path)
    return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


def refused(call, *args) -> DataError:
    with pytest.raises(DataError) as caught:
        list(call(*args))
    assert caught.value.code == "data.not-prepared"
    return caught.value


def test_a_batch_is_a_thousand_rows_of_its_split(tmp_path):
    with DatasetWriter(tmp_path) as writer:
        for number in range(2001):
            writer.write(row(number), "train")
            if number % 2:
                writer.write(row(number), "test")
    assert groups(tmp_path / "train.parquet") == [1000, 1000, 1]
    assert groups(tmp_path / "test.parquet") == [1000]
    assert writer.rows == {"train": 2001, "test": 1000}
    assert [one["source"] for one in read_rows(tmp_path, "train")] == [f"x:{i}" for i in range(2001)]


def test_a_batch_is_four_million_characters_of_its_split(tmp_path):
    spelled = len(json.dumps(row(), ensure_ascii=False, separators=(",", ":"))) - 1
    half = 2_000_000 - spelled
    with DatasetWriter(tmp_path) as writer:
        for size in (half, half, half, half - 1, 1, half, half):
            writer.write(row(size=size), "train")
            writer.write(row(), "test")
    assert groups(tmp_path / "train.parquet") == [2, 3, 2]
    assert groups(tmp_path / "test.parquet") == [7]


def test_the_sample_is_the_first_twenty_rows_of_each_split_as_they_come(tmp_path):
    with DatasetWriter(tmp_path) as writer:
        for number in range(25):
            writer.write(row(number), "train")
            if number > 22:
                writer.write(row(number), "test")
    lines = (tmp_path / "sample.jsonl").read_text(encoding="utf-8").splitlines()
    expected = [("train", i) for i in range(20)] + [("test", 23), ("test", 24)]
    assert [json.loads(line) for line in lines] == [{"split": split} | row(i) for split, i in expected]
    assert lines[0].startswith('{"split":"train","id":"')
    assert "é" in lines[0]


def test_the_bytes_of_a_row_are_its_shortest_json(tmp_path):
    with DatasetWriter(tmp_path / "new/set", counted=True) as writer:
        writer.write(row(), "validation", 7, 3)
        writer.write(row(), "validation")
    table = pq.read_table(tmp_path / "new/set/validation.parquet")
    assert table.to_pylist()[0] == {
        "id": row()["id"],
        "source": "x:0",
        "kind": "text",
        "tag": "t",
        "row": f'{{"id":"{row()["id"]}","source":"x:0","kind":"text","text":"é","tag":"t"}}',
        "tokens": 7,
        "learned": 3,
    }
    assert [str(field.type) for field in table.schema] == ["string"] * 5 + ["int32"] * 2
    assert [counts for _, counts in read_counted(tmp_path / "new/set", "validation")] == [
        {"tokens": 7, "learned": 3},
        {"tokens": 0, "learned": 0},
    ]
    assert pq.ParquetFile(tmp_path / "new/set/validation.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


def test_an_error_while_writing_leaves_whole_files(tmp_path):
    def fail() -> None:
        with DatasetWriter(tmp_path) as writer:
            writer.write(row(), "train")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert row_count(tmp_path, "train") == 1
    assert (tmp_path / "sample.jsonl").read_text(encoding="utf-8").count("\n") == 1


def test_rows_are_read_in_their_order_through_batches(tmp_path):
    with DatasetWriter(tmp_path, counted=True) as writer:
        for number in range(600):
            writer.write(row(number), "train", number, 2 * number)
    assert list(read_counted(tmp_path, "train")) == [(row(i), {"tokens": i, "learned": 2 * i}) for i in range(600)]


def test_a_folder_is_prepared_with_its_statistics_and_a_split(tmp_path):
    folder = tmp_path / "set"
    with DatasetWriter(folder) as writer:
        assert (is_prepared(folder), splits(folder)) == (False, [])
        writer.write(row(), "test")
    assert not is_prepared(folder)
    (folder / "stats.json").write_text("{}")
    assert is_prepared(folder)
    assert (splits(folder), split_names(input_at(folder))) == (["test"], ["test"])
    assert split_file(folder, "test") == folder / "test.parquet"
    assert not is_prepared(folder / "stats.json")
    assert not is_prepared(tmp_path / "gone")
    (folder / "test.parquet").rename(folder / "other.parquet")
    assert not is_prepared(folder)
    assert (row_count(folder, "test"), row_count(folder, "other")) == (0, 1)


def test_splits_stand_in_their_order(tmp_path):
    with DatasetWriter(tmp_path) as writer:
        for split in ("test", "validation", "train"):
            writer.write(row(), split)
    assert splits(tmp_path) == ["train", "validation", "test"]


def test_a_split_that_is_not_there_is_empty_or_was_never_wanted(tmp_path):
    with DatasetWriter(tmp_path) as writer:
        writer.write(row(), "train")
        writer.write(row(), "validation")
    never = f"{tmp_path} has no split 'test': it has train, validation"
    for stats in (None, {}, {"splits": {"train": 1}}):
        if stats is not None:
            (tmp_path / "stats.json").write_text(json.dumps(stats))
        assert refused(read_rows, tmp_path, "test").what == never
    (tmp_path / "stats.json").write_text('{"splits": {"train": 1, "test": 0}}')
    error = refused(read_rows, tmp_path, "test")
    assert error.what == f"the split 'test' of {tmp_path} is empty: it has train, validation"
    assert "`split.test`" in error.fix
    assert refused(read_rows, tmp_path / "gone", "test").what == (
        f"{tmp_path / 'gone'} has no split 'test': it is not a prepared dataset"
    )


def test_a_table_without_rows_of_burnish_is_refused(tmp_path):
    pq.write_table(pa.table({"tokens": [1], "text": ["a"]}), tmp_path / "train.parquet")
    assert refused(read_rows, tmp_path, "train").what == f"{tmp_path / 'train.parquet'} has no column 'row'"


def test_a_raw_source_has_one_split_and_its_report_is_whole(write):
    rows = [{"question": "Hi", "answer": "Hello", "mood": "good"}, {"question": " Why?", "answer": "So."}]
    source = input_at(write("x.jsonl", rows))
    said: list[str] = []
    found = list(open_rows(source, "train", said.append))
    assert [one["messages"][0]["content"] for one in found] == ["Hi", " Why?"]
    assert said[0].startswith(f"{source.ref}: format question_answer, since ")
    assert said[1:] == ["unmapped columns, kept in `extra` and not trained on: mood (1 of 2 rows)"]
    assert list(open_rows(source, "train")) == found
    for split in ("test", "validation"):
        assert refused(open_rows, source, split).what == f"{source.ref} has no split '{split}': it has train"
    git = Input("git:x", "git", source.path)
    assert refused(open_rows, git, "train").what == "git:x is a Git repository, and its commit is not checked out"


def test_the_report_of_a_raw_source_has_the_notes_of_its_reader(write):
    said: list[str] = []
    list(open_rows(input_at(write("x.txt", "one\ntwo\n")), "train", said.append))
    assert said[1] == "x.txt: each line is one document"


def test_the_report_of_a_raw_source_names_what_is_not_read(tmp_path):
    (tmp_path / "a.json").write_text('[{"text": "one"}, {"text": "two"},')
    (tmp_path / "b.xlsx").write_bytes(b"rows")
    said: list[str] = []
    assert len(list(open_rows(input_at(tmp_path), "train", said.append))) == 2
    assert "a.json ends before its list is closed: rows at the end may be missing" in said
    assert any("1 file is not read" in text and "b.xlsx" in text for text in said)


def test_rows_are_found_by_id_as_often_as_they_occur(tmp_path):
    rows = [{"prompt": f"question {number % 1500}", "completion": "yes"} for number in range(2500)]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    raw = list(open_rows(input_at(file), "train"))
    with DatasetWriter(tmp_path / "made") as writer:
        for row in raw:
            writer.write(row, "train")
    (tmp_path / "made" / "stats.json").write_text("{}")
    wanted = {raw[3]["id"], raw[1400]["id"]}
    for path in (file, tmp_path / "made"):
        found = [row["source"] for row in find_rows(input_at(path), "train", wanted)]
        assert found == ["rows.jsonl:4", "rows.jsonl:1401", "rows.jsonl:1504"]
    assert list(find_rows(input_at(file), "train", {"unknown"})) == []


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_a_file_without_rows_is_refused(tmp_path, text):
    (tmp_path / "rows.jsonl").write_text(text)
    told = []
    with pytest.raises(DataError) as caught:
        list(open_rows(input_at(tmp_path / "rows.jsonl"), "train", report=told.append))
    assert caught.value.code == "data.empty"
    assert caught.value.what.endswith("rows.jsonl has no rows")
    assert not told


def test_an_unknown_layout_of_a_file_leads_to_a_step_that_has_the_settings(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"foo": 1, "bar": "x"}\n')
    with pytest.raises(DataError, match="no known layout fits") as caught:
        list(open_rows(input_at(tmp_path / "rows.jsonl"), "train"))
    assert caught.value.fix.startswith("add a step with `stage: prepare` and the file as its `source`")
    assert "set `format: …`" in caught.value.fix
    assert "`columns: {" in caught.value.fix


def footer(whole):
    """Where the description of a file begins."""
    return len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")


DAMAGES = {
    "empty": lambda whole: b"",
    "cut off": lambda whole: whole[:-20],
    "no parquet": lambda whole: b"rows",
    "its footer": lambda whole: whole[: footer(whole)] + bytes(len(whole) - 8 - footer(whole)) + whole[-8:],
    "its rows": lambda whole: whole[:4] + bytes(footer(whole) - 4) + whole[footer(whole) :],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_a_prepared_dataset_is_an_error_with_its_path(tmp_path, damage):
    with DatasetWriter(tmp_path) as writer:
        for number in range(50):
            writer.write(row(number), "train")
    (tmp_path / "stats.json").write_text("{}")
    path = tmp_path / "train.parquet"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    reads = {
        "count": lambda: row_count(tmp_path, "train"),
        "page": lambda: prepared_page(tmp_path, "train", 0, 10),
        "rows": lambda: list(read_rows(tmp_path, "train")),
        "found": lambda: list(find_rows(input_at(tmp_path), "train", ["id"])),
    }
    if damage == "its rows":
        assert reads.pop("count")() == 50
    for read in reads.values():
        with pytest.raises(DataError, match=str(path)) as caught:
            read()
        assert caught.value.code == "data.unreadable"
