"""Do one step, in a process of its own: `python -m burnish.jobs.worker RUN_FOLDER`.

Reads job.json, runs the stage under the consumption ledger, publishes `out/`, and writes the record last.
The exit status is the error's (see `burnish.core.errors`); 0 means that artifact.json exists.
"""

import ctypes
import json
import logging
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import Timeout

from burnish import __version__
from burnish.core.catalog import Stage, stage
from burnish.core.context import Context, Input, Outcome
from burnish.core.errors import BurnishError, MachineError, RunError
from burnish.core.events import Failed
from burnish.core.files import publish_folder, read_json, write_json
from burnish.core.ledger import ConsumptionLedger
from burnish.core.references import fetched
from burnish.core.run import Run
from burnish.core.secrets import masked
from burnish.specs.base import Spec

_log = logging.getLogger("burnish")


class _Stop:
    """Set by the first SIGTERM or SIGINT; a second one ends the process at once."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, number: int, _: Any) -> None:
        if self.asked:
            os._exit(128 + number)
        self.asked = True


class _Inputs(Mapping[str, Input]):
    """Inputs that tell the ledger when they are asked for, and are fetched then."""

    def __init__(self, inputs: dict[str, Input], ledger: ConsumptionLedger):
        self._inputs, self._ledger = inputs, ledger

    def __getitem__(self, path: str) -> Input:
        value = self._inputs[path]
        self._ledger.input_was_read(path)
        return fetched(value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._inputs)

    def __len__(self) -> int:
        return len(self._inputs)


def work(run: Run) -> int:
    """Run the step of a run folder to its end; returns the exit status."""
    _end_with_parent()
    try:
        lock = run.lock().acquire(timeout=2)  # a moment, since looking whether a run is alive takes the lock too
    except Timeout:
        print(f"run {run.name} is in progress in another process", file=sys.stderr)
        return RunError.exit_status
    with lock:
        stop = _Stop()
        _log_to(run)
        run.go("running", pid=os.getpid(), burnish=__version__)
        job = read_json(run.folder / "job.json")
        row = stage(job["stage"])
        spec = row.spec_type().model_validate(job["spec"])
        started = time.time()
        try:
            outcome = _perform(run, row, spec, job, stop)
        except Exception as error:
            return _fail(run, error)
        _publish(run, row, spec, job, outcome, time.time() - started)
        run.go("succeeded")
    return 0


def _perform(run: Run, row: Stage, spec: Spec, job: Mapping[str, Any], stop: _Stop) -> Outcome:
    shutil.rmtree(run.partial, ignore_errors=True)
    run.partial.mkdir()
    inputs = {path: Input.from_json(value, run.workspace) for path, value in job["inputs"].items()}
    with ConsumptionLedger(spec) as ledger:
        context = Context(
            out=run.partial,
            scratch=run.scratch,
            inputs=_Inputs(inputs, ledger),
            emit=run.events.append,
            is_stopping=lambda: stop.asked,
            settled=ledger.check,
        )
        try:
            function = row.function()
        except ModuleNotFoundError as error:
            raise MachineError(
                "machine.no-package",
                f"stage '{row.name}' needs the package {error.name}, which is not installed",
                f"pip install 'burnish[{row.extra}]'",
            ) from error
        outcome: Outcome = function(spec, context)
        ledger.check()
    return outcome


def _publish(run: Run, row: Stage, spec: Spec, job: Mapping[str, Any], outcome: Outcome, seconds: float) -> None:
    """Flush and rename the output, then write the record: an artifact that can be seen is whole."""
    publish_folder(run.partial, run.out)
    write_json(
        run.folder / "artifact.json",
        {
            "kind": outcome.kind,
            "name": f"{job['recipe']}.{job['step']}",
            "version": str(job["number"]),
            "fingerprint": job["fingerprint"],
            "stage": row.name,
            "inputs": job["inputs"],
            "spec": spec.model_dump(mode="json"),
            "measures": dict(outcome.measures),
            "provenance": {
                "burnish": __version__,
                "python": platform.python_version(),
                "machine": platform.platform(),
                "finished": time.time(),
                "seconds": round(seconds, 3),
                **outcome.provenance,
            },
            "certificate": None,
        },
    )
    shutil.rmtree(run.scratch, ignore_errors=True)


def _fail(run: Run, error: Exception) -> int:
    """Write the traceback to run.log, the reason to events and run.json, and leave nothing half-made."""
    shutil.rmtree(run.partial, ignore_errors=True)
    _log_traceback(run, error)
    known = error if isinstance(error, BurnishError) else _unknown(run, error)
    interrupted = known.code == "run.interrupted"
    run.events.append(Failed(code=known.code, what=known.what, fix=known.fix))
    run.go("interrupted" if interrupted else "failed", reason=known.what, error=known.as_dict())
    return known.exit_status


def _unknown(run: Run, error: Exception) -> BurnishError:
    if isinstance(error, MemoryError):
        return MachineError("machine.no-memory", f"memory ran out: {error}", "use a smaller batch, model or file")
    if isinstance(error, OSError) and error.errno == 28:
        return MachineError("machine.no-disk", f"the disk is full: {error.filename or run.folder}", "free some space")
    return RunError(
        "run.failed", f"{type(error).__name__}: {error}", f"the traceback is in {run.log}; `burnish doctor {run.name}`"
    )


def _log_to(run: Run) -> None:
    """Everything at DEBUG into run.log; what libraries print lands there too (the launcher sends it)."""
    handler = logging.StreamHandler(masked(sys.stderr))
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG)
    logging.captureWarnings(capture=True)
    for noisy in ("matplotlib", "PIL", "asyncio", "urllib3", "filelock", "numba", "fsspec"):
        logging.getLogger(noisy).setLevel(logging.INFO)
    _log.debug("burnish %s, python %s, pid %s, run %s", __version__, platform.python_version(), os.getpid(), run.name)
    _log.debug("job %s", json.dumps(read_json(run.folder / "job.json"), ensure_ascii=False))


def _log_traceback(run: Run, error: Exception) -> None:
    """A rich traceback with the values of locals, secrets masked: into the log only, never at the person."""
    from rich.console import Console
    from rich.traceback import Traceback

    with run.log.open("a", encoding="utf-8") as file:
        console = Console(file=masked(file), width=140, no_color=True)
        console.print(Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True))


def _end_with_parent() -> None:
    """Ask Linux to send SIGTERM when the process that started this one is gone, so that no stray is left."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(work(Run(Path(sys.argv[1]))))
