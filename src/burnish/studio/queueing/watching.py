"""What has changed in the queue, for those who look on."""

from collections.abc import Mapping
from pathlib import Path

from burnish.jobs.queue.job import Job, JobState, Worker
from burnish.studio.queueing.opening import opened


def revision(*, workspace: Path | str | None = None, database: str | None = None) -> int:
    """The number of the newest change of a job; 0 before the first."""
    with opened(workspace, database) as (_, queue):
        return queue.revision()


def changed_jobs(after: int, *, workspace: Path | str | None = None, database: str | None = None) -> list[Job]:
    """The jobs that changed after a revision, as they are now, in the order of their changes; at most a thousand.

    Ask again with the revision of the last one: none is lost.
    """
    with opened(workspace, database) as (_, queue):
        return queue.changes(after)


def workers(*, workspace: Path | str | None = None, database: str | None = None) -> list[Worker]:
    """The workers that have not left, the oldest first."""
    with opened(workspace, database) as (_, queue):
        return queue.workers()


def counts(
    *, run: str | None = None, workspace: Path | str | None = None, database: str | None = None
) -> Mapping[JobState, int]:
    """The number of jobs in each state, of a run or of all."""
    with opened(workspace, database) as (_, queue):
        return queue.counts(run)
