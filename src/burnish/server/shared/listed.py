"""Lists of runs as answers: clients that ask at the same moment share one, and after a change all see it."""

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

FRESH_SECONDS = 1.0
"""An answer that is so old is found anew, in a thread: those who ask meanwhile get the one before it,"""
OLD_SECONDS = 2.0
"""up to this age."""
_MOST = 64


@dataclass
class _Answer:
    found: bytes = b""
    at: float = -1.0
    """On the monotonic clock, when it began to be found; below 0: there is none."""
    is_sought: bool = False


class Listed:
    """The answers that were given last, by what was asked."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._answers: OrderedDict[Hashable, _Answer] = OrderedDict()
        self._changed = -1.0

    def changed(self) -> None:
        """What was found before is not given any more: a client that has made a run finds it in the list."""
        with self._lock:
            self._changed = time.monotonic()

    def answer(self, key: Hashable, find: Callable[[float], bytes]) -> bytes:
        """What `find` gives, or gave not long ago. It is told how old what it knows may be, in seconds."""
        with self._lock:
            known = self._answers.setdefault(key, _Answer())
            self._answers.move_to_end(key)
            while len(self._answers) > _MOST:
                self._answers.popitem(last=False)
            while True:
                age = time.monotonic() - known.at if known.at > self._changed else OLD_SECONDS
                if age < FRESH_SECONDS or (age < OLD_SECONDS and known.is_sought):
                    return known.found
                if not known.is_sought:
                    known.is_sought = True
                    break
                self._lock.wait()
        if age < OLD_SECONDS:
            threading.Thread(target=self._find_again, args=(known, find), daemon=True).start()
            return known.found
        self._find(known, find)
        return known.found

    def _find_again(self, known: _Answer, find: Callable[[float], bytes]) -> None:
        with contextlib.suppress(Exception):  # who asks when the answer is too old finds the same, and is told
            self._find(known, find)

    def _find(self, known: _Answer, find: Callable[[float], bytes]) -> None:
        began = time.monotonic()
        try:
            known.found, known.at = find(min(FRESH_SECONDS / 2, began - self._changed)), began
        finally:
            with self._lock:
                known.is_sought = False
                self._lock.notify_all()


listed = Listed()
