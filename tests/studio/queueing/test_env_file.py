"""What is set in `.env` after a run was submitted reaches its jobs."""

import os

import pytest

from burnish.core.runs.submitted import Options
from burnish.studio.settings.changes import change_settings
from burnish.studio.settings.environment import NOTE

VARIABLE = "LATER_API_KEY"


@pytest.fixture
def own_environment():
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_a_key_that_is_set_after_the_submission_reaches_the_worker_of_the_step(
    own_environment, submitted, drain, queue, workspace
):
    (workspace.root / "rows.jsonl").write_text('{"messages": [{"role": "user", "content": "a"}]}\n')
    endpoint = {"url": "http://127.0.0.1:9/v1", "model": "m", "api_key_env": VARIABLE, "retries": 0}
    steps = {"ask": {"stage": "generate", "data": "file:rows.jsonl", "endpoint": endpoint}}
    submitted({"name": "k", "steps": steps}, options=Options(retries=0))
    drain()
    assert [job.error["code"] for job in queue.jobs(run="k/1")] == ["ask.missing-key"]
    change_settings({VARIABLE: "canary-of-the-lab"}, workspace=workspace.root)
    del os.environ[VARIABLE], os.environ[NOTE]  # as in a worker's process, which the change was not made in
    submitted({"name": "k", "steps": steps}, options=Options(retries=0))
    drain()
    assert [job.error["code"] for job in queue.jobs(run="k/2")] == ["machine.no-answer"]
    assert not any("canary" in str(job.as_dict()) for job in queue.jobs())
