"""Parquet and Arrow: every type is the JSON value it spells, or text that is reported; every row has its number."""

import datetime
import decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from burnish.core.errors import DataError
from burnish.data.readers.columnar import read_arrow, read_parquet
from burnish.data.record import Bad, ReadReport, Record

DAY = datetime.date(2024, 2, 1)
ARGUMENTS = pa.struct([("a", pa.int64())])
FILLED = (
    " keeps arguments of calls as structs: the program that wrote the file may have put null for every argument that"
    " a call lacks: they are kept as they are"
)
PLAIN = {
    "text": (pa.string(), "a", "a"),
    "long text": (pa.large_string(), "a", "a"),
    "text view": (pa.string_view(), "a", "a"),
    "int8": (pa.int8(), -3, -3),
    "uint64": (pa.uint64(), 2**63, 2**63),
    "float": (pa.float32(), 0.5, 0.5),
    "double": (pa.float64(), float("nan"), None),
    "truth": (pa.bool_(), False, False),
    "nothing": (pa.null(), None, None),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), "a", "a"),
    "list": (pa.list_(pa.string()), ["a", None], ["a", None]),
    "lists": (pa.list_(pa.list_(pa.float64())), [[0.5, float("nan")], []], [[0.5, None], []]),
    "struct": (pa.struct([("a", pa.int64()), ("b", pa.string())]), {"a": 1, "b": None}, {"a": 1, "b": None}),
    "map": (pa.map_(pa.string(), pa.int64()), [("a", 1), ("b", None)], {"a": 1, "b": None}),
    "empty map": (pa.map_(pa.string(), pa.int64()), [], {}),
}
AS_TEXT = {
    "date": (pa.date32(), DAY, "2024-02-01"),
    "time": (pa.time32("s"), datetime.time(1, 2), "01:02:00"),
    "timestamp": (pa.timestamp("us"), datetime.datetime(2024, 2, 1, 3), "2024-02-01 03:00:00"),
    "decimal": (pa.decimal128(5, 2), decimal.Decimal("1.50"), "1.50"),
    "bytes": (pa.binary(), "é".encode(), "é"),
    "missing date": (pa.date32(), None, None),
    "dates": (pa.list_(pa.date32()), [DAY, None], ["2024-02-01", None]),
    "struct with a date": (
        pa.struct([("a", pa.int64()), ("b", pa.date32())]),
        {"a": 1, "b": DAY},
        {"a": 1, "b": "2024-02-01"},
    ),
    "dictionary of dates": (pa.dictionary(pa.int32(), pa.date32()), DAY, "2024-02-01"),
    "map to dates": (pa.map_(pa.string(), pa.date32()), [("a", DAY)], {"a": "2024-02-01"}),
    "map from numbers": (pa.map_(pa.int64(), pa.string()), [(1, "x"), (2, "y")], {"1": "x", "2": "y"}),
    "map from dates": (pa.map_(pa.date32(), pa.string()), [(DAY, "x")], {"2024-02-01": "x"}),
}


def arrow(path, table: pa.Table, batch: int | None = None):
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table, batch)
    return path


@pytest.mark.parametrize("name", [*PLAIN, *AS_TEXT])
def test_a_value_of_each_type_is_plain_json_or_text_that_is_reported(name, tmp_path):
    kind, value, expected = (PLAIN | AS_TEXT)[name]
    is_encoded = pa.types.is_dictionary(kind)
    column = pa.array([value], kind.value_type).dictionary_encode() if is_encoded else pa.array([value], kind)
    path = arrow(tmp_path / "x.arrow", pa.table({"c": column}))
    reading = ReadReport()
    assert list(read_arrow(path, "x", reading)) == [Record({"c": expected}, "x#1")]
    assert reading.notes == (
        [f"x: column 'c' is {kind}: values without a JSON type are kept as text"] if name in AS_TEXT else []
    )


@pytest.mark.parametrize(
    ("kind", "is_reported"),
    [
        (pa.struct([("arguments", ARGUMENTS)]), True),
        (pa.list_(pa.struct([("name", pa.string()), ("f", pa.struct([("arguments", ARGUMENTS)]))])), True),
        (pa.struct([("arguments", pa.string())]), False),
        (pa.struct([("parameters", ARGUMENTS)]), False),
        (ARGUMENTS, False),
        (pa.list_(pa.string()), False),
    ],
)
def test_arguments_are_reported_where_structs_hold_them(kind, is_reported, tmp_path):
    reading = ReadReport()
    path = arrow(tmp_path / "x.arrow", pa.table({"c": pa.array([None], kind)}))
    assert list(read_arrow(path, "x", reading)) == [Record({"c": None}, "x#1")]
    assert reading.notes == ([f"x: column 'c'{FILLED}"] if is_reported else [])


@pytest.mark.parametrize(
    ("kind", "value", "field", "reason"),
    [
        (pa.list_(pa.float64()), [1.0, float("inf")], "c.1", "Infinity is not a JSON number"),
        (pa.struct([("a", pa.float64())]), {"a": float("-inf")}, "c.a", "Infinity is not a JSON number"),
        (pa.binary(), b"\xff" * 1200, "c", "1,200 bytes that are not text"),
        (pa.map_(pa.string(), pa.binary()), [("k", b"\xff")], "c.k", "1 bytes that are not text"),
        (pa.map_(pa.binary(), pa.string()), [(b"\xff\xff", "v")], "c", "2 bytes that are not text"),
    ],
)
def test_a_value_that_json_has_no_word_for_costs_its_row(kind, value, field, reason, tmp_path):
    path = arrow(tmp_path / "x.arrow", pa.table({"c": pa.array([value, None], kind)}))
    bad, good = read_arrow(path, "x", ReadReport())
    assert isinstance(bad, Bad)
    assert (bad.source, bad.field, bad.reason) == ("x#1", field, reason)
    assert bad.raw.startswith("{'c': ")
    assert good == Record({"c": None}, "x#2")


def test_a_row_that_python_cannot_hold_costs_itself_and_no_other(tmp_path):
    """Text that is not UTF-8, a map with one key twice: pyarrow refuses the whole batch."""
    texts = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xffb")]
    )
    maps = pa.array([[("k", 1)], [("k", 2)], [("k", 3), ("k", 4)]], pa.map_(pa.string(), pa.int64()))
    pq.write_table(pa.table({"t": texts, "m": maps}), tmp_path / "x.parquet")
    first, second, third = read_parquet(tmp_path / "x.parquet", "x", ReadReport())
    assert first == Record({"t": "a", "m": {"k": 1}}, "x#1")
    assert isinstance(second, Bad)
    assert isinstance(third, Bad)
    assert (second.source, third.source) == ("x#2", "x#3")
    assert (second.field, third.field) == ("", "")
    assert second.reason.startswith("a value cannot be read: 'utf-8' codec can't decode byte 0xff")
    assert third.reason.startswith("a value cannot be read: Converting to Python dictionary")
    for bad, (kept, left_out) in ((second, ("2", "3")), (third, ("3", "1"))):
        assert bad.raw.startswith("pyarrow.RecordBatch")
        values = bad.raw.partition("----")[2]
        assert kept in values
        assert left_out not in values


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_two_columns_of_one_name_are_refused_since_a_row_can_hold_only_one(ending, tmp_path, read_all):
    table, path = pa.table([[1], [2], [3]], names=["a", "b", "a"]), tmp_path / f"x.{ending}"
    pq.write_table(table, path) if ending == "parquet" else arrow(path, table)
    with pytest.raises(DataError) as caught:
        read_all(path)
    assert caught.value.code == "data.unreadable"
    assert caught.value.what == f"x.{ending}: two columns are called 'a'"


def test_rows_are_numbered_through_batches_of_any_size(tmp_path):
    table = pa.table({"n": list(range(1, 231))})
    path = arrow(tmp_path / "x.arrow", table, batch=100)
    assert list(read_arrow(path, "x", ReadReport())) == [Record({"n": n}, f"x#{n}") for n in range(1, 231)]
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=100)
    found = list(read_parquet(tmp_path / "x.parquet", "x", ReadReport()))
    assert found == [Record({"n": n}, f"x#{n}") for n in range(1, 231)]


@pytest.mark.parametrize("rows", [1, 150])
def test_progress_is_the_share_of_the_rows_that_were_given(rows, tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"n": list(range(rows))}), path)
    reading, size, seen = ReadReport(), path.stat().st_size, []
    for _ in read_parquet(path, "x", reading):
        seen.append(reading.done_bytes)
    assert seen == [size * (i // 64 * 64) // rows for i in range(rows)]
    assert reading.done_bytes == size


def test_a_table_without_rows_has_none(tmp_path):
    pq.write_table(pa.table({"n": pa.array([], pa.int64())}), tmp_path / "x.parquet")
    assert list(read_parquet(tmp_path / "x.parquet", "x", ReadReport())) == []
    assert list(read_arrow(arrow(tmp_path / "x.arrow", pa.table({"n": [1]}).slice(1)), "x", ReadReport())) == []


def test_a_stream_of_arrow_tells_how_far_it_is_read(tmp_path):
    table = pa.table({"n": list(range(5))})
    with pa.ipc.new_stream(str(tmp_path / "x.arrow"), table.schema) as writer:
        writer.write_table(table, 2)
    found = list(read_arrow(tmp_path / "x.arrow", "x", ReadReport()))
    assert found == [Record({"n": n}, f"x#{n + 1}") for n in range(5)]
