"""Runs are submitted, shown, moved, cancelled and resumed over HTTP; a locked database is an answer."""

import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from sse import parsed

ROWS = '{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "d"}\n'


@pytest.fixture
def submit(studio):
    (studio.folder / "rows.jsonl").write_text(ROWS)

    def submit(name="own", **more):
        step = {"stage": "prepare", "source": "file:rows.jsonl"}
        profile = {"stage": "profile", "source": "step:data"}
        values = {"name": name, "steps": {"data": step, "page": profile}}
        answer = studio.page.post("/api/v1/runs", json={"values": values, "force": ["*"], **more})
        assert answer.status_code == 202, answer.text
        return answer.json()

    return submit


def test_a_submitted_run_has_a_job_for_each_step(studio, submit):
    found = submit(priority=3, retries=1, time_limit=60)
    assert [(job["step"], job["state"], job["priority"], job["max_attempts"]) for job in found["jobs"]] == [
        ("data", "queued", 3, 2),
        ("page", "queued", 3, 2),
    ]
    assert studio.page.get(f"/api/v1/jobs/{found['jobs'][0]['id']}").json() == found["jobs"][0]
    listed = studio.page.get("/api/v1/jobs", params={"run": found["run"]}).json()
    assert [job["id"] for job in listed["jobs"]] == [job["id"] for job in found["jobs"]]
    assert (listed["counts"]["queued"], sum(listed["counts"].values())) == (2, 2)
    assert studio.page.get(f"/api/v1/runs/{found['run']}").json()["state"] == "queued"


def test_jobs_are_listed_by_page(studio, submit):
    run = submit("paged")["run"]
    found, after = [], {}
    while True:
        page = studio.page.get("/api/v1/jobs", params={"run": run, "limit": 1, **after}).json()
        found += [job["step"] for job in page["jobs"]]
        assert page["left_out"] == 1
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert found == ["data", "page"]
    lost = studio.page.get("/api/v1/jobs", params={"run": run, "after": 10**9})
    assert (lost.status_code, lost.json()["code"]) == (404, "ask.bad-reference")
    assert studio.page.get("/api/v1/jobs", params={"limit": 10_000}).status_code == 422


def test_one_stage_is_submitted(studio):
    (studio.folder / "rows.jsonl").write_text(ROWS)
    answer = studio.page.post(
        "/api/v1/stages/prepare/runs", json={"values": {"source": "file:rows.jsonl"}, "force": True}
    )
    assert answer.status_code == 202
    assert [job["stage"] for job in answer.json()["jobs"]] == ["prepare"]


def test_a_job_is_moved_before_another(studio, submit):
    first, second = submit("first")["jobs"][0], submit("second")["jobs"][0]
    answer = studio.page.post(f"/api/v1/jobs/{second['id']}/move", json={"before": first["id"]})
    assert answer.status_code == 200
    waiting = [job["id"] for job in studio.page.get("/api/v1/jobs", params={"state": "queued"}).json()["jobs"]]
    assert waiting.index(second["id"]) < waiting.index(first["id"])
    both = studio.page.post(f"/api/v1/jobs/{second['id']}/move", json={"before": first["id"], "priority": 1})
    assert both.status_code == 422


def test_a_cancelled_job_takes_those_with_it_that_need_it_and_is_resumed(studio, submit):
    found = submit()
    data, page = (job["id"] for job in found["jobs"])
    assert studio.page.post(f"/api/v1/jobs/{data}/cancel").json()["state"] == "cancelled"
    assert studio.page.get(f"/api/v1/jobs/{page}").json()["state"] == "cancelled"
    resumed = studio.page.post(f"/api/v1/jobs/{data}/resume").json()
    assert [job["state"] for job in resumed] == ["queued", "queued"]
    studio.page.post(f"/api/v1/jobs/{data}/cancel")
    again = studio.page.post(f"/api/v1/runs/{found['run']}/resume")
    assert again.status_code == 202
    assert [job["state"] for job in again.json()["jobs"]] == ["queued", "queued"]


def test_a_run_in_the_queue_is_stopped(studio, submit):
    found = submit()
    assert studio.page.get(f"/api/v1/runs/{found['run']}").json()["stop_requested"] is False
    assert studio.page.post(f"/api/v1/runs/{found['run']}/stop").json() == {"requested": [found["run"]]}
    assert studio.page.get(f"/api/v1/runs/{found['run']}").json()["stop_requested"] is True
    assert {job["state"] for job in studio.page.get("/api/v1/jobs", params={"run": found["run"]}).json()["jobs"]} == {
        "cancelled"
    }
    assert studio.page.post(f"/api/v1/runs/{found['run']}/stop").status_code == 409


def test_an_unknown_job_is_not_found(studio):
    assert studio.page.get("/api/v1/jobs/99999").status_code == 404
    assert studio.page.post("/api/v1/jobs/99999/cancel").status_code == 404


def test_changes_of_jobs_are_streamed_from_a_revision_on(studio, submit):
    start = studio.page.get("/api/v1/jobs").json()["revision"]
    found = submit()
    seen = []
    with studio.page.stream("GET", "/api/v1/jobs/events", params={"after": start}) as answer:
        for id, _, job in parsed(answer.iter_lines()):
            seen.append((int(id), job["id"], job["state"]))
            if len(seen) == 2:
                threading.Thread(target=_cancel, args=(studio, found["jobs"][1]["id"])).start()
            if job["state"] == "cancelled":
                break
    assert [state for _, _, state in seen] == ["queued", "queued", "cancelled"]
    with studio.page.stream("GET", "/api/v1/jobs/events", headers={"Last-Event-ID": str(seen[1][0])}) as answer:
        id, _, job = next(parsed(answer.iter_lines()))
    assert (int(id), job["state"]) == (seen[2][0], "cancelled")


def _cancel(studio, id):
    with httpx.Client(base_url=studio.address, cookies=studio.page.cookies, headers=studio.page.headers) as client:
        client.post(f"/api/v1/jobs/{id}/cancel")


def writing_requests(jobs, run, file):
    """(method, path, body) of each request that has to write into the database."""
    values = {"name": "own", "steps": {"data": {"stage": "prepare", "source": "file:rows.jsonl"}}}
    first, second = (job["id"] for job in jobs)
    return [
        ("POST", "/api/v1/runs", {"values": values}),
        ("POST", "/api/v1/stages/prepare/runs", {"values": {"source": "file:rows.jsonl"}, "force": True}),
        ("POST", "/api/v1/served", {"model": "builtin:pocket"}),
        ("POST", f"/api/v1/jobs/{first}/cancel", None),
        ("POST", f"/api/v1/jobs/{second}/move", {"before": first}),
        ("POST", f"/api/v1/runs/{run}/stop", None),
        ("POST", "/train", {"model": "builtin:pocket", "data": "file:rows.jsonl"}),
        ("POST", "/v1/fine_tuning/jobs", {"model": "builtin:pocket", "training_file": file}),
    ]


def test_a_locked_database_is_an_answer_that_says_when_to_try_again(studio, submit):
    found = submit()
    sent = {"data": {"purpose": "fine-tune"}, "files": {"file": ("a.jsonl", ROWS.encode())}}
    requests = writing_requests(found["jobs"], found["run"], studio.page.post("/v1/files", **sent).json()["id"])
    before = sorted(map(str, (studio.folder / "runs").glob("*/*")))
    holder = sqlite3.connect(studio.folder / ".burnish" / "burnish.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with ThreadPoolExecutor(len(requests)) as pool:
            answers = list(pool.map(lambda one: studio.page.request(one[0], one[1], json=one[2]), requests))
        for request, answer in zip(requests, answers, strict=True):
            assert answer.status_code == 503, (request, answer.text)
            assert "machine.database-busy" in answer.text
            assert int(answer.headers["retry-after"]) > 0
        assert studio.page.get("/api/v1/jobs").status_code == 200  # readers do not wait for writers
    finally:
        holder.close()
    assert sorted(map(str, (studio.folder / "runs").glob("*/*"))) == before
    assert {job["state"] for job in studio.page.get("/api/v1/jobs", params={"run": found["run"]}).json()["jobs"]} == {
        "queued"
    }
    assert submit()["run"]


def test_a_database_that_was_moved_away_is_named_and_one_that_is_restored_is_read(studio, submit, tmp_path):
    run = submit()["run"]
    place = studio.folder / ".burnish"
    for file in place.glob("burnish.db*"):
        shutil.move(file, tmp_path)
    away = studio.page.get("/api/v1/jobs")
    assert (away.status_code, away.json()["code"]) == (503, "machine.no-database")
    assert f"{place}/burnish.db was removed" in away.json()["detail"]
    assert "burnish runs reindex" in away.json()["fix"]
    for file in tmp_path.glob("burnish.db*"):
        shutil.copy(file, place)
    assert len(studio.page.get("/api/v1/jobs", params={"run": run}).json()["jobs"]) == 2
    assert submit()["run"] != run
