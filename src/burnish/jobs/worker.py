"""Run one step in its own process: `python -m burnish.jobs RUN_FOLDER [PARENT_PID [REPORT_DESCRIPTOR]]`.

Reads job.json, runs the stage under the consumption ledger, publishes `out/`, and writes artifact.json last. An error
that cannot be written into the run folder goes to the report descriptor, as JSON.
The exit status is that of the error (see `burnish.core.errors`), 0 if artifact.json exists, BUSY if another process has
the run, and 128 plus the signal after a second signal.
"""

import atexit
import contextlib
import faulthandler
import gc
import json
import logging
import os
import platform
import re
import shutil
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from filelock import Timeout

from burnish.core.catalog import Stage, stage
from burnish.core.context import Context, Input, Outcome
from burnish.core.errors import MachineError
from burnish.core.events import Failed, Note
from burnish.core.faults import as_burnish_error, record_last_error
from burnish.core.files import publish_folder, write_json
from burnish.core.inputs.checks import write_base_record
from burnish.core.inputs.endpoints import identities_of
from burnish.core.inputs.references import fetched
from burnish.core.plugins import PluginWarning
from burnish.core.processes import end_with_parent
from burnish.core.runs.artifact import record_files
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.core.runs.records import is_there
from burnish.core.runs.run import PARTIAL, FencedError, Run
from burnish.core.runs.workspace import Workspace
from burnish.core.secrets import MASK, mask, masked, masked_value, names_a_secret
from burnish.core.version import VERSION
from burnish.jobs.identity import this_process
from burnish.jobs.inputs import FetchedInputs, cached_hashes, restored, watched
from burnish.jobs.launchers.protocol import BUSY
from burnish.specs.base import Spec

if TYPE_CHECKING:
    from rich.traceback import Trace

_SAME_REQUEST_SECONDS = 1.0
_EXIT_SECONDS = 3.0
"""What the threads and exit handlers of libraries get, once the run is recorded."""
_LONGEST_REPORT = 5_000
"""Characters of a text: a pipe holds 64 KiB, and is read after the exit."""
_LONGEST_LOCAL, _SHOWN_OF_LOCAL, _SHOWN_OF_MESSAGE = 100_000, 200, 2_000
_log = logging.getLogger("burnish")


class _Stop:
    """Set by the first SIGTERM or SIGINT; a later one ends the process at once.

    A service manager and the parent may both send one: signals within a second are one request.
    """

    def __init__(self) -> None:
        self.requested = False
        self._requested_at = 0.0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def _handle(self, number: int, _: Any) -> None:
        if self.requested and time.monotonic() - self._requested_at > _SAME_REQUEST_SECONDS:
            os._exit(128 + number)
        if not self.requested:
            self.requested, self._requested_at = True, time.monotonic()


def work(run: Run, report: int | None = None) -> int:
    """Run the step of a run folder; returns the exit status. `report` takes an error that cannot be recorded there."""
    try:
        lock = run.lock().acquire(timeout=2)  # others hold it briefly to see whether the run is alive
    except Timeout:
        print(f"run {run.name} is in progress in another process", file=sys.stderr)
        return BUSY
    with lock:
        stop = _Stop()
        run.transition("running", pid=os.getpid(), process=asdict(this_process()), burnish=VERSION)
        try:
            _log_to(run)
            record_last_error(lambda error: _fail(run, error, report))
            started = time.time()
            job = run.record_of("job.json")
            row = stage(job["stage"])
            spec = row.spec_type().model_validate(job["spec"])
            outcome = _perform(run, row, spec, job, stop)
            _publish(run, row, spec, job, outcome, time.time() - started)
        except Exception as error:
            return _fail(run, error, report)
        run.transition("succeeded")
        if not _archives(spec):
            shutil.rmtree(run.scratch, ignore_errors=True)
    return 0


def _archives(spec: Spec) -> bool:
    """True if the checkpoints are kept after the run."""
    return bool(getattr(getattr(spec, "checkpoint", None), "archive", False))


def _perform(run: Run, row: Stage, spec: Spec, job: Mapping[str, Any], stop: _Stop) -> Outcome:
    for leftover in (*run.folder.glob(f"{PARTIAL}*"), run.out):  # of an attempt killed before it wrote its record
        shutil.rmtree(leftover, ignore_errors=True)
    run.partial.mkdir()
    run.scratch.mkdir(exist_ok=True)
    planned = {path: Input.from_json(value, run.workspace) for path, value in job["inputs"].items()}
    cache = Workspace(run.workspace).cache
    with (
        cached_hashes(run) as known,
        restored(planned, cache, known, run) as inputs,
        watched(run, inputs, known, job) as watch,
        ConsumptionLedger(spec) as ledger,
        _plugins_reported(run),
    ):
        context = Context(
            out=run.partial,
            scratch=run.scratch,
            inputs=FetchedInputs(inputs, ledger, known),
            emit=run.events.append,
            is_stopping=lambda: stop.requested,
            check_settings=ledger.check,
            cache=cache,
            release_input=watch.release,
        )
        models = identities_of(spec)
        try:
            outcome: Outcome = _imported(row)(spec, context)
        except ModuleNotFoundError as error:
            raise _no_package(row, error) from error
        ledger.check()
        if outcome.kind == "adapter" and "base" in inputs:
            base = write_base_record(run.partial, fetched(inputs["base"]), known)
            outcome = replace(outcome, provenance={**outcome.provenance, "base": base})
        if models:
            outcome = replace(outcome, provenance={**outcome.provenance, "endpoints": models})
    return outcome


def _imported(row: Stage) -> Callable[[Spec, Context], Outcome]:
    """The function of a stage. What it imports stays: to collect garbage meanwhile would take a seventh of the time."""
    gc.disable()
    try:
        return row.function()
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def _plugins_reported(run: Run) -> Generator[None]:
    """Report the plugins that the stage leaves out, such as readers of files, as notes of the run."""
    show = warnings.showwarning

    def report(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, PluginWarning):
            run.events.append(Note(level="warning", text=str(message)))
        show(message, category, *place, **more)

    warnings.showwarning = report
    try:
        yield
    finally:
        warnings.showwarning = show


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
        _log_traceback(run, error)
    return known.exit_status


def _end(status: int) -> NoReturn:
    """Exit, at the latest after `_EXIT_SECONDS`: the run is recorded, and threads of libraries may never end."""

    def end_at_once() -> None:
        time.sleep(_EXIT_SECONDS)
        names = [thread.name for thread in threading.enumerate() if not thread.daemon]
        _log.warning("the worker exits without waiting any longer for threads and exit handlers: %s", ", ".join(names))
        os._exit(status)

    with contextlib.suppress(RuntimeError, MemoryError):  # no memory for a thread
        threading.Thread(target=end_at_once, daemon=True).start()
    _status.append(status)
    sys.exit(status)


def _end_without_teardown() -> None:
    """Exit once threads have ended and the exit handlers of libraries have run.

    Python would free each module and object of torch and transformers: 2 s of a core, as a forked worker first copies
    the memory that it shares.
    """
    if _status:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(_status[-1])


_status: list[int] = []
"""Of this worker, once it ends."""
atexit.register(_end_without_teardown)  # handlers run in reverse order: those of libraries are registered later


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
    _end(status)


def _no_package(row: Stage, error: ModuleNotFoundError) -> Exception:
    """MachineError with the extra that provides the package; the error itself if the package is installed."""
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
    """Log everything at DEBUG to run.log, where the launcher also sends what libraries print."""
    faulthandler.enable()
    sys.stdout, sys.stderr = masked(sys.stdout), masked(sys.stderr)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG)
    logging.captureWarnings(capture=True)
    quiet_libraries()
    _log.debug("burnish %s, python %s, pid %s, run %s", VERSION, platform.python_version(), os.getpid(), run.name)
    _log.debug("job %s", json.dumps(run.record_of("job.json"), ensure_ascii=False))


def quiet_libraries() -> None:
    """Log less of libraries that write lines for each request or file."""
    for noisy in ("matplotlib", "PIL", "asyncio", "urllib3", "filelock", "numba", "fsspec", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # INFO is a line for each request


def _log_traceback(run: Run, error: Exception) -> None:
    """Write a traceback with local variables to run.log, secrets masked."""
    from rich.console import Console
    from rich.traceback import Traceback

    trace = Traceback.from_exception(
        type(error), error, error.__traceback__, show_locals=True, locals_max_string=_LONGEST_LOCAL
    )
    _clean(trace.trace)
    with run.log.open("a", encoding="utf-8") as file:
        Console(file=masked(file), width=140, no_color=True).print(trace)


def _clean(trace: "Trace") -> None:
    """Mask and shorten what a traceback prints of an error, of those before it, and of those in a group."""
    for stack in trace.stacks:
        stack.exc_value = _shortened(mask(stack.exc_value), _SHOWN_OF_MESSAGE)
        stack.notes = [_shortened(mask(note), _SHOWN_OF_MESSAGE) for note in stack.notes]
        if stack.syntax_error is not None:
            stack.syntax_error.line = _shortened(mask(stack.syntax_error.line), _SHOWN_OF_MESSAGE)
            stack.syntax_error.msg = _shortened(mask(stack.syntax_error.msg), _SHOWN_OF_MESSAGE)
        for frame in stack.frames:
            for name, node in (frame.locals or {}).items():
                _mask_local(node, name)
        for other in stack.exceptions:
            _clean(other)


def _shortened(text: str, most: int) -> str:
    """Rich takes minutes to highlight a long text without spaces."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def _mask_local(node: Any, name: str) -> None:
    """Mask a value before it is truncated or wrapped, when a secret would no longer match."""
    if node.value_repr and names_a_secret(name):
        node.value_repr = repr(MASK)
    elif node.value_repr:
        node.value_repr = _shortened(mask(node.value_repr), _SHOWN_OF_LOCAL)
    for child in node.children or ():
        _mask_local(child, child.key_repr)
