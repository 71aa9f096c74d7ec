"""fetch: read rows from a hub, a URL, an archive, a folder or a repository, and keep every field of them.

Every row that is read is kept, or put into quarantine with its reason. Downloads stay in the scratch folder until the
step has succeeded, so that a step that was killed continues where it stopped.
"""

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from burnish.core.context import Context, Input, Outcome
from burnish.core.errors import DataError, RunError
from burnish.core.events import Note, Progress, Table
from burnish.core.files import file_size, write_json
from burnish.core.naming import nearest
from burnish.data.accounts import Accounts, Quarantine
from burnish.data.fetch.choice import Choice
from burnish.data.fetch.pieces import Piece, Place, Source, open_source, refuse_full_disk
from burnish.data.fetch.remote import Connection
from burnish.data.fetch.shown import first_rows
from burnish.data.record import MAX_ROW_BYTES, Bad, ReadReport, Record, RowError, cut
from burnish.data.shards.writer import ShardWriter
from burnish.specs.data import FetchSpec

_SECONDS_BETWEEN_REPORTS = 0.5
_MOST_OF_ENDLESS = MAX_ROW_BYTES + (2 << 20)
"""Bytes without a row after which a file that may never end is refused: the largest row, and what is read ahead."""
_MOST_OF_SIZED = 1 << 30
"""The same for a file that has an end: a request for a few rows should not read for minutes."""
OTHER_SPLIT, OVER_LIMIT = "of another split", "over the limit"


def run(spec: FetchSpec, ctx: Context) -> Outcome:
    """Write `rows/`, `manifest.json`, `sample.jsonl`, `quarantine.jsonl` and `stats.json`."""
    value, limit, splits, max_bad_share = ctx.input("source"), spec.limit, list(spec.split), spec.max_bad_share
    choice = Choice(spec.subset, spec.data_dir, spec.data_files, splits)
    traffic, reading = _Traffic(ctx), ReadReport()
    reading.encoding = spec.encoding
    connection = Connection(
        spec.timeout, spec.retries, spec.allow_hosts, received=traffic.add, is_stopping=lambda: ctx.stopping
    )
    place = Place(connection, ctx.scratch / "checkpoints", is_streamed=limit is not None, unpacked=traffic.unpacked)
    form, shard_bytes = spec.form, spec.shard_bytes
    source = open_source(value, choice, place, reading)
    ctx.check_settings()
    refuse_full_disk(source, place.downloads)
    traffic.total = sum(piece.size for piece in source.pieces)

    accounts, met, by_file = Accounts(), Counter[str](), dict[str, int]()
    with (
        ShardWriter(ctx.out, form, about=source.about, shard_bytes=shard_bytes) as writer,
        Quarantine(ctx.scratch / "quarantine.jsonl") as quarantine,
    ):
        for piece, item in _items(source, limit, writer.rows, splits, reading, ctx):
            accounts.read += 1
            if isinstance(item, Record):
                met[item.split or "train"] += 1
                item = _written(item, writer, limit, splits)
            if isinstance(item, Bad):
                accounts.quarantined += 1
                quarantine.add(item)
            elif isinstance(item, str):
                accounts.dropped[item] += 1
            else:
                accounts.kept += 1
                by_file[piece.name] = by_file.get(piece.name, 0) + 1
        writer.about |= source.about
        _report(reading, spec, value, ctx)
        accounts.balance()
        quarantine.check_share(accounts.read, max_bad_share)
        _refuse_nothing(accounts, splits, {*met, *(piece.split for piece in source.pieces if piece.split)}, value)
    shutil.copyfile(quarantine.path, ctx.out / quarantine.path.name)
    if (found := source.about.get("sha256")) and found not in value.ref.lower():
        ctx.emit(Note(text=f"{value.ref}#sha256={found} is this content, whatever is there later"))
    if accounts.quarantined:
        text = f"bad rows, written to quarantine.jsonl: {accounts.quarantined:,}, such as {quarantine.examples}"
        ctx.emit(Note(level="warning", text=text))
    stats: dict[str, Any] = {
        **accounts.as_dict(),
        "blank_lines": reading.blank,
        "splits": writer.rows,
        "files": by_file,
        "files_not_read": len(reading.skipped),
        "downloaded_bytes": traffic.done,
    }
    write_json(ctx.out / "stats.json", stats)
    ctx.emit(_counts(accounts, reading, writer, traffic))
    ctx.emit(first_rows(ctx.out / "sample.jsonl"))
    named = {key: stats[key] for key in ("read", "kept", "quarantined", "dropped", "splits")}
    return Outcome("rows", named | {"rows": accounts.kept}, {"source": dict(source.about)})


class _Traffic:
    """Bytes that arrived and bytes that were unpacked, reported twice a second."""

    def __init__(self, ctx: Context):
        self._ctx, self._reported = ctx, 0.0
        self.done, self.total, self._unpacked = 0, 0, 0

    def add(self, count: int) -> None:
        self.done += count
        self._report("fetch", self.done, self.total)

    def unpacked(self, count: int) -> None:
        self._unpacked += count
        self._report("unpack", self._unpacked, 0)

    def _report(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._reported > _SECONDS_BETWEEN_REPORTS:
            self._reported = now
            self._ctx.emit(Progress(phase=phase, done=done, total=total, unit="bytes"))


def _items(
    source: Source, limit: int | None, written: dict[str, int], splits: list[str], reading: ReadReport, ctx: Context
) -> Iterator[tuple[Piece, Record | Bad]]:
    """Every row until each split has its limit: a piece whose rows are not needed is not opened."""
    reported, count = time.monotonic(), 0
    for piece in source.pieces:
        if splits and piece.split and piece.split not in splits:
            continue
        if limit is not None and piece.split and written.get(piece.split, 0) >= limit:
            continue
        rows = piece.rows(reading)
        reading.since_row = 0
        if limit is not None:
            reading.max_bytes_without_row = _MOST_OF_SIZED if piece.has_size else _MOST_OF_ENDLESS
        for item in rows:
            reading.since_row = 0
            yield piece, item
            count += 1
            if limit is not None and piece.split and written.get(piece.split, 0) >= limit:
                break
            if count % 64 == 0 and time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
                reported = time.monotonic()
                ctx.emit(Progress(phase="read", done=count))
                if ctx.stopping:
                    raise RunError("run.interrupted", f"stopped after {count:,} rows", "run it again to resume")
        rows.close()
        reading.files += 1
    ctx.emit(Progress(phase="read", done=count, total=count))


def _written(item: Record, writer: ShardWriter, limit: int | None, splits: list[str]) -> Record | Bad | str:
    """Write one row; a row that JSON cannot represent is bad, one that was not requested has the reason."""
    split = item.split or "train"
    if splits and split not in splits:
        return OTHER_SPLIT
    if limit is not None and writer.rows.get(split, 0) >= limit:
        return OVER_LIMIT
    try:
        writer.write(item.raw, split)
    except RowError as error:
        return Bad(item.source, error.field, error.reason, cut(repr(item.raw)))
    return item


def _report(reading: ReadReport, spec: FetchSpec, value: Input, ctx: Context) -> None:
    if spec.encoding is not None and not reading.used_encoding:
        why = "none of its files is text without a byte-order mark"
        reading.warn(f"encoding: {spec.encoding} has no effect on {value.ref}: {why}")
    for note in reading.notes:
        ctx.emit(Note(text=note))
    for sentence, matters in reading.messages():
        ctx.emit(Note(level="warning" if matters else "info", text=sentence))


def _refuse_nothing(accounts: Accounts, splits: list[str], there: set[str], value: Input) -> None:
    for split in splits:
        if split not in there and there:
            raise DataError("data.unreadable", f"{value.ref} has no split '{split}'", nearest(split, sorted(there)))
    if not accounts.kept:
        what = f"{value.ref} has no rows" if not accounts.read else f"none of {accounts.read:,} rows can be kept"
        raise DataError("data.empty", what, "check the source and its content")


def _counts(accounts: Accounts, reading: ReadReport, writer: ShardWriter, traffic: _Traffic) -> Table:
    rows = [["read", f"{accounts.read:,}"]]
    rows += [[split, f"{count:,}"] for split, count in writer.rows.items()]
    rows += [["quarantined", f"{accounts.quarantined:,}"]]
    rows += [[reason, f"{count:,}"] for reason, count in accounts.dropped.most_common()]
    rows += [["files not read", f"{len(reading.skipped):,}"]] if reading.skipped else []
    rows += [["blank lines", f"{reading.blank:,}"]] if reading.blank else []
    rows += [["downloaded", file_size(traffic.done)]] if traffic.done else []
    return Table(title="Fetched rows", columns=["", "count"], rows=rows)
