"""Plan a recipe: for each step, run it, reuse an existing artifact, or resume an interrupted run."""

import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

from burnish.core.context import Input
from burnish.core.errors import AskError, BurnishError
from burnish.core.fingerprint import of_step
from burnish.core.inputs.besides import besides, lacking
from burnish.core.inputs.checkpoints import note_on_base, siblings
from burnish.core.inputs.checks import artifact_at, check_input, has_other_base
from burnish.core.inputs.dates import Dates
from burnish.core.inputs.references import (
    check_kind,
    inputs_as_fingerprints,
    refuse_runs_within,
    refuse_secret,
    resolve,
)
from burnish.core.inputs.reuse import NEW, Action, choose, with_own_base
from burnish.core.inputs.unfinished import left_behind
from burnish.core.naming import nearest
from burnish.core.recipes.named_files import check_named_files
from burnish.core.recipes.recipe import Recipe, Step
from burnish.core.recipes.yaml import Where, at
from burnish.core.registry.registry import Registry
from burnish.core.runs.run import NOT_YET_WRITTEN, Run
from burnish.core.runs.workspace import Workspace
from burnish.core.version import VERSION
from burnish.specs.base import WithCheckpoints, fields_with

_ALWAYS = "never reused"
_FORCED = ("forced", "--from", "depends on --from", _ALWAYS)


@dataclass(frozen=True)
class PlannedStep:
    """`run` is the folder to reuse or resume, None for a new run. `inputs` from unfinished steps have no path."""

    step: Step
    action: Action
    reason: str
    fingerprint: str
    inputs: dict[str, Input] = field(default_factory=dict[str, Input])
    run: Run | None = None
    last_seconds: float | None = None
    """How long this step of the recipe took last time."""

    @property
    def is_forced(self) -> bool:
        """Whether it runs even if it could be reused."""
        return self.reason in _FORCED

    @property
    def is_in_progress(self) -> bool:
        """Whether a worker is running it now."""
        return self.run is not None and self.action == "resume" and self.run.is_alive()

    def as_dict(self) -> dict[str, Any]:
        return {
            "step": self.step.name,
            "stage": self.step.stage.name,
            "action": self.action,
            "reason": self.reason,
            "fingerprint": self.fingerprint,
            "run": self.run.name if self.run else None,
            "last_seconds": self.last_seconds,
            "inputs": {path: value.ref for path, value in self.inputs.items()},
            "pinned": {path: value.revision for path, value in self.inputs.items() if value.revision},
            **({} if self.step.register is None else {"register": self.step.register}),
        }


@dataclass(frozen=True)
class Plan:
    recipe: Recipe
    steps: tuple[PlannedStep, ...]
    free_bytes: int
    notes: tuple[str, ...] = ()
    """How ambiguous references were resolved, which unfinished runs are left behind, what is done besides the steps."""
    warnings: tuple[str, ...] = ()
    """Damaged records and artifacts that are not reused, and what is lacking for a later step."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe.name,
            "burnish": VERSION,
            "free_bytes": self.free_bytes,
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "values": self.recipe.as_dict(),
            "steps": [step.as_dict() for step in self.steps],
        }


def make_plan(
    recipe: Recipe,
    workspace: Workspace,
    *,
    start: str | None = None,
    force: Collection[str] = (),
    only: Iterable[str] = (),
) -> Plan:
    """Compare each step's fingerprint with the runs of the workspace.

    `start` forces that step and all that depend on it; `force` the named steps, or all steps if it
    contains "*". `only` keeps the named steps and their dependencies.
    """
    names = [step.name for step in recipe.steps]
    for name in (*([start] if start else []), *(n for n in force if n != "*"), *only):
        if name not in names:
            raise AskError("ask.bad-reference", f"the recipe has no step '{name}'", nearest(name, names))
    needed = _needed(recipe, tuple(only))
    _refuse_steps_left_out([*([start] if start else []), *force], needed)
    _refuse_secrets(recipe)
    _refuse_registrations(needed, workspace)
    known = workspace.hashes()
    known_before = dict(known)
    runs = workspace.all_runs()
    earlier, durations, warnings = _earlier_runs(runs, recipe.name)
    dates = Dates(earlier)
    planned: dict[str, PlannedStep] = {}
    notes: list[str] = []
    for step in needed:
        inputs = _inputs(step, planned, workspace, known, notes)
        check_named_files(step, inputs)
        step, date_notes = dates.pin(step, inputs)
        notes += date_notes
        fingerprint = of_step(step.stage.name, step.stage.version, step.spec, inputs_as_fingerprints(inputs))
        dates.add_planned(fingerprint, step.spec, inputs)
        candidates = earlier.get(fingerprint, [])
        action, reason, run = "run", _forced_reason(step, planned, start, force), None
        if not reason:
            action, reason, run = choose(step, candidates, inputs, known, warnings.append)
            if reason == NEW and (behind := left_behind(runs, recipe.name, step, inputs)):
                reason = f"{NEW}: {behind}"
                notes.append(f"{step.name}: {behind}")
        planned[step.name] = PlannedStep(
            step, action, reason, fingerprint, inputs, run, durations.get(step.name) if action != "reuse" else None
        )
        notes += besides(step, inputs, is_reused=action == "reuse")
        warnings += lacking(step) if action != "reuse" else ()
    if known != known_before:
        workspace.remember_hashes(known)
    free = shutil.disk_usage(_existing(workspace)).free
    return Plan(recipe, tuple(planned.values()), free, tuple(notes), tuple(warnings))


def _refuse_steps_left_out(named: Iterable[str], needed: Iterable[Step]) -> None:
    """Refuse a forced step that `only` excludes: it would be skipped silently."""
    kept = {step.name for step in needed}
    for name in named:
        if name != "*" and name not in kept:
            raise AskError(
                "ask.wrong-value",
                f"step '{name}' is forced but excluded by --only, which keeps {', '.join(sorted(kept))}",
                f"add --only {name}, or remove --force {name} (or --from {name})",
            )


def replan_step(step: PlannedStep, workspace: Workspace) -> PlannedStep:
    """Plan a step again, with its inputs as they are now: another process may have started or finished it."""
    if step.is_forced:
        return step
    earlier, _, _ = _earlier_runs(workspace.all_runs(), step.step.name)
    candidates, known = earlier.get(step.fingerprint, []), workspace.hashes()
    action, reason, run = choose(step.step, candidates, step.inputs, known, lambda _: None)
    return replace(step, action=action, reason=reason, run=run)


def _refuse_secrets(recipe: Recipe) -> None:
    """Refuse secrets in a recipe: settings are written to plan.json and job.json verbatim."""
    for step in recipe.steps:
        references = step.references()
        for path, text in _texts(step.spec.model_dump(mode="json", exclude_unset=True)):
            name = ".".join(map(str, path))
            refuse_secret(text, at(step.place(path), f"'{step.name}.{name}'"), is_reference=name in references)


def _refuse_registrations(steps: Iterable[Step], workspace: Workspace) -> None:
    """Refuse a step that could not be registered once it has run."""
    registry = Registry(workspace)
    for step in steps:
        if step.register is None:
            continue
        try:
            registry.refuse(step.register, step.stage.kind_for(step.spec))
        except BurnishError as error:
            what = at(step.place(("register",)), f"'{step.name}.register': {error.what}")
            raise type(error)(error.code, what, error.fix) from error


def _texts(value: Any, path: Where = ()) -> Iterator[tuple[Where, str]]:
    """Every string in plain values, keys included, with its path."""
    if isinstance(value, str):
        yield path, value
    members: dict[Any, Any] = {}
    if isinstance(value, list):
        members = dict(enumerate(cast(list[Any], value)))
    elif isinstance(value, dict):
        members = cast(dict[Any, Any], value)
    for key, member in members.items():
        if isinstance(key, str):
            yield path, key
        yield from _texts(member, (*path, key))


def _needed(recipe: Recipe, only: tuple[str, ...]) -> list[Step]:
    if not only:
        return list(recipe.steps)
    wanted = set(only)
    for step in reversed(recipe.steps):
        if step.name in wanted:
            wanted |= {ref[5:] for ref, _ in step.references().values() if ref.startswith("step:")}
    return [step for step in recipe.steps if step.name in wanted]


def _inputs(
    step: Step, planned: dict[str, PlannedStep], workspace: Workspace, known: dict[str, Any], notes: list[str]
) -> dict[str, Input]:
    inputs: dict[str, Input] = {}
    references = step.references()
    for path, (ref, kinds) in references.items():
        name = f"{step.name}.{path}"

        def report(text: str, name: str = name) -> None:
            notes.append(f"{name}: {text}")

        place = step.place(tuple(int(part) if part.isdigit() else part for part in path.split(".")))
        try:
            from_step = ref.startswith("step:")
            refuse_runs_within(ref, workspace)
            hosts = step.spec.__dict__.get("allow_hosts") or ()
            value = (
                step_as_input(planned[ref[5:]]) if from_step else resolve(ref, kinds, workspace, known, report, hosts)
            )
            if not from_step and (value.kind == "adapter" or artifact_at(value) is not None):
                check_input(value, known, other_base=has_other_base(path, references))
        except BurnishError as error:
            raise type(error)(error.code, at(place, f"'{name}': {error.what}"), error.fix) from error
        check_kind(value, kinds, name, place)
        inputs[path] = value
        if path == "base" and (note := note_on_base(value)):
            report(note)
    if any(value is True for _, _, value in fields_with(step.spec, WithCheckpoints)):
        inputs |= siblings(inputs["model"], known)  # of an unfinished run: others may be kept when it is planned again
    return inputs


def step_as_input(planned: PlannedStep) -> Input:
    """The output of a step: its artifact, or a placeholder with its kind and fingerprint if it has not run."""
    artifact = planned.run.artifact() if planned.run is not None else None
    ref = f"step:{planned.step.name}"
    if artifact is not None:
        return with_own_base(artifact.as_input(ref), planned.inputs)
    path = planned.run.out if planned.run is not None else NOT_YET_WRITTEN
    return Input(ref, planned.step.stage.kind_for(planned.step.spec), path, planned.fingerprint, planned.inputs)


def _forced_reason(step: Step, planned: dict[str, PlannedStep], start: str | None, force: Collection[str]) -> str:
    if "*" in force or step.name in force:
        return "forced"
    if step.name == start:
        return "--from"
    if not step.stage.is_reusable:
        return _ALWAYS
    dependencies = [planned[ref[5:]] for ref, _ in step.references().values() if ref.startswith("step:")]
    if start and any(other.reason in ("--from", "depends on --from") for other in dependencies):
        return "depends on --from"
    return ""


def _earlier_runs(runs: list[Run], recipe: str) -> tuple[dict[str, list[Run]], dict[str, float], list[str]]:
    """Runs by fingerprint, the duration of the newest success of each step of the recipe, and damaged runs."""
    table: dict[str, list[Run]] = {}
    seconds: dict[str, float] = {}
    damaged: list[str] = []
    for run in runs:
        try:
            record = run.record
        except BurnishError as error:
            damaged.append(f"run {run.name} is not reused: {error.what}")
            continue
        table.setdefault(record["fingerprint"], []).append(run)
        name = record["step"]
        if record["recipe"] == recipe and record["state"] == "succeeded" and name not in seconds:
            seconds[name] = record.get("ended", 0.0) - record.get("started", 0.0)
    return table, seconds, damaged


def _existing(workspace: Workspace) -> str:
    folder = workspace.root
    while not folder.exists():
        folder = folder.parent
    return str(folder)
