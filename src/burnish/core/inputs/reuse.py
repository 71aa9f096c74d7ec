"""Which earlier run of a step is reused or resumed: one of the same recipe, made of the same files."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from burnish.core.context import Input
from burnish.core.errors import BurnishError
from burnish.core.inputs.checks import check_input
from burnish.core.inputs.endpoints import other_models
from burnish.core.inputs.unfinished import has_checkpoint
from burnish.core.recipes.recipe import Step
from burnish.core.registry.identity import Identity
from burnish.core.runs.artifact import Artifact
from burnish.core.runs.records import is_there
from burnish.core.runs.run import NOT_YET_WRITTEN, Run, run_of_output

Action = Literal["run", "reuse", "resume", "wait"]
"""A plan uses the first three. `wait`, only during a run: another process is running the step."""
NEW = "new"


def choose(
    step: Step, earlier: list[Run], inputs: Mapping[str, Input], known: dict[str, Any], warn: Callable[[str], None]
) -> tuple[Action, str, Run | None]:
    """What to do with a step, why, and the run to reuse or resume; `earlier` has those of its fingerprint.

    A fingerprint is that of a recipe, and a recipe may give other files: a run that was made of other files than those
    of `inputs` is left out. An input that is not written yet is compared when it is.
    """
    left_out: list[str] = []
    unfinished: list[Run] = []
    unwritten = [value.ref.removeprefix("step:") for value in inputs.values() if is_unwritten(value)]
    of_runs = {path: value for path, value in inputs.items() if run_of_output(value.path) and not is_unwritten(value)}
    for run in earlier:
        is_finished = is_there(run.folder / "artifact.json")
        try:
            artifact = Artifact.of(run.folder, run.workspace) if is_finished else None
            other = other_files(_inputs_of(run, artifact), of_runs) if of_runs else ""
            if other:
                left_out.append(f"{run.name} was made of other files: {other}")
                continue
            if artifact is not None:
                check_input(with_own_base(artifact.as_input(run.name), inputs), known)
        except BurnishError as error:
            left_out.append(error.what)
            warn(f"{step.name} is not reused: {error.what}")
            continue
        if artifact is not None:
            changed, unknown = other_models(step.spec, artifact.provenance.get("endpoints") or {})
            if changed:
                left_out.append(f"{run.name} has answers of another model of {' and '.join(changed)}")
                continue
            unchecked = "" if artifact.files is not None else ", by an older version: its files cannot be checked"
            same = f" if {' and '.join(unwritten)} gives the same files" if unwritten else ""
            doubts = [f"whether {name} is still the same model is not known" for name in unknown]
            return "reuse", "; ".join([f"made by {run.name}{unchecked}{same}", *doubts, *left_out]), run
        if run.record["state"] == "succeeded":
            record = run.folder / "artifact.json"
            left_out.append(f"{record} is missing, though {run.name} succeeded")
            fix = f"restore it from a copy; otherwise the step runs again, and the files in {run.out} stay"
            warn(f"{step.name} is not reused: {left_out[-1]} ({fix})")
        unfinished.append(run)
    for run in unfinished:
        if run.state == "running":
            return "resume", f"{run.name} is in progress", run
    if getattr(step.spec, "resume", None) == "never":
        return "run", "; ".join(["resume is never", *left_out]), None
    for run in unfinished:
        if has_checkpoint(run):
            return "resume", "; ".join([f"{run.name} was {run.state}", *left_out]), run
    if left_out:
        return "run", "; ".join(left_out), None
    return "run", NEW if not earlier else f"{earlier[0].name} {earlier[0].state}", None


def other_files(before: Mapping[str, Input], now: Mapping[str, Input]) -> str:
    """The inputs whose files are not those of before, as a clause; "" if there are none.

    Inputs of a record without digests, as older versions wrote it, are the same if they are of the same run.
    """
    changed: list[str] = []
    for path, value in now.items():
        was = before.get(path)
        if was is None or not Identity.of_input(was).is_same(Identity.of_input(value)):
            earlier, run = None if was is None else run_of_output(was.path), run_of_output(value.path)
            names = "" if earlier is None or run is None else f", of {earlier.name} and not {run.name}"
            changed.append(f"{path} ({value.ref}{names})")
    return " and ".join(changed)


def is_unwritten(value: Input) -> bool:
    """Whether an input is the output of a step that has not ended."""
    is_of_step = value.ref.startswith("step:")
    return is_of_step and (value.path == NOT_YET_WRITTEN or not is_there(value.path.parent / "artifact.json"))


def with_own_base(adapter: Input, inputs: Mapping[str, Input]) -> Input:
    """An adapter with the base that the recipe names: same content, possibly another path."""
    base = inputs.get("base")
    is_pending = base is not None and base.ref.startswith("step:") and not base.path.is_dir()
    if adapter.kind != "adapter" or base is None or is_pending:
        return adapter
    return replace(adapter, inputs={**adapter.inputs, "base": base})


def _inputs_of(run: Run, artifact: Artifact | None) -> Mapping[str, Input]:
    """The inputs that a run was started with."""
    if artifact is not None:
        return artifact.inputs
    return {path: Input.from_json(value, run.workspace) for path, value in run.job["inputs"].items()}
