"""Turn machine errors raised by libraries (out of memory, disk full, unreadable files) into errors with a code."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeGuard

from burnish.core.errors import BurnishError, MachineError, RunError

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_ACCESS = (errno.EROFS, errno.EACCES, errno.EPERM)
_MAX_REASON = 200
LESS_MEMORY = "use a smaller batch, model or file, or shorter rows"
_NO_MEMORY_TYPES = ("MemoryError", "OutOfMemoryError")
_NO_MEMORY_WORDS = (
    "out of memory",  # CUDA, its driver, Apple's MPS
    "can't allocate memory",  # torch's allocator on a CPU
    "DefaultCPUAllocator: not enough memory",
    "std::bad_alloc",
    "could not create a memory object",  # oneDNN
    "cudaErrorMemoryAllocation",
    "CUDA_ERROR_OUT_OF_MEMORY",
    *(f"{library}_STATUS_ALLOC_FAILED" for library in ("CUBLAS", "CUDNN", "CUSOLVER", "CUSPARSE", "CUFFT")),
    "CUFFT_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate",  # its workspace did not fit
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
)
_NO_MEMORY = "Cannot allocate memory"
"""ENOMEM of libraries that set no errno; "cannot allocate memory in static TLS block" is another fault."""
_UNMAPPED_LIBRARY = "failed to map segment from shared object"
"""glibc appends the reason for any other failure, such as a disk mounted noexec."""


_recorders: list[Callable[[BurnishError], object]] = []


def record_last_error(record: Callable[[BurnishError], object]) -> None:
    """`record` is called with the error of a library that ends the process; by default it is printed."""
    _recorders[:] = [record]


def end_process(error: BurnishError) -> None:
    """Record an error and exit at once with its status: for a library that would abort, and cannot be returned to."""
    try:
        if _recorders:
            _recorders[-1](error)
        else:
            os.write(
                sys.__stderr__.fileno() if sys.__stderr__ else 2, f"error: {error.what}\nhint:  {error.fix}\n".encode()
            )
    finally:
        os._exit(error.exit_status)


def as_burnish_error(error: Exception, advice: str) -> BurnishError:
    """Any error as one with a code and a fix; `advice` is the fix for an unexpected error."""
    if isinstance(error, BurnishError):
        return _of_memory(error) or error
    causes = list(_causes(error))
    first = reason(error)
    if any(is_out_of_memory(cause) for cause in causes):
        return MachineError("machine.no-memory", f"memory ran out: {first}", LESS_MEMORY)
    full = next((cause for cause in causes if is_disk_full(cause) or _is_too_large(cause)), None)
    if full is not None:
        where = getattr(full, "filename", None) or first
        fix = "free some space or use another --workspace, and run it again"
        if _is_too_large(full):
            fix = "raise the limit of file sizes (ulimit -f), or use a --workspace on another file system"
            return MachineError("machine.no-disk", f"the file is too large: {where}", fix)
        return MachineError("machine.no-disk", f"the disk is full: {where}", fix)
    for cause in causes:
        if (misplaced := misplaced_path(cause)) is not None:
            return misplaced
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            package = cause.name.partition(".")[0]
            return MachineError("machine.no-package", f"the package {package} is missing", f"pip install {package}")
        if is_no_access(cause):
            fix = f"check its permissions, and how its file system is mounted; {advice}"
            return MachineError("machine.no-access", f"{cause.filename}: {cause.strerror}", fix)
        if isinstance(cause, OSError) and cause.filename:
            fix = f"check that the file exists and its permissions; {advice}"
            return RunError("run.failed", f"{cause.filename}: {cause.strerror}", fix)
    return RunError("run.failed", f"{type(error).__name__}: {first}", advice)


def _of_memory(error: BurnishError) -> BurnishError | None:
    """The lack of memory that was taken for another error, such as a broken model; None if there is none."""
    cause = next(filter(is_out_of_memory, _causes(error.__cause__)), None)
    if cause is None or isinstance(error, MachineError):
        return None
    return MachineError("machine.no-memory", f"memory ran out: {reason(cause)} ({error.what})", LESS_MEMORY)


def out_of_memory_line(log: str) -> str | None:
    """The last line of a log which says that memory ran out; None if no line does."""
    for line in reversed(log.splitlines()):
        kind = line.partition(":")[0].rpartition(".")[2].strip()
        said = any(words in line for words in (*_NO_MEMORY_WORDS, _NO_MEMORY, "memory allocation failed"))
        if said or kind.endswith(_NO_MEMORY_TYPES) or line.endswith(_UNMAPPED_LIBRARY):
            return line.strip()
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """True for an out-of-memory error, by its type or by its message."""
    if any(kind.__name__ in _NO_MEMORY_TYPES for kind in type(error).__mro__):
        return True
    text = str(error)
    if isinstance(error, RuntimeError) and any(words in text for words in _NO_MEMORY_WORDS):
        return True
    is_mapping = isinstance(error, OSError | ImportError | RuntimeError)  # of a file, or of a library's code
    return is_mapping and (
        getattr(error, "errno", None) == errno.ENOMEM or _NO_MEMORY in text or text.endswith(_UNMAPPED_LIBRARY)
    )


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without the advice and stack that libraries append."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def misplaced_path(error: BaseException) -> RunError | None:
    """An error that names a folder where a file is expected, or a file where a folder is expected."""
    if not isinstance(error, IsADirectoryError | NotADirectoryError | FileExistsError):
        return None
    named = error.filename2 or error.filename  # for a replacement, the second name is the destination
    if not isinstance(named, str):
        return None
    path = Path(named)
    existing = next((place for place in (path, *path.parents) if os.path.lexists(place)), path)
    if existing.is_dir() != isinstance(error, IsADirectoryError):
        return None
    kind, expected = ("folder", "file") if existing.is_dir() else ("file", "folder")
    kind = "link to nothing" if existing.is_symlink() and not existing.exists() else kind
    what = f"{existing} is a {kind}, expected a {expected}"
    return RunError("run.broken-record", what, "rename or remove it, and run the command again")


def reason(error: BaseException) -> str:
    """An error's message on one line, truncated."""
    text = " ".join(str(error).split()) or repr(error)
    return text if len(text) <= _MAX_REASON else f"{text[:_MAX_REASON]}…"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def is_disk_full(error: BaseException) -> bool:
    """True for a full disk or quota. Native libraries set no errno, only the message."""
    return getattr(error, "errno", None) in _DISK_FULL or "No space left on device" in str(error)


def is_no_access(error: BaseException) -> TypeGuard[OSError]:
    """True for a file or folder on a file system that is read-only, or that this user may not read or write."""
    return isinstance(error, OSError) and error.errno in _NO_ACCESS and bool(error.filename)


def _is_too_large(error: BaseException) -> bool:
    return getattr(error, "errno", None) == errno.EFBIG
