"""What is done to a chunk: its rows are read, rewritten, judged and signed, and written to one Arrow file.

A function of the chunk alone, so that the file is the same wherever it is made.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from burnish.data.cleaning.chunks import Chunk
from burnish.data.cleaning.encoding import encoded, line_of
from burnish.data.cleaning.files import ChunkFiles, ChunkWriter
from burnish.data.cleaning.views import places, rewritten, view
from burnish.data.dedup.minhash import Scheme, Signed
from burnish.data.filters import BlockFilter
from burnish.data.filters.contamination import Contamination
from burnish.data.record import Bad, ReadReport, Record, RowError, check_size, cut
from burnish.data.rewriting import Rewrite
from burnish.data.rewriting.calls import rewritten_calls
from burnish.data.rewriting.personal import Masked
from burnish.data.shards.columns import Columns
from burnish.data.texts.block import Block, blocks

BATCH_ROWS, BATCH_BYTES = 1000, 2_000_000
NO_TEXT, EMPTIED = "no text", "a turn without text after rewriting"
_HASH_BYTES = 16


@dataclass(frozen=True)
class Settings:
    """All that the work depends on besides the chunk; picklable."""

    folder: Path
    """Where the Arrow files go."""
    columns: tuple[str, ...]
    """The columns that hold the text."""
    compared: tuple[str, ...]
    """The columns that exact duplicates are equal in."""
    kind: Literal["document", "conversation"]
    rewrites: Sequence[Rewrite]
    filters: Sequence[BlockFilter]
    """The first one that drops a row gives the reason."""
    scheme: Scheme | None
    """How near duplicates are signed; None where they are not looked for."""
    ranked_by: str | None = None
    """The column of numbers that decides which row of a group is kept."""
    encoding: str | None = None
    contamination: Contamination | None = None
    """The last filter, of rows that have parts of evaluations."""


@dataclass
class Report:
    """What was found in a chunk besides its rows."""

    rows: int = 0
    bad: int = 0
    characters: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    """Rows that each rewriting changed."""
    reading: ReadReport = field(default_factory=ReadReport)
    columns: Columns = field(default_factory=Columns)
    """Of the rows that are kept so far."""


class Rewritten(NamedTuple):
    """A record after rewriting."""

    record: Record
    text: str
    reason: str
    """To drop it already; or empty."""
    encoded: bytes
    """As JSON."""
    changed: Sequence[str] = ()
    """The names of the rewritings that changed it."""


class Work:
    """The function of chunks."""

    def __init__(self, settings: Settings):
        self._settings = settings

    def __call__(self, chunk: Chunk) -> Report:
        """Write the chunk's `ChunkFiles`; those that are there are replaced at once."""
        report = Report(reading=ReadReport(encoding=self._settings.encoding))
        with ChunkFiles(self._settings.folder, chunk.number).writer(is_packed=not chunk.is_plain) as files:
            for rows in batches(self._read(chunk, report, files)):
                files.write(*self._cleaned(rows, report))
        return report

    def _read(self, chunk: Chunk, report: Report, files: ChunkWriter) -> Iterator[Rewritten]:
        for item in chunk.read(report.reading):
            row = item if isinstance(item, Bad) else self._rewritten(item)
            if isinstance(row, Bad):
                report.bad += 1
                files.write_bad(row)
            else:
                report.rows += 1
                report.changed.update(row.changed)
                yield row

    def _cleaned(
        self, rows: Sequence[Rewritten], report: Report
    ) -> tuple[pa.RecordBatch, pa.RecordBatch, Signed | None]:
        """The rows as they are now, each with the reason to drop it; what was found of them; their texts as signed."""
        settings = self._settings
        records = [row.record for row in rows]
        views = [row.text for row in rows]
        reasons = [row.reason for row in rows]
        filters = [*settings.filters, *([settings.contamination] if settings.contamination is not None else [])]
        parts = list(blocks(views))
        _judge(parts, reasons, filters)
        is_kept = [not reason for reason in reasons]
        report.columns.observe_all([record.raw for record in compress(records, is_kept)])
        lengths = [len(text) for text in views]
        report.characters += sum(lengths)
        judged = {
            "row": pa.array([row.encoded for row in rows], pa.large_binary()),
            "split": pa.array([record.split or "train" for record in records], pa.string()),
            "reason": pa.array(reasons, pa.string()),
            "evaluation": pa.array(self._evaluations(views, reasons), pa.string()),
        }
        found: dict[str, pa.Array] = {
            "is_kept": pa.array(is_kept),
            "source": pa.array([record.source for record in records], pa.string()),
            "characters": pa.array(lengths, pa.int64()),
            "hash": pa.array([_hash(record.raw, settings.compared) for record in records], pa.binary(_HASH_BYTES)),
            "rank": pa.array([_number(record.raw, settings.ranked_by) for record in records], pa.float64()),
        }
        scheme = settings.scheme
        signed = None if scheme is None else scheme.sign_blocks(parts, np.array(is_kept, bool))
        return pa.RecordBatch.from_pydict(judged), pa.RecordBatch.from_pydict(found), signed

    def _evaluations(self, views: Sequence[str], reasons: Sequence[str]) -> list[str]:
        """Of each text that is dropped for it, the row of an evaluation that it has most of."""
        known = self._settings.contamination
        if known is None:
            return [""] * len(views)
        return [
            known.rows_in(text)[0][0] if reason == known.reason else ""
            for text, reason in zip(views, reasons, strict=True)
        ]

    def _rewritten(self, record: Record) -> Rewritten | Bad:
        """The row, whose record is rewritten in place; bad where it is too long to be written."""
        raw = record.raw
        found = places(raw, self._settings.columns)
        reason, changed = "", list[str]()
        for rewrite in self._settings.rewrites:
            is_changed, is_emptied = rewritten(found, rewrite)
            if isinstance(rewrite, Masked):  # personal data is in what tools are called with, too
                is_changed |= sum(rewritten_calls(raw.get(name), rewrite) for name in self._settings.columns) > 0
            if is_changed:
                changed.append(rewrite.name)
            if is_emptied and self._settings.kind == "conversation":
                reason = EMPTIED
        text = view(found)
        if not text or text.isspace():
            reason = NO_TEXT
        row = encoded(raw)
        try:
            check_size(len(line_of(row)))
        except RowError as error:
            return Bad(record.source, error.field, error.reason, cut(row.decode()))
        return Rewritten(record, text, reason, row, changed)


def batches(rows: Iterable[Rewritten]) -> Iterator[list[Rewritten]]:
    """Consecutive rows, of about `BATCH_BYTES` as JSON, and not more than `BATCH_ROWS`."""
    held: list[Rewritten] = []
    size = 0
    for row in rows:
        held.append(row)
        size += len(row.encoded)
        if len(held) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


def _judge(parts: Sequence[Block], reasons: list[str], filters: Sequence[BlockFilter]) -> None:
    """Set the first reason to drop each text that has none yet."""
    start = 0
    for block in parts:
        is_open = np.array([not reason for reason in reasons[start : start + len(block)]])
        for judge in filters if is_open.any() else ():
            for reason, drops in judge(block).items():
                for i in np.flatnonzero(drops & is_open).tolist():
                    reasons[start + i] = reason
                is_open &= ~drops
        start += len(block)


def _hash(raw: dict[str, Any], columns: Sequence[str]) -> bytes:
    """A hash of what a row says: its text, and of a conversation its roles, calls, tools and labels, too."""
    if len(columns) == 1 and isinstance(text := raw.get(columns[0]), str):
        return hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES).digest()
    said = {name: raw[name] for name in columns if raw.get(name) is not None}
    return hashlib.blake2b(encoded(said, in_order=True), digest_size=_HASH_BYTES, person=b"columns").digest()


def _number(raw: dict[str, Any], column: str | None) -> float:
    value = raw.get(column) if column is not None else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return -math.inf
    try:
        return float(value)
    except OverflowError:  # an integer beyond all floats
        return math.inf if value > 0 else -math.inf
