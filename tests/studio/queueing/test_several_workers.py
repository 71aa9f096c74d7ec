"""Several worker processes on one PostgreSQL give what one process gives."""

import pytest

import burnish
from burnish.studio.queueing.submitting import submit


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


def lasting(artifact):
    """What does not depend on the clock or the load: fingerprint, measures, and files but for reports of times."""
    measures = {name: value for name, value in artifact.measures.items() if "second" not in name}
    return artifact.kind, artifact.fingerprint, measures, sorted(artifact.files)


def test_two_workers_give_what_one_process_gives(together, recipe, tmp_path):
    for name in "abc":
        recipe["steps"][name] = {"stage": "quick-make", "word": name}
    found = together(recipe)
    alone = burnish.run(recipe, workspace=tmp_path / "alone")
    assert {name: lasting(artifact) for name, artifact in found.items()} == {
        name: lasting(step.artifact) for name, step in alone.steps.items()
    }
    assert {name: artifact.as_input("x").digest for name, artifact in found.items()} == {
        name: step.artifact.as_input("x").digest for name, step in alone.steps.items()
    }


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_two_workers_run_the_demo_to_the_same_artifacts(together, tmp_path):
    found = together("demo")
    alone = burnish.run("demo", workspace=tmp_path / "alone")
    assert {name: lasting(artifact) for name, artifact in found.items()} == {
        name: lasting(step.artifact) for name, step in alone.steps.items()
    }
    for name in ("data", "tune", "tune_replay", "ship", "small"):
        assert found[name].as_input("x").digest == alone[name].artifact.as_input("x").digest
