"""The folder of one run of one step: its state, settings, events, logs and output.

run.json       state and times        events.jsonl   typed events
job.json       input of the worker    run.log        log, level DEBUG (see `core.runs.log`)
spec.json      settings, resolved     console.log    terminal output
out/           the artifact           artifact.json  its record, written last
scratch/       checkpoints, row ledger: kept until the step succeeds
rank-1.log     log of the second process of a step, and so on
"""

import os
import shutil
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from filelock import FileLock

from burnish.core.errors import AskError, BurnishError, RunError
from burnish.core.events import EventLog, StateChanged
from burnish.core.files import write_json
from burnish.core.runs.artifact import Artifact
from burnish.core.runs.locks import is_locked
from burnish.core.runs.records import is_there, misplaced_logs, read_record
from burnish.core.secrets import mask, masked_value

State = Literal["planned", "running", "succeeded", "failed", "interrupted"]

TRANSITIONS: Mapping[State, tuple[State, ...]] = {
    "planned": ("running", "failed", "interrupted"),
    "running": ("succeeded", "failed", "interrupted", "running"),
    "failed": ("running",),
    "interrupted": ("running",),
    "succeeded": (),
}
"""`running` to `running` is the resumption of a killed attempt."""


def is_held(lock: FileLock) -> bool:
    """Whether a process holds a lock. Creates no file, and any number of processes may check at the same time."""
    return is_locked(Path(lock.lock_file))


_JOB_KEYS = ("recipe", "number", "step", "stage", "fingerprint")
"""What run.json and job.json both hold."""
_LEASE_KEYS = ("fence", "holder")
"""What job.json also holds for a job of the queue: the number of its lease, and its name."""
PARTIAL = "out.partial"
"""The name of what becomes `out/`, or its beginning."""
SERVING = "serving.json"
"""Of a server: its address, models and engine, while it answers."""
NOT_YET_WRITTEN = Path("not-made-yet")
"""The path of an artifact whose run does not exist yet."""


def run_of_output(path: Path) -> "Run | None":
    """The run whose output folder is at this path, `…/runs/<recipe>/<number>/<step>/out`; None for another path."""
    return Run(path.parent) if path.name == "out" and path.parts[-5:-4] == ("runs",) else None


class FencedError(RunError):
    """The lease of a worker is not the newest of its job: `newest` is the number of that."""

    def __init__(self, name: str, newest: int):
        what = f"another worker has taken over run {name}, since this one lost its lease"
        fix = f"nothing is lost: follow the other with `burnish runs tail {name} -f`"
        super().__init__("run.fenced", what, fix)
        self.newest = newest


class Fence(NamedTuple):
    """A lease: of which job, `recipe/number/step`, and its number, which grows with each lease of that job."""

    holder: str
    number: int

    @classmethod
    def of(cls, job: Mapping[str, Any]) -> "Fence | None":
        """That of a job.json; None for a run without the queue."""
        return cls(job.get("holder", ""), job["fence"]) if job.get("fence") is not None else None

    @property
    def place(self) -> str:
        """A name of it, beside other leases of the same run folder."""
        return "-".join([*self.holder.split("/")[1:2], str(self.number)])

    def is_older_than(self, other: "Fence | None") -> bool:
        """Leases of different jobs have no order: the run is whose who wrote last."""
        return other is not None and other.holder == self.holder and self.number < other.number


class Run:
    """A run folder. Its name is `<recipe>/<number>/<step>`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.events = EventLog(folder / "events.jsonl")

    @property
    def name(self) -> str:
        return "/".join(self.folder.parts[-3:])

    @property
    def reference(self) -> str:
        """How a recipe refers to its artifact: `recipe.step@3`."""
        recipe, number, step = self.folder.parts[-3:]
        return f"{recipe}.{step}@{number}"

    @property
    def workspace(self) -> Path:
        return self.folder.parents[3]

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def partial(self) -> Path:
        """What becomes `out/`; workers of other leases have folders of their own."""
        return self.folder / (PARTIAL if self.fence is None else f"{PARTIAL}.{self.fence.place}")

    @cached_property
    def fence(self) -> Fence | None:
        """The lease by which this process has the run: that of the job which it wrote, or read first. None without."""
        return self._recorded_fence(None)

    @property
    def is_fenced(self) -> bool:
        """Whether a newer lease, or one of another job, has taken the run over from this process."""
        found = self._recorded_fence(self.fence)
        return found != self.fence and (found is None or not found.is_older_than(self.fence))

    def remove_partial(self) -> None:
        """Remove what the worker of this process has left unfinished; what is another worker's stays."""
        if self.fence is not None or not self.is_fenced:
            shutil.rmtree(self.partial, ignore_errors=True)

    def _recorded_fence(self, unknown: Fence | None) -> Fence | None:
        try:
            return Fence.of(self.record_of("job.json"))
        except BurnishError:  # removed or damaged: whoever resumes the run writes it again
            return unknown

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    @property
    def log(self) -> Path:
        return self.folder / "run.log"

    @property
    def record(self) -> dict[str, Any]:
        """The content of run.json."""
        path = self.folder / "run.json"
        if not is_there(path):
            raise AskError("ask.no-such-run", f"there is no run at {self.folder}", "see `burnish runs list`")
        return read_record(path)

    def record_of(self, name: str) -> dict[str, Any]:
        """The content of another JSON file of the folder, such as spec.json."""
        return read_record(self.folder / name)

    @property
    def job(self) -> dict[str, Any]:
        """The content of job.json; of a finished step without a readable one, the same from its other records."""
        try:
            return self.record_of("job.json")
        except RunError:
            if not is_there(self.folder / "artifact.json"):
                raise
            record, artifact = self.record, self.record_of("artifact.json")
            return {**{key: record[key] for key in _JOB_KEYS}, "spec": artifact["spec"], "inputs": artifact["inputs"]}

    @property
    def state(self) -> str:
        """The actual state: `killed` if the record says running but the worker is gone.

        `succeeded` if the worker was killed after it wrote artifact.json.
        """
        state = self.record["state"]
        if state != "running" or self.is_alive():
            return state
        state = self.record["state"]  # it may have ended since the first read
        if state != "running":
            return state
        return "succeeded" if (self.folder / "artifact.json").is_file() else "killed"

    def create(self, job: Mapping[str, Any]) -> None:
        """Create the folder and write the job for the worker."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700)
        self.scratch.mkdir()
        self._write_job(job)
        write_json(
            self.folder / "run.json",
            {**{key: job[key] for key in _JOB_KEYS}, "state": "planned", "created": time.time(), "attempts": 0},
        )
        self.events.append(StateChanged(state="planned"))

    def create_again(self, job: Mapping[str, Any]) -> None:
        """As `create`, where an earlier attempt of the same job has left a folder from which nothing is resumed.

        Errors: as those of `update_job`; RunError `run.broken-record` for a folder that is elsewhere.
        """
        self.refuse_leading_out()
        if not is_there(self.folder / "run.json"):  # killed while it was created
            shutil.rmtree(self.folder)
            return self.create(job)
        self._refuse_older(job)
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        return self.update_job(job)

    def update_job(self, job: Mapping[str, Any]) -> None:
        """Update the settings and inputs of a run that is resumed.

        Paths and settings outside its fingerprint may have changed. An artifact that it has is given up: it is damaged.

        Errors: FencedError of a lease that is older than the one by which the run was begun again.
        """
        self._refuse_older(job)
        record = self.record
        named = {key: record[key] for key in _JOB_KEYS}
        self._write_job({**named, **{key: job[key] for key in ("spec", "inputs", *_LEASE_KEYS) if key in job}})
        (self.folder / "artifact.json").unlink(missing_ok=True)
        if record["state"] == "succeeded":
            why = "its artifact is missing or damaged: it is made again"
            write_json(self.folder / "run.json", {**record, "state": "failed", "reason": why})
            self.events.append(StateChanged(state="failed", reason=why))

    def _refuse_older(self, job: Mapping[str, Any]) -> None:
        given, found = Fence.of(job), self._recorded_fence(None)
        if given is not None and given.is_older_than(found):
            raise FencedError(self.name, found.number if found else 0)

    def _write_job(self, job: Mapping[str, Any]) -> None:
        self.fence = Fence.of(job)
        write_json(self.folder / "job.json", job, mode=0o600)
        write_json(self.folder / "spec.json", masked_value(job["spec"]))

    def transition(self, state: State, reason: str = "", **more: Any) -> None:
        """Change the state, if TRANSITIONS allows it, and emit an event."""
        record = self.record
        if state not in TRANSITIONS[record["state"]]:
            raise RunError(
                "run.bad-transition",
                f"run {self.name} is {record['state']} and cannot become {state}",
                "start a new run",
            )
        now = time.time()
        if state == "running":
            record |= {"started": now, "attempts": record["attempts"] + 1}
            record.pop("ended", None)
        else:
            record["ended"] = now
        write_json(self.folder / "run.json", {**record, "state": state, "reason": mask(reason), **masked_value(more)})
        self.events.append(StateChanged(state=state, reason=reason))

    def lock(self) -> FileLock:
        """Held by the worker; released by the system when the worker exits."""
        return FileLock(self.folder / "run.lock")

    def is_alive(self) -> bool:
        self.refuse_misplaced_logs()
        return is_held(self.lock())

    def refuse_leading_out(self) -> None:
        """RunError `run.broken-record` if a link leads the folder out of `runs/`, as in a workspace that was copied:
        what is read and removed here would be another program's."""
        above = self.folder.parents
        if not any(os.path.islink(folder) for folder in (self.folder, above[0], above[1])):
            return
        runs, real = above[2], Path(os.path.realpath(self.folder))
        if not real.is_relative_to(os.path.realpath(runs)):
            fix = "put the folder itself in the place of the link, or remove the link"
            raise RunError("run.broken-record", f"{self.folder} leads out of {runs}, to {real}", fix)

    def refuse_misplaced_logs(self) -> None:
        """RunError `run.broken-record` if the events, the log or the lock is no file."""
        for error in misplaced_logs(self.folder):
            raise error

    def artifact(self) -> Artifact | None:
        """The finished artifact, or None."""
        return Artifact.of(self.folder, self.workspace) if is_there(self.folder / "artifact.json") else None
