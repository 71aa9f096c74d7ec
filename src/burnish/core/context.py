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
    """One resolved input of a step: `path` lies on this disk.

    `kind` is dataset, model, adapter, tokenizer, evaluation, generations, file, folder, hub-model or hub-dataset.
    `inputs` are an artifact's own inputs, so that an adapter finds its base as `adapter.inputs["base"]`.
    """

    ref: str
    kind: str
    path: Path
    fingerprint: str = ""
    inputs: Mapping[str, "Input"] = field(default_factory=dict[str, "Input"])
    revision: str = ""

    def to_json(self, root: Path | None = None) -> dict[str, Any]:
        """Plain JSON; a path below `root` is written relative to it, so that a workspace can be moved."""
        inside = root is not None and self.path.is_relative_to(root)
        return {
            "ref": self.ref,
            "kind": self.kind,
            "path": str(self.path.relative_to(root)) if root is not None and inside else str(self.path),
            "fingerprint": self.fingerprint,
            "revision": self.revision,
            "inputs": {name: child.to_json(root) for name, child in self.inputs.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], root: Path | None = None) -> "Input":
        """The inverse of `to_json`."""
        return cls(
            ref=value["ref"],
            kind=value["kind"],
            path=(root or Path()) / value["path"],
            fingerprint=value["fingerprint"],
            inputs={name: cls.from_json(child, root) for name, child in value["inputs"].items()},
            revision=value["revision"],
        )


@dataclass(frozen=True)
class Outcome:
    """What a stage made in `ctx.out`: the artifact's kind and the measures worth showing."""

    kind: str
    measures: Mapping[str, Any] = field(default_factory=dict[str, Any])
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any])


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
    cache: Path
    """A folder that all runs of the workspace share; what lies there can be made again, and is checked when read."""
    has_read: Callable[[str], None] = lambda _: None
    """To be called with the path of an input that is not read any more: a later change of its files is then harmless.

    Errors: RunError `run.input-changed` when it changed before.
    """

    def input(self, name: str) -> Input:
        """The input of a field by its dotted path, such as `data` or `source.0.ref`."""
        return self.inputs[name]

    @property
    def stopping(self) -> bool:
        """True once a person or a signal asked to stop: save what is needed, then raise RunError `run.interrupted`."""
        return self.is_stopping()
