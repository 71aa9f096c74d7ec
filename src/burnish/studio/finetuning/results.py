"""What the training of a job says of itself: its tokens, the values that it chose, when it will end, and why it failed.

A damaged record gives nothing here: `burnish doctor` names it, and the other jobs are listed.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from burnish.core.catalog import stage
from burnish.core.errors import BurnishError
from burnish.core.events import Chosen
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace
from burnish.studio.finetuning.recipe import STAGES, usual_learning_rate
from burnish.studio.finetuning.records import TUNE, FineTuningRecord

AUTO = "auto"
COMMON = ("n_epochs", "batch_size", "learning_rate_multiplier")


def training_of(record: FineTuningRecord, place: Workspace) -> Run | None:
    """The run of the training: of this job, or of the earlier one whose result it reuses."""
    try:
        return place.steps_of(record.recipe, record.number)[TUNE]
    except BurnishError:
        return None


def trained_tokens(training: Run) -> int | None:
    """The tokens of a training that has succeeded."""
    try:
        artifact = training.artifact()
    except BurnishError:
        return None
    tokens = artifact.measures.get("tokens") if artifact is not None else None
    return int(tokens) if isinstance(tokens, int | float) else None


def estimated_finish(training: Run) -> int | None:
    """When a training that runs will end, by the last step that it measured since it began or was resumed."""
    for line, _ in training.events.lines_back():
        try:
            event = orjson.loads(line)
            if event["kind"] == "state":
                return None
            if event["kind"] == "metric" and "eta_seconds" in event["values"]:
                return int(event["at"] + event["values"]["eta_seconds"])
        except (ValueError, TypeError, KeyError, OverflowError):
            continue
    return None


def with_chosen(method: Mapping[str, Any], training: Run) -> dict[str, Any]:
    """A method with the values that a training, which has succeeded, chose for `auto`."""
    kind = method["type"]
    asked: Mapping[str, Any] = {**dict.fromkeys(COMMON, AUTO), **method[kind]["hyperparameters"]}
    unknown = [name for name, value in asked.items() if value in (None, AUTO)]
    if not unknown:
        return dict(method)
    try:
        given = training.job["spec"]
    except (BurnishError, KeyError):
        return dict(method)
    spec = {**_defaults(kind), **given}
    values = {
        "n_epochs": _whole(spec["epochs"]),
        "batch_size": spec["batch_size"] or _chosen(training, "batch_size"),
        "learning_rate_multiplier": spec["learning_rate"] / usual_learning_rate(kind),
        "beta": spec.get("beta"),
    }
    known = {name: values[name] for name in unknown if values.get(name) is not None}
    return {**method, kind: {**method[kind], "hyperparameters": {**asked, **known}}}


def _defaults(method: str) -> dict[str, Any]:
    """Those of the stage of a method."""
    return {name: field.default for name, field in stage(STAGES[method]).spec_type().model_fields.items()}


def _chosen(training: Run, field: str) -> Any:
    """The value that a training chose for a setting, which it says before its first step."""
    said = training.events.of_kinds("chosen")
    return next((one.value for one in said if isinstance(one, Chosen) and one.field == field), None)


def _whole(number: float) -> float | int:
    return int(number) if float(number).is_integer() else number


_ALLOWED = ", more than the 0.0% that max_bad_share allows"


def failure(code: str, what: str, fix: str) -> str:
    """Why a step failed or stopped, for a client: it has neither the server's folders nor a stage's settings."""
    if code == "data.too-many-bad-rows":
        return f"{what.replace(_ALLOWED, '')}; correct them, upload the file again, and create another job"
    return what if code == "run.interrupted" else f"{what}; {fix}"
