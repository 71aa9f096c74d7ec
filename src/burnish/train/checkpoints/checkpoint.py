"""Checkpoints: a published one is complete, and a damaged one is detected.

A checkpoint is written into a hidden folder, every file is flushed, a manifest with the size and sha256 of each is
added, and only then the folder is renamed. Nothing in it is a pickle.

    checkpoints/step-00000120/
        manifest.json           files with size and sha256, and a digest of itself
        state.json              step, cursor, counters, sha256 of the row ledger and of the rollouts, random states of
                                Python and NumPy
        weights.safetensors     the trained weights, float32
        optimizer.safetensors   the optimizer's state
        random.safetensors      torch's random states, one for each device
"""

import json
import os
import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from burnish.core.errors import BurnishError, MachineError, RunError
from burnish.core.files import file_size, publish_folder, sync
from burnish.core.runs.checkpoints import MANIFEST, canonical, is_held, write_manifest
from burnish.core.runs.checkpoints import damage as damage
from burnish.models.tensors import write_tensors
from burnish.train.checkpoints.failure import save_error

_NAME = re.compile(r"step-\d+")


@dataclass(frozen=True)
class Checkpoint:
    """Everything a run needs to resume as if it had never stopped."""

    identity: str
    """Fingerprint of settings and data; a checkpoint with another one is refused."""
    state: dict[str, Any]
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    randomness: dict[str, Any]


class CheckpointFolder:
    """The checkpoints of one run."""

    def __init__(self, path: Path, keep: int = 2):
        self.path, self.keep = path, keep

    def save(self, step: int, checkpoint: Checkpoint, best: int | None = None) -> Path:
        """Publish a checkpoint, then remove those older than the newest `keep`, except the best and those being read.

        Errors: those of `save_error`; existing checkpoints are not changed.
        """
        final, partial = self._folder(step), self.path / f".saving-{step:08d}"
        try:
            self._make()
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            _write(partial, checkpoint)
            if final.exists():  # a damaged one, or the run was restarted from an older one
                self._remove(final)
            publish_folder(partial, final)
        except Exception as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise self.save_error(step, error) from error
        self._rotate(best)
        return final

    def save_error(self, step: int, error: BaseException) -> BurnishError:
        """The error for a state that could not be written, with the checkpoint that the run will resume from."""
        return save_error(step, self.path, error, self._newest_name())

    def adopt(self, folder: Path) -> None:
        """Copy a valid checkpoint of another run here, unless there is one of its step."""
        if self.at(int(folder.name.removeprefix("step-"))) is None and damage(folder) is None:
            self._make()
            partial = self.path / f".saving-{folder.name}"
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(folder, partial)
            publish_folder(partial, self.path / folder.name)

    def steps(self) -> list[int]:
        """Steps of the published checkpoints, valid or not, ascending."""
        names = (folder.name.removeprefix("step-") for folder in self.path.glob("step-*"))
        return sorted(int(name) for name in names if name.isdigit())

    def newest(self) -> tuple[Path | None, list[str]]:
        """(newest valid checkpoint, one warning for each newer one that is damaged)."""
        damaged = []
        for step in reversed(self.steps()):
            folder = self._folder(step)
            reason = damage(folder)
            if reason is None:
                return folder, damaged
            damaged.append(f"checkpoint {folder.name} is damaged and skipped: {reason}")
        return None, damaged

    def at(self, step: int) -> Path | None:
        """The checkpoint of a step, or None if it is missing or damaged."""
        folder = self._folder(step)
        return folder if folder.is_dir() and damage(folder) is None else None

    def forget_after(self, step: int) -> None:
        """Remove the checkpoints of later steps, which the run is about to repeat."""
        for later in self.steps():
            if later > step:
                self._remove(self._folder(later))

    def clear(self) -> None:
        """Remove all checkpoints."""
        self.forget_after(-1)

    def refuse_without_room(self, checkpoint_bytes: int) -> None:
        """MachineError `machine.no-disk` when the first two saves, less those that exist, would not fit."""
        self._make()
        self._sweep()
        count = max(1, 2 - len(self.steps()))
        free = shutil.disk_usage(self.path).free
        if free < count * checkpoint_bytes:
            what = "two more checkpoints" if count == 2 else "one more checkpoint"
            raise MachineError(
                "machine.no-disk",
                f"{what} of {file_size(checkpoint_bytes)} would not fit into the {file_size(free)} "
                f"that are free below {self.path}",
                "free some disk space, or move the workspace to a larger disk",
            )

    def _make(self) -> None:
        if not self.path.is_dir():
            self.path.mkdir(parents=True)
            sync(self.path.parent)  # its name must be as durable as its contents

    def _sweep(self) -> None:
        """Remove folders that a kill left half written or half removed."""
        for leftover in [*self.path.glob(".saving-*"), *self.path.glob(".removed-*")]:
            shutil.rmtree(leftover, ignore_errors=True)

    def _folder(self, step: int) -> Path:
        return self.path / f"step-{step:08d}"

    def _newest_name(self) -> str:
        steps = self.steps()
        return f"step {steps[-1]}" if steps else "the beginning"

    def _rotate(self, best: int | None) -> None:
        for step in self.steps()[: -self.keep]:
            if step != best and not is_held(self._folder(step)):
                try:
                    self._remove(self._folder(step))
                except OSError as error:
                    what = f"the old checkpoint {self._folder(step)} could not be removed: {error.strerror or error}"
                    fix = f"check its permissions and the disk, and run again: it resumes from {self._newest_name()}"
                    raise RunError("run.failed", what, fix) from error
        self._sweep()

    def _remove(self, folder: Path) -> None:
        """Rename it first: a kill in between must not leave a partial checkpoint under its published name."""
        hidden = self.path / f".removed-{folder.name}"
        shutil.rmtree(hidden, ignore_errors=True)
        os.rename(folder, hidden)
        shutil.rmtree(hidden, ignore_errors=True)


def read(folder: Path) -> Checkpoint:
    """Read a checkpoint after its manifest has been checked.

    Errors: RunError `run.no-checkpoint`, `run.broken-checkpoint`.
    """
    if not (folder / MANIFEST).is_file() and not (folder.is_dir() and _NAME.fullmatch(folder.name)):
        raise _no_checkpoint(folder)
    reason = damage(folder)
    if reason is not None:
        other, _ = CheckpointFolder(folder.parent).newest()
        fix = "name another checkpoint, or set resume: auto for the newest undamaged one of this run"
        if other is not None:
            fix = f"set resume: {other}, the newest undamaged one there"
        raise RunError("run.broken-checkpoint", f"the checkpoint {folder} is damaged: {reason}", fix)
    return load(folder)


def _no_checkpoint(folder: Path) -> RunError:
    """The error for a path that is no checkpoint; names the newest one below or beside it."""
    places = (folder, folder / "checkpoints", folder / "scratch" / "checkpoints", folder.parent)
    found = next((place for place in map(CheckpointFolder, places) if place.steps()), None)
    what = f"{folder} is not a checkpoint" if folder.exists() else f"there is no checkpoint {folder}"
    fix = "name a folder such as runs/RECIPE/1/STEP/scratch/checkpoints/step-00000120, or set resume: auto"
    if found is not None:
        newest, _ = found.newest()
        if newest is None:
            what += f"; all checkpoints in {found.path} are damaged"
        else:
            it = found.path == folder
            what += "; it is a folder of checkpoints" if it else f"; the checkpoints are in {found.path}"
            fix = f"set resume: {newest}, the newest undamaged one"
    return RunError("run.no-checkpoint", what, fix)


def read_state(folder: Path) -> dict[str, Any]:
    """The state of a checkpoint that is known to be valid, and under `randomness` that of Python and NumPy."""
    return json.loads((folder / "state.json").read_bytes())


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint that is known to be valid."""
    stored = read_state(folder)
    randomness = stored.pop("randomness") | {"torch": load_file(folder / "random.safetensors")}
    return Checkpoint(
        identity=json.loads((folder / MANIFEST).read_bytes())["identity"],
        state=stored,
        weights=read_weights(folder),
        optimizer=load_file(folder / "optimizer.safetensors"),
        randomness=randomness,
    )


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The trained weights of a checkpoint, by name."""
    return load_file(folder / "weights.safetensors")


def capture_randomness() -> dict[str, Any]:
    """The state of every random number generator: Python, NumPy, torch on the CPU and on each CUDA device."""
    version, numbers, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda:{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [name, np.asarray(keys).tolist(), position, has_gauss, cached],
        "torch": states,
    }


def restore_randomness(states: dict[str, Any]) -> None:
    """The inverse of `capture_randomness`."""
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), position, has_gauss, cached))
    for device, state in states["torch"].items():
        if device == "cpu":
            torch.set_rng_state(state)
        elif int(device.removeprefix("cuda:")) < torch.cuda.device_count():
            torch.cuda.set_rng_state(state, device)


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    randomness = dict(checkpoint.randomness)
    for name, tensors in (
        ("weights", checkpoint.weights),
        ("optimizer", checkpoint.optimizer),
        ("random", randomness.pop("torch")),
    ):
        write_tensors(folder / f"{name}.safetensors", tensors)
    (folder / "state.json").write_bytes(canonical({**checkpoint.state, "randomness": randomness}))
    write_manifest(folder, identity=checkpoint.identity)
