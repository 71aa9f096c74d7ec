"""One of several processes of a step: `python -m burnish.jobs.ranks RUN_FOLDER PARENT_PID HEART REPORT`.

RANK and WORLD_SIZE say which of how many it is, as for torchrun. It writes a byte to the descriptor HEART every
second, and an error to REPORT, as JSON. It ends with its parent, at once: the next attempt must not meet it.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from burnish.core.catalog import stage
from burnish.core.errors import BurnishError
from burnish.core.faults import as_burnish_error, reason
from burnish.core.files import write_json
from burnish.core.processes import end_with_parent
from burnish.core.runs.run import Run
from burnish.jobs.ends import Stop, end
from burnish.jobs.logs import log_to_stderr, log_traceback
from burnish.jobs.performing import perform, perform_beside

BEAT_SECONDS = 1.0
PARTED = "parted"
"""The code of an error that another process has caused by its end."""
_LONGEST_REPORT = 5_000
_OF_OTHERS = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL", "Gloo", "gloo/")
"""What torch says when another process of a group has gone."""


def outcome_file(run: Run) -> Path:
    """Where the first process leaves what its stage returned."""
    return run.scratch / "ranks" / "outcome.json"


def main(arguments: Sequence[str]) -> NoReturn:
    """Run the share, and exit with the status. `arguments` are those of the command line."""
    folder, parent, heart, report = arguments
    end_with_parent(int(parent), signal.SIGKILL)
    for descriptor in (int(heart), int(report)):
        os.set_inheritable(descriptor, False)
    threading.Thread(target=_beat, args=(int(heart),), daemon=True).start()
    try:
        status = _work(Run(Path(folder)), int(report))
    except SystemExit as ended:  # of a library
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    end(status)


def _beat(heart: int) -> NoReturn:
    while True:
        with contextlib.suppress(OSError):
            os.write(heart, b".")
        time.sleep(BEAT_SECONDS)


def _work(run: Run, report: int) -> int:
    rank = int(os.environ["RANK"])
    stop = Stop()
    log_to_stderr(run)
    try:
        job = run.record_of("job.json")
        row = stage(job["stage"])
        spec = row.spec_type().model_validate(job["spec"])
        if rank == 0:
            outcome = perform(run, row, spec, job, lambda: stop.requested)
            write_json(outcome_file(run), asdict(outcome))
        else:
            perform_beside(run, row, spec, job, lambda: stop.requested, rank)
    except Exception as error:
        return _reported(run, error, report)
    return 0


def _reported(run: Run, error: Exception, report: int) -> int:
    known = as_burnish_error(error, f"the traceback is in {run.log}; `burnish doctor {run.name}`")
    is_of_another = not isinstance(error, BurnishError) and any(text in reason(error) for text in _OF_OTHERS)
    record = {
        name: value[:_LONGEST_REPORT] if isinstance(value, str) else value for name, value in known.as_dict().items()
    }
    with contextlib.suppress(OSError):
        os.write(report, json.dumps(record | {PARTED: is_of_another}).encode())
    if not is_of_another:
        log_traceback(Path(f"/dev/fd/{sys.stderr.fileno()}"), error)
    return known.exit_status
