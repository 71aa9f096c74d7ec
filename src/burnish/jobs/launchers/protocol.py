"""What runs the worker of one step, wherever that is."""

from typing import Any, Protocol

from burnish.core.runs.run import Run

BUSY = 75
"""The exit status of a worker whose run is in progress in another process."""


class Launcher(Protocol):
    """Starts `python -m burnish.jobs RUN_FOLDER` somewhere; the run folder is the same there.

    A worker is whatever `start` returns; only its launcher looks into it.
    """

    def start(self, run: Run) -> Any:
        """Start the worker of a run; its output goes to run.log."""
        ...

    def poll(self, process: Any, run: Run) -> int | None:
        """The exit status, or None while the worker runs. Records why a worker died if it could not."""
        ...

    def pause(self, process: Any, seconds: float) -> None:
        """Wait for so many seconds, or less if the worker ends."""
        ...

    def stop(self, process: Any, *, at_once: bool = False) -> None:
        """Tell the worker to save its state and exit, or kill it."""
        ...

    def wait(self, process: Any) -> None:
        """Wait for the end of a worker that was stopped at once."""
        ...
