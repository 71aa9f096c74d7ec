"""References to checkpoints: `file:runs/tune/3/tune/scratch/checkpoints/step-00000120` and `tune.tune@3/step-120`.

A worker restores a checkpoint to the folder of an ordinary adapter or model before its stage starts:

    .burnish/cache/checkpoints/<fingerprint>/         as the run's artifact would be
    .burnish/cache/checkpoints/<fingerprint>.json     the size and sha256 of each file
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from burnish.core.catalog import stage
from burnish.core.context import Input
from burnish.core.errors import AskError, BurnishError, RunError
from burnish.core.fingerprint import of_value
from burnish.core.runs.checkpoints import KeptCheckpoint, damage, kept_checkpoints
from burnish.core.runs.run import NOT_YET_WRITTEN, Run, run_of_output
from burnish.core.runs.workspace import Workspace

RESTORABLE = ("pretrain", "sft", "dpo", "kto", "orpo", "simpo", "reward", "grpo", "ppo")
"""The stages whose checkpoints `burnish.stages.train.restoring` can restore."""
_NUMBER = re.compile(r"step-0*(\d+)")


def as_input(ref: str, checkpoint: KeptCheckpoint, known: dict[str, Any]) -> Input:
    """The input for a checkpoint: its kind is that of the run's artifact, its inputs are those of the run.

    Errors: RunError `run.broken-checkpoint`; AskError `ask.bad-reference` for a stage that cannot be restored.
    """
    run = checkpoint.run
    job = run.job
    if job["stage"] not in RESTORABLE:
        what = f"{ref} is a checkpoint of the stage '{job['stage']}', which cannot be restored to a model"
        raise AskError("ask.bad-reference", what, f"name a checkpoint of {', '.join(RESTORABLE)}, or an artifact")
    refuse_damage(ref, checkpoint, known)
    row = stage(job["stage"])
    try:
        kind = row.kind_for(row.spec_type().model_validate(job["spec"]))
    except ValueError as error:
        what = f"{ref}: the settings in {run.folder / 'job.json'} are those of another version of burnish"
        raise AskError("ask.bad-reference", what, "use that version, or resume the run with this one") from error
    inputs = {path: Input.from_json(value, run.workspace) for path, value in job["inputs"].items()}
    fingerprint = fingerprint_of(checkpoint, inputs)
    return Input(ref, kind, checkpoint.folder, fingerprint, inputs, revision=run.name)


def named(ref: str, name: str, run: Run, known: dict[str, Any], report: Callable[[str], None]) -> Input:
    """The checkpoint `name` of a run: `step-120`, `step-last` (the newest that is whole) or `step-best`.

    Errors: AskError `ask.bad-reference` that lists what is kept; those of `as_input`.
    """
    kept = {checkpoint.step: checkpoint for checkpoint in kept_checkpoints(run)}
    listed = f"it keeps {_listed(list(kept))}" if kept else "it keeps no checkpoint"
    if not kept:
        fix = "set checkpoint: {archive: true} to keep the checkpoints of a finished run"
        raise AskError("ask.bad-reference", f"there is no checkpoint '{ref}': {run.name} keeps none", fix)
    if name in ("step-last", "step-best"):
        newest: KeptCheckpoint | None = None
        for checkpoint in reversed(kept.values()):
            if (why := checkpoint.damage(known)) is None:
                newest = checkpoint
                break
            report(f"{ref}: the checkpoint of step {checkpoint.step} is damaged: {why}")
        if newest is None:
            what = f"every checkpoint of {run.name} is damaged: {_listed(list(kept))}"
            raise RunError("run.broken-checkpoint", what, "restore them from a copy, or run the step again")
        step = newest.step if name == "step-last" else newest.state().get("best_step")
        if step is None:
            what = f"there is no '{ref}': {run.name} has not measured its validation rows"
            raise AskError("ask.bad-reference", what, f"name a step; {listed}")
        why = "the newest that is kept" if name == "step-last" else "of the best validation score so far"
        report(f"{ref} is step {step}, {why}")
    elif (match := _NUMBER.fullmatch(name)) is None:
        what = f"there is no checkpoint '{ref}': '{name}' is not step-NUMBER, step-last or step-best"
        raise AskError("ask.bad-reference", what, f"name a step; {listed}")
    else:
        step = int(match[1])
    if step not in kept:
        what = f"there is no checkpoint '{ref}': {run.name} does not keep that of step {step}"
        raise AskError("ask.bad-reference", what, f"name another step; {listed}")
    return as_input(ref, kept[step], known)


def fingerprint_of(checkpoint: KeptCheckpoint, inputs: Mapping[str, Input]) -> str:
    """The fingerprint of a checkpoint: its content, and that of the base."""
    base = inputs.get("base")
    return of_value(["checkpoint", checkpoint.digest(), *([] if base is None else [_content(base)])])


def refuse_damage(ref: str, checkpoint: KeptCheckpoint, known: dict[str, Any]) -> None:
    """Refuse a checkpoint that is damaged, or cannot be restored. Errors: RunError `run.broken-checkpoint`."""
    if not checkpoint.folder.is_dir():
        what = f"{ref}: the checkpoint {checkpoint.folder} is gone"
        fix = "a run in progress keeps the newest ones only: name another, run it again, or raise checkpoint.keep there"
        raise RunError("run.broken-checkpoint", what, fix)
    if (why := checkpoint.damage(known)) is not None:
        others = [one.step for one in kept_checkpoints(checkpoint.run) if one != checkpoint and not one.damage(known)]
        fix = f"name another: {checkpoint.run.name} keeps {_listed(others)} whole" if others else "name another model"
        raise RunError("run.broken-checkpoint", f"{ref}: the checkpoint {checkpoint.folder} is damaged: {why}", fix)
    shared, has_ended = checkpoint.shared, checkpoint.run.artifact() is not None
    fix = f"name the run's artifact, {checkpoint.run.reference}" if has_ended else "resume the run, which writes it"
    if not shared.is_dir():
        what = f"{ref}: {shared} is missing, with the tokenizer of its checkpoints: an older burnish wrote none"
        raise RunError("run.broken-checkpoint", what, fix)
    if (why := damage(shared, known)) is not None:
        what = f"{ref}: what its checkpoints share, in {shared}, is damaged: {why}"
        raise RunError("run.broken-checkpoint", what, fix)


def refuse_change(value: Input, checkpoint: KeptCheckpoint, known: dict[str, Any]) -> None:
    """Refuse a checkpoint that is not that of the plan.

    Errors: RunError `run.input-changed`, `run.broken-checkpoint`.
    """
    refuse_damage(value.ref, checkpoint, known)
    if fingerprint_of(checkpoint, value.inputs) != value.fingerprint:
        what = f"{value.ref} changed since the run was planned: {checkpoint.folder} holds another training"
        raise RunError("run.input-changed", what, "run it again")


def is_restored(value: Input) -> bool:
    """Whether it is a checkpoint that was restored to a folder of the cache."""
    return value.path.name == value.fingerprint and value.path.parent.name == "checkpoints"


def restored_manifest(folder: Path) -> Path:
    """The manifest of a restored checkpoint."""
    return folder.with_name(f"{folder.name}.json")


def has_restored_copy(value: Input, known: dict[str, Any]) -> bool:
    """Whether what was restored from a checkpoint is still in the cache of its workspace, and whole."""
    origin = KeptCheckpoint.at(value.path)
    if origin is None:
        return False
    folder = Workspace(origin.run.workspace).cache / "checkpoints" / value.fingerprint
    manifest = restored_manifest(folder)
    return manifest.is_file() and damage(folder, known, manifest) is None


def refuse_changed_files(value: Input, known: dict[str, Any]) -> None:
    """Refuse a restored checkpoint whose files are not those that were written.

    Errors: RunError `run.input-changed`.
    """
    if (why := damage(value.path, known, restored_manifest(value.path))) is not None:
        what = f"{value.ref}: its restored files in {value.path} changed: {why}"
        raise RunError("run.input-changed", what, "run it again: they are made again")


def has_checkpoint(value: Input) -> bool:
    """Whether a model, or one below it, is a checkpoint that must be restored before it can be loaded."""
    return any(True for _ in checkpoints_in(value))


def checkpoints_in(value: Input) -> Iterator[KeptCheckpoint]:
    """The checkpoints that a model, and those below it, are."""
    if (found := KeptCheckpoint.at(value.path)) is not None:
        yield found
    for child in below(value).values():
        yield from checkpoints_in(child)


def below(value: Input) -> dict[str, Input]:
    """The models that a model is loaded on: an adapter's base, and the parts of combined adapters."""
    return {name: child for name, child in value.inputs.items() if name == "base" or name.startswith("adapters.")}


def siblings(value: Input, known: dict[str, Any]) -> dict[str, Input]:
    """The other whole checkpoints of the run that a checkpoint is of, as inputs `checkpoints.<step>`.

    An artifact has none: its run keeps what it has. Errors: AskError `ask.bad-reference` for a checkpoint of a run that
    has an artifact, and for a model that no training in a workspace made.
    """
    origin, run = KeptCheckpoint.at(value.path), run_of_output(value.path)
    if origin is None and value.path != NOT_YET_WRITTEN and (run is None or run.record["stage"] not in RESTORABLE):
        raise not_trained_here(value.ref)
    if origin is not None and origin.run.artifact() is not None:
        what = (
            f"with checkpoints: true, {value.ref} is a checkpoint of a run that has ended: its result is the artifact"
        )
        raise AskError("ask.bad-reference", what, f"set model: {origin.run.reference}; all checkpoints are measured")
    found: dict[str, Input] = {}
    for checkpoint in [] if origin is None else kept_checkpoints(origin.run):
        try:
            found[f"checkpoints.{checkpoint.step}"] = as_input(_with_step(value.ref, checkpoint), checkpoint, known)
        except BurnishError:
            continue  # the stage reports it
    return found


def not_trained_here(ref: str) -> AskError:
    """The error for a model without a training whose checkpoints could be measured."""
    what = f"checkpoints: true needs a model that a training made here, and {ref} is not one"
    return AskError("ask.bad-reference", what, "name the artifact of a training, or one of its checkpoints")


def note_on_base(value: Input) -> str:
    """What to know where a checkpoint is the base of a training; empty for other bases."""
    origin = KeptCheckpoint.at(value.path)
    if origin is None or origin.run.job["spec"].get("checkpoint", {}).get("archive") is True:
        return ""
    return (
        f"{value.ref} is the base of what this step makes, and {origin.run.name} removes it when it ends: keep it with "
        "checkpoint: {archive: true} there, or train on burnish merge of it"
    )


def _with_step(ref: str, checkpoint: KeptCheckpoint) -> str:
    head, slash, _ = ref.rpartition("/")
    return f"{head}{slash}{checkpoint.folder.name if ref.startswith('file:') else f'step-{checkpoint.step}'}"


def _content(value: Input) -> list[Any]:
    """What is known of a model's content, and of the base below it."""
    return [value.digest or value.fingerprint, *([] if value.base is None else [_content(value.base)])]


def _listed(steps: list[int]) -> str:
    shown = ", ".join(map(str, steps[-8:]))
    return f"step{'s' if len(steps) > 1 else ''} {'… ' if len(steps) > 8 else ''}{shown}"
