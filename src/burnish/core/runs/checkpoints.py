"""Checkpoints of a training on disk: where they are, whether they are whole, and what their content is.

    scratch/checkpoints/step-00000120/    one checkpoint, written by `burnish.train.checkpoints`
    scratch/model/                        what they share: the tokenizer, and the dtype of the training

Both have a manifest with the size and sha256 of each file, and a digest of itself.
"""

import hashlib
import json
import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from burnish.core.errors import RunError
from burnish.core.fingerprint import of_file
from burnish.core.runs.locks import is_locked, share
from burnish.core.runs.run import Run

MANIFEST = "manifest.json"
TOKENIZER = "tokenizer"
"""The folder of the tokenizer in what checkpoints share."""
_PREFIX = "step-"


@dataclass(frozen=True)
class KeptCheckpoint:
    """A published checkpoint in a run folder, whole or damaged."""

    folder: Path

    @classmethod
    def at(cls, path: Path) -> "KeptCheckpoint | None":
        """The checkpoint with this path, `runs/<recipe>/<number>/<step>/scratch/checkpoints/step-<n>`; else None."""
        is_named = path.name.startswith(_PREFIX) and path.name.removeprefix(_PREFIX).isdigit()
        is_placed = path.parts[-7:-6] == ("runs",) and path.parts[-3:-1] == ("scratch", "checkpoints")
        return cls(path) if is_named and is_placed else None

    @property
    def step(self) -> int:
        return int(self.folder.name.removeprefix(_PREFIX))

    @property
    def run(self) -> Run:
        return Run(self.folder.parents[2])

    @property
    def shared(self) -> Path:
        """The folder of what all checkpoints of the run share."""
        return shared_folder(self.run)

    @property
    def tokenizer(self) -> Path:
        """The folder of the tokenizer, as it was saved."""
        return self.shared / TOKENIZER

    def damage(self, known: dict[str, Any] | None = None) -> str | None:
        """Why it is damaged; None when every file is that of the manifest."""
        return damage(self.folder, known)

    def digest(self) -> str:
        """The digest of its content, and of what it shares with others. Errors: those of `read_manifest`."""
        shared = read_manifest(self.shared)["digest"] if (self.shared / MANIFEST).is_file() else ""
        return f"{read_manifest(self.folder)['digest']}{shared}"

    def state(self) -> Mapping[str, Any]:
        """The state of the training, of a checkpoint that is whole."""
        return json.loads((self.folder / "state.json").read_bytes())["standing"]


@contextmanager
def held(checkpoints: Iterable[KeptCheckpoint]) -> Generator[None]:
    """Keep them while they are read: a training in progress removes old checkpoints, but not those that are held."""
    with ExitStack() as stack:
        for checkpoint in checkpoints:
            with suppress(OSError):  # gone or damaged: reading it reports that
                descriptor = os.open(checkpoint.folder / MANIFEST, os.O_RDONLY)
                stack.callback(os.close, descriptor)
                share(descriptor)
        yield


def is_held(folder: Path) -> bool:
    """Whether another process holds the checkpoint in this folder."""
    with suppress(OSError):  # damaged, or on a file system without locks
        return is_locked(folder / MANIFEST, also_shared=True)
    return False


def shared_folder(run: Run) -> Path:
    return run.scratch / "model"


def kept_checkpoints(run: Run) -> list[KeptCheckpoint]:
    """The published checkpoints of a run, by step."""
    found = (KeptCheckpoint.at(path) for path in run.scratch.glob(f"checkpoints/{_PREFIX}*"))
    return sorted((one for one in found if one is not None), key=lambda one: one.step)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder. RunError `run.broken-checkpoint` if it is missing or damaged."""
    try:
        manifest: Any = json.loads((folder / MANIFEST).read_bytes())
        if isinstance(manifest, dict) and isinstance(cast(Any, manifest).get("digest"), str):
            return cast(dict[str, Any], manifest)
        why = "has no digest"
    except (OSError, ValueError) as error:
        why = f"cannot be read ({error})"
    raise RunError("run.broken-checkpoint", f"{folder / MANIFEST} {why}", "name another checkpoint")


def damage(folder: Path, known: dict[str, Any] | None = None, manifest: Path | None = None) -> str | None:
    """Why a folder with a manifest is damaged; None when every file has the size and sha256 of the manifest.

    `known` caches hashes. `manifest` is that file, if it is not in the folder.
    """
    try:
        raw = (manifest or folder / MANIFEST).read_bytes()
    except OSError as error:
        return f"its manifest cannot be read ({error.strerror})"
    try:
        stated = json.loads(raw)
        digest = stated.pop("digest")
        files = stated["files"].items()
    except (ValueError, KeyError, AttributeError, TypeError):
        return "its manifest is not readable JSON"
    if digest != digest_of(stated):
        return "its manifest was changed"
    for name, expected in files:
        path = folder / name
        try:
            size = path.stat().st_size
            if size != expected["size"]:
                return f"{name} has {size} bytes instead of {expected['size']}"
            if of_file(path, {} if known is None else known) != expected["sha256"]:
                return f"the contents of {name} do not match its sha256"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
    return None


def write_manifest(folder: Path, path: Path | None = None, **more: Any) -> None:
    """Write the manifest of a folder's files, with further values; into the folder, or to `path`."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": of_file(path, {})}
        for path in found
    }
    manifest = {**more, "files": files}
    (path or folder / MANIFEST).write_bytes(canonical({**manifest, "digest": digest_of(manifest)}))


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest_of(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(manifest)).hexdigest()
