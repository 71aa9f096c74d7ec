"""What cleaning found: what became of every row, what was changed, and examples of each reason."""

from collections import Counter
from typing import Any

from burnish.core.errors import DataError
from burnish.core.events import Note
from burnish.data.accounts import Accounts, Quarantine
from burnish.data.cleaning.decisions import Dropped, Kept
from burnish.data.cleaning.work import Report
from burnish.data.record import ReadReport
from burnish.data.shards.columns import Columns

_EXAMPLES, _CHARACTERS_SHOWN = 3, 300


class Findings:
    """Filled by the reports of chunks, then by the decision on each row."""

    def __init__(self) -> None:
        self.accounts = Accounts()
        self.changed: Counter[str] = Counter()
        """Rows that each rewriting changed."""
        self.columns = Columns()
        self.rows = 0
        """Rows that could be read."""
        self.blank = 0
        self.characters = 0
        """Of all texts after rewriting."""
        self.splits: Counter[str] = Counter()
        self.examples: dict[str, list[dict[str, str]]] = {}
        """Of each reason the first rows: `source`, the start of `row`, and the others of the decision."""

    def take(self, report: Report, reading: ReadReport) -> None:
        """Add the report of a chunk."""
        self.accounts.read += report.rows + report.bad
        self.accounts.quarantined += report.bad
        self.rows += report.rows
        self.blank += report.reading.blank
        self.characters += report.characters
        self.changed += report.changed
        self.columns.merge(report.columns)
        for note in report.reading.notes:
            reading.note(note)
        for warning in report.reading.warnings:
            reading.warn(warning)

    def add(self, decision: Kept | Dropped) -> None:
        """Add what became of rows."""
        if isinstance(decision, Kept):
            self.accounts.kept += len(decision.rows)
            self.splits[decision.split] += len(decision.rows)
            return
        self.accounts.dropped[decision.reason] += 1
        shown = self.examples.setdefault(decision.reason, [])
        if len(shown) < _EXAMPLES:
            row = decision.row.decode().lstrip()[:_CHARACTERS_SHOWN]
            shown.append({"source": decision.source, "row": row, **decision.others})

    def check(self, name: str) -> None:
        """DataError `data.empty` when no row is left. Every row must be accounted for."""
        self.accounts.balance()
        if self.accounts.kept:
            return
        if not self.accounts.read:
            raise DataError("data.empty", f"{name} has no rows", "check the path and its content")
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.accounts.dropped.most_common(5))
        what = f"none of {self.accounts.read:,} rows is left: {self.accounts.quarantined:,} bad, dropped: {reasons}"
        raise DataError("data.empty", what, "loosen the filters: each is a setting in `filters`")

    def as_dict(self) -> dict[str, Any]:
        """For `stats.json`."""
        return {
            **self.accounts.as_dict(),
            "blank_lines": self.blank,
            "splits": dict(self.splits),
            "changed": dict(self.changed.most_common()),
            "characters": self.characters,
            "examples": self.examples,
        }

    def measures(self) -> dict[str, Any]:
        """For the record of the artifact."""
        return {**self.accounts.as_dict(), "splits": dict(self.splits), "rows": self.accounts.kept}

    def notes(self, reading: ReadReport, quarantine: Quarantine) -> list[Note]:
        """What a user should know."""
        found = [Note(text=note) for note in reading.notes]
        found += [Note(level="warning" if matters else "info", text=text) for text, matters in reading.messages()]
        if quarantine.count:
            text = f"bad rows, written to quarantine.jsonl: {quarantine.count:,}, such as {quarantine.examples}"
            found.append(Note(level="warning", text=text))
        return found
