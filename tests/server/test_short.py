"""The short forms that people know, and the page at the addresses that it shares with them."""

import json
from types import SimpleNamespace

import pytest

from burnish.core.errors import MachineError
from burnish.jobs.queue.queue import Queue
from burnish.server.routes.short import _start
from burnish.studio.datasets import upload
from burnish.studio.datasets.profiling import make_profile
from burnish.studio.queueing.jobs import work

ROWS = "".join(
    json.dumps({"messages": [{"role": "user", "content": f"q {n}"}, {"role": "assistant", "content": f"a {n}"}]}) + "\n"
    for n in range(6)
)


@pytest.fixture(scope="module")
def rows(studio):
    answer = studio.page.put("/api/v1/datasets/rows.jsonl", content=ROWS.encode())
    assert answer.status_code == 201
    return "file:data/uploads/rows.jsonl"


STARTS = {
    "/train": lambda rows: {"model": "builtin:pocket", "data": rows, "settings": {"max_steps": 1}},
    "/evaluate": lambda rows: {"model": "builtin:pocket", "data": rows},
    "/merge": lambda rows: {"model": "train.train@1"},
    "/dataset/generate": lambda rows: {"generator": {"kind": "pocket", "skill": "move_order", "rows": 5}},
}


def test_a_dataset_is_generated_and_its_job_asked_for(studio, rows):
    started = studio.page.post("/dataset/generate", json=STARTS["/dataset/generate"](rows))
    assert started.status_code == 202, started.text
    assert studio.page.get(started.json()["status_url"]).json()["status"] == "queued"
    work(until_idle=True, workspace=studio.folder, say=lambda _: None)
    done = studio.page.get(started.json()["status_url"]).json()
    assert (done["status"], done["stage"], done["job_id"]) == ("succeeded", "synthesize", started.json()["job_id"])
    assert started.json()["job_id"] in [job["id"] for job in studio.page.get("/jobs").json()["jobs"]]


@pytest.mark.parametrize("path", ["/train", "/evaluate"])
def test_a_stage_is_queued(studio, rows, path):
    answer = studio.page.post(path, json=STARTS[path](rows))
    assert answer.status_code == 202, answer.text
    assert answer.json()["jobs"] == [answer.json()["job_id"]]


def test_a_run_that_the_busy_database_did_not_take_is_started_all_the_same(workspace, monkeypatch):
    def busy(queue, new):
        raise MachineError("machine.database-busy", "the database is locked", "try again")

    monkeypatch.setattr(Queue, "add", busy)
    generator = {"kind": "pocket", "skill": "move_order", "rows": 5}
    started = _start("synthesize", {"generator": generator}, workspace.root, SimpleNamespace(allowed_paths=()))
    assert (started.run, started.job_id, started.jobs) == ("synthesize/1", None, [])
    assert started.status_url == "/api/v1/runs/synthesize/1"
    assert "the database is locked" in started.notes[-1]
    upload("rows.jsonl", [ROWS.encode()], workspace=workspace.root)
    queued = make_profile("rows.jsonl", workspace=workspace.root)
    assert (queued["run"], queued["state"], queued["job"]) == ("profile/1", "queued", None)


@pytest.mark.parametrize("path", STARTS)
def test_what_is_unknown_is_refused_with_its_name_and_needs_a_login(studio, rows, path):
    asked = {**STARTS[path](rows), "settings": {"temperatur": 1}}
    answer = studio.page.post(path, json=asked)
    assert answer.status_code == 422, answer.text
    assert "fix" in answer.json()
    assert studio.page.post(path, json={**STARTS[path](rows), "unknown": 1}).status_code == 422
    assert studio.anyone.post(path, json=asked).status_code == 401


def test_files_outside_of_the_workspace_are_not_read(studio, rows):
    for path, asked in [
        ("/train", {"model": "file:/etc", "data": rows}),
        ("/train", {"model": "builtin:pocket", "data": "file:/etc/passwd"}),
        ("/evaluate", {"model": "file:../../x", "data": rows}),
        ("/merge", {"adapters": ["file:/etc", "file:/usr"]}),
        ("/v1/fine_tuning/jobs", {"model": "file:/etc", "training_file": _file_id(studio)}),
        ("/api/v1/datasets/rows.jsonl/preview", {"tokenizer": "file:/etc"}),
        ("/api/v1/datasets/rows.jsonl/profile", {"settings": {"tokenizer": "file:/etc"}}),
    ]:
        answer = studio.page.post(path, json=asked)
        assert answer.status_code == 403, (path, answer.text)
        assert "outside of the workspace" in answer.text


def _file_id(studio):
    return studio.page.get("/v1/files").json()["data"][0]["id"]


def test_adapters_are_those_of_the_registry(studio):
    assert studio.page.get("/adapters").json() == []
    assert studio.page.get("/jobs/999999/status").status_code == 404


@pytest.mark.parametrize("path", ["/jobs", "/adapters"])
def test_a_browser_gets_the_page_at_the_same_address(studio, path):
    headers = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert studio.page.get(path, headers=headers).headers["content-type"].startswith("text/html")
    assert studio.page.get(path).headers["content-type"] == "application/json"
    assert studio.anyone.get(path).status_code == 401
