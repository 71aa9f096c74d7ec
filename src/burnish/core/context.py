"""The context of a stage: its inputs, its output folder, events, and requests to stop.

A stage is a function, `run(spec, ctx) -> Outcome`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.core.events import Event

_SECONDS = 0.2
"""How often the request is looked for."""
DATA_KINDS = ("dataset", "rows", "file", "folder", "package", "git", "hub-dataset", "remote")
"""Kinds of inputs that are rows, or that rows are made of."""


@dataclass(frozen=True)
class Input:
    """One resolved input of a step; `path` is local.

    `kind` is dataset, rows, model, adapter, tokenizer, evaluation, comparison, generations, file, folder, package,
    hub-model, hub-dataset, or remote: a file at a URL or a dataset on a hub, of which the stage reads what it needs.
    `inputs` are the inputs of the artifact itself. The fingerprint of an artifact is that of its recipe,
    and `digest` that of its files; "" for other inputs, whose fingerprint is that of their content.
    """

    ref: str
    kind: str
    path: Path
    fingerprint: str = ""
    inputs: Mapping[str, "Input"] = field(default_factory=dict[str, "Input"])
    revision: str = ""
    digest: str = ""

    @property
    def base(self) -> "Input | None":
        """An adapter's base, if its artifact has it: the input `base`.

        That of combined adapters is the first one's, that of an exported one is the adapter's.
        """
        made_from = self.inputs.get("adapters.0.adapter") or (
            self.inputs.get("model") if self.kind == "adapter" else None
        )
        return self.inputs.get("base") or (made_from.base if made_from is not None else None)

    @property
    def content(self) -> str:
        """What its files are known by: the digest of an artifact's, or else the fingerprint."""
        return self.digest or self.fingerprint

    def to_json(self, root: Path | None = None) -> dict[str, Any]:
        """Plain JSON; a path below `root` becomes relative, so that a workspace can be moved."""
        path = self.path
        if root is not None and path.is_relative_to(root):
            path = path.relative_to(root)
        return {
            "ref": self.ref,
            "kind": self.kind,
            "path": str(path),
            "fingerprint": self.fingerprint,
            "revision": self.revision,
            "digest": self.digest,
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
            digest=value.get("digest", ""),  # older versions recorded none
        )


def walk(inputs: Mapping[str, Input]) -> Iterator[Input]:
    """All inputs, those of artifacts among them included."""
    for value in inputs.values():
        yield value
        yield from walk(value.inputs)


@dataclass(frozen=True)
class Outcome:
    """The result of a stage: the kind of the artifact in `ctx.out`, and its measures."""

    kind: str
    measures: Mapping[str, Any] = field(default_factory=dict[str, Any])
    provenance: Mapping[str, Any] = field(default_factory=dict[str, Any])
    certificate: Mapping[str, Any] | None = None
    """What was found when the artifact was compared with its parent, as in artifact.json: `change`, `parent` and
    `child` (each `ref` and `fingerprint`; that of an artifact certified in its own stage is ""), `holds`, `checks`
    (each `name`, `verdict`, `found` and `limit`), `rows`, `tokens`, the version of `burnish`, and
    `golden`: digests of the ids of the golden conversations by name, or `refused: CODE`."""


@dataclass
class Context:
    """The interface of a stage to the run.

    `out` becomes the artifact when the stage returns. `scratch` holds checkpoints and the row ledger; it survives
    a killed attempt and is available on resume.
    """

    out: Path
    scratch: Path
    inputs: Mapping[str, Input]
    emit: Callable[[Event], None]
    is_stopping: Callable[[], bool]
    check_settings: Callable[[], None]
    """Call after all settings have been read and before the long work. RunError `run.unread-setting` otherwise."""
    cache: Path
    """A folder shared by all runs of the workspace, for reproducible files that are checked when read."""
    release_input: Callable[[str], None] = lambda _: None
    """Call with the field path of an input that is no longer needed: its files may change from then on.

    Errors: RunError `run.input-changed` if it has changed already.
    """

    processes: int = 1
    """So many processes run the stage, each with a share of the work."""
    rank: int = 0
    """Which of them this is. The first one, 0, reports and makes the artifact; `out` and `scratch` of the others are
    their own, and are removed."""
    first_scratch: Path | None = None
    """In the others: `scratch` of the first one, to be read only."""

    def input(self, name: str) -> Input:
        """The input of a field, by its dotted path, such as `data` or `source.0.ref`."""
        return self.inputs[name]

    @property
    def stopping(self) -> bool:
        """True once a stop is requested: save what is needed, then raise RunError `run.interrupted`."""
        return self.is_stopping()


class ShareDoneError(Exception):
    """This process, not the first one of its step, has done its share of the work."""


class StopRequestedError(Exception):
    """The run is requested to stop: what is not finished is discarded."""


def wait_for(futures: Collection[Future[Any]], is_stopping: Callable[[], bool]) -> None:
    """Wait until all are done, or one has failed. Errors: StopRequestedError if the run is requested to stop before."""
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, _SECONDS, FIRST_EXCEPTION)
        if any(future.cancelled() or future.exception() is not None for future in done):
            return
        if waiting and is_stopping():
            raise StopRequestedError
