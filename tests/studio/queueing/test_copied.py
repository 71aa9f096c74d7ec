"""A workspace that somebody else made: nothing outside of its runs is read, written or removed."""

import json
import os
from dataclasses import replace

import pytest

from burnish.core.errors import RunError
from burnish.core.runs.submitted import SubmittedRun
from burnish.studio.queueing.ends import record_end
from burnish.studio.queueing.jobs import cancel_run, requeue_lost
from burnish.studio.queueing.plans import submitted_plan


@pytest.fixture
def victim(tmp_path):
    """A folder of the user, beside the workspace."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    yield folder
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_the_end_of_a_step_that_leads_out_is_recorded_nowhere(quick_stages, recipe, submitted, workspace, victim):
    (job, _) = submitted(recipe).jobs
    outside = os.path.relpath(victim, workspace.queue_folder("r", 1))
    for state in ("failed", "queued"):
        said = []
        record_end(workspace, replace(job, step=outside, state=state, reason="it failed"), said.append)
        assert "is not a valid name" in said[0]


def test_a_submission_with_a_step_that_leads_out_is_not_queued(
    quick_stages, recipe, submitted, workspace, queue, victim
):
    submitted(recipe)
    path = workspace.queue_folder("r", 1) / "submitted.json"
    record = json.loads(path.read_text())
    record["steps"][0]["step"] = os.path.relpath(victim, path.parent)
    workspace.queue_folder("r", 1).parent.with_name("2").mkdir()
    other = SubmittedRun(workspace, "r", 2)
    other.write_beside("submitted.json", record)
    workspace.record_plan("r", 2, workspace.plan_of("r", 1))
    said = []
    assert requeue_lost(workspace, queue, said.append) == 0
    assert "'steps.0.step'" in said[0]


def test_a_step_whose_folder_is_a_link_out_of_the_runs_is_refused(quick_stages, recipe, submitted, workspace, victim):
    submitted(recipe)
    run = workspace.run("r", 1, "make")
    run.folder.symlink_to(victim)
    for use in (
        lambda: workspace.steps_of("r", 1),
        lambda: submitted_plan(workspace, "r", 1),
        lambda: run.create_again({}),
        lambda: cancel_run("r/1", workspace=workspace.root),
    ):
        with pytest.raises(RunError, match=f"{run.folder} leads out of .*, to {victim}"):
            use()


def test_a_step_below_a_link_that_stays_among_the_runs_is_used(quick_stages, recipe, submitted, workspace):
    submitted(recipe)
    (workspace.runs / "r").rename(workspace.runs / "kept")
    (workspace.runs / "r").symlink_to("kept")
    assert set(workspace.steps_of("r", 1)) == {"make", "join"}
