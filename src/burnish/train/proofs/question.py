"""A question about a training, its answer, and the two together: a check."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from burnish.train.proofs.subject import Subject

_OF_ERRORS = "report this as a bug, with the error; the training itself may be right"
Verdict = Literal["holds", "does not hold", "does not apply", "error"]


@dataclass(frozen=True)
class Answer:
    """A verdict, what was found, and the numbers behind it."""

    verdict: Verdict
    found: str
    """What was compared; for `does not apply`, the reason; for `error`, what the check raised."""
    measured: float | None = None
    allowed: float | None = None


@dataclass(frozen=True)
class Question:
    """One check: `answer` computes it; `fix` is the next step where it does not hold."""

    name: str
    asks: str
    fix: str
    answer: "Callable[[Subject], Answer]"
    at_start: bool = False
    """True to ask of the weights as they are; otherwise weights that are zero get small random values first."""


@dataclass(frozen=True)
class Check:
    """A question with its answer."""

    name: str
    question: str
    answer: Answer
    fix: str
    seconds: float

    @property
    def verdict(self) -> Verdict:
        return self.answer.verdict

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "question": self.question,
            "verdict": self.verdict,
            "found": self.answer.found,
            "measured": self.answer.measured,
            "allowed": self.answer.allowed,
            "fix": {"does not hold": self.fix, "error": _OF_ERRORS}.get(self.verdict, ""),
        }

    def __str__(self) -> str:
        return f"{self.name}: {self.verdict}, {self.answer.found}"


def holds(found: str) -> Answer:
    """A check without numbers that holds."""
    return Answer("holds", found)


def fails(found: str, measured: float | None = None, allowed: float | None = None) -> Answer:
    """A check that does not hold."""
    return Answer("does not hold", found, measured, allowed)


def skipped(reason: str) -> Answer:
    """A check that does not apply, or was not made."""
    return Answer("does not apply", reason)


def raised(error: str) -> Answer:
    """A check that was not made because of an error in it."""
    return Answer("error", f"not checked: {error}")


def within(measured: float, allowed: float, found: str) -> Answer:
    """Holds if `measured` is at most `allowed`; a NaN is not."""
    return Answer("holds" if measured <= allowed else "does not hold", found, measured, allowed)
