"""A check of a certificate, and the certificate: what was compared with what, and which checks hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from burnish.core.version import VERSION

Verdict = Literal["holds", "does not hold", "does not apply"]


@dataclass(frozen=True)
class Check:
    """One comparison: what was found, and what was allowed, in words."""

    name: str
    verdict: Verdict
    found: str
    limit: str = ""


def held(name: str, holds: bool, found: str, limit: str = "") -> Check:
    """A check that applies."""
    return Check(name, "holds" if holds else "does not hold", found, limit)


def absent(name: str, why: str) -> Check:
    """A check that does not apply, and why."""
    return Check(name, "does not apply", why)


@dataclass(frozen=True)
class Certificate:
    """What was found when a child was compared with its parent."""

    change: str
    parent: Mapping[str, str]
    child: Mapping[str, str]
    """`ref` and `fingerprint` each; those of an artifact that is certified where it is made are ""."""
    checks: Sequence[Check]
    rows: int
    tokens: int
    """Positions whose distributions were compared."""
    numbers: Mapping[str, float] = field(default_factory=dict[str, float])
    """What was measured, by name."""
    divergences: Sequence[float] = ()
    """KL of each position, for the report."""
    golden: Mapping[str, str] = field(default_factory=dict[str, str])
    """The digest of the child's ids of each golden conversation, by name, or its refusal; the server compares its own
    with them."""

    @property
    def holds(self) -> bool:
        """True if no check fails, and the distributions or the weights were compared."""
        applied = {check.name for check in self.checks if check.verdict == "holds"}
        return not self.failed and bool(applied & {"kl", "weights"})

    @property
    def failed(self) -> list[Check]:
        """The checks that do not hold."""
        return [check for check in self.checks if check.verdict == "does not hold"]

    def as_record(self) -> dict[str, Any]:
        """The dict of artifact.json."""
        return {
            "change": self.change,
            "parent": dict(self.parent),
            "child": dict(self.child),
            "holds": self.holds,
            "checks": [{"name": c.name, "verdict": c.verdict, "found": c.found, "limit": c.limit} for c in self.checks],
            "rows": self.rows,
            "tokens": self.tokens,
            "burnish": VERSION,
            **({"golden": dict(self.golden)} if self.golden else {}),
        }
