"""The server of `jobs.forkserver`: `python -m burnish.jobs.forking LAUNCHER_PID SOCKET_DESCRIPTOR LIBRARY…`."""

import contextlib
import gc
import itertools
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn

from burnish.jobs import worker
from burnish.jobs.forkserver import LARGEST_MESSAGE

_NUMBERS = itertools.count(1)
"""Of workers."""


def _serve(channel: socket.socket, launcher: int, libraries: Sequence[str]) -> NoReturn:
    """Import libraries, then fork a worker for each request until the launcher closes the socket or ends.

    The launcher is watched as a process: a signal at the end of a parent comes when its thread ends already.
    """
    numbers: dict[int, int] = {}
    """The number of each worker that runs, by process id."""
    watched = os.pidfd_open(launcher)
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, _note_nothing)
    signal.set_wakeup_fd(woken)
    gc.disable()  # what is imported stays: to look for garbage takes a seventh of the time
    for name in libraries:
        with contextlib.suppress(ImportError):
            import_module(name)
    gc.freeze()  # a collection in a worker would copy the memory of all that is imported
    gc.enable()
    while True:
        ready, _, _ = select.select([channel, wake, watched], [], [])
        if watched in ready:
            os._exit(0)
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
            _report_ended(channel, numbers)
        if channel in ready:
            text, descriptors, _, _ = socket.recv_fds(channel, LARGEST_MESSAGE, 2)
            if not text:
                os._exit(0)
            _fork(channel, numbers, json.loads(text), *descriptors)


def _note_nothing(number: int, frame: FrameType | None) -> None:
    """The signal is seen through the pipe."""


def _report_ended(channel: socket.socket, numbers: dict[int, int]) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            _send(channel, {"ended": numbers.pop(ended[0]), "status": os.waitstatus_to_exitcode(ended[1])})


def _send(channel: socket.socket, news: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the launcher has ended
        channel.send(json.dumps(news).encode())


def _fork(channel: socket.socket, numbers: dict[int, int], request: Mapping[str, Any], log: int, report: int) -> None:
    parent, number = os.getpid(), next(_NUMBERS)
    try:
        pid = os.fork()
    except OSError:
        pid = -1
    if pid == 0:
        _become_worker(channel, request, parent, log, report)
    os.close(log)
    os.close(report)
    if pid > 0:
        numbers[pid] = number
    _send(channel, {"started": pid, "number": number} if pid > 0 else {"refused": "fork"})


def _become_worker(channel: socket.socket, request: Mapping[str, Any], parent: int, log: int, report: int) -> NoReturn:
    """As `python -m burnish.jobs ARGUMENTS PARENT REPORT` in the launcher's environment and folder."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    channel.close()
    os.setsid()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    worker.main([*request["arguments"], str(parent), str(report)])


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[2])), int(sys.argv[1]), sys.argv[3:])
