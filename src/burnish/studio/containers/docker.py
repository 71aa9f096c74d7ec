"""The docker client of this machine: what it is, whether it can start containers, and how a command of it is run."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from burnish.core.errors import MachineError
from burnish.core.paths.system import System, this_system
from burnish.core.paths.windows import as_windows
from burnish.core.secrets import mask

OLDEST = (2, 20)
"""The first release of compose that knows all that the files use."""
_SECONDS = 30
_TAIL = 400
_INSTALL = "install Docker Desktop, or Docker Engine with its compose plugin: https://docs.docker.com/get-docker/"
_IN_WSL = "install Docker Desktop with its WSL integration for this distribution, or Docker Engine in it"


@dataclass(frozen=True)
class Docker:
    """A docker client. `program` is its path; `is_of_windows` is true for docker.exe called from WSL."""

    program: str
    is_of_windows: bool = False

    @classmethod
    def find(cls) -> "Docker":
        """The client on PATH; in WSL without one, docker.exe. MachineError `machine.no-docker`."""
        system = this_system()
        if program := shutil.which("docker"):
            return cls(program, program.lower().endswith(".exe") and system.kind == "wsl")
        if system.kind == "wsl" and (program := shutil.which("docker.exe")):
            return cls(program, True)
        if system.kind == "container":
            fix = "run this command on the machine that runs the containers"
            raise MachineError("machine.no-docker", "docker is not installed in this container", fix)
        fix = _IN_WSL if system.kind == "wsl" else _INSTALL
        raise MachineError("machine.no-docker", "docker is not installed, or not on PATH", fix)

    def path(self, path: Path, system: System | None = None) -> str:
        """A path as the client reads it."""
        return as_windows(str(path), system or this_system()) if self.is_of_windows else str(path)

    def check(self) -> dict[str, Any]:
        """What `docker info` says.

        MachineError `machine.no-docker` if compose is absent or old, or no daemon answers.
        """
        done = self._ask("compose", "version", "--short")
        if done.returncode:
            what = f"{self.program} has no compose plugin: {_said(done)}"
            raise MachineError(
                "machine.no-docker", what, "install docker-compose-plugin (version 2), or Docker Desktop"
            )
        found = re.match(r"v?(\d+)\.(\d+)", done.stdout.strip())
        if found is None or (int(found[1]), int(found[2])) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            what = f"docker compose is version {done.stdout.strip() or 'unknown'}, and {oldest} is needed"
            raise MachineError("machine.no-docker", what, "update docker-compose-plugin, or Docker Desktop")
        done = self._ask("info", "--format", "{{json .}}")
        info = _json(done.stdout)
        errors = " ".join([*info.get("ServerErrors", ()), *((_said(done),) if done.returncode else ())])
        if done.returncode or errors:
            raise _unreachable(errors)
        if info.get("OSType", "linux") != "linux":
            what = f"docker runs {info['OSType']} containers, and the images are of Linux"
            raise MachineError("machine.no-docker", what, "switch Docker Desktop to Linux containers")
        return info

    def _ask(self, *words: str) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(
                [self.program, *words], capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            what = f"docker {' '.join(words[:2])} did not answer in {_SECONDS} s"
            raise MachineError("machine.no-docker", what, "restart Docker, then run the command again") from None
        except OSError as error:
            what = f"{self.program} cannot be run: {error.strerror}"
            raise MachineError("machine.no-docker", what, "reinstall Docker, or remove that file from PATH") from error


def _unreachable(said: str) -> MachineError:
    if re.search(r"(?i)permission denied", said):
        what, fix = "you have no permission to use docker", "sudo usermod -aG docker $USER, then log in again"
    elif os.environ.get("DOCKER_HOST"):
        what, fix = (
            f"no docker daemon answers at DOCKER_HOST={os.environ['DOCKER_HOST']}",
            "start it, or unset DOCKER_HOST",
        )
    elif sys.platform == "linux" and this_system().kind == "posix":
        what, fix = "the docker daemon is not running", "start it: sudo systemctl start docker"
    else:
        what, fix = "the docker daemon is not running", "start Docker Desktop, and wait until it is ready"
    return MachineError("machine.no-docker", f"{what}: {said[-_TAIL:].strip()}", fix)


def _said(done: "subprocess.CompletedProcess[str]") -> str:
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return mask(lines[0][:_TAIL]) if lines else f"it exited with status {done.returncode}"


def _json(text: str) -> dict[str, Any]:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return {}
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def attached(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path | None = None,
    echo: Callable[[str], None] = lambda _: None,
) -> int:
    """Run a command in this terminal; returns its exit status. With `log`, its output goes there and to `echo`.

    Ctrl-C reaches the command too, which ends in its own way; SIGTERM is passed on.
    """
    if log is None:
        with _ends_itself(None):
            return subprocess.run([*command], env={**environment}, check=False).returncode
    with (
        log.open("ab") as file,
        subprocess.Popen([*command], env={**environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process,
        _ends_itself(process),
    ):
        assert process.stdout is not None
        _copy(cast(BinaryIO, process.stdout), file, echo)
        return process.wait()


def output_of(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, bytes]:
    """The exit status and the output of a command, its errors included."""
    done = subprocess.run(
        [*command], env={**environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done.returncode, done.stdout


def _copy(source: BinaryIO, file: BinaryIO, echo: Callable[[str], None]) -> None:
    for line in source:
        text = mask(line.decode(errors="replace"))
        file.write(text.encode())
        file.flush()
        echo(text)


@contextmanager
def _ends_itself(process: "subprocess.Popen[bytes] | None") -> Any:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGINT, *([signal.SIGTERM] if process is not None else [])]
    before = {number: signal.getsignal(number) for number in numbers}

    def on_signal(number: int, frame: object) -> None:
        if number == signal.SIGTERM and process is not None:
            process.terminate()

    for number in numbers:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
