"""Accounting of a preparation: every row that was read is kept, quarantined, or dropped for a reason."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from burnish.core.errors import DataError
from burnish.data.record import Bad


@dataclass
class Accounts:
    """Counts of rows. `read = kept + quarantined + dropped`, and `balance` fails if that is wrong."""

    read: int = 0
    kept: int = 0
    quarantined: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    """Copies of kept rows that a mixture wrote besides."""

    def drop_kept(self, rows: int, reason: str) -> None:
        """Rows that were kept are dropped after all."""
        self.kept -= rows
        self.dropped[reason] += rows

    def balance(self) -> None:
        out = self.kept + self.quarantined + self.dropped.total()
        if self.read != out:
            raise AssertionError(f"{self.read} rows were read, but {out} are accounted for")

    def as_dict(self) -> dict[str, Any]:
        return {
            "read": self.read,
            "kept": self.kept,
            "quarantined": self.quarantined,
            "dropped": dict(self.dropped.most_common()),
            **({"repeated": self.repeated} if self.repeated else {}),
        }


class Quarantine:
    """Bad rows, one JSON object a line, each with its source and reason."""

    def __init__(self, path: Path):
        self.path = path
        self.count = 0
        self.first: list[Bad] = []
        self._file: IO[str] | None = None

    def __enter__(self) -> "Quarantine":
        self._file = self.path.open("w", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, bad: Bad) -> None:
        if self._file is None:
            raise ValueError("the quarantine is not open")
        self.count += 1
        if len(self.first) < 3:
            self.first.append(bad)
        self._file.write(json.dumps(bad.as_dict(), ensure_ascii=False) + "\n")

    @property
    def examples(self) -> str:
        """The first bad rows as text."""
        return "; ".join(str(bad) for bad in self.first)

    def check_share(self, read: int, most: float) -> None:
        """DataError `data.too-many-bad-rows` when more than this share of the rows read is bad."""
        if self.count <= most * read:
            return
        raise DataError(
            "data.too-many-bad-rows",
            f"{self.count:,} of {read:,} rows are bad, more than the {most:.1%} that max_bad_share allows: "
            f"{self.examples}",
            f"see {self.path}, fix the rows, or raise max_bad_share",
        )
