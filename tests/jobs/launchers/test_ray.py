"""Steps on a Ray cluster of two nodes on this machine: the same artifacts, stops, resumes, failures, deaths."""

import json
import os
import signal
import subprocess
import sys

import pytest

import burnish
from burnish.core.errors import AskError, MachineError
from burnish.core.runs.submitted import Options
from burnish.jobs.launchers.choice import launcher_at, parsed
from burnish.jobs.launchers.ray import RayLauncher
from burnish.studio import runs
from burnish.studio.queueing.jobs import work
from burnish.studio.queueing.submitting import submit
from same_artifacts import DEMO_MODELS_AND_DATA, assert_same

_CLUSTER = """
import json, signal, sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": True, "dashboard_port": 0})
cluster.add_node(num_cpus=1)
print(json.dumps({"address": "http://" + cluster.head_node.webui_url}), flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def address():
    """A cluster in a process of its own, which ends with this one."""
    pytest.importorskip("ray")
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_DEDUP_LOGS": "0"}
    environment["RAY_DASHBOARD_STARTUP_TIMEOUT_S"] = "180"  # where many tests run at once
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_AUTH_MODE", "disabled")
        process = subprocess.Popen(
            [sys.executable, "-c", _CLUSTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["address"]
        process.communicate()
    launcher_at.cache_clear()


@pytest.fixture
def slow(quick_stages, tmp_path):
    return {"name": "s", "steps": {"wait": {"stage": "quick-slow", "release": str(tmp_path / "release")}}}


def artifacts_of(result):
    return {name: step.artifact for name, step in result.steps.items()}


def nodes_of(address):
    """The node on which each job of the cluster ran."""
    from ray.job_submission import JobSubmissionClient

    return [job.driver_node_id for job in JobSubmissionClient(address).list_jobs()]


def test_steps_on_a_cluster_give_what_they_give_here(address, recipe, workspace, tmp_path):
    there = burnish.run(recipe, workspace=workspace.root, on=address)
    here = burnish.run(recipe, workspace=tmp_path / "here")
    assert_same(artifacts_of(there), artifacts_of(here), recipe["steps"])
    assert "burnish" in there["make"].run.log.read_text()


@pytest.mark.torture
@pytest.mark.timeout(2400)
def test_the_demo_on_a_cluster_gives_what_it_gives_here(address, workspace, tmp_path):
    submit("demo", workspace=workspace.root, options=Options(on=address))
    work(slots=2, until_idle=True, workspace=workspace.root, say=print)
    there = {run.folder.name: run.artifact() for run in workspace.find_runs("demo/1")}
    here = burnish.run("demo", workspace=tmp_path / "here")
    assert_same(there, artifacts_of(here), DEMO_MODELS_AND_DATA)
    assert len(set(nodes_of(address))) == 2, "both nodes worked"


def test_the_queue_runs_steps_on_a_cluster(address, recipe, workspace):
    submit(recipe, workspace=workspace.root, options=Options(on=address))
    work(until_idle=True, workspace=workspace.root, say=lambda _: None)
    assert [run.state for run in workspace.find_runs("r/1")] == ["succeeded", "succeeded"]


def test_a_stopped_step_saves_its_state_there_and_resumes_here(
    in_background, address, slow, workspace, until, tmp_path
):
    thread, errors = in_background(slow, on=address)
    run = workspace.run("s", 1, "wait")
    until(lambda: (run.scratch / "checkpoints" / "1").exists())
    runs.stop("s/1", workspace=workspace.root)
    thread.join(60)
    assert [error.code for error in errors] == ["run.interrupted"]
    assert run.state == "interrupted"
    (tmp_path / "release").touch()
    assert burnish.run(slow, workspace=workspace.root)["wait"].metrics == {"resumed": True}


def test_a_worker_that_is_killed_there_is_named(in_background, address, slow, workspace, until):
    thread, errors = in_background(slow, on=address)
    run = workspace.run("s", 1, "wait")
    until(lambda: (run.scratch / "checkpoints" / "1").exists())
    os.kill(run.record["pid"], signal.SIGKILL)
    thread.join(60)
    assert [error.code for error in errors] == ["run.killed"]
    assert run.state == "failed"


def test_an_error_of_a_step_there_is_raised_here(address, quick_stages, workspace):
    recipe = {"name": "f", "steps": {"one": {"stage": "quick-fail", "how": "value"}}}
    with pytest.raises(burnish.BurnishError) as failed:
        burnish.run(recipe, workspace=workspace.root, on=address)
    assert "no good" in failed.value.what


def test_a_cluster_that_does_not_answer_is_named():
    with pytest.raises(MachineError) as failed:
        RayLauncher("http://127.0.0.1:9")
    assert failed.value.code == "machine.no-cluster"


@pytest.mark.parametrize("on", ["", "ray://", "ftp://x", "ray://x?gpu=1", "ray://x?gpus=-1", "ray://x?gpus=nan"])
def test_an_address_that_is_none_is_refused(on):
    with pytest.raises(AskError):
        parsed(on)


def test_gpus_are_reserved_as_the_address_says():
    assert parsed("ray://head:10001?gpus=2") == ("ray://head:10001", 2.0)
