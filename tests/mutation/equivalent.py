"""Mutants that no test can tell from the source, each reviewed and listed with its reason in `equivalent.toml`."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from mutation.choice import Mutant

PLACE = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True)
class Equivalent:
    """An entry. It names a mutant by what stays when lines move."""

    file: str
    function: str
    line: str
    """The source line, stripped."""
    old: str
    new: str
    reason: str

    @property
    def identity(self) -> tuple[str, str, str, str, str]:
        return (self.file, self.function, self.line, self.old, self.new)


def entries(path: Path = PLACE) -> list[Equivalent]:
    return [Equivalent(**row) for row in tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", [])]


def stale(known: list[Equivalent], mutants: list[Mutant]) -> list[Equivalent]:
    """Entries that name no mutant of the present source."""
    present = {mutant.identity for mutant in mutants}
    return [entry for entry in known if entry.identity not in present]
