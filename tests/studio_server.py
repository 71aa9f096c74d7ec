"""A server in a process of its own, asked over a real socket."""

import json
import signal
from contextlib import contextmanager

import httpx

from burnish.studio.serving.logins import new_login
from forked_servers import SERVERS


class Studio:
    """A running server; `page` is a client that is logged in, `anyone` one that is not."""

    def __init__(self, folder, *options, is_forked=True):
        self.folder, self._options, self._clients = folder, options, []
        self._is_forked, self._said = is_forked, None
        self.start()
        self.anyone = self.client()
        self.page = self.log_in()

    def start(self, port=0):
        options = ["--workspace", str(self.folder), "--port", str(port), *self._options]
        if self._said is not None:  # of the one before
            self._said.close()
        self.process, self._said = SERVERS.start(options, is_forked=self._is_forked)
        said = json.loads(self._said.readline())
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
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self._said.close()

    def close(self):
        for client in self._clients:
            client.close()
        self.stop()


@contextmanager
def serving(folder, *options, is_forked=True):
    """Without `is_forked`, its command names the workspace."""
    studio = Studio(folder, *options, is_forked=is_forked)
    try:
        yield studio
    finally:
        studio.close()
