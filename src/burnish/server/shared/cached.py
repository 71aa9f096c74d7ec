"""Answers that take seconds to find, kept for some: callers at the same moment share one, or the error of it."""

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """Keeps what a function gives, by its key, for `seconds`; an error is that of all who wait for it, and not kept."""

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._lock = threading.Lock()
        self._sought: dict[Hashable, Future[Value]] = {}
        self._found: dict[Hashable, tuple[float, Value]] = {}

    def get(self, key: Hashable, find: Callable[[], Value]) -> Value:
        """What `find` gave for this key not long ago, or gives now."""
        with self._lock:
            kept = self._found.get(key)
            if kept is not None and time.monotonic() - kept[0] < self._seconds:
                return kept[1]
            sought = self._sought.get(key)
            is_mine = sought is None
            if sought is None:
                sought = self._sought[key] = Future()
        if is_mine:
            self._find(key, find, sought)
        return sought.result()

    def _find(self, key: Hashable, find: Callable[[], Value], sought: Future[Value]) -> None:
        try:
            value = find()
        except BaseException as error:
            with self._lock:
                del self._sought[key]
            sought.set_exception(error)
            return
        with self._lock:
            self._found[key] = (time.monotonic(), value)
            del self._sought[key]
        sought.set_result(value)
