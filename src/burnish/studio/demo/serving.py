"""The last act of the demo: its GGUF file is served, tested and asked over HTTP, and certified as it is served."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from burnish.core.errors import RunError
from burnish.core.runs.workspace import Workspace
from burnish.jobs.environment import worker_environment
from burnish.studio.executing.results import RunResult, StepResult, Watcher
from burnish.studio.exploration import smoke_test
from burnish.studio.running import run_stage

NAME = "pocket-tuned"
_GGUF, _PARENT, _DATA = "small", "tune_replay", "data"
_START_SECONDS, _STOP_SECONDS, _POLL, _SHOWN = 120.0, 30.0, 0.2, 2000
_ROWS, _CERTIFIED_ROWS = 64, 16


@dataclass(frozen=True)
class LastAct:
    """What was found. `same` of `rows` answers over HTTP are those of the held-out rows."""

    url: str
    checks: dict[str, str]
    """The verdict of each check of the smoke test."""
    question: str
    answer: str
    same: int
    rows: int
    certified: bool
    answers: str
    """The file of all answers."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def serve_and_ask(result: RunResult, *, workspace: Path | str | None = None, watcher: Watcher | None = None) -> LastAct:
    """Serve the GGUF file of a run of the demo, ask it, certify the endpoint against the adapter, and stop it.

    Errors: RunError `run.smoke-test-failed`; those of starting the server, of `generate` and of `certify`.
    """
    place = Workspace.find(workspace)
    with serving(_reference(result[_GGUF]), place.root) as url:
        tested = smoke_test(url, timeout=60, require=["models", "completions", "logprobs", "json_schema"])
        endpoint = {"url": url, "model": NAME}
        asked: dict[str, Any] = {"max_rows": _ROWS, "generation": {"max_new_tokens": 64}}
        data = _reference(result[_DATA])
        given = run_stage("generate", workspace=place.root, watcher=watcher, endpoint=endpoint, data=data, **asked)
        parent = _reference(result[_PARENT])
        checked: dict[str, Any] = {"endpoint": endpoint, "parent": parent, "change": "F16"}
        checked |= {"data": data, "max_rows": _CERTIFIED_ROWS}
        certificate = run_stage("certify", workspace=place.root, watcher=watcher, **checked)
    answers = given.path / "answers.jsonl"
    lines = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    return LastAct(
        url,
        {check["name"]: check["verdict"] for check in tested["checks"]},
        str(lines[0]["prompt"][-1]["content"]),
        str(lines[0]["answer"]),
        sum(line["answer"] == line.get("reference") for line in lines),
        len(lines),
        bool(certificate.metrics["holds"]),
        str(answers),
    )


def _reference(step: StepResult) -> str:
    """`demo.small@3` of the run demo/3/small, in which the step ran."""
    recipe, number, name = step.run.name.split("/")
    return f"{recipe}.{name}@{number}"


@contextlib.contextmanager
def serving(model: str, root: Path, name: str = NAME) -> Generator[str]:
    """The address of `burnish serve` of a model under a name, in the workspace `root`; it is stopped at the end.

    RunError `run.failed` with what the server said, if it does not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "burnish.cli.main", "serve", model, "--port", str(port), "--name", name, "--json"]
    with tempfile.TemporaryFile() as said:
        environment = {**worker_environment(), "BURNISH_WORKSPACE": str(root)}
        server = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
        try:
            _wait(server, f"http://127.0.0.1:{port}", said)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait(server: "subprocess.Popen[bytes]", root: str, said: Any) -> None:
    end = time.monotonic() + _START_SECONDS
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while server.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError, urllib.error.URLError), direct.open(f"{root}/ready", timeout=5):
            return
        time.sleep(_POLL)
    said.seek(0)
    text = said.read().decode("utf-8", "replace")[-_SHOWN:].strip()
    how = "ended" if server.poll() is not None else f"is not ready after {_START_SECONDS:g} s"
    raise RunError("run.failed", f"burnish serve {how}", text or "run it by itself: burnish serve demo.small@latest")
