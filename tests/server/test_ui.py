"""`burnish ui`: its server answers, its worker runs what is submitted, and both end with it, however it ends."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from burnish.core.errors import RunError
from burnish.core.runs.workspace import Workspace

ROWS = '{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "d"}\n'


@contextmanager
def started(folder, *options, errors=subprocess.DEVNULL):
    script = Path(sys.executable).with_name("burnish")
    command = [script, "--workspace", str(folder), "--json", "ui", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
    try:
        said = json.loads(process.stdout.readline())
        with httpx.Client(base_url=said["address"], timeout=30) as client:
            token = said["login"].partition("#token=")[2]
            client.headers["X-CSRF-Token"] = client.post("/api/v1/session", json={"token": token}).json()["csrf"]
            yield process, client
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def children_of(pid):
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed] + [grandchild for child in listed for grandchild in children_of(int(child))]


def is_gone(pid):
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


def test_a_job_that_is_submitted_is_run_by_the_worker_beside_the_server(tmp_path, until):
    (tmp_path / "rows.jsonl").write_text(ROWS)
    with started(tmp_path) as (process, client):
        until(lambda: client.get("/api/v1/workers").json())
        body = {"values": {"source": "file:rows.jsonl", "split": {"test": 0.5}}}
        found = client.post("/api/v1/stages/prepare/runs", json=body).json()
        until(lambda: client.get(f"/api/v1/jobs/{found['jobs'][0]['id']}").json()["state"] == "succeeded")
        shown = client.get(f"/api/v1/runs/{found['run']}").json()
        assert shown["state"] == "succeeded"
        assert client.get(f"/api/v1/runs/{found['run']}/prepare/samples").json()
        children = children_of(process.pid)
        assert len(children) >= 2
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        until(lambda: all(map(is_gone, children)))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_a_killed_ui_leaves_no_process_behind(tmp_path, until):
    with started(tmp_path) as (process, client):
        until(lambda: client.get("/api/v1/workers").json())
        children = children_of(process.pid)
        process.kill()
        until(lambda: all(map(is_gone, children)))


def test_a_worker_that_is_killed_is_started_again(tmp_path, until):
    with started(tmp_path) as (process, client):
        until(lambda: client.get("/api/v1/workers").json())
        [worker] = client.get("/api/v1/workers").json()
        [pid] = [pid for pid in children_of(process.pid) if "embedded" in Path(f"/proc/{pid}/cmdline").read_text()]
        os.kill(pid, signal.SIGKILL)
        until(lambda: any(w["id"] != worker["id"] for w in client.get("/api/v1/workers").json()))


def test_a_server_that_is_killed_is_said_to_be(tmp_path):
    with (tmp_path / "errors").open("w+b") as errors, started(tmp_path, "--no-worker", errors=errors) as (process, _):
        [server] = children_of(process.pid)
        os.kill(server, signal.SIGKILL)
        assert process.wait(60) == RunError.exit_status
        errors.seek(0)
        said = json.loads(errors.read())["error"]
    assert (said["code"], said["what"]) == ("run.killed", "the server of the page was killed by SIGKILL")
    assert "start it again: burnish ui" in said["fix"]


def test_without_a_worker_jobs_wait(tmp_path, until):
    (tmp_path / "rows.jsonl").write_text(ROWS)
    with started(tmp_path, "--no-worker") as (_, client):
        found = client.post("/api/v1/stages/prepare/runs", json={"values": {"source": "file:rows.jsonl"}}).json()
        assert client.get("/api/v1/workers").json() == []
        assert client.get(f"/api/v1/jobs/{found['jobs'][0]['id']}").json()["state"] == "queued"
        assert Workspace(tmp_path).numbers("prepare") == [1]
