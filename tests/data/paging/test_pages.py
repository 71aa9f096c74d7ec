"""Pages of rows around every border of an index: no row is left out, given twice, or given as another."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from burnish.data.paging import index as paging
from burnish.data.paging import open_index, page
from burnish.data.record import Bad

COUNT = 900


def line(number):
    """Most rows are sound; some are not, and some lines are blank."""
    if number % 101 == 7:
        return b"\n{broken %d\n" % number
    return json.dumps({"text": f"row {number} " + "x" * (number % 50)}).encode() + b"\n"


def as_lines(path):
    path.write_bytes(b"".join(map(line, range(COUNT))))


def as_packed(path):
    path.write_bytes(gzip.compress(b"".join(map(line, range(COUNT)))))


def as_parquet(path):
    pq.write_table(pa.Table.from_pylist([{"text": f"row {n} "} for n in range(COUNT)]), path, row_group_size=64)


def number_of(item):
    text = item.raw if isinstance(item, Bad) else item.raw["text"]
    return int(text.split()[1])


@pytest.mark.parametrize(
    ("name", "write"), [("a.jsonl", as_lines), ("a.jsonl.gz", as_packed), ("a.parquet", as_parquet)]
)
def test_a_page_at_any_border_has_its_rows(tmp_path, monkeypatch, name, write):
    monkeypatch.setattr(paging, "_PIECE_BYTES", 500)
    path = tmp_path / name
    write(path)
    index = open_index(path, tmp_path / "cache")
    entries = index.splits["train"].entries
    assert (len(entries) > 4, index.rows) == (True, COUNT)
    for first in [entry.first for entry in entries] + [COUNT]:
        for offset in range(max(0, first - 2), min(COUNT, first + 3)):
            shown = page(index, "train", offset, 2)
            wanted = list(range(offset, min(COUNT, offset + 2)))
            assert [one.number for one in shown] == wanted
            assert [number_of(one.item) for one in shown] == wanted
    assert [number_of(one.item) for one in page(index, "train", 0, COUNT)] == list(range(COUNT))
    assert page(index, "train", COUNT, 5) == page(index, "other", 0, 5) == []


def test_an_index_is_made_once_and_again_when_the_file_changes(tmp_path, monkeypatch):
    path, cache = tmp_path / "a.jsonl", tmp_path / "cache"
    as_lines(path)
    first = open_index(path, cache)
    built = []
    monkeypatch.setattr(paging, "_build", lambda *given: built.append(given))
    assert open_index(path, cache).splits == first.splits
    path.write_bytes(line(1))
    with pytest.raises(AttributeError):
        open_index(path, cache)
    assert len(built) == 1
    assert [folder.name for folder in (cache / "pages").iterdir() if folder.name.startswith(".partial")] == []
