"""Requests to stop a run: Ctrl-C and SIGTERM here and `burnish runs stop` from anywhere, counted for the whole run.

The first request lets the step at work save its state, and no further step starts; the second ends it at once.
"""

import signal
import threading
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from burnish.core.errors import RunError
from burnish.core.runs.run import Run

_ONCE = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Sent by machines, and often twice, as by a shell and the system: they never count as a second request."""


class StopRequests:
    """The requests for one run, from now on. `file` is where other processes leave theirs, one line each.

    Python gives signals to the main thread alone; in another one only the file is heard.
    """

    def __init__(self, file: Path):
        self._file = file
        self._here = self._told = 0
        self._is_own = False
        self._before: dict[int, Any] = {}
        self._hears_signals = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> "StopRequests":
        if self._hears_signals:
            self._before = {signal.SIGINT: signal.signal(signal.SIGINT, self._on_ctrl_c)}
            for number in _ONCE:
                if signal.getsignal(number) is signal.SIG_DFL:  # nohup and callers have their reasons
                    self._before[number] = signal.signal(number, self._on_end)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_ctrl_c(self, number: int, frame: object) -> None:
        if self._is_own:  # what closed the output was perhaps the same Ctrl-C
            self._is_own = False
            return
        self._here += 1
        if self._here > 2:  # the second one was not acted on: something of ours hangs
            raise KeyboardInterrupt

    def _on_end(self, number: int, frame: object) -> None:
        self.ask_once()

    def ask_once(self) -> None:
        """Make a request, unless there is one."""
        if not self.asked:
            self._here += 1
            self._is_own = True

    @property
    def asked(self) -> bool:
        return self._count() > 0

    def new(self) -> Iterator[bool]:
        """For each request since the last look: whether the step should end at once."""
        count = self._count()
        while self._told < count:
            self._told += 1
            yield self._told > 1

    def _count(self) -> int:
        return self._here + (self._file.stat().st_size if self._file.exists() else 0)


def request_stop(file: Path) -> None:
    """Leave a request for the process that carries out a run."""
    with file.open("ab") as requests:
        requests.write(b"\n")


@contextmanager
def interruptible_planning() -> Generator[None]:
    """Ctrl-C while a plan is made ends it at once: nothing has started that could be saved."""
    try:
        yield
    except KeyboardInterrupt:
        raise RunError(
            "run.interrupted", "planning was stopped; no step has started", "run the same command again"
        ) from None


def interrupted(name: str, done: Collection[str], step: str, run: Run | None, why: str = "") -> RunError:
    """The error of a run that was stopped before a step (`run` is None) or in it."""
    cause = f"{why}: " if why else ""
    finished = f"; finished: {', '.join(done)}" if done else ""
    again = f"run the same command again, or `burnish runs resume {name}`"
    reused = "; finished steps are reused" if done else ""
    if run is None:
        what, again = f"run {name} was stopped before step '{step}'", f"{again}: it continues with '{step}'"
    else:
        saved = _saved_at(run)
        what = f"run {name} was stopped in step '{step}', {f'saved {saved}' if saved else 'which has saved nothing'}"
        again = f"{again}: '{step}' {'resumes there' if saved else 'starts from its beginning'}"
    return RunError("run.interrupted", cause + what + finished, again + reused)


def _saved_at(run: Run) -> str:
    """`at step 12`, of the newest checkpoint that is there; empty where there is none."""
    if not any(run.scratch.glob("checkpoints/*")):
        return ""
    steps = [event.step for event, _ in run.events.read() if event.kind == "checkpoint" and Path(event.path).exists()]
    return f"at step {steps[-1]}" if steps else "in its scratch folder"
