"""The process that uploads: answers of any length, its faults, and a request to stop."""

import os
import sys
import time

import pytest

from burnish.core.errors import RunError
from burnish.studio.registry import pushing


@pytest.fixture
def asked(tmp_path, monkeypatch):
    def ask(code, request=None, is_stopping=lambda: False):
        monkeypatch.setattr(pushing, "_COMMAND", (sys.executable, "-c", code))
        return pushing._asked(request or {}, "hub:me/x", tmp_path / "run" / pushing.LOG, is_stopping)

    return ask


@pytest.mark.timeout(30)
def test_a_request_and_an_answer_longer_than_a_pipe_arrive(asked, tmp_path):
    code = "import sys, json; n = json.load(sys.stdin); print(json.dumps({'notes': n['a'] * 2}))"
    assert asked(code, {"a": "x" * 400_000}) == {"notes": "x" * 800_000}
    assert not list(tmp_path.rglob(pushing.LOG))


def test_a_crash_is_in_the_log_that_the_error_names(asked, tmp_path):
    token = "hf_" + "a" * 30
    with pytest.raises(RunError, match="exited with status 1") as error:
        asked(f"raise ValueError('no such name, {token}')")
    log = tmp_path / "run" / pushing.LOG
    assert str(log) in error.value.fix
    assert "ValueError: no such name" in log.read_text()
    assert token not in log.read_text()


def test_a_process_that_does_not_read_its_request_is_reported(asked):
    with pytest.raises(RunError, match="exited with status 3"):
        asked("import os; os._exit(3)", {"a": "x" * 400_000})


def test_a_stop_ends_the_upload(asked, tmp_path):
    began, pid = time.monotonic(), tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(RunError, match="the upload was stopped"):
        asked(code, is_stopping=lambda: pid.is_file() and pid.read_text() != "")
    assert time.monotonic() - began < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
