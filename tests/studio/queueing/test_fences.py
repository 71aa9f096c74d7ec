"""The fences of leases in run folders, and jobs whose own artifact is not whole any more."""

import pytest
from sqlalchemy import update

from burnish.core.files import write_json
from burnish.core.runs.run import Fence, FencedError, Run
from burnish.core.runs.submitted import SubmittedRun
from burnish.jobs import worker
from burnish.jobs.database.tables import jobs
from burnish.jobs.launchers.endings import Ending, record_end
from burnish.jobs.launchers.local import LocalLauncher
from burnish.jobs.queue.change import changing
from burnish.studio.queueing import worker as queue_worker


@pytest.mark.parametrize("force", [(), ("make",)])
def test_a_job_whose_own_artifact_is_damaged_makes_it_again(recipe, submitted, drain, states, queue, workspace, force):
    submitted(recipe, only=["make"], force=force)
    drain()
    run = workspace.run("r", 1, "make")
    for path in run.out.rglob("*"):
        path.unlink()
    with changing(queue.database) as change:  # as if its worker was lost after it had written artifact.json
        change.connection.execute(update(jobs).values(state="queued", ended=None))
    drain()
    assert states("r/1") == {"make": "succeeded"}
    assert (run.artifact().damage({}), run.record["state"]) == ([], "succeeded")


@pytest.fixture
def leased(recipe, submitted, workspace):
    """The run folder of a step, as the holder of a lease has it: `leased(2)`."""
    submitted(recipe)
    job = SubmittedRun(workspace, "r", 1).record["steps"][0]["job"]

    def leased(fence, holder="r/1/make"):
        run, given = workspace.run("r", 1, "make"), {**job, "fence": fence, "holder": holder}
        run.update_job(given) if run.folder.exists() else run.create(given)
        return run

    return leased


def test_a_fenced_worker_leaves_the_folder_to_the_one_that_took_it_over(leased):
    stale = leased(1)
    stale.partial.mkdir()
    holder = leased(2)
    holder.transition("running")
    holder.partial.mkdir()
    holder.out.mkdir()
    write_json(holder.folder / "artifact.json", {"of": "the holder"})
    before = {path: path.read_bytes() for path in holder.folder.rglob("*") if path.is_file()}
    assert worker._fail(stale, FencedError("r/1/make", 2), None) != 0
    record_end(stale, Ending(-9, was_killed=True))
    assert {path: path.read_bytes() for path in holder.folder.rglob("*") if path.is_file()} == before
    assert (stale.partial.exists(), holder.partial.exists(), holder.out.exists()) == (False, True, True)


def test_a_worker_that_is_fenced_while_it_works_publishes_nothing(slow, submitted, workspace, until, tmp_path):
    submitted(slow, only=["wait"])
    job = {**SubmittedRun(workspace, "s", 1).record["steps"][0]["job"], "fence": 1, "holder": "s/1/wait"}
    run, launcher = workspace.run("s", 1, "wait"), LocalLauncher()
    run.create(job)
    process = launcher.start(run)
    until(lambda: (run.scratch / "checkpoints" / "1").exists())
    assert run.partial.name == "out.partial.1-1"
    Run(run.folder).update_job({**job, "fence": 2})
    (tmp_path / "release").touch()
    until(lambda: launcher.poll(process, run) is not None)
    assert launcher.poll(process, run) != 0
    assert {path.name for path in run.folder.iterdir()}.isdisjoint({"out", "artifact.json", run.partial.name})
    assert run.record["state"] == "running"


def test_a_failed_worker_removes_no_output_beside_its_record(leased):
    run = leased(1)
    run.transition("running")
    run.out.mkdir()
    worker._fail(run, ValueError(), None)
    assert not run.out.exists()
    run.out.mkdir()
    write_json(run.folder / "artifact.json", {})
    run.transition("running")
    worker._fail(run, ValueError(), None)
    assert run.out.exists()


def test_an_older_lease_never_overwrites_a_newer_one(leased):
    holder = leased(2)
    for change in ("update_job", "create_again"):
        with pytest.raises(FencedError) as refused:
            getattr(Run(holder.folder), change)({**holder.job, "fence": 1})
        assert refused.value.newest == 2
    assert (holder.job["fence"], holder.is_fenced) == (2, False)


@pytest.mark.parametrize(
    ("own", "found", "is_fenced"),
    [
        (("r/1/make", 2), ("r/1/make", 2), False),
        (("r/1/make", 2), ("r/1/make", 3), True),
        (("r/1/make", 2), ("r/1/make", 1), False),
        (("r/1/make", 2), ("r/2/make", 1), True),
        (("r/1/make", 2), None, True),
        (None, ("r/1/make", 1), True),
        (None, None, False),
    ],
)
def test_a_lease_is_over_once_a_newer_one_or_that_of_another_job_has_the_folder(leased, own, found, is_fenced):
    run = leased(1)
    run.fence = None if own is None else Fence(*own)
    values = {} if found is None else {"holder": found[0], "fence": found[1]}
    job = {key: value for key, value in run.job.items() if key not in ("holder", "fence")}
    write_json(run.folder / "job.json", {**job, **values})
    assert run.is_fenced == is_fenced


def test_the_job_of_a_database_that_was_lost_gets_a_newer_lease(leased, drain, states, workspace, monkeypatch):
    monkeypatch.setattr(queue_worker, "_BUSY_SECONDS", 0.0)
    leased(9)
    drain()
    assert states("r/1") == {"make": "succeeded", "join": "succeeded"}
    assert workspace.run("r", 1, "make").job["fence"] == 10
