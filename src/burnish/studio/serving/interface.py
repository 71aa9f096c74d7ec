"""Starts the server of the page in a process of its own, and stops it."""

import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from burnish.core.errors import MachineError, error_from_dict
from burnish.core.processes import module_command
from burnish.core.runs.workspace import Workspace
from burnish.jobs.environment import worker_environment
from burnish.studio.workrooms import require

_SECONDS = 10.0


class Interface:
    """A running server. `address` is where it answers."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 8420,
        allowed_hosts: Iterable[str] = (),
        trusted_proxies: Iterable[str] = (),
        workspace: Path | str | None = None,
    ):
        """Errors: MachineError `machine.no-package`; AskError for an address that cannot be bound."""
        require("fastapi", "ui")
        options = ["--host", host, "--port", str(port), "--parent", str(os.getpid())]
        options += [word for name in allowed_hosts for word in ("--allow-host", name)]
        options += [word for name in trusted_proxies for word in ("--trusted-proxy", name)]
        options += ["--workspace", str(Workspace.find(workspace).root)]
        self._process = subprocess.Popen(
            module_command("burnish.server", *options), stdout=subprocess.PIPE, env=worker_environment()
        )
        self.address = self._started()

    def _started(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        try:
            said = json.loads(line)
        except ValueError:
            status = self._process.wait()
            what = f"the server ended with status {status} before it answered"
            raise MachineError("machine.no-package", what, "its messages are above") from None
        if "error" in said:
            self._process.wait()
            raise error_from_dict(said["error"])
        return said["address"]

    def wait(self) -> int:
        """Until the server ends; its exit status."""
        return self._process.wait()

    def stop(self) -> int:
        """Ask the server to end, and wait for it; its exit status."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
