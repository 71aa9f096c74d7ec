"""Unfinished runs of a step that its current settings or inputs no longer continue, and what changed since."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from burnish.core.context import Input
from burnish.core.errors import BurnishError
from burnish.core.fingerprint import flattened, identifying_settings
from burnish.core.inputs.checks import changed_files
from burnish.core.inputs.references import inputs_as_fingerprints
from burnish.core.recipes.recipe import Step
from burnish.core.runs.records import is_there
from burnish.core.runs.run import Run

_MOST = 4
_LONGEST = 60
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


def has_checkpoint(run: Run) -> bool:
    """Whether a run that is not in progress could be resumed."""
    return run.state in ("interrupted", "killed", "failed") and any(run.scratch.glob("checkpoints/*"))


def left_behind(runs: Iterable[Run], recipe: str, step: Step, inputs: Mapping[str, Input]) -> str:
    """Names the newest unfinished run of a new step, and what changed since it; empty if there is none.

    `runs` are the workspace's, newest first. A run that is older than a finished one of the step is not named.
    """
    for run in runs:
        try:
            record = run.record
            if (record["recipe"], record["step"]) != (recipe, step.name):
                continue
            if is_there(run.folder / "artifact.json"):
                return ""
            if has_checkpoint(run):
                changed = _changes(run, record, step, inputs)
                named = ", ".join(changed[:_MOST]) + (f" and {len(changed) - _MOST} more" if changed[_MOST:] else "")
                return f"{run.name} ({run.state}) is not resumed, since {named}"
        except BurnishError:
            continue  # the plan reports damaged records
    return ""


def _changes(run: Run, record: Mapping[str, Any], step: Step, inputs: Mapping[str, Input]) -> list[str]:
    """Sentences such as `learning_rate was 0.0001 and is 0.0002`."""
    job = run.job
    if job["stage"] != step.stage.name:
        return [f"its stage was {job['stage']} and is {step.stage.name}"]
    workspace = run.folder.parents[3]
    before = {path: Input.from_json(value, workspace) for path, value in job["inputs"].items()}
    changed = [_input_change(path, before.get(path), inputs.get(path), record) for path in {**before, **inputs}]
    try:
        old_spec = step.spec.__class__.model_validate(job["spec"])
    except ValueError:  # written by another version
        return [text for text in changed if text] or ["the settings of its stage changed with the version of burnish"]
    old = flattened(identifying_settings(old_spec, inputs_as_fingerprints(before)))
    new = flattened(identifying_settings(step.spec, inputs_as_fingerprints(inputs)))
    changed += [
        f"{key} was {_shown(old, key)} and is {_shown(new, key)}"
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    ]
    return [text for text in changed if text] or [f"the version of the stage {step.stage.name} changed"]


def _input_change(path: str, before: Input | None, now: Input | None, record: Mapping[str, Any]) -> str:
    if before is None or now is None:
        return f"{path} was {before.ref if before else 'not set'} and is {now.ref if now else 'not set'}"
    if before.fingerprint == now.fingerprint:
        return ""
    if before.ref != now.ref:
        return f"{path} was {before.ref} and is {now.ref}"
    if now.revision:
        return f"{path} ({now.ref}) was {_short(before.revision)} and is {_short(now.revision)}"
    is_own = before.path == now.path and now.ref.startswith(("file:", "builtin:"))
    what = f": {changed_files(now, record['created'])}" if is_own else " is another"
    return f"{path} ({now.ref}){what}"


def _short(revision: str) -> str:
    return revision[:12] if _COMMIT.fullmatch(revision) else revision


def _shown(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return "not set"
    text = json.dumps(values[key], ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
