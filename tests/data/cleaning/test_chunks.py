"""Whatever the size of chunks, together they give the rows, bad rows and line numbers of reading the source at once."""

import gzip
import json
import subprocess
import sys
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from burnish.core.errors import DataError
from burnish.data.cleaning.chunks import chunks
from burnish.data.reader import read
from burnish.data.record import ReadReport
from burnish.data.sources.listing import find_files

ROWS = [{"text": f"row {i} " + "é" * (i % 40), "n": i} for i in range(200)]
LINES = [json.dumps(row, ensure_ascii=False) for row in ROWS]
ODD = [*LINES[:50], "", '{"text": ', "[1, 2]", "x" * 5000, *LINES[50:100], '{"a": 1, "a": 2}', ""]


def write_parquet(path):
    pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=17)


def write_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jsonl", "\n".join(LINES))


def write_folder(path):
    path.mkdir()
    for i in range(30):
        (path / f"{i:02}.jsonl").write_text("\n".join(LINES[i : i + 3]))
    (path / "test.jsonl").write_text("\n".join(ODD))


SOURCES = {
    "rows.jsonl": lambda path: path.write_text("\n".join(LINES) + "\n"),
    "odd.jsonl": lambda path: path.write_text("\n".join(ODD)),
    "crlf.jsonl": lambda path: path.write_bytes("\r\n".join(LINES).encode()),
    "mark.jsonl": lambda path: path.write_bytes("\n".join(LINES).encode("utf-8-sig")),
    "wide.jsonl": lambda path: path.write_bytes("\n".join(LINES).encode("utf-16")),
    "chinese.jsonl": lambda path: path.write_bytes(('{"text": "清晨的港口十分安静"}\n' * 100).encode("gb18030")),
    "rows.jsonl.gz": lambda path: path.write_bytes(gzip.compress("\n".join(LINES).encode())),
    "rows.parquet": write_parquet,
    "rows.json": lambda path: path.write_text(json.dumps(ROWS)),
    "rows.csv": lambda path: path.write_text("text,n\n" + "".join(f"row {i},{i}\n" for i in range(200))),
    "rows.zip": write_zip,
    "folder": write_folder,
    "one_line.jsonl": lambda path: path.write_text(LINES[0]),
    "only_bad.jsonl": lambda path: path.write_text("x" * 300 + "\n" + "y" * 300),
}


@pytest.mark.parametrize("size", [1, 100, 3000, 1 << 20])
@pytest.mark.parametrize("name", SOURCES)
def test_chunks_give_the_rows_of_reading_at_once(tmp_path, name, size):
    path = tmp_path / name
    SOURCES[name](path)
    whole, reading = ReadReport(), ReadReport()
    expected = list(read(path, whole))
    cut = list(chunks(find_files(path, reading), reading, size))
    reports = [ReadReport() for _ in cut]
    assert [item for chunk, report in zip(cut, reports, strict=True) for item in chunk.read(report)] == expected
    assert sum(report.blank for report in reports) == whole.blank
    assert {note for report in reports for note in report.notes} == set(whole.notes)
    assert {text for report in reports for text in report.warnings} == set(whole.warnings)
    assert [chunk.number for chunk in cut] == list(range(len(cut)))
    if name in ("rows.jsonl", "odd.jsonl", "crlf.jsonl", "rows.parquet", "folder") and size <= 3000:
        assert len(cut) > 1


def test_a_damaged_parquet_file_is_named(tmp_path):
    path = tmp_path / "rows.parquet"
    write_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    reading = ReadReport()
    with pytest.raises(DataError, match=r"rows\.parquet cannot be read"):
        list(chunks(find_files(path, reading), reading, 10))


def test_a_process_that_works_on_chunks_does_not_load_the_settings():
    code = "import sys, burnish.data.cleaning.work; assert not {'pydantic', 'burnish.specs'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)
