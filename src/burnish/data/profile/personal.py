"""Rows with what looks like personal data, found as `clean` masks it."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from burnish.data.rewriting.personal import PLACEHOLDERS, SHAPES, Masked

if TYPE_CHECKING:
    from burnish.specs.data.filters import PiiKind

_NAMED = 3


class Personal:
    """Counts rows by kind; of each kind the sources of the first rows are kept, and nothing of their text."""

    def __init__(self) -> None:
        self._kinds = [Masked(kind, PLACEHOLDERS[kind]) for kind in SHAPES]
        self._seen = self._rows = 0
        self._by_kind: Counter[str] = Counter()
        self._first: dict[str, list[str]] = {}

    def add(self, source: str, texts: Iterable[str]) -> None:
        """Add a row by its texts. As in `clean`, each is looked at by itself, and what one kind masks by no other."""
        self._seen += 1
        found, left = False, list(texts)
        for mask in self._kinds:
            masked = [mask(text) for text in left]
            if masked == left:
                continue
            left, found = masked, True
            self._by_kind[mask.kind] += 1
            first = self._first.setdefault(mask.kind, [])
            if len(first) < _NAMED:
                first.append(source)
        self._rows += found

    def as_dict(self) -> dict[str, Any]:
        kinds = {
            kind: {"rows": rows, "share": self._share(rows), "first": self._first[kind]}
            for kind, rows in self._by_kind.most_common()
        }
        return {"rows": self._rows, "share": self._share(self._rows), "kinds": kinds}

    def _share(self, rows: int) -> float:
        return round(rows / self._seen, 6) if self._seen else 0.0


def name_of(kind: "PiiKind") -> str:
    """What a person calls it: e-mail addresses."""
    return SHAPES[kind].name.removesuffix(" masked")
