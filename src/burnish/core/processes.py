"""Process chunks in child processes: results arrive in order, and no child outlives its parent."""

import ctypes
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

from burnish.core.errors import MachineError

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")
_CHUNKS_AHEAD = 2
"""Chunks in flight per process: enough to keep it busy, few enough to bound memory."""
_work: Callable[[Any], Any] | None = None
"""In a child process: the function applied to each chunk."""


def map_in_order(
    make: Callable[[], Callable[[Chunk], Result]],
    chunks: Iterable[Chunk],
    processes: int,
    alone_for: float = 5.0,
) -> Iterator[tuple[Chunk, Result]]:
    """Yield each chunk with its result, in order.

    `make` returns the function that processes a chunk; it is called once per process and must be picklable. The
    first `alone_for` seconds of work run in this process, since starting others takes seconds too.

    Errors: those of the function; MachineError `machine.no-memory` if a child process was killed.
    """
    work = make()
    left = iter(chunks)
    busy = 0.0
    for chunk in left:
        began = time.monotonic()
        result = work(chunk)
        busy += time.monotonic() - began
        yield chunk, result
        is_long = busy > alone_for
        if processes > 1 and is_long:
            break
    else:
        return
    yield from _map_in_children(make, left, processes)


def _map_in_children(
    make: Callable[[], Callable[[Chunk], Result]], chunks: Iterator[Chunk], processes: int
) -> Iterator[tuple[Chunk, Result]]:
    pool = ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_start, initargs=(make, os.getpid())
    )
    waiting: deque[tuple[Chunk, Future[Result]]] = deque()
    try:
        for chunk in chunks:
            waiting.append((chunk, pool.submit(_work_on, chunk)))
            if len(waiting) >= _CHUNKS_AHEAD * processes:
                done, result = waiting.popleft()
                yield done, result.result()
        while waiting:
            done, result = waiting.popleft()
            yield done, result.result()
    except BrokenProcessPool as error:
        raise MachineError(
            "machine.no-memory",
            f"one of {processes} worker processes was killed, most likely because memory ran out",
            "free some memory, or set a smaller number of threads, which also limits the processes",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start(make: Callable[[], Callable[[Any], Any]], parent: int) -> None:
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    end_with_parent(parent)
    _work = make()


def _work_on(chunk: Any) -> Any:
    assert _work is not None
    return _work(chunk)


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours. The current folder is no place of modules (`-P`): a file of the user's
    named `queue.py` is not what libraries import, and nothing of a folder is run because a command was called in it."""
    return [sys.executable, "-P", "-m", module, *arguments]


def end_with_parent(parent: int, number: int = signal.SIGTERM) -> None:
    """On Linux, request a signal when the parent process exits, so that no orphan is left."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, number)
        if os.getppid() != parent:  # it exited before the call
            sys.exit(128 + signal.SIGTERM)


def usable_cores() -> int:
    """Number of cores available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def signal_name(number: int) -> str:
    """The name of a signal, such as `SIGKILL`."""
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
