"""The line-accounting reader: nothing is lost, nothing is changed, each bad row is named by file, line and reason."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from burnish.core.errors import DataError
from burnish.data.files import opening
from burnish.data.readers import json_lines, tables, texts
from burnish.data.record import MAX_RAW_CHARACTERS, MAX_ROW_BYTES

GOOD = [{"text": "one"}, {"text": "zwei ü"}, {"text": "三", "n": 12345678901234567890123}]

BAD_LINES = {
    "truncated": (b'{"text": "a', "invalid JSON"),
    "trailing comma": (b'{"text": "a",}', "invalid JSON"),
    "single quotes": (b"{'text': 'a'}", "invalid JSON"),
    "latin-1": ('{"text": "Grüße"}'.encode("latin-1"), "not UTF-8: byte 0xfc at byte 13"),
    "raw NUL": (b'{"text": "a\0b"}', "NUL byte"),
    "NaN": (b'{"text": "a", "n": NaN}', "NaN is not a JSON number"),
    "minus infinity": (b'{"n": -Infinity}', "-Infinity is not a JSON number"),
    "a number beyond floats": (b'{"n": 1e999}', "too large"),
    "a number of too many digits": (b'{"n": ' + b"9" * 5000 + b"}", "too many digits"),
    "a key twice": (b'{"text": "a", "text": "b"}', "the key 'text' occurs twice"),
    "a key twice inside": (b'{"m": {"role": 1, "role": 2}}', "the key 'role' occurs twice"),
    "half a surrogate pair": (b'{"text": "\\ud83d"}', "half of a surrogate pair"),
    "half a pair in a key": (b'{"\\udc00": 1}', "half of a surrogate pair"),
    "nested too deeply for Python": (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper"),
    "nested too deeply": (b'{"a": ' + b"[" * 101 + b"]" * 101 + b"}", "nested deeper"),
    "a list": (b"[1, 2]", "not a list"),
    "a number": (b"7", "not a number"),
    "null": (b"null", "not null"),
    "no columns": (b"{}", "no columns"),
    "two objects": (b'{"text": "a"} {"text": "b"}', "invalid JSON"),
    "an open quote": (b'{"text: 1}', "invalid JSON"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_is_named_and_its_neighbours_are_kept(name, write, read_all):
    line, reason = BAD_LINES[name]
    path = write("rows.jsonl", b'{"text": "before"}\n' + line + b'\n{"text": "after"}\n')
    records, bad, _ = read_all(path)
    assert [(r.raw["text"], r.source) for r in records] == [("before", "rows.jsonl:1"), ("after", "rows.jsonl:3")]
    assert [b.source for b in bad] == ["rows.jsonl:2"]
    assert reason in bad[0].reason
    assert bad[0].raw[:5] == line.decode("utf-8", "backslashreplace")[:5]


@pytest.mark.parametrize("name", sorted(set(BAD_LINES) - {"a list", "an open quote"}))
def test_a_bad_element_of_a_list_is_named_and_its_neighbours_are_kept(name, write, read_all):
    line, reason = BAD_LINES[name]
    path = write("rows.json", b'[\n  {"text": "before"},\n  ' + line + b',\n  {"text": "after"}\n]\n')
    records, bad, _ = read_all(path)
    assert [(r.raw["text"], r.source) for r in records] == [("before", "rows.json:2#1"), ("after", "rows.json:4#3")]
    assert [b.source for b in bad] == ["rows.json:3#2"]
    if name not in ("truncated", "latin-1"):
        assert reason in bad[0].reason


def test_the_field_of_a_bad_value_is_named(write, read_all):
    _, bad, _ = read_all(write("rows.jsonl", '{"messages": [{"content": "\\ud800"}]}'))
    assert bad[0].field == "messages.0.content"


def test_blank_lines_are_counted_and_are_no_rows(write, read_all):
    records, bad, reading = read_all(write("rows.jsonl", '\n{"a": 1}\n   \n\r\n{"a": 2}'))
    assert [r.source for r in records] == ["rows.jsonl:2", "rows.jsonl:5"]
    assert not bad
    assert reading.blank == 3


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_a_byte_order_mark_is_honoured_and_said(encoding, name, write, read_all):
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in GOOD)
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    records, bad, reading = read_all(write(name, (mark + text).encode(encoding)))
    assert [r.raw for r in records] == GOOD
    assert not bad
    assert any("byte-order mark" in note for note in reading.notes)


def test_broken_utf_16_is_a_bad_row(write, read_all):
    data = (
        "\ufeff".encode("utf-16-le")
        + '{"a": "x"}\n{"a": "'.encode("utf-16-le")
        + b"\x00\xd8"
        + '"}\n'.encode("utf-16-le")
    )
    records, bad, _ = read_all(write("rows.jsonl", data))
    assert len(records) == 1
    assert [b.source for b in bad] == ["rows.jsonl:2"]


def test_broken_utf_32_costs_one_row(write, read_all):
    lines = [f'{{"a": {i}}}\n'.encode("utf-32-le") for i in range(1000)]
    lines[500] = '{"a": "'.encode("utf-32-le") + b"\xff\xff\xff\x7f" + '"}\n'.encode("utf-32-le")
    records, bad, _ = read_all(write("rows.jsonl", "\ufeff".encode("utf-32-le") + b"".join(lines)))
    assert [r.raw["a"] for r in records] == [i for i in range(1000) if i != 500]
    assert [b.source for b in bad] == ["rows.jsonl:501"]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv", "rows.ndjson"])
@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_packed_files_hold_the_same_rows(name, packing, write, read_all):
    content = "text\none\ntwo\n" if name.endswith("csv") else '{"text": "one"}\n{"text": "two"}\n'
    packed = gzip.compress(content.encode()) if packing == "gz" else zstandard.compress(content.encode())
    records, bad, reading = read_all(write(f"{name}.{packing}", packed))
    assert [r.raw for r in records] == [{"text": "one"}, {"text": "two"}]
    assert not bad
    assert reading.done_bytes == reading.total_bytes > 0


@pytest.mark.parametrize("name", ["ROWS.JSONL.GZ", "rows.jsonl.ZST", "ROWS.PARQUET"])
def test_capitals_in_an_ending_change_nothing(name, write, read_all, tmp_path):
    content = b'{"text": "one"}\n'
    if name.endswith("PARQUET"):
        pq.write_table(pa.Table.from_pylist([{"text": "one"}]), tmp_path / name)
        path = tmp_path / name
    else:
        path = write(name, gzip.compress(content) if name.endswith("GZ") else zstandard.compress(content))
    records, bad, _ = read_all(path)
    assert [r.raw for r in records] == [{"text": "one"}]
    assert not bad


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_torn_archive_is_an_error_and_no_short_dataset(packing, write, read_all):
    content = "".join(json.dumps({"text": f"{i * 7919 % 10007}"}) + "\n" for i in range(5000)).encode()
    packed = gzip.compress(content) if packing == "gz" else zstandard.compress(content)
    with pytest.raises(DataError) as caught:
        read_all(write(f"rows.jsonl.{packing}", packed[: len(packed) // 2]))
    assert caught.value.code == "data.unreadable"
    assert f"rows.jsonl.{packing}" in caught.value.what


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_what_is_no_archive_is_an_error(packing, write, read_all):
    with pytest.raises(DataError, match="cannot be read"):
        read_all(write(f"rows.jsonl.{packing}", b"no archive at all"))


def test_a_row_beyond_the_limit_is_bad_whatever_the_layout(write, read_all):
    long = '{"text": "' + "x" * (MAX_ROW_BYTES + 10) + '"}'
    for name, content in (
        ("rows.jsonl", f'{{"a": 1}}\n{long}\n{{"a": 2}}\n'),
        ("rows.json", f'[{{"a": 1}},\n{long},\n{{"a": 2}}]'),
        ("rows.csv", f"a\n1\n{'x' * (MAX_ROW_BYTES + 10)}\n2\n"),
    ):
        records, bad, _ = read_all(write(name, content))
        assert [str(r.raw["a"]) for r in records] == ["1", "2"]
        assert len(bad) == 1
        assert "more than" in bad[0].reason
        assert len(bad[0].raw) < MAX_RAW_CHARACTERS + 100


def test_lists_are_found_under_a_data_key(write, read_all):
    path = write("rows.json", '{"version": "1.0", "about": {"a": [1]}, "data": [{"a": 1}, {"a": 2}], "more": []}')
    records, bad, _ = read_all(path)
    assert [r.raw for r in records] == [{"a": 1}, {"a": 2}]
    assert not bad


def test_json_lines_in_a_json_file_are_read_and_said(write, read_all):
    records, _, reading = read_all(write("rows.json", '{"a": 1}\nbroken\n{"a": 2}\n'))
    assert [r.source for r in records] == ["rows.json:1", "rows.json:3"]
    assert any("JSON lines" in note for note in reading.notes)


def test_objects_that_follow_each_other_are_rows(write, read_all):
    records, bad, _ = read_all(write("rows.json", '{\n  "a": 1\n}\n{\n  "a": 2\n}\n'))
    assert [(r.raw, r.source) for r in records] == [({"a": 1}, "rows.json:1#1"), ({"a": 2}, "rows.json:4#2")]
    assert not bad


def test_an_extra_comma_is_ignored_and_reported(write, read_all):
    records, bad, reading = read_all(write("rows.json", '[{"a": 1},,{"a": 2},]'))
    assert len(records) == 2
    assert not bad
    assert reading.blank == 2
    assert any("comma" in note for note in reading.notes)


@pytest.mark.parametrize("end", ["", ",", ', "test":', ', "test"', ', "note": "x"', ', "test": [{"a": 3}]'])
def test_an_object_that_is_cut_off_behind_a_list_keeps_its_rows_and_says_so(write, read_all, end):
    records, bad, reading = read_all(write("rows.json", '{"train": [{"a": 1}, {"a": 2}]' + end))
    assert [r.raw["a"] for r in records][:2] == [1, 2]
    assert bad or any("ends before its object is closed" in note for note in reading.warnings)
    _, _, whole = read_all(write("rows.json", '{"train": [{"a": 1}], "note": "x"}'))
    assert whole.warnings == []


def test_a_list_that_is_cut_off_keeps_its_whole_rows_and_says_so(write, read_all):
    records, bad, reading = read_all(write("rows.json", '[\n{"a": 1},\n{"a": 2},\n{"a": "thr'))
    assert [r.raw["a"] for r in records] == [1, 2]
    assert bad[0].source == "rows.json:4#3"
    assert any("ends before its list is closed" in note for note in reading.warnings)


@pytest.mark.parametrize("indent", ["", "  "])
def test_a_missing_bracket_costs_one_row(indent, write, read_all):
    rows = [f'{indent}{{"a": {i}, "b": [{{"c": 1}}]}}' for i in range(6)]
    rows[2] = rows[2][:-1]
    records, bad, _ = read_all(write("rows.json", "[\n" + ",\n".join(rows) + "\n]"))
    assert [r.raw["a"] for r in records] == [0, 1, 3, 4, 5]
    assert [b.source for b in bad] == ["rows.json:4#3"]


def test_elements_that_straddle_every_chunk_are_whole(write, read_all):
    rows = [{"text": "ü" * (i * 3571 % 9000), "n": i} for i in range(600)]
    text = json.dumps(rows, ensure_ascii=False, indent=1)
    assert len(text.encode()) > 4 << 20
    records, bad, _ = read_all(write("rows.json", text))
    assert [r.raw for r in records] == rows
    assert not bad
    lines = text.split("\n")
    assert all(lines[int(r.source.split(":")[1].split("#")[0]) - 1].strip() == "{" for r in records)


def test_an_empty_file_has_no_rows(write, read_all):
    for name in ("rows.json", "rows.jsonl", "rows.csv", "rows.txt"):
        records, bad, _ = read_all(write(name, ""))
        assert not records
        assert not bad


def test_documents_end_at_blank_lines_or_at_each_line(write, read_all):
    records, bad, reading = read_all(write("a.txt", "one\ntwo\n\n \nthree\n"))
    assert [(r.raw["text"], r.source) for r in records] == [("one\ntwo", "a.txt:1"), ("three", "a.txt:5")]
    assert (bad, reading.blank) == ([], 2)
    records, _, _ = read_all(write("b.txt", "one\ntwo\nthree"))
    assert [(r.raw["text"], r.source) for r in records] == [
        ("one", "b.txt:1"),
        ("two", "b.txt:2"),
        ("three", "b.txt:3"),
    ]


def test_a_document_that_is_too_long_is_named_once_and_the_next_is_kept(write, read_all, monkeypatch):
    monkeypatch.setattr(texts, "MAX_ROW_BYTES", 20)
    monkeypatch.setattr(opening, "MAX_ROW_BYTES", 20)
    monkeypatch.setattr(json_lines, "MAX_ROW_BYTES", 20)
    lines = "".join(f"line {i}\n" for i in range(9))
    records, bad, _ = read_all(write("a.txt", f"{lines}\nshort\n"))
    assert [r.raw["text"] for r in records] == ["short"]
    assert [b.source for b in bad] == ["a.txt:1"]
    assert bad[0].raw.startswith("line 0\nline 1")


def test_a_number_that_json_has_no_word_for_is_null_or_named(tmp_path, read_all):
    table = pa.table({"a": [1.5, float("nan"), float("inf")], "b": [b"x", "é".encode(), b"\xff"]})
    pq.write_table(table, tmp_path / "a.parquet")
    records, bad, reading = read_all(tmp_path / "a.parquet")
    assert [r.raw for r in records] == [{"a": 1.5, "b": "x"}, {"a": None, "b": "é"}]
    assert [(b.source, b.field) for b in bad] == [("a.parquet#3", "a")]
    assert any("column 'b' is binary" in note for note in reading.notes)


def test_a_parquet_file_inside_a_packed_one_is_refused(tmp_path, read_all):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    (tmp_path / "b.parquet.gz").write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    with pytest.raises(DataError, match="compressed file does not allow"):
        read_all(tmp_path / "b.parquet.gz")


def test_a_csv_header_that_is_torn_is_refused_and_a_long_row_is_named(write, read_all, monkeypatch):
    with pytest.raises(DataError, match="header"):
        read_all(write("a.csv", 'text,"la\n1,2\n'))
    monkeypatch.setattr(tables, "MAX_ROW_BYTES", 30)
    records, bad, _ = read_all(write("b.csv", 'text,n\n"' + "x\n" * 40 + '",1\nlast,2\n'))
    assert "more than 30 bytes: a quote may be open" in bad[0].reason
    assert records[-1].raw == {"text": "last", "n": "2"}
