"""What the requests to an endpoint cost: each is booked on disk before it is sent, and settled after its reply.

A booking holds the most that its request can cost, and counts as spent until the endpoint's own count replaces it. A
request whose reply is lost, or whose run is killed, is never settled: the endpoint may have charged it. So a limit
holds at any concurrency and across kills, as long as the endpoint keeps to `max_tokens`.
"""

import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SECONDS = 0.1
"""How often a request that waits for the settlement of others looks whether the run stops."""


def journal(scratch: Path, name: str) -> Path:
    """The file of a step's `Spending`. It counts as a checkpoint: after a failure or a kill the step resumes in its
    folder, so that limits hold over all attempts."""
    return scratch / "checkpoints" / f"spending-{name}.jsonl"


@dataclass(frozen=True)
class Usage:
    """Tokens of prompts and of replies."""

    prompt: int = 0
    reply: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.reply

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.prompt + other.prompt, self.reply + other.reply)

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(self.prompt - other.prompt, self.reply - other.reply)


@dataclass(frozen=True)
class Limits:
    """The most calls, tokens and money, and the prices of a million tokens."""

    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    price_prompt: float = 0.0
    price_reply: float = 0.0

    def cost(self, usage: Usage) -> float:
        """In the currency of the prices."""
        return (usage.prompt * self.price_prompt + usage.reply * self.price_reply) / 1e6


class Spending:
    """The bookings and settlements of a run. With a file, those of earlier attempts of the run count too."""

    def __init__(self, path: Path | None = None, limits: Limits = Limits()):
        self._path, self._limits = path, limits
        self._changed = threading.Condition()
        self._calls, self._used = 0, Usage()
        self._open: dict[int, Usage] = {}
        """The most of each booking that is not settled, by number."""
        self._bounds: dict[int, Usage] = {}
        """What the text of each of them and `max_tokens` allow, before the excess."""
        self._waiting = set[int]()
        """Those of them whose reply may still come."""
        self._next, self._excess = 0, Usage()
        """The excess: the most tokens that a count had above its bound. Later bookings expect it again: a hidden prompt
        adds the same to every request, as does a limit of replies that is not kept."""
        if path is not None and path.is_file():
            self._read(path)

    def reserve(self, most: Usage, is_stopping: Callable[[], bool] = lambda: False) -> int | str:
        """Book a request that is about to be sent. Returns its number, or the limit that forbids it, in words.

        A request that fits only if others cost less than their most waits for them.
        """
        with self._changed:
            while limit := self._limit(most + self._excess):
                if not self._waiting or limit.startswith("max_calls") or is_stopping():
                    return limit
                self._changed.wait(_SECONDS)
            number, booked = self._next, most + self._excess
            bound = [most.prompt, most.reply]
            self._write({"book": number, "most": [booked.prompt, booked.reply], "bound": bound})
            self._waiting.add(number)
            self._book(number, booked, most)
            return number

    def settle(self, number: int, usage: Usage | None) -> None:
        """Replace the booking by what the endpoint counted; with None it keeps counting at the most."""
        with self._changed:
            self._waiting.discard(number)
            if usage is not None:
                self._write({"settle": number, "used": [usage.prompt, usage.reply]})
                self._settle(number, usage)
            self._changed.notify_all()

    @property
    def calls(self) -> int:
        """Requests sent, retries included."""
        return self._calls

    @property
    def used(self) -> Usage:
        """Tokens of settled requests, and the most of the others."""
        return self._used

    @property
    def cost(self) -> float:
        """The price of `used`."""
        return self._limits.cost(self._used)

    def price_of(self, usage: Usage) -> float:
        """In the currency of the prices; 0 without prices."""
        return self._limits.cost(usage)

    @property
    def uncounted(self) -> int:
        """Requests without a count of the endpoint, which count at the most they can cost."""
        return len(self._open)

    @property
    def exceeds_its_bound(self) -> bool:
        """True if the endpoint counted more tokens than the text of a request and `max_tokens` allow."""
        return self._excess.total > 0

    def _limit(self, most: Usage) -> str:
        limits, used, cost = self._limits, self._used.total, self._limits.cost(most)
        if limits.max_calls is not None and self._calls >= limits.max_calls:
            return f"max_calls: {limits.max_calls:,}"
        if limits.max_tokens is not None and used + most.total > limits.max_tokens:
            next_one = f"the next request may use {most.total:,}"
            return f"max_cost_tokens: {limits.max_tokens:,}; {used:,} are used, and {next_one}"
        if limits.max_cost is not None and self.cost + cost > limits.max_cost:
            return f"max_cost: {limits.max_cost:g}; {self.cost:.4g} is spent, and the next request may cost {cost:.2g}"
        return ""

    def _book(self, number: int, most: Usage, bound: Usage) -> None:
        self._next = max(self._next, number + 1)
        self._open[number], self._bounds[number] = most, bound
        self._calls += 1
        self._used += most

    def _settle(self, number: int, usage: Usage) -> None:
        self._used += usage - self._open.pop(number)
        bound, most = self._bounds.pop(number), self._excess
        over = usage - bound if usage.prompt else Usage(0, usage.total - bound.total)  # a total counts as the reply's
        self._excess = Usage(max(most.prompt, over.prompt), max(most.reply, over.reply))

    def _read(self, path: Path) -> None:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry: Any = json.loads(line)
                if "book" in entry:
                    self._book(int(entry["book"]), Usage(*entry["most"]), Usage(*entry.get("bound", entry["most"])))
                elif int(entry["settle"]) in self._open:
                    self._settle(int(entry["settle"]), Usage(*entry["used"]))
            except (ValueError, TypeError, KeyError):  # an empty line, or the partial line of a killed writer
                continue

    def _write(self, entry: dict[str, Any]) -> None:
        """Append a line, on a line of its own also after the partial line of a killed writer."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, f"\n{json.dumps(entry)}\n".encode())
        finally:
            os.close(descriptor)
