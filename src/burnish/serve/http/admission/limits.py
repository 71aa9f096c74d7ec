"""Limits: completions that the engine answers at a time and that wait for it, and what a key may ask in a minute."""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from burnish.serve.http.admission.keys import Key
from burnish.serve.http.wire.errors import ApiError

_MINUTE = 60.0


class Slots:
    """`slots` completions run at a time, in the order of their requests; at most `most_waiting` more are accepted."""

    def __init__(self, slots: int, most_waiting: int):
        self._free = asyncio.Semaphore(slots)
        self._most = slots + most_waiting
        self.accepted = self.running = 0
        self._seconds = 1.0  # of a completion, smoothed

    @property
    def waiting(self) -> int:
        return self.accepted - self.running

    @contextmanager
    def accept(self, count: int) -> Iterator[None]:
        """Errors: ApiError 429 when too many wait."""
        if self.accepted + count > self._most and self.accepted:
            wait = max(1, math.ceil(self._seconds))
            message = f"the server is busy: {self.waiting} completions wait for the engine"
            raise ApiError(429, message, code="queue_full", headers={"Retry-After": str(min(wait, 60))})
        self.accepted += count
        try:
            yield
        finally:
            self.accepted -= count

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for the engine, and hold one of its slots."""
        async with self._free:
            self.running += 1
            begun = time.monotonic()
            try:
                yield
            finally:
                self.running -= 1
                self._seconds += 0.1 * (time.monotonic() - begun - self._seconds)


class Rates:
    """Requests and tokens of each key in the last minute, and the tokens that its requests under way may yet take."""

    def __init__(self) -> None:
        self._requests: dict[str, deque[float]] = {}
        self._tokens: dict[str, deque[tuple[float, int]]] = {}
        self._booked: dict[str, int] = {}

    def ask(self, key: Key) -> None:
        """Count a request. Errors: ApiError 429 with Retry-After when a limit of the key is reached."""
        now = time.monotonic()
        requests = self._requests.setdefault(key.name, deque())
        while requests and requests[0] <= now - _MINUTE:
            requests.popleft()
        if key.requests_per_minute is not None and len(requests) >= key.requests_per_minute:
            first = requests[0] if requests else now
            raise _over(f"{key.requests_per_minute} requests a minute", first + _MINUTE - now)
        self._check_tokens(key, now)
        requests.append(now)

    def book(self, key: Key, tokens: int) -> int:
        """Book the most tokens that a request may take; returns what `used` is to release.

        Errors: ApiError 429 where those booked and used already reach the limit.
        """
        if key.tokens_per_minute is None:
            return 0
        self._check_tokens(key, time.monotonic())
        self._booked[key.name] = self._booked.get(key.name, 0) + tokens
        return tokens

    def used(self, key: Key, tokens: int, booked: int = 0) -> None:
        """Count the tokens of a request that has ended, prompt and answer, in place of those booked."""
        if booked:
            self._booked[key.name] -= booked
        if tokens and key.tokens_per_minute is not None:
            self._tokens.setdefault(key.name, deque()).append((time.monotonic(), tokens))

    def _check_tokens(self, key: Key, now: float) -> None:
        tokens = self._tokens.setdefault(key.name, deque())
        while tokens and tokens[0][0] <= now - _MINUTE:
            tokens.popleft()
        booked = self._booked.get(key.name, 0)
        if key.tokens_per_minute is None or sum(count for _, count in tokens) + booked < key.tokens_per_minute:
            return
        # those booked may be released at any time
        seconds = 0.0 if booked else (tokens[0][0] if tokens else now) + _MINUTE - now
        raise _over(f"{key.tokens_per_minute} tokens a minute", seconds)


def _over(limit: str, seconds: float) -> ApiError:
    wait = max(1, math.ceil(seconds))
    message = f"this key may use {limit}: try again in {wait} s"
    return ApiError(429, message, code="rate_limit_exceeded", headers={"Retry-After": str(wait)})
