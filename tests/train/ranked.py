"""Runs a function in several processes, forked from this one, and returns what each found."""

import multiprocessing
import os
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from burnish.core.context import ShareDoneError
from burnish.train.ranks import Ranks, joined

_SECONDS = 120


def in_processes(size: int, work: Callable[[int], Any], folder: Path) -> list[Any]:
    """`work(rank)` of each process; an exception is returned in its place. They can meet at a new file in the folder.

    One that has done its share for the first one gives None.
    """
    meeting = folder / f"meeting-{len(list(folder.glob('meeting-*')))}"
    meeting.touch()
    started = []
    for rank in range(size):
        ours, theirs = multiprocessing.Pipe(duplex=False)
        pid = os.fork()
        if pid == 0:
            os.environ |= {"BURNISH_MEETING": str(meeting), "GLOO_SOCKET_IFNAME": "lo"}
            _send(theirs, work, rank)
        theirs.close()
        started.append((pid, ours))
    found = [
        pickle.loads(pipe.recv_bytes()) if pipe.poll(_SECONDS) else TimeoutError(f"rank {rank}")
        for rank, (_, pipe) in enumerate(started)
    ]
    for pid, _ in started:
        os.waitpid(pid, 0)
    return found


def in_ranks(size: int, work: Callable[[Ranks], Any], folder: Path) -> list[Any]:
    """`work(ranks)` of each of several connected processes."""

    def connected(rank: int) -> Any:
        with joined(rank, size, "cpu") as ranks:
            return work(ranks)

    return in_processes(size, connected, folder)


def _send(pipe: Any, work: Callable[[int], Any], rank: int) -> None:
    try:
        found = work(rank)
    except ShareDoneError:
        found = None
    except Exception as error:
        traceback.print_exc()
        found = error
    pipe.send_bytes(pickle.dumps(found))
    os._exit(0)
