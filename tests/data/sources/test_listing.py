"""Which files an input means: tables, columns, texts, folders, hub layouts, dataset_info.json."""

import datetime
import decimal
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from burnish.core.errors import DataError, MachineError
from burnish.core.plugins import PluginWarning
from burnish.data.mapping import Mapped, detect, map_rows
from burnish.data.readers import readers
from burnish.data.record import Record

ROWS = [{"question": "Hi", "answer": "Hello"}, {"question": "Bye", "answer": "Tschüß"}]


def raws(records: list[Record]) -> list[dict]:
    return [record.raw for record in records]


# Tables


def test_a_csv_has_a_row_per_record_even_over_several_lines(write, read_all):
    records, bad, _ = read_all(write("x.csv", 'a,b\n1,"two\nlines"\n\n"say ""hi""",4\r\n'))
    assert raws(records) == [{"a": "1", "b": "two\nlines"}, {"a": 'say "hi"', "b": "4"}]
    assert [r.source for r in records] == ["x.csv:2", "x.csv:5"]
    assert not bad


def test_line_ends_inside_a_cell_stay_as_they_are(write, read_all):
    records, bad, _ = read_all(write("x.csv", 'a,b\r\n1,"two\r\nlines"\r\n2,"three\nlines"'))
    assert raws(records) == [{"a": "1", "b": "two\r\nlines"}, {"a": "2", "b": "three\nlines"}]
    assert not bad


def test_bad_records_of_a_csv_cost_themselves_only(write, read_all):
    content = b'a,b\n1,2\n1,2,3\n"open,2\n3,4\n\xff,1\n5,"x"y\n7,8\n'
    records, bad, _ = read_all(write("x.csv", content))
    assert raws(records) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}, {"a": "7", "b": "8"}]
    assert [b.source for b in bad] == ["x.csv:3", "x.csv:4", "x.csv:6", "x.csv:7"]
    assert "3 cells, and the header 2" in bad[0].reason
    assert "not UTF-8" in bad[2].reason


def test_another_separator_is_detected_in_the_header_and_reported(write, read_all):
    records, _, reading = read_all(write("x.csv", "a;b\n1,5;2\n"))
    assert raws(records) == [{"a": "1,5", "b": "2"}]
    assert any("semicolons" in note for note in reading.notes)


def test_tabs_part_a_tsv(write, read_all):
    records, _, _ = read_all(write("x.tsv", "a\tb\n1,5\t2\n"))
    assert raws(records) == [{"a": "1,5", "b": "2"}]


def test_two_columns_of_one_name_are_an_error(write, read_all):
    with pytest.raises(DataError, match="two columns are called 'a'"):
        read_all(write("x.csv", "a,a\n1,2\n"))


def test_parquet_rows_are_numbered_and_dates_become_text_which_is_reported(tmp_path, read_all):
    table = pa.table(
        {
            "text": [f"row {i}" for i in range(150)],
            "day": [datetime.date(2024, 1, 1)] * 150,
            "cost": [decimal.Decimal("1.50")] * 150,
            "score": [float("nan"), *[0.5] * 149],
        }
    )
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=40)
    records, bad, reading = read_all(tmp_path / "x.parquet")
    assert len(records) == 150
    assert records[0].raw == {"text": "row 0", "day": "2024-01-01", "cost": "1.50", "score": None}
    assert records[149].source == "x.parquet#150"
    assert not bad
    assert any("day" in note for note in reading.notes)
    assert reading.done_bytes == reading.total_bytes


def test_arguments_kept_as_structs_are_reported(tmp_path, read_all):
    calls = [[{"name": "f", "arguments": {"a": 1}}], [{"name": "g", "arguments": {"b": 2}}]]
    pq.write_table(pa.table({"calls": calls}), tmp_path / "x.parquet")
    records, _, reading = read_all(tmp_path / "x.parquet")
    assert records[0].raw["calls"][0]["arguments"] == {"a": 1, "b": None}
    assert any("null for every argument" in note for note in reading.notes)


def test_bytes_that_are_no_text_are_a_bad_row(tmp_path, read_all):
    pq.write_table(pa.table({"image": [b"\xff\xfe", b"ok"]}), tmp_path / "x.parquet")
    records, bad, _ = read_all(tmp_path / "x.parquet")
    assert raws(records) == [{"image": "ok"}]
    assert (bad[0].source, bad[0].field) == ("x.parquet#1", "image")


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_arrow_files_and_streams_are_read(kind, tmp_path, read_all):
    table = pa.Table.from_pylist(ROWS)
    path = tmp_path / "data.arrow"
    new = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with new(str(path), table.schema) as writer:
        writer.write_table(table)
    records, _, _ = read_all(path)
    assert raws(records) == ROWS
    assert records[1].source == "data.arrow#2"


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
def test_a_broken_columnar_file_is_an_error_that_names_it(name, write, read_all):
    with pytest.raises(DataError, match=f"{name} cannot be read"):
        read_all(write(name, b"PAR1 no parquet"))


# Text


def test_a_text_without_blank_lines_has_a_document_a_line(write, read_all):
    records, _, reading = read_all(write("x.txt", "one\ntwo\r\nthree"))
    assert raws(records) == [{"text": "one"}, {"text": "two"}, {"text": "three"}]
    assert any("each line is one document" in note for note in reading.notes)


def test_blank_lines_part_documents(write, read_all):
    records, _, reading = read_all(write("x.txt", "one\nstill one\n\n \ntwo\n"))
    assert raws(records) == [{"text": "one\nstill one"}, {"text": "two"}]
    assert [r.source for r in records] == ["x.txt:1", "x.txt:5"]
    assert any("parted by blank lines" in note for note in reading.notes)


def test_a_folder_of_texts_and_code_has_a_row_a_file(write, read_all):
    write("docs/b.md", "# B\n\ntext\n")
    write("docs/sub/a.py", "print(1)\n")
    write("docs/.hidden/c.md", "hidden")
    write("docs/logo.png", b"\x89PNG")
    write("docs/latin.txt", "Grüße".encode("latin-1"))
    path = write("docs/empty.md", "").parent
    records, bad, reading = read_all(path)
    assert raws(records) == [{"text": "# B\n\ntext\n", "path": "b.md"}, {"text": "print(1)\n", "path": "sub/a.py"}]
    assert [b.source for b in bad] == ["latin.txt:1"]
    assert reading.blank == 1
    assert ("1 file is not read (another kind of file): docs/logo.png", False) in reading.messages()


# Folders and hub layouts


def test_a_folder_of_rows_is_read_in_order_and_file_names_tell_splits(write, read_all):
    write("set/data/train-00001-of-00002.jsonl", [ROWS[1]])
    write("set/data/train-00000-of-00002.jsonl", [ROWS[0]])
    write("set/data/validation.jsonl", [{"question": "V", "answer": "v"}])
    write("set/test/part.jsonl", [{"question": "T", "answer": "t"}])
    path = write("set/notes.md", "not a row").parent
    records, _, reading = read_all(path)
    assert [(r.raw["question"], r.split) for r in records] == [
        ("Hi", "train"),
        ("Bye", "train"),
        ("V", "validation"),
        ("T", "test"),
    ]
    assert ("1 file is not read (another kind of file): set/notes.md", False) in reading.messages()


CARD = """---
license: mit
configs:
- config_name: main
  default: true
  data_files:
  - split: train_sft
    path: data/a-*.jsonl
  - split: test_sft
    path: [data/b.jsonl]
- config_name: socratic
  data_files: socratic/*.jsonl
---
# A card
"""


@pytest.fixture
def hub_dataset(write):
    write("snap/data/a-1.jsonl", [ROWS[0]])
    write("snap/data/b.jsonl", [ROWS[1]])
    write("snap/socratic/c.jsonl", [{"question": "S", "answer": "s"}])
    return write("snap/README.md", CARD).parent


def test_a_card_names_files_splits_and_subsets(hub_dataset, read_all):
    assert [(r.raw["question"], r.split) for r in read_all(hub_dataset)[0]] == [("Hi", "train"), ("Bye", "test")]
    assert [r.raw["question"] for r in read_all(hub_dataset, subset="socratic")[0]] == ["S"]
    with pytest.raises(DataError, match="no subset 'socratik'") as caught:
        read_all(hub_dataset, subset="socratik")
    assert "did you mean 'socratic'?" in caught.value.fix


def test_a_card_that_names_files_outside_finds_none(hub_dataset, write, read_all):
    write("secret.jsonl", [{"text": "secret"}])
    write("snap/README.md", CARD.replace("data/a-*.jsonl", "../secret.jsonl"))
    with pytest.raises(DataError, match="no file of that name is there"):
        read_all(hub_dataset)


def test_a_yaml_bomb_in_a_card_is_not_expanded(hub_dataset, write, read_all):
    levels = "".join(f"b{i}: &b{i} [*b{i - 1},*b{i - 1}]\n" for i in range(1, 40))
    write(
        "snap/README.md", f"---\nb0: &b0 [x,x]\n{levels}configs:\n- data_files: {{split: train, path: [*b39]}}\n---\n"
    )
    with pytest.raises(DataError, match="aliases"):
        read_all(hub_dataset)


def test_the_hubs_cache_links_to_its_blobs_and_nothing_else(tmp_path, write, read_all):
    blob = write("cache/blobs/abc", '{"text": "blob"}\n')
    secret = write("secret.jsonl", '{"text": "secret"}\n')
    snapshot = tmp_path / "cache/snapshots/0123"
    snapshot.mkdir(parents=True)
    (snapshot / "train.jsonl").symlink_to(blob)
    (snapshot / "stolen.jsonl").symlink_to(secret)
    records, _, reading = read_all(snapshot)
    assert raws(records) == [{"text": "blob"}]
    expected = ("1 file is not read (a link to outside the folder): 0123/stolen.jsonl", True)
    assert expected in reading.messages()


# dataset_info.json


def test_a_dataset_info_maps_columns_and_roles(write, read_all):
    info = {
        "chats": {
            "file_name": "chats.json",
            "formatting": "sharegpt",
            "columns": {"messages": "dialog", "system": "persona"},
            "tags": {"role_tag": "who", "content_tag": "said", "user_tag": "client", "assistant_tag": "agent"},
        },
        "sums": {"file_name": "sums.jsonl", "columns": {"prompt": "ask", "response": "reply", "query": "more"}},
    }
    dialog = [{"who": "client", "said": "Hi"}, {"who": "agent", "said": "Hello"}]
    write("set/chats.json", [{"dialog": dialog, "persona": "Be kind"}])
    write("set/sums.jsonl", [{"ask": "1+1?", "reply": "2", "more": ""}])
    path = write("set/dataset_info.json", json.dumps(info)).parent
    expected = {
        "chats": ("sharegpt", ["Be kind", "Hi", "Hello"]),
        "sums": ("alpaca", ["1+1?", "2"]),
    }
    for subset, (format, contents) in expected.items():
        found, items = detect(iter(read_all(path, subset)[0]), subset)
        assert found.format.name == format
        (item,) = map_rows(items, found)
        assert isinstance(item, Mapped)
        assert [m["content"] for m in item.row["messages"]] == contents
    with pytest.raises(DataError, match="describes 2 datasets") as caught:
        read_all(path)
    assert "chats, sums" in caught.value.fix


@pytest.mark.parametrize(
    "name",
    ["../secret.jsonl", "/etc/passwd", "sub/../../secret.jsonl", "..\\secret.jsonl", "C:\\x.jsonl", "link.jsonl"],
)
def test_a_file_name_cannot_lead_out_of_the_folder(name, write, read_all):
    secret = write("secret.jsonl", '{"text": "secret"}\n')
    path = write("set/dataset_info.json", json.dumps({"x": {"file_name": name}})).parent
    (path / "link.jsonl").symlink_to(secret)
    with pytest.raises(DataError, match="leads out of set"):
        read_all(path)


def test_a_dataset_info_of_datasets_own_making_is_no_table(write, read_all):
    write("set/data-00000.jsonl", ROWS)
    path = write("set/dataset_info.json", json.dumps({"builder_name": "json", "features": {"a": {}}})).parent
    assert raws(read_all(path)[0]) == ROWS


# The rest


def test_a_file_of_unknown_kind_lists_what_is_known(write, read_all):
    with pytest.raises(DataError) as caught:
        read_all(write("x.xlsx", b"PK"))
    assert caught.value.code == "data.unreadable"
    assert ".jsonl" in caught.value.fix


def test_a_missing_file_and_an_empty_folder_are_errors(tmp_path, read_all):
    for path in (tmp_path / "gone.jsonl", tmp_path):
        with pytest.raises(DataError):
            read_all(path)


WORDS = """
from burnish.data.record import Record

def read(path, name, reading):
    for number, word in enumerate(path.read_text().split(), 1):
        yield Record({"text": word}, f"{name}:{number}")
"""


@pytest.fixture
def new_readers():
    readers.cache_clear()
    yield
    readers.cache_clear()


@pytest.mark.usefixtures("new_readers")
def test_another_package_can_add_a_kind_of_file(write, read_all, install):
    install("words", {"burnish.readers": {".Words": "words:read"}}, WORDS)
    assert raws(read_all(write("X.WORDS", "one"))[0]) == [{"text": "one"}]
    assert raws(read_all(write("x.words", "one two"))[0]) == [{"text": "one"}, {"text": "two"}]


@pytest.mark.usefixtures("new_readers")
def test_another_package_cannot_replace_the_reader_of_a_kind_of_file(write, read_all, install):
    install("words", {"burnish.readers": {".txt": "words:read"}}, WORDS)
    with pytest.warns(PluginWarning, match=r"words 1\.0 .* reads \.txt, whose reader is built in and stays"):
        assert raws(read_all(write("x.txt", "one two"))[0]) == [{"text": "one two"}]


@pytest.mark.usefixtures("new_readers")
def test_a_broken_reader_is_named_when_a_file_of_its_kind_is_read(write, read_all, install):
    install("words", {"burnish.readers": {".words": "words:gone"}}, WORDS)
    for package in ("one", "two"):
        install(package, {"burnish.readers": {".both": f"{package}:read"}}, WORDS)
    assert raws(read_all(write("x.txt", "one"))[0]) == [{"text": "one"}]
    with pytest.raises(MachineError, match=r"'\.words' of words 1\.0 .* has no attribute 'gone'"):
        read_all(write("x.words", "one"))
    with pytest.raises(MachineError, match=r"of two 1\.0 .* reads \.both, as the plugin '\.both' of one 1\.0"):
        read_all(write("x.both", "one"))


@pytest.mark.usefixtures("new_readers")
@pytest.mark.parametrize("name", ["words", "Words", ".WORDS"])
def test_a_reader_is_registered_by_its_ending_with_or_without_the_dot(write, read_all, install, name):
    install("words", {"burnish.readers": {name: "words:read"}}, WORDS)
    assert raws(read_all(write("x.words", "one"))[0]) == [{"text": "one"}]


@pytest.mark.usefixtures("new_readers")
def test_two_readers_of_one_ending_are_refused_however_they_write_it(write, read_all, install):
    install("one", {"burnish.readers": {"both": "one:read"}}, WORDS)
    install("two", {"burnish.readers": {".both": "two:read"}}, WORDS)
    with pytest.raises(MachineError, match=r"of two 1\.0 .* reads \.both, as the plugin 'both' of one 1\.0"):
        read_all(write("x.both", "one"))


BROKEN = """
import sys
from burnish.data.record import Record
from burnish.core.errors import DataError

def late(path, name, reading):
    yield Record({"text": "one"}, f"{name}:1")
    raise ValueError("no second word")

def leaves(path, name, reading):
    sys.exit("no words")

def plain(path, name, reading):
    yield {"text": "one"}

def refuses(path, name, reading):
    raise DataError("data.unreadable", "it is torn", "copy it again")
"""


@pytest.mark.usefixtures("new_readers")
@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("late", "failed: ValueError: no second word"),
        ("leaves", "failed: SystemExit: no words"),
        ("plain", "gave a dict instead of a burnish.data.record.Record or Bad"),
    ],
)
def test_an_error_in_a_reader_of_another_package_names_it_and_the_file(write, read_all, install, function, words):
    install("words", {"burnish.readers": {".words": f"words:{function}"}}, BROKEN)
    with pytest.raises(MachineError) as caught:
        read_all(write("x.words", "one"))
    assert caught.value.code == "machine.broken-plugin"
    assert caught.value.what.startswith("x.words: the plugin '.words' of words 1.0")
    assert caught.value.what.endswith(words)


@pytest.mark.usefixtures("new_readers")
def test_what_a_reader_of_another_package_refuses_stays_its_own_error(write, read_all, install):
    install("words", {"burnish.readers": {".words": "words:refuses"}}, BROKEN)
    with pytest.raises(DataError, match="it is torn"):
        read_all(write("x.words", "one"))
