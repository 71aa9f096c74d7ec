"""Child processes for work that is split into chunks: results come in order, and no child outlives its parent."""

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
"""Chunks in flight for each process: enough to keep it busy, few enough to bound memory."""
_work: Callable[[Any], Any] | None = None
"""In a child process: what is done with each chunk."""


def map_in_order(
    make: Callable[[], Callable[[Chunk], Result]],
    chunks: Iterable[Chunk],
    processes: int,
    alone_for: float = 5.0,
) -> Iterator[tuple[Chunk, Result]]:
    """Each chunk with its result, in the order of the chunks.

    `make` gives the function that works on a chunk; it is called once in each process and must be picklable. The
    first `alone_for` seconds of work are done in this process, since starting others takes seconds too.

    Raises what the function raises; MachineError `machine.no-memory` when a child process was killed.
    """
    work = make()
    left = iter(chunks)
    busy = 0.0
    for chunk in left:
        began = time.monotonic()
        result = work(chunk)
        busy += time.monotonic() - began
        yield chunk, result
        if processes > 1 and busy > alone_for:
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
            "free some memory, or set threads to a smaller number: it limits the processes too",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start(make: Callable[[], Callable[[Any], Any]], parent: int) -> None:
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    end_with_parent(parent)
    _work = make()


def _work_on(chunk: Any) -> Any:
    assert _work is not None
    return _work(chunk)


def end_with_parent(parent: int) -> None:
    """Ask Linux to send SIGTERM when the process that started this one is gone, so that no stray is left."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
        if os.getppid() != parent:  # it was gone before we asked
            sys.exit(128 + signal.SIGTERM)


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
