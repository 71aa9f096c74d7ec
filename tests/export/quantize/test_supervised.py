"""A supervised command: what it prints, how it ends, and that nothing of it outlives its starter."""

import subprocess
import sys
import time

from burnish.export.quantize.supervised import run_supervised, tail
from quantizer_stand_in import ends, waited_for

PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "w").write(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""


def python(code, folder, *arguments, **more):
    return run_supervised([sys.executable, "-c", code, *arguments], folder / "log", folder=folder, **more)


def test_lines_status_and_memory_are_reported(tmp_path):
    (tmp_path / "log").write_text("before\n")
    lines = []
    code = "import sys; print('one'); sys.stderr.write('1%\\r2%\\n'); b = bytearray(100 << 20); sys.exit(3)"
    ended = python(code, tmp_path, line=lines.append)
    assert (ended.status, ended.cause, ended.was_killed) == (3, "", False)
    assert lines == ["one", "1%", "2%"]
    assert tail(tmp_path / "log") == ["before", "one", "2%"]
    assert ended.peak_memory_bytes > 100 << 20


SECRETS = ("HF_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "WANDB_API_KEY", "DATABASE_URL")
SHOW = "import os; print(*sorted(os.environ))"


def test_a_command_gets_no_secret_and_nothing_that_changes_another_python(tmp_path, monkeypatch):
    for name in (*SECRETS, "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "/nowhere")
    for name in ("HF_HOME", "CUDA_VISIBLE_DEVICES", "https_proxy"):
        monkeypatch.setenv(name, "1")
    kept = {"HF_HOME", "CUDA_VISIBLE_DEVICES", "PATH", "GIVEN"}
    python(SHOW, tmp_path, environment={"GIVEN": "2"})
    python(SHOW, tmp_path, environment={"GIVEN": "2"}, passed=("PIP_", "HTTPS_PROXY"))
    first, second = (set(line.split()) for line in tail(tmp_path / "log"))
    assert kept <= first
    assert second - first >= {"PIP_INDEX_URL", "https_proxy"}
    assert all(name.startswith("PIP_") or name.upper() == "HTTPS_PROXY" for name in second - first)
    assert not second & {*SECRETS, "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET"}


def test_a_signal_is_a_negative_status(tmp_path):
    ended = python("import os; os.kill(os.getpid(), 9)", tmp_path)
    assert ended.status == -9
    assert ended.was_killed


def test_a_command_that_is_missing_says_so(tmp_path):
    ended = run_supervised(["/nowhere/python"], tmp_path / "log", folder=tmp_path)
    assert ended.status == 127
    assert tail(tmp_path / "log") == ["/nowhere/python: No such file or directory"]


def test_the_end_of_the_time_ends_the_children_too(tmp_path):
    ended = python(PARENT, tmp_path, str(tmp_path / "pids"), timeout=1.0)
    assert ended.cause == "timeout"
    assert all(ends(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_a_stop_lets_the_command_end_in_its_own_way(tmp_path):
    code = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("cleaned up", flush=True), sys.exit(0)))
print("ready", flush=True)
time.sleep(600)
"""
    seen = []
    ended = python(code, tmp_path, line=seen.append, is_stopping=lambda: "ready" in seen)
    assert ended.cause == "stopped"
    assert tail(tmp_path / "log") == ["ready", "cleaned up"]


def test_what_a_command_leaves_behind_ends_with_it(tmp_path):
    code = PARENT.replace("time.sleep(600)\n", "")
    assert python(code, tmp_path, str(tmp_path / "pids")).status == 0
    assert ends(int((tmp_path / "pids").read_text().split()[1]))


def test_a_command_ends_with_a_starter_that_is_killed(tmp_path):
    code = (
        "import sys; from pathlib import Path; from burnish.export.quantize.supervised import run_supervised;"
        "run_supervised(sys.argv[2:], Path(sys.argv[1]) / 'log', folder=Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", PARENT, str(tmp_path / "pids")]
    starter = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), *command])
    pids = [int(pid) for pid in waited_for(tmp_path / "pids").split()]
    began = time.monotonic()
    starter.kill()
    starter.wait()
    assert all(ends(pid) for pid in pids)
    assert time.monotonic() - began < 10


def test_a_command_whose_starter_is_killed_gets_a_signal_that_it_can_pass_on(tmp_path):
    """docker's client ends its container at SIGTERM, and leaves it running at SIGKILL."""
    command = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
def end(*_):
    open(sys.argv[2], "w").write("passed on")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(600)
"""
    starter = """
import sys
from pathlib import Path
from burnish.export.quantize.supervised import run_supervised
folder = Path(sys.argv[1])
words = [sys.executable, "-c", sys.argv[2], str(folder / "pid"), str(folder / "said")]
run_supervised(words, folder / "log", folder=folder)
"""
    with subprocess.Popen([sys.executable, "-c", starter, str(tmp_path), command]) as started:
        pid = int(waited_for(tmp_path / "pid"))
        started.kill()
    assert waited_for(tmp_path / "said") == "passed on"
    assert ends(pid)
