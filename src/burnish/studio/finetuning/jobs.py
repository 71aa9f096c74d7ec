"""Fine-tuning jobs: create, list, cancel, pause and resume them, in OpenAI's shapes."""

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError, RunError
from burnish.core.runs.submitted import SubmittedRun
from burnish.core.runs.workspace import Workspace
from burnish.studio.datasets.names import find
from burnish.studio.finetuning.files import file_record
from burnish.studio.finetuning.paging import page
from burnish.studio.finetuning.recipe import model_of, name_of, values_of
from burnish.studio.finetuning.records import (
    DATA,
    TUNE,
    FineTuningRecord,
    Happened,
    changing,
    job_record,
    job_records,
    write_job_record,
)
from burnish.studio.finetuning.results import (
    AUTO,
    COMMON,
    estimated_finish,
    failure,
    trained_tokens,
    training_of,
    with_chosen,
)
from burnish.studio.finetuning.states import StepState, of_queue, queued_states, states_of, status_of, with_folders
from burnish.studio.queueing.jobs import cancel_jobs, cancel_run, jobs, resume_run
from burnish.studio.recipes.given import Given
from burnish.studio.recipes.submitted import submit_given

ENDED = ("succeeded", "failed", "cancelled")


def create_job(
    *,
    model: str,
    training_file: str,
    validation_file: str | None = None,
    method: Mapping[str, Any],
    suffix: str | None = None,
    seed: int | None = None,
    metadata: Mapping[str, str] | None = None,
    workspace: Path | str | None = None,
    allowed: Iterable[Path] = (),
) -> dict[str, Any]:
    """Submit a fine-tuning. `method` is `{"type": "supervised", "supervised": {"hyperparameters": {…}}}`, or dpo.
    The model may be in the workspace or in `allowed` folders.

    Errors: AskError for a model or file that is unknown, and those of a plan.
    """
    place = Workspace.find(workspace)
    seed = secrets.randbelow(1 << 31) if seed is None else seed
    kind = method["type"]
    values = values_of(
        name=name_of(suffix),
        model=model_of(model, place),
        training=_reference(training_file, "training_file", place),
        validation=None if validation_file is None else _reference(validation_file, "validation_file", place),
        method=kind,
        hyperparameters=method[kind]["hyperparameters"],
        seed=seed,
    )
    made: list[FineTuningRecord] = []

    def describe(run: SubmittedRun) -> None:
        asked = (model, training_file, validation_file, dict(method), suffix, seed, dict(metadata or {}))
        made.append(FineTuningRecord(run.recipe, run.number, *asked, [(time.time(), "created")]))
        write_job_record(made[0], place)

    try:
        submission = submit_given(Given(values=values), workspace=place.root, allowed=allowed, describe=describe)
    except AskError as error:
        raise AskError(error.code, error.what.replace(f"'{TUNE}.base'", "model", 1), error.fix) from error
    return _as_job(made[0], of_queue(submission.jobs), place)


def list_jobs(
    *,
    limit: int = 20,
    after: str | None = None,
    metadata: Mapping[str, str] | None = None,
    workspace: Path | str | None = None,
) -> dict[str, Any]:
    """The jobs, the newest first, after the one with the id `after`; only those that have all of the `metadata`.

    `damaged` names the runs whose record cannot be read.
    """
    place = Workspace.find(workspace)
    wanted = dict(metadata or {}).items()
    every, damaged = job_records(place)
    records = [record for record in every if wanted <= record.metadata.items()]
    found = page([{"id": record.id, "record": record} for record in records], limit, after, "job")
    shown = [row["record"] for row in found["data"]]
    known, data = queued_states(shown, place), list[dict[str, Any]]()
    for record in shown:
        try:
            data.append(_as_job(record, with_folders(record, known[record.run], place), place))
        except RunError:  # another record of the run, such as its plan
            damaged.append(record.run)
    return {**found, "data": data, "damaged": damaged}


def get_job(id: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """One job. Errors: AskError `ask.no-such-job`."""
    place = Workspace.find(workspace)
    return _current(job_record(id, place), place)


def cancel_job(id: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """Cancel a job: one that runs saves its state first. Errors: AskError `ask.nothing-to-do` if it has ended."""
    return _stop(id, "cancelled", ENDED, Workspace.find(workspace))


def pause_job(id: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """Pause a job: it saves its state, and `resume_job` continues there. Errors: as `cancel_job`."""
    return _stop(id, "paused", (*ENDED, "paused"), Workspace.find(workspace))


def _stop(id: str, happened: Happened, ended: Sequence[str], place: Workspace) -> dict[str, Any]:
    with changing(id, place) as record:
        states = states_of(record, place)
        status = status_of(record, states)
        last = record.history[-1][1]
        is_lost_pause = (happened, status) == (
            "paused",
            "cancelled",
        ) and last != "cancelled"  # killed before the record
        if status in ended and not is_lost_pause:
            what = f"the job {id} is {status}, and cannot be {happened}"
            raise AskError("ask.nothing-to-do", what, "create another job, or resume one that is paused")
        _request_stop(record, states, place)  # before it is recorded: a kill in between makes a repeated request no lie
        changed = record if last == happened else record.also(happened)
        write_job_record(changed, place)
        return _current(changed, place)


def _request_stop(record: FineTuningRecord, states: Sequence[StepState], place: Workspace) -> None:
    """Have the queue cancel the steps that have not ended. It is not asked again for one that is stopping already: a
    second request kills it."""
    if all(one.state in ENDED for one in states):
        return
    left = [job for job in jobs(run=record.run, workspace=place.root) if job.state not in ENDED]
    if any(job.requested for job in left):
        cancel_jobs([job.id for job in left if not job.requested], workspace=place.root)
        return
    try:
        cancel_run(record.run, workspace=place.root)
    except AskError as error:
        if error.code != "ask.nothing-to-do" or any(one.state not in ENDED for one in states_of(record, place)):
            raise  # unless it just ended, which its state says


def resume_job(id: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """Continue a paused job from its last checkpoint. Errors: AskError `ask.nothing-to-do` if it is not paused."""
    place = Workspace.find(workspace)
    with changing(id, place) as record:
        states = states_of(record, place)
        status = status_of(record, states)
        is_stopping = any(one.is_stopping for one in states)
        if status == "paused":
            resume_run(record.run, workspace=place.root)
        elif (
            not record.is_paused or is_stopping or status in ENDED
        ):  # else it was resumed, and killed before the record
            fix = "wait until it has saved its state" if is_stopping else "pause it first"
            raise AskError("ask.nothing-to-do", f"the job {id} is {status}, not paused", fix)
        changed = record.also("resumed")
        write_job_record(changed, place)
        return _current(changed, place)


def _reference(id: str, field: str, place: Workspace) -> str:
    """How recipes refer to a file."""
    try:
        return find(file_record(id, workspace=place.root).name, place).ref
    except AskError as error:
        raise AskError(error.code, f"{field}: {error.what}", error.fix) from None


def _current(record: FineTuningRecord, place: Workspace) -> dict[str, Any]:
    return _as_job(record, states_of(record, place), place)


def _as_job(record: FineTuningRecord, states: Sequence[StepState], place: Workspace) -> dict[str, Any]:
    status = status_of(record, states)
    ends = [one.ended for one in states if one.ended is not None]
    has_ended = status in ENDED and bool(ends)
    tokens, fine_tuned, finish, method = None, None, None, record.method
    training = training_of(record, place) if status in ("running", "succeeded") else None
    if status == "succeeded":
        fine_tuned = f"{record.recipe}.{TUNE}@{record.number}"
    if training is not None and status == "succeeded":
        tokens, method = trained_tokens(training), with_chosen(method, training)
    elif training is not None:
        finish = estimated_finish(training)
    return {
        "id": record.id,
        "object": "fine_tuning.job",
        "created_at": record.created_at,
        "model": record.model,
        "fine_tuned_model": fine_tuned,
        "finished_at": int(max(ends)) if has_ended else None,
        "estimated_finish": finish,
        "status": status,
        "training_file": record.training_file,
        "validation_file": record.validation_file,
        "hyperparameters": _hyperparameters(method),
        "method": method,
        "seed": record.seed,
        "suffix": record.suffix,
        "user_provided_suffix": record.suffix,
        "metadata": record.metadata or None,
        "trained_tokens": tokens,
        "error": _error(states) if status == "failed" else None,
        "result_files": [],
        "integrations": [],
        "organization_id": "local",
        "run": record.run,
    }


def _hyperparameters(method: Mapping[str, Any]) -> dict[str, Any]:
    """Those beside the method, which clients of supervised jobs read; those of other methods are in them alone."""
    if method["type"] != "supervised":
        return {}
    return {**dict.fromkeys(COMMON, AUTO), **method["supervised"]["hyperparameters"]}


def _error(states: Sequence[StepState]) -> dict[str, Any]:
    failed = next(one for one in states if one.state == "failed")
    error = failed.error or {"code": "run.failed", "what": failed.reason or "the step failed", "fix": "see its log"}
    param = "training_file" if failed.step == DATA else None
    return {"code": error["code"], "message": failure(error["code"], error["what"], error["fix"]), "param": param}
