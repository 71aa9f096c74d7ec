"""An engine's process: takes requests from its standard input, decodes them step by step, and writes tokens.

    server ─▶ {"op": "complete", "id", …} {"op": "embed", "id", "prompts"} {"op": "cancel", "id"} {"op": "ping", "id"}
              {"op": "add_adapter", "id", …} …
           ◀─ {"ready": {…}}, then {"tokens": [[id, token, log_prob, top], …], "ends": [[id, reason, token, log_prob]],
              "errors": [[id, kind, what]], "results": [[id, value]]} and {"pong": id, "busy": seconds}

The process ends when its standard input does, so that it never outlives the server.
"""

import contextlib
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NoReturn, Protocol

from burnish.core.errors import BurnishError
from burnish.core.processes import end_with_parent
from burnish.serve.engines.frames import framed, read_frame


@dataclass
class News:
    """What a step has found, to be written as one message."""

    tokens: list[list[Any]] = field(default_factory=list[list[Any]])
    ends: list[list[Any]] = field(default_factory=list[list[Any]])
    errors: list[list[Any]] = field(default_factory=list[list[Any]])
    results: list[list[Any]] = field(default_factory=list[list[Any]])

    def as_message(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if value}


class Decoder(Protocol):
    """What computes. Its methods are called by one thread."""

    def describe(self) -> dict[str, Any]:
        """What the server knows of it: `context`, `features`, `slots`, `ends`."""
        ...

    def add(self, number: int, request: dict[str, Any]) -> None: ...

    def embed(self, number: int, prompts: list[list[int]]) -> None:
        """Begin to embed texts; `step` finds their vectors as one result."""
        ...

    def cancel(self, number: int) -> None: ...

    def has_work(self) -> bool: ...

    def step(self, news: News) -> None:
        """Compute a little, and add what was found."""
        ...

    def command(self, name: str, request: dict[str, Any]) -> Any:
        """Another request, such as `add_adapter`; its result. Errors: BurnishError."""
        ...


class _Clock:
    """How long the step under way has taken."""

    def __init__(self) -> None:
        self.began: float | None = None

    def busy(self) -> float:
        began = self.began
        return 0.0 if began is None else time.monotonic() - began


def run_child(make: Callable[[], Decoder], parent: int) -> NoReturn:
    """Answer requests until the standard input ends, then exit. What libraries print goes to standard error."""
    end_with_parent(parent)
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    source, lock, inbox, clock = sys.stdin.buffer, threading.Lock(), queue.SimpleQueue[dict[str, Any]](), _Clock()

    def write(message: dict[str, Any]) -> None:
        with lock:
            _write_all(output, framed(message))

    try:
        decoder = make()
    except Exception as error:
        traceback.print_exc()
        known = error.as_dict() if isinstance(error, BurnishError) else {"what": f"{type(error).__name__}: {error}"}
        write({"refused": known})
        sys.exit(1)
    threading.Thread(target=_listen, args=(source, inbox, clock, write), daemon=True).start()
    write({"ready": decoder.describe()})
    try:
        _work(decoder, inbox, clock, write)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # an exit would wait for the thread, which reads


def _work(
    decoder: Decoder,
    inbox: "queue.SimpleQueue[dict[str, Any]]",
    clock: _Clock,
    write: Callable[[dict[str, Any]], None],
) -> NoReturn:
    while True:
        news = News()
        while not (decoder.has_work() and inbox.empty()):
            _take(decoder, inbox.get(), news)
            if news.errors or news.results:
                break
        if decoder.has_work():
            clock.began = time.monotonic()
            decoder.step(news)
            clock.began = None
        if message := news.as_message():
            write(message)


def _listen(source: BinaryIO, inbox: "queue.SimpleQueue[dict[str, Any]]", clock: _Clock, write: Any) -> None:
    """Read requests in a thread of its own: a ping is answered while a step computes."""
    with contextlib.suppress(Exception):
        while (message := read_frame(source)) is not None:
            if message["op"] == "ping":
                write({"pong": message["id"], "busy": clock.busy()})
            else:
                inbox.put(message)
    os._exit(0)


def _take(decoder: Decoder, message: dict[str, Any], news: News) -> None:
    number = message["id"]
    try:
        match message["op"]:
            case "complete":
                decoder.add(number, message)
            case "embed":
                decoder.embed(number, message["prompts"])
            case "cancel":
                decoder.cancel(number)
            case name:
                news.results.append([number, decoder.command(name, message)])
    except BurnishError as error:
        news.errors.append([number, "refused", error.what])
    except Exception as error:
        traceback.print_exc()
        news.errors.append([number, "failed", f"{type(error).__name__}: {error}"])


def _write_all(output: Any, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[output.write(view) :]
