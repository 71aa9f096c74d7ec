"""An index that is made in several attempts, with kills between them, is that of one attempt."""

import gzip
import json
import subprocess
import sys
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from burnish.core.errors import RunError
from burnish.data.paging import index as paging
from burnish.data.paging import open_index, page, progress

COUNT = 900


def line(number):
    bad, blank = number % 101 == 7, number % 50 == 3
    return b"\n" * blank + (b"{broken %d\n" % number if bad else b'{"text": "row %d %s"}\n' % (number, b"x" * 30))


LINES = [line(number) for number in range(COUNT)]
TABLE = pa.Table.from_pylist([{"text": f"row {number}"} for number in range(COUNT)])


def as_lines(folder):
    (folder / "a.jsonl").write_bytes(b"".join(LINES))


def as_row_groups(folder):
    pq.write_table(TABLE, folder / "a.parquet", row_group_size=16)


def as_folder(folder):
    """Rows that are copied, between rows that are not."""
    for number, name in enumerate(("a.jsonl", "b.jsonl.gz", "c.jsonl", "d.jsonl.gz", "validation.jsonl")):
        content = b"".join(LINES[number * 180 : (number + 1) * 180])
        (folder / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)


def as_archive(folder):
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for number in range(30):
            archive.writestr(f"{number:02}.jsonl", b"".join(LINES[number * 30 : (number + 1) * 30]))


@pytest.fixture
def source(request, tmp_path, monkeypatch):
    monkeypatch.setattr(paging, "_PIECE_BYTES", 500)
    monkeypatch.setattr(paging, "_SCHEMA_ROWS", 5)
    monkeypatch.setattr(progress, "_SAVE_SECONDS", 0)
    folder = tmp_path / "rows"
    folder.mkdir()
    request.param(folder)
    return folder


def shown(index):
    """Everything that an index gives."""
    rows = {name: [vars(one) for one in page(index, name, 0, COUNT)] for name in index.splits}
    counts = {name: (split.rows, split.bad) for name, split in index.splits.items()}
    return rows, counts, index.blank, index.notes, index.columns, index.schema_rows


class Killed(BaseException):
    """What no `except Exception` sees."""


@pytest.mark.parametrize("source", [as_lines, as_row_groups, as_folder, as_archive], indirect=True)
@pytest.mark.parametrize("end", [RunError, Killed])
def test_many_attempts_give_the_index_of_one(source, tmp_path, monkeypatch, end):
    whole, saves, starts, said = open_index(source, tmp_path / "one"), [0], [], []
    save = progress.Progress.save

    def saved(self, *given):
        save(self, *given)
        saves[0] += 1
        if end is Killed and saves[0] % 5 == 0:
            raise Killed

    monkeypatch.setattr(progress.Progress, "save", saved)
    monkeypatch.setattr(progress.Progress, "is_over", property(lambda self: end is RunError and saves[0] % 5 == 4))
    for _ in range(COUNT):
        starts.append(saves[0])
        try:
            made = open_index(source, tmp_path / "many", seconds=1)
            break
        except (RunError, Killed) as error:
            said.append(getattr(error, "fix", "")[:9])
            saves[0] += end is RunError
    assert len(starts) > 2
    assert set(said) == {"ask again" if end is RunError else ""}
    assert shown(made) == shown(whole)
    assert [one.name for one in (tmp_path / "many" / "pages").iterdir()] == [made.folder.name]


def test_a_file_of_which_no_part_can_be_read_says_how_to_make_one(tmp_path, monkeypatch):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"".join(LINES)))
    monkeypatch.setattr(progress.Progress, "is_over", property(lambda self: True))
    with pytest.raises(RunError, match="is large") as caught:
        open_index(tmp_path / "a.jsonl.gz", tmp_path / "cache", seconds=1)
    assert (caught.value.code, caught.value.fix[:25]) == ("run.time-limit", "convert it to JSON Lines ")
    assert list((tmp_path / "cache" / "pages").iterdir()) == []


_READING = """
import sys
from pathlib import Path
from burnish.data.paging import index, open_index, progress
index._PIECE_BYTES, progress._SAVE_SECONDS = 500, 0
save, saves = progress.Progress.save, []
def saved(self, *given):
    save(self, *given)
    saves.append(given[1])
    if len(saves) == 9:
        print(given[1], flush=True)
        sys.stdin.read()
progress.Progress.save = saved
open_index(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_process_that_is_killed_leaves_what_it_read_and_no_lock(tmp_path, monkeypatch):
    as_lines(tmp_path)
    path, cache = tmp_path / "a.jsonl", tmp_path / "cache"
    command = [sys.executable, "-c", _READING, str(path), str(cache)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    read = int(process.stdout.readline())
    with pytest.raises(RunError, match="still read for another request") as caught:
        open_index(path, cache, seconds=0)
    assert caught.value.code == "run.busy"
    process.kill()
    process.communicate()
    begun, pieces = [], paging.pieces_of
    monkeypatch.setattr(paging, "_PIECE_BYTES", 500)
    monkeypatch.setattr(paging, "pieces_of", lambda *given: begun.append(given[3]) or pieces(*given))
    made = open_index(path, cache)
    assert (begun, made.rows) == ([read], COUNT)
    assert read > 0


def test_a_source_that_changes_while_it_is_read_has_no_index_of_both(tmp_path, monkeypatch):
    as_lines(tmp_path)
    path, build = tmp_path / "a.jsonl", paging._build

    def changed(*given):
        found = build(*given)
        path.write_text(json.dumps({"text": "x"}))
        return found

    with monkeypatch.context() as patched:
        patched.setattr(paging, "_build", changed)
        with pytest.raises(RunError, match="changed while it was read") as caught:
            open_index(path, tmp_path / "cache")
    assert caught.value.code == "run.input-changed"
    assert open_index(path, tmp_path / "cache").rows == 1
