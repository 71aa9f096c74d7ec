"""A candidate of a comparison that was evaluated before: its items are read, and matched with the rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from burnish.core.context import Context
from burnish.core.errors import DataError
from burnish.core.events import Note
from burnish.evals.comparison.table import Rows
from burnish.evals.items import ReadItem
from burnish.evals.measure import Item


@dataclass(frozen=True)
class Evaluated:
    """An evaluation, whose items are matched with the rows by their ids."""

    name: str
    ref: str
    lines: Sequence[ReadItem]

    @property
    def has_clusters(self) -> bool:
        """Whether it records what its rows belong to."""
        return any(line.cluster is not None for line in self.lines)

    def matched(self, ids: Sequence[str]) -> list[ReadItem | None]:
        """Its line for each row; None where it has none. Equal ids are matched in order."""
        waiting: dict[str, list[ReadItem]] = {}
        for line in reversed(self.lines):
            waiting.setdefault(line.id, []).append(line)
        return [waiting[row].pop() if waiting.get(row) else None for row in ids]

    def items(self, rows: Rows, ctx: Context) -> list[Item | None]:
        """Its item for each row; None where it has none. Other rows are reported.

        Errors: DataError `data.other-rows` if no row is the same, or one has another reference.
        """
        found = [None if line is None else line.item for line in self.matched(rows.ids)]
        if not any(item is not None for item in found):
            raise DataError(
                "data.other-rows",
                f"{self.name} ({self.ref}) has none of the {len(rows):,} rows that are compared",
                "evaluate it on the same data and split, or compare the models themselves",
            )
        for row, reference, item in zip(rows.ids, rows.references, found, strict=True):
            if item is not None and _differ(reference, item.reference):
                raise DataError(
                    "data.other-rows",
                    f"row {row} of {self.name} ({self.ref}) has another reference than in the other candidates",
                    "evaluate the candidates on the same data",
                )
        if left := len(self.lines) - sum(item is not None for item in found):
            text = f"{left} rows of {self.name} ({self.ref}) are not among those that are compared"
            ctx.emit(Note(level="warning", text=text))
        return found


def _differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one.strip() != other.strip()


def rows_of(lines: Sequence[ReadItem]) -> Rows:
    """The identity of the rows of an evaluation."""
    return Rows(
        [line.id for line in lines],
        [line.source for line in lines],
        [line.tag for line in lines],
        [line.cluster for line in lines],
        [line.item.reference for line in lines],
    )
