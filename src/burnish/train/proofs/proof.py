"""The result of `prove`: all checks, `proof.json`, and the error of a check that does not hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.errors import RunError
from burnish.core.events import Event, Note, Table
from burnish.core.files import write_json
from burnish.train.proofs.question import Check, Verdict

FILE = "proof.json"
COUNTS: Mapping[Verdict, str] = {
    "holds": "held",
    "does not hold": "failed",
    "does not apply": "not_applicable",
    "error": "errors",
}


@dataclass(frozen=True)
class Proof:
    """The checks of a training, in the order of the list."""

    checks: tuple[Check, ...]
    sample: str
    """The rows that were used."""
    seconds: float

    def __getitem__(self, name: str) -> Check:
        return next(check for check in self.checks if check.name == name)

    @property
    def failed(self) -> Sequence[Check]:
        """The checks that do not hold."""
        return [check for check in self.checks if check.verdict == "does not hold"]

    @property
    def counts(self) -> dict[str, int]:
        """The number of checks by verdict."""
        verdicts = [check.verdict for check in self.checks]
        return {name: verdicts.count(verdict) for verdict, name in COUNTS.items()}

    def as_json(self) -> dict[str, Any]:
        """The content of `proof.json`: no times, so that the same training writes the same file."""
        counts = self.counts
        return {
            **counts,
            "sample": self.sample,
            "checks": [check.as_json() for check in self.checks],
        }

    def write(self, folder: Path) -> None:
        """Write `proof.json` atomically."""
        write_json(folder / FILE, self.as_json())

    def events(self) -> Sequence[Event]:
        """What a run reports: one line, and a table of the checks that do not hold."""
        counts = self.counts
        text = f"prove: {counts['held']} checks hold, {counts['failed']} do not, "
        text += f"{counts['not_applicable']} do not apply ({self.seconds:.1f} s, on {self.sample})"
        found: list[Event] = [Note(text=text)]
        if errors := [f"{check.name} ({check.answer.found})" for check in self.checks if check.verdict == "error"]:
            text = f"prove: {len(errors)} checks were not made because of an error: {'; '.join(errors)}"
            found.append(Note(level="warning", text=text))
        if self.failed:
            rows = [[check.name, check.answer.found, check.fix] for check in self.failed]
            found.append(Table(title="does not hold", columns=["check", "found", "fix"], rows=rows))
        return found

    def refuse(self, place: Path) -> None:
        """RunError `run.not-proven` if a check does not hold; `place` is where `proof.json` is."""
        if not self.failed:
            return
        what = "; ".join(f"{check.name}: {check.answer.found}" for check in self.failed)
        fix = "; ".join(dict.fromkeys(check.fix for check in self.failed))
        raise RunError(
            "run.not-proven", f"{what}; see {place / FILE}", f"{fix}; prove: off trains without these checks"
        )
