"""clean of rows that are too long to be written, and of very many."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def lines(folder, name):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("numbers", [1 << 60, 1 << 70], ids=["orjson", "json"])
def test_a_row_too_long_to_be_written_is_quarantined(clean, monkeypatch, form, numbers):
    """Readers refuse long lines; a row of Parquet is long only when it is JSON, and any row may grow."""
    monkeypatch.setattr("burnish.data.record.MAX_ROW_BYTES", 1000)
    rows = [
        {"text": "a good row of six words", "n": numbers},
        {"text": "mail a@b.com " * 72, "n": numbers},  # too long with placeholders
        {"text": "a last row of six words", "n": numbers},
    ]
    longest = len(json.dumps(rows[1], separators=(",", ":")))
    assert longest < 1000
    _, kept, stats, _, folder = clean(
        rows, max_bad_share=0.5, filters=None, form=form, rewriting={"pii": {"placeholders": {"email": "[AN E-MAIL]"}}}
    )
    assert [row for row, _ in kept] == [rows[0], rows[2]]
    assert (stats["read"], stats["kept"], stats["quarantined"], stats["changed"]) == (3, 2, 1, {})
    (bad,) = lines(folder, "quarantine.jsonl")
    assert bad["source"] == "rows.jsonl:2"
    assert bad["reason"].endswith("bytes as JSON, more than 1,000")


def test_a_long_row_of_parquet_is_quarantined(clean, monkeypatch, tmp_path):
    monkeypatch.setattr("burnish.data.record.MAX_ROW_BYTES", 1000)
    rows = [{"text": "a good row of six words"}, {"text": "many more words " * 80}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "made.parquet")
    content = (tmp_path / "made.parquet").read_bytes()
    _, kept, stats, _, folder = clean(content, "rows.parquet", max_bad_share=0.5, filters=None)
    assert ([row for row, _ in kept], stats["quarantined"]) == (rows[:1], 1)
    assert lines(folder, "quarantine.jsonl")[0]["source"] == "rows.parquet#2"


def test_writing_is_reported_and_can_be_stopped_within_a_few_thousand_rows(clean, monkeypatch):
    monkeypatch.setattr("burnish.stages.data.clean._SECONDS_BETWEEN_REPORTS", 0.0)
    rows = [{"text": f"some words of text {number}"} for number in range(5000)]
    _, _, _, events, _ = clean(rows, filters=None, exact_dedup=False)
    written = [event.done for event in events if event.kind == "progress" and event.phase == "write"]
    assert len(written) > 4
    assert written == sorted(written)
    assert written[-1] == 5000
