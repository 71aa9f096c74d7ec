"""Any error is converted to one with a code and a fix; machine errors are distinguished from bugs in burnish."""

import errno
import os

import pytest

from burnish.core.errors import AskError, BurnishError, MachineError
from burnish.core.faults import (
    as_burnish_error,
    first_line,
    is_out_of_memory,
    misplaced_path,
    out_of_memory_line,
    reason,
)

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
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), "machine.no-access", "/data/x: Permission den"),
        (OSError(errno.EROFS, "Read-only file system", "/data/x"), "machine.no-access", "/data/x: Read-only file sys"),
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


def said(error: Exception) -> str:
    known = as_burnish_error(error, "see the log")
    return f"{known.code} | {known.what} | {known.fix}"


MEMORY = "use a smaller batch, model or file, or shorter rows"
SPACE = "free some space or use another --workspace, and run it again"
LIMIT = "raise the limit of file sizes (ulimit -f), or use a --workspace on another file system"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), f"machine.no-memory | memory ran out: MemoryError() | {MEMORY}"),
        (caused_by(MemoryError("x")), f"machine.no-memory | memory ran out: on top | {MEMORY}"),
        (OSError(errno.ENOSPC, "full", "/d/x"), f"machine.no-disk | the disk is full: /d/x | {SPACE}"),
        (OSError(errno.EDQUOT, "quota"), f"machine.no-disk | the disk is full: [Errno {errno.EDQUOT}] quota | {SPACE}"),
        (caused_by(OSError(errno.ENOSPC, "full")), f"machine.no-disk | the disk is full: on top | {SPACE}"),
        (
            RuntimeError("write: No space left on device"),
            f"machine.no-disk | the disk is full: write: No space left on device | {SPACE}",
        ),
        (OSError(errno.EFBIG, "large", "/d/x"), f"machine.no-disk | the file is too large: /d/x | {LIMIT}"),
        (
            ModuleNotFoundError("x", name="a.b.c"),
            "machine.no-package | the package a is missing | pip install a",
        ),
        (
            caused_by(ModuleNotFoundError("x", name="a")),
            "machine.no-package | the package a is missing | pip install a",
        ),
        (ModuleNotFoundError("x"), "run.failed | ModuleNotFoundError: x | see the log"),
        (ImportError("x", name="a"), "run.failed | ImportError: x | see the log"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/d/x"),
            "machine.no-access | /d/x: Permission denied | "
            "check its permissions, and how its file system is mounted; see the log",
        ),
        (
            caused_by(FileNotFoundError(errno.ENOENT, "No such file", "/d/x")),
            "run.failed | /d/x: No such file | check that the file exists and its permissions; see the log",
        ),
        (OSError("no file"), "run.failed | OSError: no file | see the log"),
        (ZeroDivisionError("by\n zero"), "run.failed | ZeroDivisionError: by zero | see the log"),
    ],
)
def test_what_is_said_of_an_error_and_how_to_go_on(error, message):
    assert said(error) == message


def test_the_cause_of_a_cause_and_the_context_of_an_error_count():
    last, bare = KeyError("last"), KeyError("last")
    last.__context__ = caused_by(MemoryError())
    assert as_burnish_error(last, "").code == "machine.no-memory"
    assert said(bare) == "run.failed | KeyError: 'last' | see the log"
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert said(first) == "run.failed | ValueError: first | see the log"
    both = ValueError("x")
    both.__cause__, both.__context__ = KeyError("cause"), MemoryError()
    assert as_burnish_error(both, "").code == "run.failed"


@pytest.mark.parametrize(("length", "shown"), [(199, 199), (200, 200), (201, 200)])
def test_a_long_reason_is_cut_at_two_hundred_characters(length, shown):
    assert reason(ValueError("x" * length)) == "x" * shown + ("…" if length > shown else "")


def test_a_misplaced_path_is_said_with_its_repair(tmp_path):
    (tmp_path / "file").write_text("x")
    known = misplaced_path(NotADirectoryError(errno.ENOTDIR, "x", str(tmp_path / "file" / "a" / "b")))
    assert (known.code, known.what, known.fix) == (
        "run.broken-record",
        f"{tmp_path / 'file'} is a file, expected a folder",
        "rename or remove it, and run the command again",
    )
    replaced = IsADirectoryError(errno.EISDIR, "x", str(tmp_path / "file"), None, str(tmp_path))
    assert misplaced_path(replaced).what == f"{tmp_path} is a folder, expected a file"
    (tmp_path / "link").symlink_to("nowhere")
    linked = misplaced_path(FileExistsError(errno.EEXIST, "x", str(tmp_path / "link")))
    assert linked.what == f"{tmp_path / 'link'} is a link to nothing, expected a folder"
    assert misplaced_path(FileExistsError(errno.EEXIST, "x", str(tmp_path))) is None


@pytest.mark.parametrize("code", ["model.broken", "data.unreadable", "run.failed"])
def test_an_error_that_was_caused_by_a_lack_of_memory_is_one(code):
    """As of the loader of a model, which reports any error of a library as a broken model."""
    try:
        try:
            raise MemoryError
        except MemoryError as cause:
            raise BurnishError(code, "the files are broken", "copy them again") from cause
    except BurnishError as error:
        known = as_burnish_error(error, "")
    assert known.code == "machine.no-memory"
    assert known.what == "memory ran out: MemoryError() (the files are broken)"


def test_an_error_of_the_machine_stays_what_it_is_whatever_caused_it():
    error = MachineError("machine.no-disk", "full", "free some")
    error.__cause__ = MemoryError()
    assert as_burnish_error(error, "") is error


OUT_OF_MEMORY = [
    "MemoryError",
    "MemoryError: Unable to allocate 3.1 GiB for an array",
    "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 8 GiB",
    "OSError: [Errno 12] Cannot allocate memory",
    "ImportError: libtorch_cpu.so: failed to map segment from shared object",
    "Fatal Python error: _PyRuntimeState_Init: memory allocation failed",
    "terminate called after throwing an instance of 'std::bad_alloc'",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
]


@pytest.mark.parametrize("line", OUT_OF_MEMORY)
def test_a_log_that_ends_for_lack_of_memory_is_understood(line):
    assert out_of_memory_line(f"loading\n{line}\nthe end") == line


def test_a_log_of_another_end_is_not_taken_for_a_lack_of_memory():
    others = [
        "ImportError: libgomp.so: cannot allocate memory in static TLS block",
        "ImportError: x.so: failed to map segment from shared object: Operation not permitted",
        "test_memory_errors passed",
    ]
    assert out_of_memory_line("\n".join(others)) is None
