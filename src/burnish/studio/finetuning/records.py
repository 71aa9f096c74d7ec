"""The record of a fine-tuning job, in the folder of its run: what was asked for, and what its client did with it."""

import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from burnish.core.errors import AskError, RunError
from burnish.core.runs.locks import held
from burnish.core.runs.records import broken, is_there, read_record
from burnish.core.runs.submitted import SUBMITTED, SubmittedRun
from burnish.core.runs.workspace import Workspace

RECIPE = "ft"
DATA, TUNE = "data", "tune"
JOB_FILE = "fine_tuning.json"
METRICS = {"loss": "train_loss", "eval_loss": "valid_loss"}
"""Metrics of burnish by OpenAI's names."""
_ID = re.compile(r"ftjob-(?P<recipe>ft(?:-[A-Za-z0-9._-]+)?)-(?P<number>[1-9][0-9]{0,17})")
Happened = Literal["created", "paused", "resumed", "cancelled"]


@dataclass(frozen=True)
class FineTuningRecord:
    """What a client asked for; `history` is when it created, paused, resumed or cancelled the job."""

    recipe: str
    number: int
    model: str
    training_file: str
    validation_file: str | None
    method: dict[str, Any]
    suffix: str | None
    seed: int
    metadata: dict[str, str]
    history: list[tuple[float, Happened]] = field(default_factory=list[tuple[float, Happened]])

    @property
    def id(self) -> str:
        return f"ftjob-{self.recipe}-{self.number}"

    @property
    def run(self) -> str:
        return f"{self.recipe}/{self.number}"

    @property
    def created_at(self) -> int:
        return int(self.history[0][0])

    @property
    def is_paused(self) -> bool:
        """Whether the last thing that its client did was to pause it."""
        return self.history[-1][1] == "paused"

    def also(self, happened: Happened) -> "FineTuningRecord":
        """With one thing more that its client did."""
        return replace(self, history=[*self.history, (time.time(), happened)])


def write_job_record(record: FineTuningRecord, place: Workspace) -> None:
    """Write it atomically."""
    SubmittedRun(place, record.recipe, record.number).write_beside(JOB_FILE, asdict(record))


def job_record(id: str, place: Workspace) -> FineTuningRecord:
    """The record of a job. Errors: AskError `ask.no-such-job`; RunError `run.broken-record`."""
    match = _ID.fullmatch(id)
    path = None if match is None else place.queue_folder(match["recipe"], int(match["number"])) / JOB_FILE
    if path is None or not _is_known(path):
        fix = "list them: GET /v1/fine_tuning/jobs"
        raise AskError("ask.no-such-job", f"there is no fine-tuning job {id!r:.100}", fix)
    return _read(path)


def job_records(place: Workspace) -> tuple[list[FineTuningRecord], list[str]]:
    """The records of all jobs, the newest first, and the runs whose record is damaged."""
    found: list[FineTuningRecord] = []
    damaged: list[str] = []
    for path in place.runs.glob(f"{RECIPE}*/*/{place.queue_folder('x', 1).name}/{JOB_FILE}"):
        if not _is_known(path):
            continue
        try:
            found.append(_read(path))
        except RunError:
            damaged.append("/".join(path.relative_to(place.runs).parts[:2]))
    return sorted(found, key=lambda one: (-one.history[0][0], one.recipe, -one.number)), sorted(damaged)


def _is_known(path: Path) -> bool:
    """Whether a record is that of a job: it is written before its run is submitted, which may not have happened."""
    return path.is_file() and is_there(path.with_name(SUBMITTED))


@contextmanager
def changing(id: str, place: Workspace) -> Generator[FineTuningRecord]:
    """The record, which no other process changes meanwhile."""
    record = job_record(id, place)
    with held(place.queue_folder(record.recipe, record.number) / f"{JOB_FILE}.lock", f"changing {id}"):
        yield job_record(id, place)


def _read(path: Path) -> FineTuningRecord:
    value = read_record(path)
    value["history"] = [(float(at), happened) for at, happened in value["history"]]
    record = FineTuningRecord(**{name.name: value[name.name] for name in fields(FineTuningRecord)})
    if (record.recipe, str(record.number)) != path.parts[-4:-2]:
        raise broken(path, f"is that of {record.run}")
    return record
