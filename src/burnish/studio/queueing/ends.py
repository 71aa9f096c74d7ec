"""How jobs ended, in the folders of their runs: from these the queue is rebuilt if its database is lost."""

from collections.abc import Callable

from burnish.core.errors import BurnishError
from burnish.core.runs.submitted import SubmittedRun
from burnish.core.runs.workspace import Workspace
from burnish.jobs.queue.job import ENDED, Job


def record_end(workspace: Workspace, job: Job, say: Callable[[str], None] = lambda _: None) -> None:
    """Make the record of a job what the job is: how it ended, or none while it waits or runs.

    What cannot be written, such as for a run whose folder was removed, is reported, and ends nothing.
    """
    submitted = SubmittedRun(workspace, job.recipe, job.number)
    try:
        if not submitted.exists():
            return
        recorded, ended = submitted.end_of(job.step), (job.state, job.reason) if job.state in ENDED else None
        if ended is None and recorded is not None:
            submitted.forget_end(job.step)
        elif ended is not None and recorded != ended:
            submitted.record_end(job.step, *ended)
    except (OSError, BurnishError) as error:
        say(f"{job.name}: how it ended is not recorded: {error}")
