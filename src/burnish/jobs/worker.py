"""Run one step in its own process: `python -m burnish.jobs RUN_FOLDER [PARENT_PID [REPORT_DESCRIPTOR]]`.

Reads job.json, runs the stage under the consumption ledger, publishes `out/`, and writes artifact.json last. An error
that cannot be written into the run folder goes to the report descriptor, as JSON.
The exit status is that of the error (see `burnish.core.errors`), 0 if artifact.json exists, BUSY if another process has
the run, and 128 plus the signal after a second signal.
"""

import contextlib
import json
import os
import platform
import shutil
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from filelock import Timeout

from burnish.core.catalog import Stage, stage
from burnish.core.context import Outcome
from burnish.core.events import Failed
from burnish.core.faults import as_burnish_error, record_last_error
from burnish.core.files import publish_folder, write_json
from burnish.core.processes import end_with_parent
from burnish.core.runs.artifact import record_files
from burnish.core.runs.records import is_there
from burnish.core.runs.run import Fence, FencedError, Run
from burnish.core.secrets import masked_value
from burnish.core.version import VERSION
from burnish.jobs.ends import Stop, end
from burnish.jobs.identity import this_process
from burnish.jobs.launchers.protocol import BUSY
from burnish.jobs.logs import log_to_stderr, log_traceback
from burnish.jobs.performing import perform, processes_of
from burnish.jobs.ranks.group import run_ranks
from burnish.specs.base import Spec

if TYPE_CHECKING:
    pass

_LONGEST_REPORT = 5_000
"""Characters of a text: a pipe holds 64 KiB, and is read after the exit."""


def work(run: Run, report: int | None = None) -> int:
    """Run the step of a run folder; returns the exit status. `report` takes an error that cannot be recorded there."""
    try:
        lock = run.lock().acquire(timeout=2)  # others hold it briefly to see whether the run is alive
    except Timeout:
        print(f"run {run.name} is in progress in another process", file=sys.stderr)
        return BUSY
    with lock:
        stop = Stop()
        run.transition("running", pid=os.getpid(), process=asdict(this_process()), burnish=VERSION)
        try:
            log_to_stderr(run)
            record_last_error(lambda error: _fail(run, error, report))
            started = time.time()
            job = run.record_of("job.json")
            run.fence = Fence.of(job)
            row = stage(job["stage"])
            spec = row.spec_type().model_validate(job["spec"])
            outcome = _outcome_of(run, row, spec, job, stop)
            _publish(run, row, spec, job, outcome, time.time() - started)
        except Exception as error:
            return _fail(run, error, report)
        run.transition("succeeded")
        if not _archives(spec):
            shutil.rmtree(run.scratch, ignore_errors=True)
    return 0


def _outcome_of(run: Run, row: Stage, spec: Spec, job: Mapping[str, Any], stop: Stop) -> Outcome:
    """Of the stage, run in this process, or in several that it supervises."""
    processes = processes_of(spec)
    if processes == 1:
        return perform(run, row, spec, job, lambda: stop.requested)
    return run_ranks(run, processes, lambda: stop.requested)


def _archives(spec: Spec) -> bool:
    """True if the checkpoints are kept after the run."""
    return bool(getattr(getattr(spec, "checkpoint", None), "archive", False))


def _publish(run: Run, row: Stage, spec: Spec, job: Mapping[str, Any], outcome: Outcome, seconds: float) -> None:
    """Flush and rename the output, then write its record: a visible artifact is complete."""
    if run.is_fenced:
        raise FencedError(run.name, 0)
    publish_folder(run.partial, run.out)
    files = record_files(run.out)
    write_json(
        run.folder / "artifact.json",
        {
            "kind": outcome.kind,
            "name": f"{job['recipe']}.{job['step']}",
            "version": str(job["number"]),
            "fingerprint": job["fingerprint"],
            "stage": row.name,
            "inputs": job["inputs"],
            "spec": masked_value(spec.model_dump(mode="json")),
            "measures": dict(outcome.measures),
            "provenance": {
                "burnish": VERSION,
                "python": platform.python_version(),
                "machine": platform.platform(),
                "finished": time.time(),
                "seconds": round(seconds, 3),
                **outcome.provenance,
            },
            "certificate": None if outcome.certificate is None else dict(outcome.certificate),
            "files": files,
        },
    )


def _fail(run: Run, error: Exception, report: int | None) -> int:
    """Write the traceback to run.log, the error to events and run.json, and remove partial output. A run that another
    worker has taken over is left to that one."""
    known = as_burnish_error(error, f"the traceback is in {run.log}; `burnish doctor {run.name}`")
    run.remove_partial()
    if run.is_fenced:
        return known.exit_status
    if not is_there(run.folder / "artifact.json"):
        shutil.rmtree(run.out, ignore_errors=True)
    interrupted = known.code == "run.interrupted"
    try:
        run.transition("interrupted" if interrupted else "failed", reason=known.what, error=known.as_dict())
    except OSError:  # such as a full disk: the parent records it, once it can
        short = {
            name: value[:_LONGEST_REPORT] if isinstance(value, str) else value
            for name, value in known.as_dict().items()
        }
        with contextlib.suppress(OSError):  # no parent
            if report is not None:
                os.write(report, json.dumps(short).encode())
        return known.exit_status
    with contextlib.suppress(OSError):
        run.events.append(Failed(code=known.code, what=known.what, fix=known.fix))
        log_traceback(run.log, error)
    return known.exit_status


def main(arguments: Sequence[str]) -> NoReturn:
    """Work on a run folder, and exit with the status. `arguments` are those of the command line."""
    folder, *more = arguments
    if more:
        end_with_parent(int(more[0]))
    report = int(more[1]) if len(more) > 1 else None
    if report is not None:
        os.set_inheritable(report, False)
    try:
        status = work(Run(Path(folder)), report)
    except SystemExit as ended:  # of a library
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    end(status)
