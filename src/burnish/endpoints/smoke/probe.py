"""One request of a smoke test at a time: no retry hides a fault, and no cache an answer of earlier."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from burnish.endpoints.client import Reply
from burnish.endpoints.faults import fix_of, is_a_page, said_in, words_of
from burnish.endpoints.post import Posted, get_json, post_json
from burnish.endpoints.streams import Gathered, NotStreamedError, UnfinishedStreamError, stream_json

NOT_OFFERED = (400, 404, 405, 415, 422, 501)
"""Statuses that refuse what an endpoint need not have."""
_BUSY = (502, 503, 504)
_POLL = 0.5


class FailedError(Exception):
    """A check does not hold: what was found, and the next step."""

    def __init__(self, what: str, fix: str = ""):
        super().__init__(what)
        self.what, self.fix = what, fix


class NotOfferedError(Exception):
    """The endpoint does not have what a check is about: why that is known."""


@dataclass(frozen=True)
class Streamed:
    """A streamed reply, with the seconds until its first text. `is_ended` says that [DONE] was sent."""

    reply: Reply
    chunks: int
    first: float
    is_ended: bool


@dataclass(frozen=True)
class Probe:
    """Asks one endpoint. `root` is the address up to the version; `timeout` in seconds is that of each request."""

    root: str
    headers: Mapping[str, str]
    timeout: float

    def with_key(self, key: str) -> "Probe":
        """The same with another key."""
        return replace(self, headers={"Authorization": f"Bearer {key}"})

    def post(self, path: str, body: Mapping[str, Any]) -> Posted:
        """The reply, whatever its status. FailedError if there is none."""
        url = f"{self.root}{path}"
        try:
            return post_json(url, json.dumps(body).encode(), self.headers, self.timeout)
        except (OSError, http.client.HTTPException) as error:
            raise FailedError(words_of(error), fix_of(error, url)) from error

    def answer(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON of a reply with status 200. Errors: FailedError; NotOfferedError where it is refused."""
        posted = self.post(path, body)
        if posted.status in NOT_OFFERED:
            raise NotOfferedError(words_of(posted))
        if posted.status != 200:
            raise FailedError(words_of(posted), fix_of(posted, f"{self.root}{path}"))
        if posted.body is None:
            what = "a web page" if is_a_page(posted) else f"no JSON object: {said_in(posted)}"
            raise FailedError(f"the reply is {what}", fix_of(posted, f"{self.root}{path}"))
        return posted.body

    def stream(self, path: str, body: Mapping[str, Any]) -> Streamed:
        """A whole streamed reply. FailedError if it is refused, no stream, broken or not ended."""
        url, gathered, began, first = f"{self.root}{path}", Gathered(), time.perf_counter(), 0.0
        is_ended = True
        try:
            for chunk in stream_json(url, json.dumps({**body, "stream": True}).encode(), self.headers, self.timeout):
                if any(gathered.add(chunk)) and not first:
                    first = time.perf_counter() - began
        except NotStreamedError as error:
            posted = error.posted
            if posted.status != 200:
                raise FailedError(words_of(posted), fix_of(posted, url)) from error
            kind = posted.headers.get("Content-Type", "nothing")
            raise FailedError(f"the reply is of type {kind}, not text/event-stream") from error
        except UnfinishedStreamError as error:
            is_ended = False
            if not gathered.reply.finish_reason:
                raise FailedError(f"{error} or finish_reason, after {gathered.chunks} pieces") from error
        except (OSError, http.client.HTTPException) as error:
            what = f"after {gathered.chunks} pieces: {words_of(error)}"
            raise FailedError(what, fix_of(error, url)) from error
        return Streamed(gathered.reply, gathered.chunks, first, is_ended)

    def wait(self, seconds: float) -> str:
        """Wait until the endpoint is ready; returns what it said last if it is not, else "".

        It is ready when it lists its models (or refuses to), and neither `/ready` nor `/health`, where it has them,
        says that it is not.
        """
        end, said = time.monotonic() + seconds, "it was not asked"
        host = self.root.removesuffix("/v1")
        while True:
            left = end - time.monotonic()
            try:
                for url in (f"{self.root}/models", f"{host}/ready", f"{host}/health"):
                    posted = get_json(url, self.headers, max(0.1, min(self.timeout, left)))
                    if posted.status in _BUSY:
                        break
                else:
                    return ""
                said = words_of(posted)
            except (OSError, http.client.HTTPException) as error:
                said = words_of(error)
            if time.monotonic() + _POLL >= end:
                return said
            time.sleep(_POLL)
