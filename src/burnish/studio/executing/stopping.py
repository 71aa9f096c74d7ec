"""Requests to stop a run: Ctrl-C, SIGTERM and `burnish runs stop`, counted for the whole run.

After the first request the current step saves its state and no further step starts. The second stops it at once.
"""

import signal
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from burnish.core.errors import RunError
from burnish.core.files import naming
from burnish.core.runs.run import Run

_SYSTEM_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Often sent twice, by a shell and by the system: they never count as a second request."""


class StopRequests:
    """The stop requests of one run. Other processes append a line to `file` for each request.

    Python delivers signals to the main thread only; in other threads only the file counts.
    """

    def __init__(self, file: Path):
        self._file = file
        self._local = self._reported = self._passed_on = 0
        self._is_own = False
        self._before: dict[int, Any] = {}
        self._handles_signals = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> "StopRequests":
        if self._handles_signals:
            self._before = {signal.SIGINT: signal.signal(signal.SIGINT, self._on_ctrl_c)}
            for number in _SYSTEM_SIGNALS:
                if signal.getsignal(number) is signal.SIG_DFL:  # keep the handlers of nohup and of callers
                    self._before[number] = signal.signal(number, self._on_terminate)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_ctrl_c(self, number: int, frame: object) -> None:
        if self._is_own:  # the same Ctrl-C may have closed the output
            self._is_own = False
            return
        self._local += 1
        if self._local > 2:  # the second request had no effect: this process hangs
            raise KeyboardInterrupt

    def _on_terminate(self, number: int, frame: object) -> None:
        self.request_once()

    def request_once(self) -> None:
        """Request a stop, unless one is requested."""
        if not self.requested:
            self._local += 1
            self._is_own = True

    def request(self, *, at_once: bool = False) -> None:
        """Pass a request on from another thread, which the file may have, too; `at_once` kills the worker."""
        self._passed_on = max(self._passed_on, 2 if at_once else 1)

    @property
    def requested(self) -> bool:
        return self._count() > 0

    def new(self) -> Iterator[bool]:
        """For each request since the last call: whether the step must stop at once."""
        count = self._count()
        while self._reported < count:
            self._reported += 1
            yield self._reported > 1

    def _count(self) -> int:
        in_file = self._file.stat().st_size if self._file.exists() else 0
        return max(self._local + in_file, self._passed_on)


class StopSignals:
    """Which signals are requests to stop, for a program that runs several jobs.

    A service manager, a shell and a parent may each send one: within `seconds` of the first they are one request, and
    SIGTERM and SIGHUP are always. A later Ctrl-C is a request of its own.
    """

    def __init__(self, seconds: float = 2.0):
        self._seconds = seconds
        self._first: float | None = None

    def is_request(self, number: int) -> bool:
        """Whether the program acts on a signal that has come now."""
        if self._first is None:
            self._first = time.monotonic()
            return True
        return number == signal.SIGINT and time.monotonic() - self._first > self._seconds

    @contextmanager
    def calling(self, act: Callable[[], None]) -> Generator[None]:
        """Call `act` for each request. Signals that are ignored, such as SIGHUP by nohup, stay so."""

        def handle(number: int, frame: object) -> None:
            if self.is_request(number):
                act()

        numbers = [number for number in (signal.SIGINT, *_SYSTEM_SIGNALS) if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def request_stop(file: Path) -> None:
    """Request a stop from the process that runs a run."""
    with naming(file), file.open("ab") as requests:
        requests.write(b"\n")


@contextmanager
def interruptible_planning() -> Generator[None]:
    """Ctrl-C during planning raises RunError `run.interrupted`: there is no state to save."""
    try:
        yield
    except KeyboardInterrupt:
        raise RunError(
            "run.interrupted", "stopped while planning; no step has started", "run the same command again"
        ) from None


def interrupted(name: str, done: Collection[str], step: str, run: Run | None, why: str = "") -> RunError:
    """The error of a run stopped before a step (`run` is None) or in it."""
    cause = f"{why}: " if why else ""
    finished = f"; finished: {', '.join(done)}" if done else ""
    again = f"run the same command again, or `burnish runs resume {name}`"
    reused = "; finished steps are reused" if done else ""
    if run is None:
        what, again = f"run {name} was stopped before step '{step}'", f"{again}: it continues with '{step}'"
    else:
        saved = _saved_at(run)
        what = f"run {name} was stopped in step '{step}', {f'saved {saved}' if saved else 'with no saved state'}"
        again = f"{again}: '{step}' {'resumes there' if saved else 'starts over'}"
    return RunError("run.interrupted", cause + what + finished, again + reused)


def _saved_at(run: Run) -> str:
    """`at step 12` for the newest checkpoint; empty if there is none."""
    if not any(run.scratch.glob("checkpoints/*")):
        return ""
    steps = [event.step for event, _ in run.events.read() if event.kind == "checkpoint" and Path(event.path).exists()]
    return f"at step {steps[-1]}" if steps else "in its scratch folder"
