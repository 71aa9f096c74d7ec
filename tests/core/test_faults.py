"""Any error is converted to one with a code and a fix; machine errors are distinguished from bugs in burnish."""

import errno

import pytest

from burnish.core.errors import AskError
from burnish.core.faults import as_burnish_error, reason

KNOWN = AskError("ask.wrong-value", "what", "fix")


def caused_by(cause: Exception) -> Exception:
    try:
        raise ValueError("on top") from cause
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (KNOWN, "ask.wrong-value", "what"),
        (MemoryError(), "machine.no-memory", "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 12 bytes"), "machine.no-memory", "12 bytes"),
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), "machine.no-disk", "/data/x"),
        (caused_by(OSError(errno.ENOSPC, "No space left on device", "/data/x")), "machine.no-disk", "/data/x"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), "run.failed", "/data/x: Permission denied"),
        (ModuleNotFoundError("No module named 'hqq.core'", name="hqq.core"), "machine.no-package", "hqq"),
        (ZeroDivisionError("by zero"), "run.failed", "ZeroDivisionError: by zero"),
    ],
)
def test_an_error_gets_a_code(error, code, expected):
    known = as_burnish_error(error, "see the log")
    assert known.code == code
    assert expected in known.what
    assert known.fix


def test_an_unexpected_error_gets_the_advice():
    assert as_burnish_error(KeyError("x"), "see the log").fix == "see the log"
    assert as_burnish_error(KNOWN, "see the log") is KNOWN


def test_a_reason_is_one_short_line():
    assert reason(ValueError("two\n  lines")) == "two lines"
    assert reason(ValueError()) == "ValueError()"
    assert len(reason(ValueError("x" * 5000))) < 300
