"""Where the rows of a source lie, so that any of them is read without those before it.

A large file of lines or row groups is indexed in place, in pieces. Of other large files, such as packed or CSV files,
the rows are copied once into the cache as lines. The index is kept in the cache, under the sizes and times of all
files: a source that changed has another one.
"""

import json
import os
import shutil
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from burnish.core.errors import DataError, MachineError, RunError
from burnish.core.files import file_size, publish_folder
from burnish.core.fingerprint import of_value
from burnish.data.cleaning.chunks import Piece, pieces_of, read_piece
from burnish.data.files.archive import Member
from burnish.data.files.opening import PACKED
from burnish.data.paging.progress import LateError, Progress, alone
from burnish.data.profile.schema import Schema
from burnish.data.record import Bad, ReadReport, Record
from burnish.data.sources.listing import SourceFile, find_files

FORMAT = 1
SPOOL = "rows.jsonl"
_PIECE_BYTES, _MOST_PIECES = 1 << 18, 20_000
_REREAD_BYTES = 1 << 20
"""A file of another kind is read again for each page up to this size, and copied beyond it."""
_SCHEMA_ROWS = 2_000
_SECONDS_OF_A_DAY = 86_400
_KEPT, _RESERVED = 24, 1 << 30
_MOST_WITHOUT_ROW, _MOST_COPIED, _MOST_RATIO = 1 << 30, 1 << 30, 100
"""A copy of more bytes than that, and of so many times the file's, is of a file that is packed to do harm."""
_ENTRY = ("first", "rows", "file", "start", "stop", "before")
_NOTHING: Mapping[str, Any] = {"blank": 0, "notes": [], "warnings": []}
"""What reading has found before it begins."""


@dataclass(frozen=True)
class Entry:
    """Rows of one split that lie together: `rows` of them, of which the first is number `first` of the split."""

    first: int
    rows: int
    file: int
    """The number of the file; -1 for the copy in the cache."""
    start: int
    stop: int
    before: int


@dataclass
class SplitEntries:
    """The rows of a split in their order."""

    rows: int = 0
    bad: int = 0
    entries: list[Entry] = field(default_factory=list)

    def add(self, rows: int, bad: int, file: int, start: int, stop: int, before: int) -> None:
        self.entries.append(Entry(self.rows, rows, file, start, stop, before))
        self.rows, self.bad = self.rows + rows, self.bad + bad

    def since(self, row: int) -> list[Entry]:
        """The entries from the one that holds a row on."""
        place = bisect_right(self.entries, row, key=lambda entry: entry.first) - 1
        return self.entries[max(0, place) :]


@dataclass
class PageIndex:
    """The index of a source: `splits` with their rows, what reading found, and the columns of the first rows."""

    path: Path
    subset: str | None
    encoding: str | None
    folder: Path
    splits: dict[str, SplitEntries]
    blank: int = 0
    notes: list[str] = field(default_factory=list)
    columns: list[dict[str, Any]] = field(default_factory=list)
    schema_rows: int = 0

    @property
    def rows(self) -> int:
        return sum(split.rows for split in self.splits.values())

    @cached_property
    def files(self) -> list[SourceFile]:
        return find_files(self.path, ReadReport(encoding=self.encoding), self.subset)

    def read(self, entry: Entry, split: str) -> Iterator[Record | Bad]:
        """The rows of an entry. Bad rows belong to the split of their file."""
        reading = ReadReport(encoding=self.encoding)
        if entry.file < 0:
            yield from _spooled(self.folder / SPOOL, entry, split)
            return
        file = self.files[entry.file]
        for item in _items(Piece(file, entry.start, entry.stop, entry.before), reading):
            if _split_of(item, file) == split:
                yield item


def files_key(path: Path, subset: str | None, encoding: str | None) -> str:
    """What an index is of: the files of the source with their sizes and times. Errors: those of `find_files`."""
    seen: list[Any] = []
    for file in find_files(path, ReadReport(encoding=encoding), subset):
        on_disk = file.path.archive if isinstance(file.path, Member) else file.path
        status = on_disk.stat()
        stamp = [file.size, status.st_size, status.st_mtime_ns, status.st_ino]
        seen.append([ascii(str(on_disk)), ascii(file.name), file.split, *stamp])
    return of_value([FORMAT, ascii(str(path)), subset, encoding, seen])


def kept_index(path: Path, cache: Path, subset: str | None = None, encoding: str | None = None) -> PageIndex | None:
    """The index of a source if it was made before; None if not. Errors: those of `find_files`."""
    folder = cache / "pages" / files_key(path, subset, encoding)[:32]
    try:
        record = json.loads((folder / "index.json").read_bytes())
        splits = _splits_of(record["splits"])
        with suppress(OSError):
            (folder / "index.json").touch()  # in use, for `_prune`
        found = {name: record[name] for name in ("blank", "notes", "columns", "schema_rows")}
        return PageIndex(path, subset, encoding, folder, splits, **found)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def open_index(
    path: Path, cache: Path, subset: str | None = None, encoding: str | None = None, seconds: float | None = None
) -> PageIndex:
    """The index of a source; every row is read once to make it, in several attempts if each has so many `seconds`.

    Errors: those of the readers; MachineError `machine.no-disk` if there is no space for a copy of the rows; RunError
    `run.time-limit` if the time is over (what was read is kept, also of a process that is killed), `run.busy` if
    another process takes as long, `run.input-changed` if the source changed meanwhile.
    """
    kept = kept_index(path, cache, subset, encoding)
    if kept is not None:
        return kept
    parent, key = cache / "pages", files_key(path, subset, encoding)[:32]
    parent.mkdir(parents=True, exist_ok=True)
    with alone(cache / "page-locks" / key[:2], path.name, seconds):
        kept = kept_index(path, cache, subset, encoding)
        if kept is not None:
            return kept
        partial = parent / f".partial-{key}"
        _prune(parent)
        partial.mkdir(exist_ok=True)
        return _finished(path, cache, subset, encoding, Progress.of(partial, seconds), parent / key)


def _finished(
    path: Path, cache: Path, subset: str | None, encoding: str | None, progress: Progress, final: Path
) -> PageIndex:
    """Make the index, or go on with it."""
    partial = progress.folder
    try:
        index = _build(path, subset, encoding, progress)
        if files_key(path, subset, encoding)[:32] != final.name:
            raise RunError("run.input-changed", f"{path.name} changed while it was read", "ask again")
        _write(index, partial)
        progress.end()
        with suppress(OSError):  # a damaged one
            shutil.rmtree(final)
        with suppress(OSError):
            publish_folder(partial, final)
    except LateError:
        raise
    except Exception:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return kept_index(path, cache, subset, encoding) or index


def _build(path: Path, subset: str | None, encoding: str | None, progress: Progress) -> PageIndex:
    """Read the rows of a source from where an earlier attempt has stopped."""
    known = progress.known
    reading, schema = ReadReport(encoding=encoding, max_bytes_without_row=_MOST_WITHOUT_ROW), Schema()
    reading.blank, reading.notes, reading.warnings = (known.get(key, copy(none)) for key, none in _NOTHING.items())
    index = PageIndex(path, subset, encoding, progress.folder, _splits_of(known.get("splits", {})))
    whole, done = sum(file.size for file in index.files), known.get("done", 0)
    size, first = max(_PIECE_BYTES, whole // _MOST_PIECES), progress.file
    columns = _columns_of(schema) if not known else {key: known[key] for key in ("columns", "schema_rows")}
    with _Spool(progress, known.get("spooled", 0)) as spool:
        for number, file in enumerate(index.files[first:], start=first):
            place = (progress.start, progress.before) if number == first else (0, 0)
            for piece, length in pieces_of(file, reading, size, *place):
                if progress.is_due:
                    found = {"splits": _recorded(index.splits), **{key: getattr(reading, key) for key in _NOTHING}}
                    columns = columns if known else _columns_of(schema)
                    more = {**columns, "spooled": spool.flushed(), "done": done}
                    progress.save(number, piece.start, piece.before, found | more)
                    progress.refuse_late(path.name, done / max(1, whole))
                done += length
                items = _watched(piece, reading, None if known else schema)
                is_packed = isinstance(file.path, Member) or file.path.suffix.lower() in PACKED
                if not piece.stop and (length > _REREAD_BYTES or is_packed):
                    spool.copy(items, file, index)
                    continue
                counts: dict[str, list[int]] = {}
                for item in items:
                    count = counts.setdefault(_split_of(item, file), [0, 0])
                    count[0] += 1
                    count[1] += isinstance(item, Bad)
                for split, (rows, bad) in counts.items():
                    entries = index.splits.setdefault(split, SplitEntries())
                    entries.add(rows, bad, number, piece.start, piece.stop, piece.before)
            reading.finished(file.size)
    found = [*reading.notes, *(sentence for sentence, _ in reading.messages())]
    return replace(index, blank=reading.blank, notes=found, **(columns if known else _columns_of(schema)))


def _columns_of(schema: Schema) -> dict[str, Any]:
    return {"columns": schema.as_list(), "schema_rows": min(schema.rows, _SCHEMA_ROWS)}


def _watched(piece: Piece, reading: ReadReport, schema: Schema | None) -> Iterator[Record | Bad]:
    """The rows of a piece, of which the first of a source give the columns."""
    for item in _items(piece, reading):
        reading.since_row = 0
        if schema is not None and schema.rows < _SCHEMA_ROWS and isinstance(item, Record):
            schema.add(item.raw)
        yield item


def _items(piece: Piece, reading: ReadReport) -> Iterator[Record | Bad]:
    for item in read_piece(piece, reading):
        if isinstance(item, Record) and piece.file.adapt:
            item = replace(item, raw=piece.file.adapt(item.raw))
        yield item


def _split_of(item: Record | Bad, file: SourceFile) -> str:
    return (item.split if isinstance(item, Record) else "") or file.split or "train"


def _write(index: PageIndex, folder: Path) -> None:
    record = {
        "splits": _recorded(index.splits),
        "blank": index.blank,
        "notes": index.notes,
        "columns": index.columns,
        "schema_rows": index.schema_rows,
    }
    (folder / "index.json").write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8", errors="replace")


def _recorded(splits: Mapping[str, SplitEntries]) -> dict[str, Any]:
    return {
        name: {"rows": s.rows, "bad": s.bad, "entries": [[getattr(e, key) for key in _ENTRY] for e in s.entries]}
        for name, s in splits.items()
    }


def _splits_of(record: Mapping[str, Any]) -> dict[str, SplitEntries]:
    """The inverse of `_recorded`."""
    return {
        name: SplitEntries(split["rows"], split["bad"], [Entry(*entry) for entry in split["entries"]])
        for name, split in record.items()
    }


class _Spool:
    """The copy of rows that cannot be read from the middle of their file: one line of JSON each."""

    def __init__(self, progress: Progress, size: int):
        self._path, self._progress, self._size = progress.folder / SPOOL, progress, size

    def __enter__(self) -> "_Spool":
        self._file = self._path.open("r+b" if self._size else "wb")
        self._file.truncate(self._size)  # what was written since that was recorded is read again
        self._file.seek(self._size)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def flushed(self) -> int:
        """Its size, of which all is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def copy(self, items: Iterator[Record | Bad], file: SourceFile, index: PageIndex) -> None:
        """Copy rows, and index the copy in pieces."""
        start = at = self._file.tell()
        counts: dict[str, list[int]] = {}
        for item in items:
            split = _split_of(item, file)
            line = json.dumps([split, *_fields(item)], ensure_ascii=True).encode() + b"\n"
            self._file.write(line)
            at += len(line)
            _refuse_bomb(file, at)
            count = counts.setdefault(split, [0, 0])
            count[0] += 1
            count[1] += isinstance(item, Bad)
            if at - start >= _PIECE_BYTES:
                self._end_piece(index, counts, start, at)
                start, counts = at, {}
        self._end_piece(index, counts, start, at)

    def _end_piece(self, index: PageIndex, counts: dict[str, list[int]], start: int, stop: int) -> None:
        self._progress.refuse_late(index.path.name, 0.0)
        for split, (rows, bad) in counts.items():
            index.splits.setdefault(split, SplitEntries()).add(rows, bad, -1, start, stop, 0)
        if (free := shutil.disk_usage(self._path.parent).free) < _RESERVED:
            what = f"the disk of {self._path.parent} has {file_size(free)} left: the rows are not copied for pages"
            raise MachineError("machine.no-disk", what, "free some space, or convert the file to JSON Lines or Parquet")


def _refuse_bomb(file: SourceFile, copied: int) -> None:
    if copied > max(_MOST_COPIED, _MOST_RATIO * file.size):
        what = f"{file.name} has {file_size(file.size)}, and its first rows alone {file_size(copied)}"
        raise DataError("data.unsafe-archive", what, "check what it is; unpack it yourself if it is what you expect")


def _fields(item: Record | Bad) -> list[Any]:
    if isinstance(item, Record):
        return [item.source, item.raw]
    return [item.source, item.field, item.reason, item.raw]


def _spooled(path: Path, entry: Entry, split: str) -> Iterator[Record | Bad]:
    with path.open("rb") as file:
        file.seek(entry.start)
        while file.tell() < entry.stop:
            match json.loads(file.readline()):
                case [name, source, raw] if name == split:
                    yield Record(raw, source, name)
                case [name, source, where, reason, raw] if name == split:
                    yield Bad(source, where, reason, raw)
                case _:
                    pass


def _prune(parent: Path) -> None:
    """Keep the indexes that were used last."""
    kept = sorted(parent.glob("*/index.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in kept[_KEPT:]:
        shutil.rmtree(path.parent, ignore_errors=True)
    for partial in parent.glob(".partial-*"):  # of a process that was killed
        with suppress(OSError):
            if time.time() - partial.stat().st_mtime > _SECONDS_OF_A_DAY:
                shutil.rmtree(partial)


def described(index: PageIndex) -> dict[str, Any]:
    """Counts and columns, as the API gives them."""
    splits = {name: {"rows": split.rows, "bad": split.bad} for name, split in index.splits.items()}
    known = {"blank_lines": index.blank, "columns": index.columns, "columns_of_rows": index.schema_rows}
    return {"rows": index.rows, "bad": sum(split["bad"] for split in splits.values()), "splits": splits, **known}
