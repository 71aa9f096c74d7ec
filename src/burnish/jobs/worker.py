"""Do one step, in a process of its own: `python -m burnish.jobs.worker RUN_FOLDER [PARENT_PID]`.

Reads job.json, runs the stage under the consumption ledger, publishes `out/`, and writes the record last.
The exit status is the error's (see `burnish.core.errors`); 0 means that artifact.json exists; BUSY that another
process has the run; 128 and a signal's number that a second signal ended it at once.
"""

import contextlib
import faulthandler
import json
import logging
import os
import platform
import re
import shutil
import signal
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import Timeout

from burnish.core.catalog import Stage, stage
from burnish.core.context import Context, Input, Outcome
from burnish.core.errors import BurnishError, MachineError
from burnish.core.events import Failed, Note
from burnish.core.faults import as_burnish_error
from burnish.core.files import publish_folder, write_json
from burnish.core.inputs.checks import InputWatch, check_fetched, write_base_record
from burnish.core.inputs.references import fetched
from burnish.core.processes import end_with_parent
from burnish.core.runs.artifact import record_files
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace
from burnish.core.secrets import MASK, mask, masked, masked_value, names_a_secret
from burnish.core.version import VERSION
from burnish.jobs.local import BUSY
from burnish.specs.base import Spec

_SAME_REQUEST_SECONDS = 1.0
_LONGEST_LOCAL, _SHOWN_OF_LOCAL = 100_000, 200
_log = logging.getLogger("burnish")


class _Stop:
    """Set by the first SIGTERM or SIGINT; a later one ends the process at once.

    A service manager and our parent may both send one: what comes within a second is the same request.
    """

    def __init__(self) -> None:
        self.asked = False
        self._asked_at = 0.0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, number: int, _: Any) -> None:
        if self.asked and time.monotonic() - self._asked_at > _SAME_REQUEST_SECONDS:
            os._exit(128 + number)
        if not self.asked:
            self.asked, self._asked_at = True, time.monotonic()


class _Inputs(Mapping[str, Input]):
    """Inputs that tell the ledger when they are asked for, and are fetched then."""

    def __init__(self, inputs: dict[str, Input], ledger: ConsumptionLedger, known: dict[str, Any]):
        self._inputs, self._ledger, self._known = inputs, ledger, known

    def __getitem__(self, path: str) -> Input:
        value = self._inputs[path]
        self._ledger.input_was_read(path)
        return check_fetched(fetched(value), self._known)

    def __iter__(self) -> Iterator[str]:
        return iter(self._inputs)

    def __len__(self) -> int:
        return len(self._inputs)


def work(run: Run) -> int:
    """Run the step of a run folder to its end; returns the exit status."""
    try:
        lock = run.lock().acquire(timeout=2)  # a moment, since looking whether a run is alive takes the lock too
    except Timeout:
        print(f"run {run.name} is in progress in another process", file=sys.stderr)
        return BUSY
    with lock:
        stop = _Stop()
        run.transition("running", pid=os.getpid(), burnish=VERSION)
        try:
            _log_to(run)
            started = time.time()
            job = run.record_of("job.json")
            row = stage(job["stage"])
            spec = row.spec_type().model_validate(job["spec"])
            outcome = _perform(run, row, spec, job, stop)
            _publish(run, row, spec, job, outcome, time.time() - started)
        except Exception as error:
            return _fail(run, error)
        run.transition("succeeded")
        shutil.rmtree(run.scratch, ignore_errors=True)
    return 0


def _perform(run: Run, row: Stage, spec: Spec, job: Mapping[str, Any], stop: _Stop) -> Outcome:
    for leftover in (run.partial, run.out):  # of an attempt that was killed before its record was written
        shutil.rmtree(leftover, ignore_errors=True)
    run.partial.mkdir()
    run.scratch.mkdir(exist_ok=True)
    inputs = {path: Input.from_json(value, run.workspace) for path, value in job["inputs"].items()}
    with _hashes(run) as known, _watched(run, inputs, known) as watch, ConsumptionLedger(spec) as ledger:
        context = Context(
            out=run.partial,
            scratch=run.scratch,
            inputs=_Inputs(inputs, ledger, known),
            emit=run.events.append,
            is_stopping=lambda: stop.asked,
            check_settings=ledger.check,
            cache=run.workspace / ".burnish" / "cache",
            release_input=watch.release,
        )
        try:
            outcome: Outcome = row.function()(spec, context)
        except ModuleNotFoundError as error:
            raise _no_package(row, error) from error
        ledger.check()
        if outcome.kind == "adapter" and "base" in inputs:
            base = write_base_record(run.partial, fetched(inputs["base"]), known)
            outcome = replace(outcome, provenance={**outcome.provenance, "base": base})
    return outcome


@contextlib.contextmanager
def _hashes(run: Run) -> Generator[dict[str, Any]]:
    """The workspace's remembered hashes; what is added is remembered."""
    place = Workspace(run.workspace)
    known = place.hashes()
    before = dict(known)
    try:
        yield known
    finally:
        if known != before:
            place.remember_hashes({**place.hashes(), **known})


@contextlib.contextmanager
def _watched(run: Run, inputs: Mapping[str, Input], known: dict[str, Any]) -> Generator[InputWatch]:
    """The inputs are what was planned when the stage starts and when it ends, however it ends.

    Checkpoints that were written while an input changed are removed: nobody knows what they learned.
    """
    watch = InputWatch(inputs, known, run.record["created"])
    for ref in watch.start():
        text = f"{ref} was made by an older burnish, which recorded no hashes: its files cannot be checked"
        run.events.append(Note(level="warning", text=text))
    try:
        yield watch
    finally:
        try:
            changed = watch.end()
        except BurnishError:
            shutil.rmtree(run.scratch, ignore_errors=True)
            raise
        for ref in changed:
            text = f"{ref} changed after this step had read it: what was made stands on its earlier content"
            run.events.append(Note(level="warning", text=text))


def _publish(run: Run, row: Stage, spec: Spec, job: Mapping[str, Any], outcome: Outcome, seconds: float) -> None:
    """Flush and rename the output, then write the record: an artifact that can be seen is whole."""
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
            "certificate": None,
            "files": files,
        },
    )


def _fail(run: Run, error: Exception) -> int:
    """Write the traceback to run.log, the reason to events and run.json, and leave nothing half-made."""
    for unfinished in (run.partial, run.out):
        shutil.rmtree(unfinished, ignore_errors=True)
    known = as_burnish_error(error, f"the traceback is in {run.log}; `burnish doctor {run.name}`")
    interrupted = known.code == "run.interrupted"
    with contextlib.suppress(OSError):  # a full disk: the exit status still tells our parent, who tells the person
        run.transition("interrupted" if interrupted else "failed", reason=known.what, error=known.as_dict())
        run.events.append(Failed(code=known.code, what=known.what, fix=known.fix))
        _log_traceback(run, error)
    return known.exit_status


def _no_package(row: Stage, error: ModuleNotFoundError) -> Exception:
    """A missing package, with the extra that brings it; a misspelt module of burnish itself stays what it is."""
    from importlib.metadata import requires

    missing = (error.name or "").partition(".")[0]
    if not missing or find_spec(missing) is not None:
        return error
    extra = extra_with(missing, requires("burnish") or ()) or row.extra
    return MachineError(
        "machine.no-package",
        f"stage '{row.name}' needs the package {missing}, which is not installed",
        f"pip install 'burnish[{extra}]'" if extra else f"pip install {missing}",
    )


def extra_with(package: str, requirements: Iterable[str]) -> str | None:
    """The extra, other than dev, whose lines (`numpy>=2; extra == 'tokens'`) list a package."""
    name = package.replace("_", "-").lower()
    for line in requirements:
        found = re.match(rf"{re.escape(name)}\b.*extra == ['\"]([\w-]+)['\"]", line, re.IGNORECASE)
        if found and found[1] != "dev":
            return found[1]
    return None


def _log_to(run: Run) -> None:
    """Everything at DEBUG into run.log; what libraries print lands there too (the launcher sends it)."""
    faulthandler.enable()
    sys.stdout, sys.stderr = masked(sys.stdout), masked(sys.stderr)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG)
    logging.captureWarnings(capture=True)
    for noisy in ("matplotlib", "PIL", "asyncio", "urllib3", "filelock", "numba", "fsspec"):
        logging.getLogger(noisy).setLevel(logging.INFO)
    _log.debug("burnish %s, python %s, pid %s, run %s", VERSION, platform.python_version(), os.getpid(), run.name)
    _log.debug("job %s", json.dumps(run.record_of("job.json"), ensure_ascii=False))


def _log_traceback(run: Run, error: Exception) -> None:
    """A rich traceback with the values of locals, secrets masked: into the log only, never at the person."""
    from rich.console import Console
    from rich.traceback import Traceback

    trace = Traceback.from_exception(
        type(error), error, error.__traceback__, show_locals=True, locals_max_string=_LONGEST_LOCAL
    )
    for stack in trace.trace.stacks:
        stack.exc_value = mask(stack.exc_value)
        for frame in stack.frames:
            for name, node in (frame.locals or {}).items():
                _mask_local(node, name)
    with run.log.open("a", encoding="utf-8") as file:
        Console(file=masked(file), width=140, no_color=True).print(trace)


def _mask_local(node: Any, name: str) -> None:
    """Mask a value before it is cut or broken over lines, where a secret would no longer be known."""
    if node.value_repr and names_a_secret(name):
        node.value_repr = repr(MASK)
    elif node.value_repr:
        text = mask(node.value_repr)
        node.value_repr = (
            text if len(text) <= _SHOWN_OF_LOCAL else f"{text[:_SHOWN_OF_LOCAL]}… ({len(text):,} characters)"
        )
    for child in node.children or ():
        _mask_local(child, child.key_repr)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        end_with_parent(int(sys.argv[2]))
    sys.exit(work(Run(Path(sys.argv[1]))))
