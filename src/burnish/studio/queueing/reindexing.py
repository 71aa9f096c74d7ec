"""Make the database anew from the folders, which are the truth: the index of runs, and the jobs that wait."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from burnish.core.registry.rebuild import Repair
from burnish.core.runs.workspace import Workspace
from burnish.jobs.index.folders import run_signatures, step_signatures, true_run, true_step
from burnish.jobs.index.index import Index
from burnish.studio.listing import snapshots
from burnish.studio.queueing.jobs import requeue_lost
from burnish.studio.queueing.opening import opened


@dataclass(frozen=True)
class Reindexed:
    """What was found in the folders of runs."""

    database: str
    """The file, or the address without the password."""
    runs: int
    steps: int
    damaged: tuple[Repair, ...]
    """The records that cannot be read. Lists show them as damaged."""
    queued: int
    """Steps of submitted runs that had not ended, and that the database did not know: they wait again."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def reindex_runs(*, workspace: Path | str | None = None, database: str | None = None) -> Reindexed:
    """Read the records of all runs and steps, and put what they say into the database, in place of what it held.

    Jobs that the database lost wait again. A database that does not exist is made.

    Errors: AskError `ask.no-such-run` if the workspace does not exist, and those of `Database.of` and
    `Database.writing`; then nothing has changed.
    """
    place = Workspace.find(workspace)
    place.refuse_missing()
    with opened(place.root, database) as (_, queue):
        steps = [true_step(place, name, signature, None) for name, signature in step_signatures(place).items()]
        runs = [true_run(place, name, signature, None) for name, signature in run_signatures(place).items()]
        Index(queue.database).replace([*steps, *runs])
        snapshots.forget()
        problems: list[str] = []
        queued = requeue_lost(place, queue, problems.append)
        plans = [Repair(run.run, run.damage) for run in runs if run.damage]
        records = [Repair(step.run, step.reason) for step in steps if step.state == "damaged"]
        lost = [Repair("queue", problem) for problem in problems]
        return Reindexed(queue.database.place, len(runs), len(steps), (*plans, *records, *lost), queued)
