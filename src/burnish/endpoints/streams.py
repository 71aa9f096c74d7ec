"""A streamed reply: server-sent events as JSON, and the pieces of a chat or completion put together."""

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from burnish.core.printable import encodable
from burnish.endpoints.client import Reply, calls_in, reasoning_in, usage_in
from burnish.endpoints.post import MOST_BYTES, Deadline, Posted, exchange, whole_reply

_DONE = "[DONE]"


class NotStreamedError(Exception):
    """The endpoint gave a plain reply, such as a refusal, in place of a stream."""

    def __init__(self, posted: Posted):
        super().__init__(f"status {posted.status}")
        self.posted = posted


class UnfinishedStreamError(http.client.HTTPException):
    """The stream ended without [DONE]."""


def stream_json(
    url: str, body: bytes, headers: Mapping[str, str], timeout: float, aborted: threading.Event | None = None
) -> Iterator[dict[str, Any]]:
    """POST a JSON text, and give the JSON objects of the reply as they come, until [DONE].

    Errors: NotStreamedError; UnfinishedStreamError; OSError or HTTPException if the connection breaks, an event is no
    JSON object or an error, or none comes within `timeout` seconds.
    """
    deadline = Deadline(timeout)
    with exchange(url, body, {"Accept": "text/event-stream", **headers}, deadline, aborted) as reply:
        if reply.status != 200 or "event-stream" not in (reply.headers.get("Content-Type") or ""):
            raise NotStreamedError(whole_reply(reply))
        for data in _events(reply):
            deadline.renew()
            if data == _DONE:
                return
            yield _object(data)
    raise UnfinishedStreamError("the stream ended without [DONE]")


def _events(reply: Any) -> Iterator[str]:
    """The data of each event; comments and other fields are skipped."""
    data: list[str] = []
    while line := reply.readline(MOST_BYTES):
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text and data:
            yield "\n".join(data)
            data = []
        elif text.startswith("data:"):
            data.append(text.removeprefix("data:").removeprefix(" "))
    if data:
        yield "\n".join(data)


def _object(data: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise http.client.HTTPException(f"an event of the stream is not a JSON object: {data[:200]}")
    if error := value.get("error"):
        said = error.get("message") if isinstance(error, dict) else error
        raise http.client.HTTPException(f"the endpoint reports an error in the stream: {said}")
    return value


class Gathered:
    """The pieces of a streamed chat or completion so far; `chunks` counts them."""

    def __init__(self) -> None:
        self.chunks = 0
        self._text, self._reasoning, self._refusal = list[str](), list[str](), list[str]()
        self._calls: dict[int, dict[str, Any]] = {}
        self._finish_reason, self._usage = "", None

    def add(self, chunk: Mapping[str, Any]) -> tuple[str, str]:
        """Add a chunk; returns its new (text, reasoning)."""
        self.chunks += 1
        self._usage = usage_in(chunk) or self._usage
        choices = chunk.get("choices")
        choice: Any = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return "", ""
        self._finish_reason = str(choice.get("finish_reason") or self._finish_reason)
        delta = choice.get("delta")
        message: Mapping[str, Any] = delta if isinstance(delta, dict) else {"content": choice.get("text")}
        text, refusal = (message.get(name) for name in ("content", "refusal"))
        new = encodable(text) if isinstance(text, str) else "", reasoning_in(message)
        self._text.append(new[0])
        self._reasoning.append(new[1])
        self._refusal.append(encodable(refusal) if isinstance(refusal, str) else "")
        for place, call in enumerate(calls_in(message)):
            self._add_call(call, place)
        return new

    @property
    def reply(self) -> Reply:
        """What came so far; its finish_reason is "" without the last piece."""
        return Reply(
            "".join(self._text),
            self._finish_reason,
            refusal="".join(self._refusal),
            usage=self._usage,
            tool_calls=[self._calls[index] for index in sorted(self._calls)],
            reasoning="".join(self._reasoning),
        )

    def _add_call(self, call: Mapping[str, Any], place: int) -> None:
        index = call.get("index")
        known = self._calls.setdefault(
            index if isinstance(index, int) else place, {"type": "function", "function": {"name": "", "arguments": ""}}
        )
        if call.get("id"):
            known["id"] = call["id"]
        function = call.get("function")
        for name in ("name", "arguments"):
            piece = function.get(name) if isinstance(function, dict) else None
            if isinstance(piece, str):
                known["function"][name] += piece
