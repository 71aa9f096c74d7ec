"""What every reader gives: a record or a bad row, each with its source; and the report of reading."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

MAX_ROW_BYTES = 16 * 1024 * 1024
"""A longer row is bad, so that no single row can exhaust the memory."""
_NAMES_SHOWN = 5
MAX_RAW_CHARACTERS = 64 * 1024
"""How much of a bad row's text is kept; its size and source are always kept."""


@dataclass(frozen=True)
class Record:
    """One row as it stands in its file, with `source` such as `data.jsonl:12` or `data.parquet#12` (from 1)."""

    raw: dict[str, Any]
    source: str
    split: str = ""
    """The split that the file itself belongs to (`train`, `validation`, `test`), where its name or card says so."""


@dataclass(frozen=True)
class Bad:
    """One row that cannot be used: its source, the field, the reason and the text."""

    source: str
    field: str
    reason: str
    raw: str

    def __str__(self) -> str:
        return f"{self.source}: {self.field}: {self.reason}" if self.field else f"{self.source}: {self.reason}"

    def as_dict(self) -> dict[str, str]:
        return {"source": self.source, "field": self.field, "reason": self.reason, "raw": self.raw}


class RowError(ValueError):
    """A row is bad. Caught where rows are read and mapped, and turned into `Bad`; users never see it."""

    def __init__(self, field: str, reason: str):
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field, self.reason = field, reason


@dataclass
class ReadReport:
    """Progress and findings of reading files: bytes read, blank lines, notes and warnings."""

    total_bytes: int = 0
    done_bytes: int = 0
    blank: int = 0
    """Blank lines and empty elements: counted, but not rows."""
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    files: int = 0
    """Files that were read."""
    skipped: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Files and links that are not read, by name: the reason, and whether a user would expect rows in them."""
    encoding: str | None = None
    """How text of the current file is encoded, where a setting says so."""
    used_encoding: bool = False
    """Whether that setting decided how a file was read."""
    max_bytes_without_row: int | None = None
    """Bytes of a file that may be read without a row before it is refused; None reads on to its end."""
    since_row: int = 0
    """Bytes read since the last row, where there is such a bound."""
    _finished_bytes: int = 0

    def at(self, offset: int) -> None:
        """The current file is read up to this byte."""
        self.done_bytes = self._finished_bytes + offset

    def finished(self, size: int) -> None:
        """The current file, of this many bytes, is read."""
        self._finished_bytes += size
        self.done_bytes = self._finished_bytes

    def skip(self, folder: str, names: Iterable[str], reason: str, matters: bool = True) -> None:
        """Files that are not read, and why; `matters` where a user would expect rows in them."""
        self.skipped.update({f"{folder}/{name}": (reason, matters) for name in names})

    def messages(self) -> list[tuple[str, bool]]:
        """(sentence, whether it is a warning): the warnings, and for each reason the files that were not read."""
        by_reason: dict[tuple[str, bool], list[str]] = {}
        for name, why in self.skipped.items():
            by_reason.setdefault(why, []).append(name)
        found = [(warning, True) for warning in self.warnings]
        for (reason, matters), names in by_reason.items():
            shown = ", ".join(names[:_NAMES_SHOWN])
            if len(names) > _NAMES_SHOWN:
                endings = Counter(PurePosixPath(name).suffix or "no ending" for name in names[_NAMES_SHOWN:])
                more = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(8))
                shown = f"{shown} and {len(names) - _NAMES_SHOWN:,} more ({more})"
            count = f"{len(names):,} files are" if len(names) > 1 else "1 file is"
            found.append((f"{count} not read ({reason}): {shown}", matters))
        return found

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


Read = Callable[[Any, str, ReadReport], Iterator[Record | Bad]]
"""A reader of one kind of file: (path, the name to show, the tally) → its rows, each of them once.

The path is a `pathlib.Path`, or for readers of `readers.STREAMED` also a `data.archive.Member`.
"""


def check_size(size: int) -> None:
    """RowError for a row that has more bytes as JSON than a row may have: no reader would take it."""
    if size > MAX_ROW_BYTES:
        raise RowError("", f"the row has {size:,} bytes as JSON, more than {MAX_ROW_BYTES:,}")


def cut(text: str) -> str:
    """At most MAX_RAW_CHARACTERS of a bad row, encodable as UTF-8."""
    if len(text) > MAX_RAW_CHARACTERS:
        text = f"{text[:MAX_RAW_CHARACTERS]}… ({len(text) - MAX_RAW_CHARACTERS:,} characters more)"
    return text.encode("utf-8", "backslashreplace").decode()


def kind_of(value: object) -> str:
    """The name of a JSON value's type."""
    if isinstance(value, bool):
        return "true or false"
    if value is None:
        return "null"
    return {int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}[type(value)]
