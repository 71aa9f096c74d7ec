"""Several worker processes on one PostgreSQL give what one process gives."""

import pytest

import burnish
from burnish.studio.queueing.submitting import submit
from same_artifacts import DEMO_MODELS_AND_DATA, assert_same


@pytest.fixture
def together(workspace, postgresql, monkeypatch, worker_process):
    """Submit a recipe, and let two workers run it; gives the artifacts of its steps."""
    monkeypatch.setenv("BURNISH_DATABASE", postgresql.database())

    def together(recipe):
        run = submit(recipe, workspace=workspace.root).run
        workers = [worker_process("--until-idle") for _ in range(2)]
        assert [worker.wait(900) for worker in workers] == [0, 0]
        return {run.folder.name: run.artifact() for run in workspace.find_runs(run)}

    return together


def test_two_workers_give_what_one_process_gives(together, recipe, tmp_path):
    for name in "abc":
        recipe["steps"][name] = {"stage": "quick-make", "word": name}
    alone = burnish.run(recipe, workspace=tmp_path / "alone")
    assert_same(together(recipe), {name: step.artifact for name, step in alone.steps.items()}, recipe["steps"])


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_two_workers_run_the_demo_to_the_same_artifacts(together, tmp_path):
    alone = burnish.run("demo", workspace=tmp_path / "alone")
    artifacts = {name: step.artifact for name, step in alone.steps.items()}
    assert_same(together("demo"), artifacts, DEMO_MODELS_AND_DATA)
