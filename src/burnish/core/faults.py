"""Faults of the machine that libraries raise in their own words: no memory, a full disk, a file nobody may read."""

import errno
from collections.abc import Iterator

from burnish.core.errors import BurnishError, MachineError, RunError

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LONGEST_REASON = 200


def as_known(error: Exception, advice: str) -> BurnishError:
    """Any error as one with a code and a fix; `advice` is the fix of one that nobody foresaw."""
    if isinstance(error, BurnishError):
        return error
    causes = list(_causes(error))
    first = reason(error)
    if any(isinstance(cause, MemoryError) or _speaks_of_memory(cause) for cause in causes):
        fix = "use a smaller batch, model or file, or shorter rows"
        return MachineError("machine.no-memory", f"memory ran out: {first}", fix)
    if any(_speaks_of_a_full_disk(cause) for cause in causes):
        return MachineError("machine.no-disk", f"the disk is full: {first}", "free some space and run it again")
    for cause in causes:
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            package = cause.name.partition(".")[0]
            return MachineError("machine.no-package", f"the package {package} is missing", f"pip install {package}")
        if isinstance(cause, OSError) and cause.filename:
            return RunError("run.failed", f"{cause.filename}: {cause.strerror}", "check who may read and write there")
    return RunError("run.failed", f"{type(error).__name__}: {first}", advice)


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


def _speaks_of_memory(error: BaseException) -> bool:
    """torch says it in its own words, on a GPU (OutOfMemoryError) and on a CPU."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def _speaks_of_a_full_disk(error: BaseException) -> bool:
    """Libraries in other languages give no errno, only its words."""
    return getattr(error, "errno", None) in _DISK_FULL or "No space left on device" in str(error)
