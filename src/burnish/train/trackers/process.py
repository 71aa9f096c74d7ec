"""Runs one tracker in a process of its own: `python -m burnish.train.trackers.process PARENT_PID`.

Requests come on standard input and replies go to standard output, one JSON object per line:

    {"start": {"kind": "module:Class", "run": {…}}}    {"note": text}, any number; {"started": true}
    {"point": [step, at, values]}                      {"sent": step}
    {"close": [state, error]}                          {"closed": true}
                                                       {"failed": text}, after which the process ends

Threads, signal handlers, random states and defaults of torch that a tracker changes are those of this process only. The
parent may kill it at any time. If the parent is killed, this process and the children of the tracker are killed, too.
"""

import json
import logging
import os
import select
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from burnish.core.faults import reason
from burnish.core.processes import end_with_parent
from burnish.core.secrets import masked
from burnish.train.trackers.base import Point, TrackedRun, Tracker

_ORPHAN_PATIENCE = 20.0
"""Seconds that this process may go on after its parent closed the pipe without closing the run."""


def main(parent: int) -> None:
    """Serve one tracker until its run is closed, it fails, or the parent is gone."""
    end_with_parent(parent, signal.SIGKILL)
    for number in (signal.SIGTERM, signal.SIGINT):  # the parent tells how the run ends; children get the default back
        signal.signal(number, lambda *_: None)
    guard = _Guard()
    requests, replies = _take_pipes()
    sys.stdout, sys.stderr = masked(sys.stdout), masked(sys.stderr)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def reply(**message: Any) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    try:
        is_closed = _serve(requests, reply)
    except BaseException as error:  # packages raise SystemExit and CancelledError too
        logging.getLogger("burnish").exception("the tracker failed")
        reply(failed=reason(error))
        os._exit(1)
    if not is_closed:
        os._exit(1)  # the parent is gone: there is nobody to wait for
    guard.dismiss()


class _Guard:
    """A fork of this process that kills its group, which the children of the tracker stay in, after the parent's death.

    It waits for the end of the pipe of requests; it is another process since a signal of the system may kill this one.
    """

    def __init__(self) -> None:
        if os.getpgrp() != os.getpid():
            os.setpgid(0, 0)
        guarded = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self._watch(guarded)
            finally:
                os._exit(1)

    def dismiss(self) -> None:
        """End it."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    @staticmethod
    def _watch(guarded: int) -> None:
        os.closerange(1, 256)
        hung_up = select.poll()
        hung_up.register(0, 0)
        hung_up.poll()
        end = time.monotonic() + _ORPHAN_PATIENCE
        while os.getppid() == guarded and time.monotonic() < end:
            time.sleep(0.05)
        os.killpg(os.getpgrp(), signal.SIGKILL)


def _serve(requests: TextIO, reply: Any) -> bool:
    """Answer requests in order; returns whether the run was closed."""
    tracker: Tracker | None = None
    for line in requests:
        [(verb, value)] = json.loads(line).items()
        if verb == "start":
            tracker = _start(value, lambda text: reply(note=text))
            reply(started=True)
            continue
        assert tracker is not None
        if verb == "point":
            point = Point(*value)
            new = {name: number for name, number in point.values.items() if not tracker.holds(point.step, name)}
            if new:
                tracker.log(Point(point.step, point.at, new))
            reply(sent=point.step)
        else:
            tracker.close(*value)
            reply(closed=True)
            return True
    return False


def _start(value: Any, report: Any) -> Tracker:
    module, _, kind = value["kind"].partition(":")
    run = value["run"]
    return getattr(import_module(module), kind)(
        TrackedRun(run["id"], run["name"], run["settings"], Path(run["folder"]), Path(run["memory"]), report)
    )


def _take_pipes() -> tuple[TextIO, TextIO]:
    """The pipes of the parent, out of reach of packages that read standard input or print."""
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return os.fdopen(requests, encoding="utf-8"), os.fdopen(replies, "w", encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]))
