"""A server in a process of its own, asked over a real socket."""

import json
import shutil
import subprocess
from contextlib import contextmanager

import httpx
import pytest

import burnish
from burnish.core.processes import module_command
from burnish.studio.serving.logins import new_login


class Studio:
    """A running server; `page` is a client that is logged in, `anyone` one that is not."""

    def __init__(self, folder, *options):
        self.folder, self._options, self._clients = folder, options, []
        self.start()
        self.anyone = self.client()
        self.page = self.log_in()

    def start(self, port=0):
        command = module_command("burnish.server", "--workspace", str(self.folder), "--port", str(port), *self._options)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        said = json.loads(self.process.stdout.readline())
        assert "address" in said, said
        self.address = said["address"]

    def client(self, **headers):
        self._clients.append(httpx.Client(base_url=self.address, headers=headers, timeout=30))
        return self._clients[-1]

    def log_in(self):
        client = self.client()
        answer = client.post("/api/v1/session", json={"token": new_login(workspace=self.folder)})
        assert answer.status_code == 200, answer.text
        client.headers["X-CSRF-Token"] = answer.json()["csrf"]
        return client

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()

    def close(self):
        for client in self._clients:
            client.close()
        self.stop()


@contextmanager
def serving(folder, *options):
    studio = Studio(folder, *options)
    try:
        yield studio
    finally:
        studio.close()


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("workspace")) as running:
        yield running


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A workspace with rows, and an adapter of the embedded model that was made on the spot: `sft.sft@1`."""
    folder = tmp_path_factory.mktemp("trained")
    rows = [
        {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": f"Number {number}!"}]}
        for number in range(8)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {"base": "builtin:pocket", "data": "file:rows.jsonl", "max_steps": 8, "learning_rate": 0.01}
    burnish.run_stage("sft", workspace=folder, **settings)
    return folder


@pytest.fixture(scope="module")
def models_studio(trained, tmp_path_factory):
    """A server of a copy of that workspace."""
    folder = tmp_path_factory.mktemp("models") / "workspace"
    shutil.copytree(trained, folder)
    with serving(folder) as running:
        yield running
