"""Start, watch and stop workers on this machine. The launcher's three verbs are those of every launcher."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from burnish.core.errors import MachineError, RunError
from burnish.core.events import Failed
from burnish.core.runs.records import is_there
from burnish.core.runs.run import Run
from burnish.core.secrets import mask

BUSY = 75
"""The exit status of a worker that found its run in the hands of another."""
_SECOND_SIGNAL = (128 + signal.SIGTERM, 128 + signal.SIGINT)
_DEFAULTS = {
    "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads took a step from 809 to 5,692 ms on a busy machine
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "PYTHONUNBUFFERED": "1",
    "MPLBACKEND": "Agg",
}
_ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
"""The settings of torch's CUDA allocator, and their older name."""
_KEEP_FREED_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(4 << 30), "MALLOC_TRIM_THRESHOLD_": str(16 << 30)}
"""glibc maps each tensor above 32 MiB afresh and unmaps it when freed; its pages then cost more than its numbers."""


def worker_environment() -> dict[str, str]:
    """This process's environment, with defaults that a worker needs to be fast and quiet."""
    tuned_by_user = "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", "")
    freed = _KEEP_FREED_MEMORY if _has_glibc() and not tuned_by_user else {}
    environment = {**_DEFAULTS, **freed, **os.environ}
    if not any(name in environment for name in _ALLOCATOR):
        # batches of many sizes leave holes between segments of fixed size, which are memory that is lost
        environment[_ALLOCATOR[0]] = "expandable_segments:True"
    return environment


def _has_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError):  # another system, another libc
        return False


class LocalLauncher:
    """One worker process for each run, in a process group of its own so that Ctrl-C reaches only us."""

    def __init__(self) -> None:
        self._asked_by_us: set[int] = set()
        self._ended_by_us: set[int] = set()

    def start(self, run: Run) -> subprocess.Popen[bytes]:
        """Start the run's worker; what it prints goes to run.log."""
        with run.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "burnish.jobs.worker", str(run.folder), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=worker_environment(),
                start_new_session=True,
            )

    def poll(self, process: subprocess.Popen[bytes], run: Run) -> int | None:
        """The exit status, or None while it works. A worker that died without a word is given one.

        BUSY tells that another process has the run, whose state is then not ours to change.
        Errors: RunError `run.failed` when the run folder was removed.
        """
        status = process.poll()
        if not is_there(run.folder / "run.json"):
            what = f"the run folder {run.folder}, or its run.json, was removed while the step ran"
            raise RunError("run.failed", what, "run the same command again: the step starts afresh")
        if status is not None and status != BUSY and run.record["state"] in ("running", "planned"):
            if (run.folder / "artifact.json").is_file():
                run.transition("succeeded")  # killed between the artifact's record and its own
            else:
                self._record_death(process, run, status)
        return status

    def stop(self, process: subprocess.Popen[bytes], *, at_once: bool = False) -> None:
        """Ask the worker to save and end; or end it."""
        (self._ended_by_us if at_once else self._asked_by_us).add(process.pid)
        process.send_signal(signal.SIGKILL if at_once else signal.SIGTERM)

    def _record_death(self, process: subprocess.Popen[bytes], run: Run, status: int) -> None:
        shutil.rmtree(run.partial, ignore_errors=True)
        tail = mask("\n".join(_last_lines(run.log, 50)))
        not_begun = process.pid in self._asked_by_us and status == -signal.SIGTERM  # it did not listen yet
        interrupted = process.pid in self._ended_by_us or status in _SECOND_SIGNAL or not_begun
        if not_begun:
            code, what = "run.interrupted", "the worker was stopped before it began"
            fix = "run the same command again"
        elif interrupted:
            code, what = "run.interrupted", "the worker was ended at once, before it could save its state"
            fix = "run the same command again: it goes on from its last checkpoint, if it had one"
        elif status < 0:
            name = signal.Signals(-status).name
            code, what = "run.killed", f"the worker was ended by {name}"
            fix = "run the same command again to resume"
            if name == "SIGKILL":
                fix += "; if nobody killed it, memory ran out: use a smaller batch"
        elif status == MachineError.exit_status:
            code, what = "machine.no-disk", f"the disk is full: {run.folder}"
            fix = "free some space, or use another --workspace; then run it again"
        else:
            code, what = "run.failed", f"the worker ended with status {status} before it could say why"
            fix = f"the last lines of its log: burnish doctor {run.name}; all of it: {run.log}"
        run.events.append(Failed(code=code, what=what, fix=fix))
        status_of_family = MachineError.exit_status if code == "machine.no-disk" else RunError.exit_status
        error = {"code": code, "what": what, "fix": fix, "exit_status": status_of_family, "log": tail}
        run.transition("interrupted" if interrupted else "failed", reason=what, error=error)


def _last_lines(path: Path, count: int) -> list[str]:
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 16_384))
        return file.read().decode(errors="replace").splitlines()[-count:]
