"""What jobs need: which are known, and which can no longer be met."""

import time
from collections.abc import Sequence

from sqlalchemy import Connection, exists, select

from burnish.core.errors import AskError
from burnish.jobs.database.tables import jobs, needs
from burnish.jobs.queue import order
from burnish.jobs.queue.change import Change, by_id
from burnish.jobs.queue.job import NewJob

_needed = jobs.alias("needed")
_JOINED = needs.join(_needed, _needed.c.id == needs.c.need)
ARE_MET = ~exists(
    select(needs.c.job).select_from(_JOINED).where(needs.c.job == jobs.c.id, _needed.c.state != "succeeded")
)
"""Whether all that a row of `jobs` needs has succeeded."""


def refuse_unknown_needs(connection: Connection, new: Sequence[NewJob]) -> None:
    """AskError `ask.wrong-value` for a step that has a job, or a need that is neither before it nor in the queue."""
    known = set(order.steps_of(connection, {job.run for job in new}))
    ids = by_id(connection, {number for job in new for number in job.needs_jobs})
    for job in new:
        if (job.run, job.step) in known:
            what = f"step {job.step} of run {job.run} has a job"
            raise AskError("ask.wrong-value", what, "resume the run, or submit a new one")
        for step in job.needs:
            if (job.run, step) not in known:
                what = f"step {job.step} of run {job.run} needs step '{step}', which has no job before it"
                raise AskError("ask.wrong-value", what, "add the jobs of a run in the order of its steps")
        for number in job.needs_jobs:
            if number not in ids:
                raise order.no_such_job(number)
        known.add((job.run, job.step))


def cancel_hopeless(change: Change) -> None:
    """Cancel the queued jobs that need one which failed or was cancelled, and those that need them, and so on."""
    query = (
        select(jobs.c.id, _needed.c.run, _needed.c.step, _needed.c.state)
        .select_from(_JOINED.join(jobs, jobs.c.id == needs.c.job))
        .where(jobs.c.state == "queued", _needed.c.state.in_(("failed", "cancelled")))
        .order_by(jobs.c.id, _needed.c.id)
    )
    while rows := change.connection.execute(query).all():
        ended = {row.id: f"it needs {row.run}/{row.step}, which {_SAID[row.state]}" for row in reversed(rows)}
        for number, job in by_id(change.connection, list(ended)).items():
            change.to("cancelled", job, ended=time.time(), reason=ended[number])


_SAID = {"failed": "failed", "cancelled": "was cancelled"}
