"""Restore checkpoints of a training to ordinary adapters or models, as the run's artifact would be at that step.

The model is prepared as for the training, takes the weights of a checkpoint, and is written by the function that writes
the artifact. No row is read.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from burnish.core.catalog import stage
from burnish.core.context import Context, Input
from burnish.core.events import Event, Note
from burnish.core.files import publish_folder
from burnish.core.inputs import checkpoints
from burnish.core.inputs.checks import check_input, write_base_record
from burnish.core.inputs.references import fetched
from burnish.core.runs import run as runs
from burnish.core.runs.checkpoints import KeptCheckpoint, damage, write_manifest
from burnish.models.device import pick_device
from burnish.specs.train import AdamWSpec, QloraSpec, WholeModelSpec
from burnish.stages.answer import answer
from burnish.stages.train.pretrain import Pretraining
from burnish.stages.train.reward import WithScore
from burnish.stages.train.rl.ppo import WithValues
from burnish.stages.train.run import Run
from burnish.stages.train.training import trained_tokens
from burnish.tokens.load import load_tokenizer
from burnish.train.checkpoints.checkpoint import read_weights
from burnish.train.checkpoints.shared import Shared, read_shared
from burnish.train.optim.optimizers import Optimizer
from burnish.train.precision import give_whole_model
from burnish.train.resolve import Resolved

RUNS: Mapping[str, type[Run]] = {
    "pretrain": Pretraining,
    **dict.fromkeys(("sft", "dpo", "kto", "orpo", "simpo", "grpo"), Run),
    "reward": WithScore,
    "ppo": WithValues,
}
Emit = Callable[[Event], None]


class Restored:
    """Checkpoints of a workspace as adapters and models in its cache; each is written once."""

    def __init__(self, cache: Path, known: dict[str, Any], emit: Emit):
        self._folder, self._known, self._emit = cache / "checkpoints", known, emit
        self._last: tuple[Path, _Restorer] | None = None

    def of(self, value: Input) -> Input:
        """A model whose checkpoints, itself or below it, are restored to folders that can be loaded.

        Errors: RunError `run.broken-checkpoint`, `run.input-changed`; those of loading the base.
        """
        if checkpoints.is_restored(value) or not checkpoints.has_checkpoint(value):
            return value
        restored = {name: self.of(child) for name, child in checkpoints.below(value).items()}
        model = replace(value, inputs={**value.inputs, **restored})
        origin = KeptCheckpoint.at(value.path)
        if origin is None:
            return model
        folder = self._folder / value.fingerprint
        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / f"{value.fingerprint}.lock"):
            if not self._is_whole(folder):
                checkpoints.refuse_change(value, origin, self._known)
                self._make(model, origin, folder)
        return replace(model, path=folder, inputs={**model.inputs, "checkpoint": value})

    def _is_whole(self, folder: Path) -> bool:
        manifest = checkpoints.restored_manifest(folder)
        if not manifest.is_file():
            return False
        why = damage(folder, self._known, manifest)
        if why is not None:
            text = f"the restored checkpoint {folder} is damaged, and is made again: {why}"
            self._emit(Note(level="warning", text=text))
        return why is None

    def _make(self, model: Input, origin: KeptCheckpoint, folder: Path) -> None:
        partial = folder.with_name(f".saving-{folder.name}")
        for leftover in (partial, folder):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir()
        if self._last is None or self._last[0] != origin.run.folder:
            self._last = None  # frees the model of another run first
            self._last = origin.run.folder, _Restorer(origin.run, model.inputs, self._known)
        self._last[1].write(origin, partial)
        base = model.base
        if model.kind == "adapter" and base is not None:
            write_base_record(partial, fetched(base), self._known)
        write_manifest(partial, checkpoints.restored_manifest(folder))
        publish_folder(partial, folder)


class _Restorer:
    """The model of one run, which takes the weights of its checkpoints one after the other."""

    def __init__(self, run: runs.Run, inputs: Mapping[str, Input], known: dict[str, Any]):
        job = run.job
        row = stage(job["stage"])
        spec: Any = row.spec_type().model_validate(job["spec"])
        self._shared = _shared_of(run)
        models = {name: fetched(inputs[name]) for name in ("base", "tokenizer") if name in inputs}
        for value in models.values():
            check_input(value, known)
        ctx = Context(run.out, run.scratch, models, lambda event: None, lambda: False, lambda: None, run.scratch)
        kind = RUNS[row.name]
        tokens = trained_tokens(kind.base_tokenizer(spec, ctx), spec.method, ctx)
        device = pick_device(spec.device).type if isinstance(spec.method, QloraSpec) else "cpu"
        self._run = kind(
            spec,
            ctx,
            models.get("base"),
            load_tokenizer(self._shared.tokenizer),
            rows=NO_ROWS,
            held_out=None,
            resolved=Resolved(device, self._shared.dtype, 1, gradient_checkpointing=False, micro_batch_tokens=1),
            tokens=tokens,
        )
        self._model: Any = self._run.made(ctx)
        self._start = self._run.start()
        self._optimizer = Optimizer(self._model, AdamWSpec(), self._start.masters(self._model))
        self._model.eval()

    def write(self, checkpoint: KeptCheckpoint, folder: Path) -> None:
        """Write the adapter or model with the weights of a checkpoint."""
        self._optimizer.load_weights(read_weights(checkpoint.folder))
        method = self._run.spec.__dict__["method"]
        if isinstance(method, WholeModelSpec):
            give_whole_model(self._model, self._optimizer, method.save_dtype, self._start, lambda event: None)
        else:
            self._optimizer.give_masters()
        self._run.write(self._model, folder)
        shutil.copytree(self._shared.tokenizer, folder, dirs_exist_ok=True)  # as it was saved, to the byte


NO_ROWS: Any = None
"""A model is restored without the rows of its training."""


def _shared_of(run: runs.Run) -> Shared:
    return read_shared(run.scratch / "model")


def restored_inputs(inputs: Mapping[str, Input], cache: Path, known: dict[str, Any], emit: Emit) -> dict[str, Input]:
    """The inputs of a step, with checkpoints restored."""
    restored = Restored(cache, known, emit)
    return {name: restored.of(value) for name, value in inputs.items()}


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    restored = Restored(Path(request["cache"]), {}, lambda event: None)
    return restored.of(Input.from_json(request["input"])).to_json()


if __name__ == "__main__":
    answer(_answer)
