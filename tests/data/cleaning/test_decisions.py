"""Rows that are kept are written as they were encoded, those with integers of more than 64 bits too."""

import json

import pyarrow.parquet as pq
import pytest

from burnish.data.cleaning.decisions import Kept
from burnish.data.cleaning.encoding import encoded
from burnish.data.shards.columns import Columns
from burnish.data.shards.writer import ShardWriter

ROWS = [{"id": 1, "text": "é"}, {"id": 2**70, "text": "b"}, {"id": -(2**63), "text": ""}]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_kept_rows_are_written_exactly(form, tmp_path):
    columns = Columns()
    columns.observe_all(ROWS)
    with ShardWriter(tmp_path, form, columns=columns) as writer:
        Kept([encoded(row) for row in ROWS], "train").write(writer)
    lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in ROWS]
    if form == "jsonl":
        assert (tmp_path / "rows/train-00000.jsonl").read_text().split("\n") == [*lines, ""]
    else:
        assert pq.read_table(tmp_path / "rows/train-00000.parquet")["id"].to_pylist() == [str(r["id"]) for r in ROWS]
    sample = "".join(f'{{"split":"train","row":{line}}}\n' for line in lines)
    assert (tmp_path / "sample.jsonl").read_text() == sample
