"""A model is served as a job, asked as its row says, and stopped."""

import subprocess
import sys

import pytest

from burnish.core.http.snippets import python
from burnish.core.processes import module_command


@pytest.fixture
def worker(studio):
    """A queue worker of the workspace."""
    command = module_command("burnish.cli.main", "worker", "--workspace", str(studio.folder), "--slots", "1")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield process
    process.terminate()
    process.wait(60)


def test_a_model_is_served_as_a_job_asked_and_stopped(studio, worker, until):
    served = studio.page.post("/api/v1/served", json={"model": "builtin:pocket", "name": "mine", "engine": "llama"})
    assert served.status_code == 202, served.text
    [job] = served.json()["jobs"]
    assert job["slot"] == "server"

    def row():
        return next(iter(studio.page.get("/api/v1/served").json()), None)

    until(lambda: (row() or {}).get("state") == "ready", seconds=180)
    shown = row()
    assert (shown["models"], shown["engine"], shown["key"]) == (["mine"], "llama.cpp", None)
    said = subprocess.run(shown["curl"], shell=True, capture_output=True, text=True, check=True).stdout
    assert '"content"' in said
    asked = subprocess.run([sys.executable, "-c", shown["python"]], capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.strip()
    stopped = studio.page.post(f"/api/v1/runs/{served.json()['run']}/stop")
    assert stopped.status_code == 200, stopped.text
    until(lambda: row() is None, seconds=60)
    until(lambda: studio.page.get(f"/api/v1/jobs/{job['id']}").json()["state"] != "running", seconds=60)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"model": "file:/etc"}, 403),
        ({"model": "builtin:pocket", "adapters": {"a": "file:/etc"}}, 403),
        ({"model": "nowhere@1"}, 422),
        ({"model": "builtin:pocket", "host": "0.0.0.0"}, 422),
        ({"model": "builtin:pocket", "port": 70_000}, 422),
        ({"model": "builtin:pocket", "name": "../x"}, 422),
    ],
    ids=str,
)
def test_a_wrong_request_serves_nothing(studio, body, status):
    answer = studio.page.post("/api/v1/served", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["fix"]


def test_the_lines_of_python_name_the_variable_of_the_key_and_fit_a_model_without_a_template():
    text = python("http://0.0.0.0:1", 'a"b', "MINE", chats=False)
    compile(text, "snippet", "exec")
    assert all(part in text for part in ('os.environ["MINE"]', "http://127.0.0.1:1/v1", "client.completions"))
