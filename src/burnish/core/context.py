"""What a stage gets besides its spec: its inputs, its output folder, a way to speak, and the wish to stop.

A stage is one function, `run(spec, ctx) -> Outcome`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.core.events import Event


@dataclass(frozen=True)
class Input:
    """One resolved input of a step: `path` lies on this disk, `kind` is dataset, model, adapter, tokenizer, file, folder…

    `inputs` are an artifact's own inputs, so that an adapter finds its base as `adapter.inputs["base"]`.
    """

    ref: str
    kind: str
    path: Path
    fingerprint: str = ""
    inputs: Mapping[str, "Input"] = field(default_factory=dict)
    revision: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a stage made in `ctx.out`: the artifact's kind and the measures worth showing."""

    kind: str
    measures: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Context:
    """The stage's only door to the world.

    `out` is written freely and becomes the artifact when the stage returns. `scratch` outlives a killed
    attempt and is found again on resume: checkpoints and the row ledger lie there.
    """

    out: Path
    scratch: Path
    inputs: Mapping[str, Input]
    emit: Callable[[Event], None]
    is_stopping: Callable[[], bool]
    settled: Callable[[], None]
    """To be called when every setting has been read and before the long work: an unread one stops the run here."""

    def input(self, name: str) -> Input:
        """The input of a field by its dotted path, such as `data` or `source.0.ref`."""
        return self.inputs[name]

    @property
    def stopping(self) -> bool:
        """True once a person or a signal asked the run to stop: save what is needed and raise RunError `run.interrupted`."""
        return self.is_stopping()
