"""The error for a checkpoint that could not be written: what the system reported, for which path, and the fix."""

import errno
from pathlib import Path

from burnish.core.errors import BurnishError, MachineError, RunError
from burnish.core.faults import is_disk_full, is_no_access, is_out_of_memory, misplaced_path, reason

_NOT_THERE = "check that the disk or share of the workspace is connected and mounted"
_FIXES = {
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some of your disk quota",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or move the workspace to a file system for large files",
    errno.EROFS: "mount the file system of the workspace writable, or move the workspace",
    errno.EACCES: "give this user the right to write there, or move the workspace",
    errno.EPERM: "give this user the right to write there, or move the workspace",
    errno.EIO: "check the disk and the log of the system (dmesg), or move the workspace to another disk",
    errno.ENAMETOOLONG: "move the workspace to a shorter path",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the limit of open files of the system (fs.file-max)",
    errno.ENOENT: "leave the run folder in place while the run is in progress",
    **dict.fromkeys((errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ETIMEDOUT), _NOT_THERE),
}


def save_error(step: int, folder: Path, error: BaseException, resumes_from: str) -> BurnishError:
    """The error for the checkpoint of a step in `folder`, whatever was raised while it was written."""
    if isinstance(error, BurnishError):
        return error
    what = f"the checkpoint of step {step} could not be written to {folder}"
    again = f"and run again: it resumes from {resumes_from}"
    if is_out_of_memory(error):
        return MachineError(
            "machine.no-memory", f"{what}: memory ran out: {reason(error)}", f"free some memory, {again}"
        )
    if not isinstance(error, OSError):
        fix = f"see the traceback in the log of the run; run again to resume from {resumes_from}"
        return RunError("run.failed", f"{what}: {type(error).__name__}: {reason(error)}", fix)
    misplaced = misplaced_path(error)
    if misplaced is not None:
        return RunError(misplaced.code, f"{what}: {misplaced.reason}", f"rename or remove it, {again}")
    text = f"{error.strerror}: {error.filename}" if error.strerror and error.filename else reason(error)
    fix = _FIXES.get(error.errno or 0)
    if is_disk_full(error):
        return MachineError("machine.no-disk", f"{what}: {text}", f"{fix or _FIXES[errno.ENOSPC]}, {again}")
    if is_no_access(error):
        return MachineError("machine.no-access", f"{what}: {text}", f"{fix}, {again}")
    return RunError("run.failed", f"{what}: {text}", f"{fix or 'remove the cause'}, {again}")
