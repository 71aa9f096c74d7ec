"""A stand-in for docker on PATH: it records its calls, and answers as compose does or as a test says."""

import json
import os
import sys
from types import SimpleNamespace

import pytest

import burnish.core.paths.system as system

STAND_IN = """#!{python}
import json, os, signal, subprocess, sys, time
from pathlib import Path
home = Path({home!r})
words, rest = sys.argv[1:], []
while words:  # leave out the options of compose itself
    word = words.pop(0)
    if word in ("--project-directory", "--project-name", "--file", "--env-file", "--profile"):
        words.pop(0)
    else:
        rest.append(word)
chosen = {{key: value for key, value in os.environ.items() if key.startswith(("BURNISH_", "COMPOSE_", "WSLENV"))}}
with (home / "calls.jsonl").open("a") as file:
    file.write(json.dumps({{"words": rest, "all": sys.argv[1:], "environment": chosen}}) + "\\n")
answers = json.loads((home / "answers.json").read_text())
line = " ".join(rest)
best = max((key for key in answers if line.startswith(key)), key=len, default=None)
answer = answers.get(best, {{}})
if "saves" in answer:
    def saves(*_):
        print("saved", flush=True)
        os._exit(answer["saves"])
    signal.signal(signal.SIGTERM, saves)
    signal.signal(signal.SIGINT, saves)
    print("started", flush=True)
time.sleep(answer.get("seconds", 0))
sys.stdout.write(answer.get("out", ""))
sys.stdout.flush()
sys.stderr.write(answer.get("err", ""))
if answer.get("really"):  # what the container would run
    at = rest.index("--no-TTY")
    program = [{python!r}, "-m", "burnish.cli.main", *rest[at + 2 :]]
    os.environ["BURNISH_WORKSPACE"] = os.environ["BURNISH_OUTPUTS"]
    sys.exit(subprocess.run(program).returncode)
sys.exit(answer.get("status", 0))
"""
ANSWERS = {
    "compose version": {"out": "2.39.1\n"},
    "info": {"out": json.dumps({"OSType": "linux", "Runtimes": {"runc": {}}, "OperatingSystem": "Debian"})},
    "compose logs": {"out": "2026-11-22T13:00:00Z hello\n"},
}
VARIABLES = ("BURNISH_MODEL", "BURNISH_OUTPUTS", "BURNISH_IMAGE", "BURNISH_BIND", "BURNISH_API_KEY", "DOCKER_HOST")


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """The stand-in as the only docker: `docker.answer("compose up", status=1)`, `docker.calls()`."""
    home = tmp_path / "docker-stand-in"
    (home / "bin").mkdir(parents=True)
    program = home / "bin" / "docker"
    program.write_text(STAND_IN.format(python=sys.executable, home=str(home)))
    program.chmod(0o755)
    answers = {**ANSWERS}

    def answer(start, **values):
        answers[start] = values
        (home / "answers.json").write_text(json.dumps(answers))

    def calls(*starts):
        file = home / "calls.jsonl"
        found = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [call for call in found if not starts or " ".join(call["words"]).startswith(starts)]

    answer("compose ps", out="")
    monkeypatch.setenv("PATH", f"{home / 'bin'}:/usr/bin:/bin")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for number, name in enumerate(("SERVE_PORT", "WEBUI_PORT", "LOGS_PORT", "TENSORBOARD_PORT")):
        monkeypatch.setenv(name, str(free_port(number)))
    return SimpleNamespace(answer=answer, calls=calls, folder=home / "bin", program=program)


def free_port(number):
    """A port that nothing listens on; each process and test worker has a range of its own."""
    return 21_000 + (os.getpid() * 4 + number) % 9_000


@pytest.fixture
def gpu(docker):
    """A machine with a GPU."""
    program = docker.folder / "nvidia-smi"
    program.write_text("#!/bin/sh\necho NVIDIA H200\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def as_system(monkeypatch):
    """Make this machine one of another kind, as paths and docker see it."""

    def as_system(kind, **values):
        made = system.System(kind, **values)
        for module in ("burnish.core.paths.written", "burnish.studio.containers.docker"):
            monkeypatch.setattr(f"{module}.this_system", lambda: made)
        return made

    return as_system
