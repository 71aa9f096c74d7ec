"""Answers that take seconds to find, kept for some: callers at the same moment share one."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """Keeps what a function gives, by its key, for `seconds`; an error is not kept."""

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._lock = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._found: dict[Hashable, tuple[float, Value]] = {}

    def get(self, key: Hashable, find: Callable[[], Value]) -> Value:
        """What `find` gave for this key not long ago, or gives now."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            kept = self._found.get(key)
            if kept is not None and time.monotonic() - kept[0] < self._seconds:
                return kept[1]
            value = find()
            self._found[key] = (time.monotonic(), value)
            return value
