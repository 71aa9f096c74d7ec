"""Mutants that no test can tell from the source, each reviewed and listed with its reason in `equivalents/ROOM.toml`.

`make mutants` leaves them out of the score and names entries whose source line is gone.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from mutation.choice import Mutant

PLACE = Path(__file__).with_name("equivalents")


@dataclass(frozen=True)
class Equivalent:
    """An entry. It names a mutant by what stays when lines move."""

    file: str
    function: str
    line: str
    """The source line, stripped."""
    reason: str
    old: str = ""
    new: str = ""
    """Without `old` and `new` the entry is for every mutant of the line: an allowance of time, say."""

    def names(self, identity: tuple[str, str, str, str, str]) -> bool:
        """Whether the entry is for the mutant with this identity."""
        whole = not self.old and not self.new
        return identity[:3] == (self.file, self.function, self.line) and (whole or identity[3:] == (self.old, self.new))


def entries(folder: Path = PLACE) -> list[Equivalent]:
    """All entries, room by room."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.toml"))]
    return [Equivalent(**row) for text in texts for row in tomllib.loads(text).get("mutant", [])]


def stale(known: list[Equivalent], mutants: list[Mutant]) -> list[Equivalent]:
    """Entries that name no mutant of the present source."""
    present = {mutant.identity for mutant in mutants}
    return [entry for entry in known if not any(entry.names(identity) for identity in present)]


def are_equivalent(known: list[Equivalent], mutants: list[Mutant]) -> set[tuple[str, str, str, str, str]]:
    """The identities of those mutants that an entry names."""
    places: dict[tuple[str, str, str], list[Equivalent]] = {}
    for entry in known:
        places.setdefault((entry.file, entry.function, entry.line), []).append(entry)
    identities = {mutant.identity for mutant in mutants}
    return {one for one in identities if any(entry.names(one) for entry in places.get(one[:3], ()))}
