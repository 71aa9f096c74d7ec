"""Any error is converted to one with a code and a fix; machine errors are distinguished from bugs in burnish."""

import errno
import os

import pytest

from burnish.core.errors import AskError
from burnish.core.faults import as_burnish_error, first_line, is_out_of_memory, misplaced_path, reason

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
        (
            ModuleNotFoundError("No module named 'hqq.core.a'", name="hqq.core.a"),
            "machine.no-package",
            "package hqq is",
        ),
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


def raised(call, *args) -> OSError:
    with pytest.raises(OSError) as caught:
        call(*args)
    return caught.value


def test_a_folder_in_the_place_of_a_file_and_the_reverse_are_named(tmp_path):
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.write_text("x")
    for error, named in (
        (raised(folder.read_text), f"{folder} is a folder, expected a file"),
        (raised(file.joinpath("below").read_text), f"{file} is a file, expected a folder"),
        (raised(file.mkdir), f"{file} is a file, expected a folder"),
        (raised(os.replace, file, folder), f"{folder} is a folder, expected a file"),
    ):
        for given in (error, caused_by(error)):
            known = as_burnish_error(given, "see the log")
            assert (known.code, known.what) == ("run.broken-record", named)


def test_an_error_that_names_no_misplaced_path_is_none(tmp_path):
    assert misplaced_path(ValueError("x")) is None
    assert misplaced_path(PermissionError(errno.EACCES, "denied", str(tmp_path))) is None
    assert misplaced_path(IsADirectoryError(errno.EISDIR, "is a directory")) is None
    assert misplaced_path(IsADirectoryError(errno.EISDIR, "is a directory", 7)) is None
    (tmp_path / "file").write_text("x")
    assert misplaced_path(IsADirectoryError(errno.EISDIR, "is a directory", str(tmp_path / "file"))) is None
    assert misplaced_path(NotADirectoryError(errno.ENOTDIR, "is none", str(tmp_path))) is None


def test_memory_is_recognised_by_type_and_by_message():
    class OutOfMemoryError(Exception):
        pass

    class SpecialError(OutOfMemoryError):
        pass

    assert is_out_of_memory(SpecialError())
    assert is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not is_out_of_memory(RuntimeError("x"))
    assert not is_out_of_memory(ValueError("CUDA out of memory"))
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(ValueError()) == "ValueError"
