"""How a process that runs a step is stopped, and how it ends."""

import atexit
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from typing import Any, NoReturn

_SAME_REQUEST_SECONDS = 1.0
_EXIT_SECONDS = 3.0
"""What the threads and exit handlers of libraries get, once the run is recorded."""
_log = logging.getLogger("burnish")


class Stop:
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


def end(status: int) -> NoReturn:
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
