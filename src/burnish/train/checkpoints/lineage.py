"""The origin of a checkpoint, and which settings a run that resumes from it may change.

A checkpoint records its origin: settings, inputs, rows and the shapes of weights. A run resumes only if all of it is
equal, unless the checkpoint is named: then settings that apply from the next step on may differ. They are reported
and recorded in the artifact's provenance.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from burnish.core import fingerprint
from burnish.core.errors import RunError
from burnish.train.checkpoints.checkpoint import Checkpoint

SAFE = (
    *("learning_rate", "max_grad_norm", "schedule", "epochs", "max_steps", "dtype"),
    *("optimizer.weight_decay", "optimizer.beta1", "optimizer.beta2", "optimizer.eps", "optimizer.momentum"),
    *(
        "eval_every",
        "keep_best",
        "early_stop",
        "method.dropout",
        "method.save_dtype",
        "method.lora_plus",
        "neftune_alpha",
    ),
    *("micro_batch_tokens", "gradient_checkpointing", "attention", "router_aux_loss_coef"),
    *("clip_low", "clip_high", "eval_temperature"),
    "without_rows",
)
"""Settings, with their sub-settings, that apply from the next step on or at the end: weights and rows do not change."""


@dataclass(frozen=True)
class Change:
    """A setting that differs between a checkpoint and the run that resumes from it; None if it was not set."""

    name: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.name} {_word(self.before)} → {_word(self.now)}"


@dataclass(frozen=True)
class Origin:
    """Everything that must be equal for two runs to make the same steps."""

    settings: dict[str, Any]
    """By dotted name, without paths and settings that only affect speed."""
    inputs: dict[str, str]
    """Fingerprints by field."""
    rows: dict[str, str]
    """Digests of the tokenised splits."""
    weights: str
    """Digest of the names and shapes of the trained weights."""
    digests: dict[str, str] = field(default_factory=dict[str, str])
    """Of the files of inputs that are artifacts, by field: their fingerprints are those of recipes. Checkpoints of
    older versions have none."""

    @property
    def identity(self) -> str:
        return fingerprint.of_value(self.as_json())

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(checkpoint: Checkpoint, origin: Origin, *, may_change: bool) -> tuple[Change, ...]:
    """The settings that changed since the checkpoint was written: only safe ones, and none unless `may_change`.

    Errors: RunError `run.other-settings`, which lists every difference that is not allowed.
    """
    if checkpoint.identity == origin.identity:
        return ()
    if "origin" not in checkpoint.state:
        raise _refused(["it does not record which"], may_change)
    before = Origin(**checkpoint.state["origin"])
    names = dict.fromkeys([*before.settings, *origin.settings])
    changes = [
        Change(name, before.settings.get(name), origin.settings.get(name))
        for name in names
        if before.settings.get(name) != origin.settings.get(name)
    ]
    refused = [str(change) for change in changes if not (may_change and _is_safe(change.name))]
    refused += [f"the contents of {name}" for name in _differing(before.inputs, origin.inputs)]
    refused += [
        f"the files of {name}"
        for name in before.digests.keys() & origin.digests.keys()
        if before.digests[name] != origin.digests[name] and before.inputs.get(name) == origin.inputs.get(name)
    ]
    refused += [f"the {name} rows" for name in _differing(before.rows, origin.rows)]
    refused += ["the names or shapes of the trained weights"] if before.weights != origin.weights else []
    if refused:
        raise _refused(refused, may_change)
    return tuple(changes)


def lineage_entry(checkpoint: Path, step: int, changes: tuple[Change, ...]) -> dict[str, Any]:
    """The record of a resume from a named checkpoint."""
    changed = {change.name: [change.before, change.now] for change in changes}
    return {"checkpoint": str(checkpoint), "step": step, "changed": changed}


def _is_safe(name: str) -> bool:
    return any(name == safe or name.startswith(f"{safe}.") for safe in SAFE)


def _differing(before: dict[str, str], now: dict[str, str]) -> list[str]:
    return [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]


def _refused(differences: list[str], may_change: bool) -> RunError:
    start = "restore them, or set resume: never to start over"
    hint = f"; resume: PATH of the checkpoint lets these change: {', '.join(SAFE)}"
    return RunError(
        "run.other-settings",
        f"the checkpoint was written under other settings, rows or weights: {', '.join(differences)}",
        start if may_change else start + hint,
    )


def _word(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
