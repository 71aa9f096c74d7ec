"""A server in a process of its own, asked over a real socket."""

import json
import os
import subprocess
from contextlib import contextmanager

import httpx

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
        options = ["--workspace", str(self.folder), "--port", str(port), "--parent", str(os.getpid()), *self._options]
        self.process = subprocess.Popen(module_command("burnish.server", *options), stdout=subprocess.PIPE)
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
