"""The settings of the loop, and the state of a run that a checkpoint keeps."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from burnish.core.errors import RunError
from burnish.train.batches import Cursor


@dataclass(frozen=True)
class LoopSettings:
    """The settings of the loop, every `auto` resolved."""

    total_steps: int
    learning_rate: float
    schedule: Callable[[int], float]
    max_grad_norm: float | None
    micro_batch_tokens: int
    save_every: int
    eval_every: int | None
    keep_best: bool
    patience: int | None = None
    min_delta: float = 0.0
    log_every: int = 1


@dataclass
class TrainState:
    """The progress of a run; saved in every checkpoint."""

    step: int = 0
    cursor: Cursor = field(default_factory=Cursor)
    micro_batch_tokens: int = 0
    """Lowered when memory runs out."""
    sequences_apart: bool = False
    """True once a row of several sequences did not fit: those that may be computed apart are, from then on."""
    completions_at_once: int | None = None
    """The most completions generated at once, after memory ran out with more."""
    tokens: int = 0
    learned_tokens: int = 0
    first_loss: float | None = None
    last_loss: float | None = None
    best_score: float | None = None
    """The best validation score: the lowest loss, or the highest reward."""
    best_step: int | None = None
    score_to_beat: float | None = None
    """The score when it last improved by `min_delta`; another must beat it by as much to reset patience."""
    evaluations: list[tuple[int, float]] = field(default_factory=list)
    """(step, validation score)."""
    last_metrics: dict[str, float] = field(default_factory=dict)
    """The objective's metrics in the last evaluation."""
    evaluations_without_gain: int = 0
    stopped_early: bool = False
    seconds: float = 0.0
    """Seconds of training, over all attempts."""

    def become(self, other: "TrainState") -> None:
        """Take the values of another state: those who hold this one go on with them."""
        vars(self).update(vars(other))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "TrainState":
        """Errors: RunError `run.broken-checkpoint` for the state of another version of burnish."""
        unknown = sorted(value.keys() - {field.name for field in fields(cls)})
        if unknown:
            what = f"the checkpoint was written by another version of burnish: {', '.join(unknown)} is unknown"
            raise RunError(
                "run.broken-checkpoint", what, "resume with that version, or set resume: never to start over"
            )
        return cls(**{**value, "cursor": Cursor(**value["cursor"])})
