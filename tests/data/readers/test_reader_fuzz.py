"""Hypothesis throws bytes and values at the reader: it never breaks, its counts add up, and no row is altered."""

import json
import string

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish.core.errors import DataError
from burnish.data.mapping import Mapped, detect, map_rows
from burnish.data.reader import read
from burnish.data.record import Bad, ReadReport, Record

LOOSE = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
rows = st.lists(st.dictionaries(texts, values, min_size=1, max_size=4), max_size=8)
noise = st.lists(
    st.sampled_from(
        [b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"\n", b"\r", b"\0", b"\xff", b'{"a": 1}', b"NaN"]
    )
    | st.binary(max_size=4),
    max_size=40,
).map(b"".join)
endings = st.sampled_from([".json", ".jsonl", ".csv", ".tsv", ".txt", ".md"])


@LOOSE
@given(data=noise | st.binary(max_size=200), ending=endings)
def test_arbitrary_bytes_give_rows_bad_rows_or_a_data_error(tmp_path, data, ending):
    path = tmp_path / f"rows{ending}"
    path.write_bytes(data)
    try:
        found, items = detect(read(path, ReadReport()), "rows")
        for item in map_rows(items, found):
            assert isinstance(item, Mapped | Bad)
            if isinstance(item, Bad):
                assert item.reason
                assert item.source.startswith("rows")
                item.raw.encode()
    except DataError:
        pass


@LOOSE
@given(data=noise)
def test_every_line_that_is_not_blank_is_accounted_for(tmp_path, data):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(data)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return
    reading = ReadReport()
    items = list(read(path, reading))
    lines = data.split(b"\n")
    lines = lines[:-1] if lines[-1] == b"" else lines
    assert len(items) + reading.blank == len(lines)


@LOOSE
@given(
    rows=rows, ascii=st.booleans(), indent=st.sampled_from([None, 0, 2]), ending=st.sampled_from([".json", ".jsonl"])
)
def test_no_row_is_altered(tmp_path, rows, ascii, indent, ending):
    path = tmp_path / f"rows{ending}"
    if ending == ".json":
        text = json.dumps(rows, ensure_ascii=ascii, indent=indent)
    else:
        text = "".join(json.dumps(row, ensure_ascii=ascii) + "\n" for row in rows)
    path.write_bytes(text.encode())
    items = list(read(path, ReadReport()))
    good = [item.raw for item in items if isinstance(item, Record)]
    assert good == rows
    assert json.dumps(good) == json.dumps(rows)


@LOOSE
@given(
    rows=st.lists(st.lists(st.text(string.printable, max_size=12), min_size=2, max_size=2), max_size=6),
)
def test_no_cell_of_a_csv_is_altered(tmp_path, rows):
    import csv

    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
    good = [list(item.raw.values()) for item in read(path, ReadReport()) if isinstance(item, Record)]
    assert good == rows


@LOOSE
@given(rows=rows, share=st.floats(0, 1))
def test_a_list_cut_anywhere_keeps_every_row_before_the_cut(tmp_path, rows, share):
    path = tmp_path / "rows.json"
    spelled = [json.dumps(row).encode() for row in rows]
    data = b"[" + b",".join(spelled) + b"]"
    cut = int(share * len(data))
    path.write_bytes(data[:cut])
    good = [item.raw for item in read(path, ReadReport()) if isinstance(item, Record)]
    whole = sum(1 + sum(len(row) + 1 for row in spelled[: i + 1]) - 1 <= cut for i in range(len(spelled)))
    assert good == rows[:whole]
