"""fetch with a limit: what may never end is refused where no row ends; a file of known size is read as without."""

import gzip
import json

import pytest

from burnish.core.errors import DataError
from burnish.data.record import MAX_ROW_BYTES
from burnish.stages.data import fetch as stage
from data_servers import ROWS, lines

LONG = 4 * MAX_ROW_BYTES
ENDLESS = {
    "rows.jsonl": b'{"text": "' + b"x" * LONG,
    "blank.jsonl": (b" " * 1000 + b"\n") * (LONG // 1000),
    "rows.txt": b"x" * LONG,
    "rows.csv": b"a,b\n1," + b"x" * LONG,
    "rows.json": b'[{"text": "' + b"x" * LONG,
    "columns.json": b'{"text": ["' + b"x" * LONG,
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_endless_row_of_a_url_without_a_length_is_an_error_that_names_the_file(fetch, site, name):
    site.files[f"/{name}"] = ENDLESS[name]
    site.headers[f"/{name}"] = {"Content-Length": "", "Connection": "close"}
    with pytest.raises(DataError, match=rf"{name}(:\d+)?: no row ends within") as caught:
        fetch(f"{site.url}/{name}", limit=3)
    assert caught.value.code == "data.unreadable"
    assert site.sent < 3 * MAX_ROW_BYTES


def test_a_row_of_a_packed_file_that_goes_on_for_a_gigabyte_is_an_error(fetch, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "_MOST_OF_SIZED", 40 << 20)
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(lines(ROWS[:5]) + ENDLESS["rows.jsonl"], 1))
    with pytest.raises(DataError, match=r"rows\.jsonl\.gz:6: no row ends"):
        fetch("file:rows.jsonl.gz", limit=9)
    *_, rows = fetch("file:rows.jsonl.gz", folder="before", limit=5)
    assert rows == {"train": ROWS[:5]}
    _, stats, *_ = fetch("file:rows.jsonl.gz", folder="whole", max_bad_share=1.0)
    assert (stats["kept"], stats["quarantined"]) == (5, 1)


@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_the_largest_rows_are_read_with_a_limit(fetch, tmp_path, ending):
    row = b'{"text": "' + b"x" * (MAX_ROW_BYTES - 13) + b'"}'
    content = b"\n".join([row] * 3) if ending == "jsonl" else b"[" + b",".join([row] * 3) + b"]"
    (tmp_path / f"rows.{ending}").write_bytes(content)
    *_, rows = fetch(f"file:rows.{ending}", limit=3)
    assert [len(one["text"]) for one in rows["train"]] == [MAX_ROW_BYTES - 13] * 3


OVER = MAX_ROW_BYTES + (3 << 20)
GOOD = lines(ROWS[:5])
SIZED = {
    "one.jsonl": GOOD + b'{"text": "' + b"x" * OVER + b'"}\n' + GOOD,
    "two.jsonl": (b'{"text": "' + b"x" * OVER + b'"}\n') * 2 + GOOD,
    "columns.json": json.dumps({"text": ["x" * 1_000_000] * 20}).encode(),
}
"""Files with a row behind more bytes than the largest row has."""


@pytest.mark.parametrize("name", SIZED)
@pytest.mark.parametrize("is_remote", [False, True])
def test_what_is_read_without_a_limit_is_read_with_one(fetch, site, tmp_path, name, is_remote):
    site.files[f"/{name}"] = SIZED[name]
    (tmp_path / name).write_bytes(SIZED[name])
    source = f"{site.url}/{name}" if is_remote else f"file:{name}"
    _, stats, *_, rows = fetch(source, limit=20, max_bad_share=1.0)
    _, whole, *_, expected = fetch(source, folder="whole", max_bad_share=1.0)
    assert rows == expected
    assert (stats["kept"], stats["quarantined"]) == (whole["kept"], whole["quarantined"])
