"""Faults of the machine that libraries raise in their own words: no memory, a full disk, a file nobody may read."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from burnish.core.errors import BurnishError, MachineError, RunError

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LONGEST_REASON = 200
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


def as_known(error: Exception, advice: str) -> BurnishError:
    """Any error as one with a code and a fix; `advice` is the fix of one that nobody foresaw."""
    if isinstance(error, BurnishError):
        return error
    causes = list(_causes(error))
    first = reason(error)
    if any(is_out_of_memory(cause) for cause in causes):
        fix = "use a smaller batch, model or file, or shorter rows"
        return MachineError("machine.no-memory", f"memory ran out: {first}", fix)
    full = next((cause for cause in causes if _speaks_of_a_full_disk(cause)), None)
    if full is not None:
        where = getattr(full, "filename", None) or first
        fix = "free some space, or use another --workspace; run it again"
        return MachineError("machine.no-disk", f"the disk is full: {where}", fix)
    for cause in causes:
        if (misplaced := in_the_way(cause)) is not None:
            return misplaced
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            package = cause.name.partition(".")[0]
            return MachineError("machine.no-package", f"the package {package} is missing", f"pip install {package}")
        if isinstance(cause, OSError) and cause.filename:
            fix = f"check that it is there and who may read and write it; {advice}"
            return RunError("run.failed", f"{cause.filename}: {cause.strerror}", fix)
    return RunError("run.failed", f"{type(error).__name__}: {first}", advice)


def is_out_of_memory(error: BaseException) -> bool:
    """True for an error of that type, or one of a library that says so in words."""
    if any(kind.__name__ in _NO_MEMORY_TYPES for kind in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY_WORDS)


def first_line(error: BaseException) -> str:
    """What an error says, without the advice and the stack that libraries add below."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def in_the_way(error: BaseException) -> RunError | None:
    """The error of a folder where a file belongs, or of a file where a folder belongs: it names what is there."""
    if not isinstance(error, IsADirectoryError | NotADirectoryError | FileExistsError):
        return None
    named = error.filename2 or error.filename  # of a replacement the second name is the one that is meant
    if not isinstance(named, str):
        return None
    path = Path(named)
    there = next((place for place in (path, *path.parents) if os.path.lexists(place)), path)
    if there.is_dir() != isinstance(error, IsADirectoryError):
        return None
    kind, wanted = ("folder", "file") if there.is_dir() else ("file", "folder")
    what = f"{there} is a {kind}, and a {wanted} belongs there"
    return RunError("run.broken-record", what, "rename or remove it, and run the command again")


def reason(error: BaseException) -> str:
    """An error's own words on one line, and not too many of them."""
    text = " ".join(str(error).split()) or repr(error)
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _speaks_of_a_full_disk(error: BaseException) -> bool:
    """Libraries in other languages give no errno, only its words."""
    return getattr(error, "errno", None) in _DISK_FULL or "No space left on device" in str(error)
