"""Jobs, leases and workers as values: what the queue gives and takes. Imports no database."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from burnish.jobs.identity import ProcessIdentity

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
EndState = Literal["succeeded", "failed", "cancelled"]
Slot = Literal["cpu", "gpu", "light", "server"]
"""What a job takes of a worker. A light one, such as the profile of a dataset, runs beside a training and needs no
device; a server runs until it is stopped. Neither takes a place of other jobs."""
Requested = Literal["stop", "kill"]

TRANSITIONS: Mapping[JobState, tuple[JobState, ...]] = {
    "queued": ("running", "cancelled"),
    "running": ("succeeded", "failed", "cancelled", "queued"),
    "succeeded": (),
    "failed": ("queued",),
    "cancelled": ("queued",),
}
"""`running` to `queued` is a retry, or a job whose worker died; an ended job is queued again by `resume`."""
ENDED: tuple[EndState, ...] = ("succeeded", "failed", "cancelled")


SILENT_SECONDS = 600.0
"""After which a worker that was not seen is shown as silent. One that lives is seen each few seconds."""
LOCAL = "local"
"""The launcher on the machine of the worker."""


@dataclass(frozen=True)
class NewJob:
    """One step of a submitted run, to be added to the queue."""

    recipe: str
    number: int
    step: str
    stage: str
    needs: Sequence[str] = ()
    """Steps of the same run that must have succeeded before."""
    needs_jobs: Sequence[int] = ()
    """Ids of other jobs that must have succeeded before."""
    slot: Slot = "cpu"
    priority: int = 0
    """Higher first."""
    max_attempts: int = 1
    time_limit: float | None = None
    """Seconds of one attempt."""
    launcher: str = LOCAL
    """`local`, or the address of a cluster."""
    state: JobState = "queued"
    """Another one where the queue is rebuilt: the state in which the step ended."""
    reason: str = ""

    @property
    def run(self) -> str:
        return f"{self.recipe}/{self.number}"


@dataclass(frozen=True)
class Job:
    """A job as it was when it was read."""

    id: int
    run: str
    """`<recipe>/<number>`"""
    recipe: str
    number: int
    step: str
    stage: str
    needs: tuple[int, ...]
    """Ids of the jobs that must have succeeded before."""
    state: JobState
    slot: Slot
    priority: int
    position: float
    attempts: int
    """Attempts that count, the current one included."""
    max_attempts: int
    lost_by: tuple[str, ...]
    """The workers that died, or fell silent, with the job, since its last progress."""
    not_before: float
    """Not leased before this time, in seconds since 1970; 0 for at once."""
    time_limit: float | None
    launcher: str
    fence: int
    """Grows with each lease, and with each change by others than its holder."""
    beat: int
    """Grows with each renewal of the lease."""
    worker: str | None
    """The worker that has the job, or had it last."""
    requested: Requested | None
    """What was requested of the worker of a running job."""
    error: Mapping[str, Any] | None
    """The error of a failed job, as `BurnishError.as_dict`."""
    reason: str
    """Why it is in this state, for people."""
    created: float
    started: float | None
    """Of the current or last attempt; None while it waits for one."""
    ended: float | None
    revision: int
    """Grows with each change of any job, beats excepted."""

    @property
    def name(self) -> str:
        """`<recipe>/<number>/<step>`, the name of its run folder."""
        return f"{self.run}/{self.step}"

    @property
    def losses(self) -> int:
        """Leases that were lost by dead or silent workers, since the last progress."""
        return len(self.lost_by)

    @property
    def may_retry(self) -> bool:
        """Whether another attempt is left after the current one."""
        return self.attempts < self.max_attempts

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "losses": self.losses}


@dataclass
class Lease:
    """A job that this process holds, and until when.

    `Queue.renew` moves the deadline. A holder whose lease is overdue stops its work at once (SIGKILL, if it has to):
    after a third of the time that it had, another worker may take the job over.
    """

    job: Job
    worker: str
    fence: int
    deadline: float
    """On the monotonic clock of this process."""
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    @property
    def id(self) -> int:
        return self.job.id

    @property
    def seconds_left(self) -> float:
        """Until the deadline; negative after it."""
        return self.deadline - self.clock()

    @property
    def is_overdue(self) -> bool:
        return self.seconds_left <= 0


@dataclass(frozen=True)
class Worker:
    """A process that leases jobs."""

    id: str
    process: ProcessIdentity
    slots: Mapping[Slot, int] = field(default_factory=dict[Slot, int])
    """How many jobs of each slot it runs at a time."""
    version: str = ""
    joined: float = 0.0
    seen: float = 0.0
    """When it last looked for a job or renewed a lease, in seconds since 1970, for people."""

    @property
    def has_ended(self) -> bool:
        """Whether it is known to have ended: a worker of another machine never is."""
        return self.process.has_ended()

    @property
    def is_silent(self) -> bool:
        """Whether it was not seen for long, by the clocks of both machines: for people, nothing depends on it."""
        return time.time() - self.seen > SILENT_SECONDS
