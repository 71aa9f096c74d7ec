"""A client of one model behind an OpenAI-compatible URL: cached, retried, counted, several requests at a time."""

import email.utils
import http.client
import json
import random
import socket
import threading
import time
import urllib.error
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from burnish.core.context import StopRequestedError, wait_for
from burnish.core.errors import MachineError, RunError
from burnish.core.faults import reason
from burnish.core.inputs.endpoints import identity_of
from burnish.core.printable import encodable
from burnish.core.runs.cache import JsonCache
from burnish.endpoints.faults import GENERAL, REDIRECTS, fix_of, said_in, words_of
from burnish.endpoints.keys import authorization
from burnish.endpoints.post import Posted, post_json
from burnish.endpoints.replies import key_of
from burnish.endpoints.spending import Limits, Spending, Usage
from burnish.specs.endpoints import EndpointSpec, longest_reply

_TRANSIENT = (408, 425, 429, 500, 502, 503, 504, 529)
_UNSENT = (ConnectionRefusedError, socket.gaierror)
"""Errors before anything is sent, so that nothing is charged."""
_TEMPLATE_TOKENS, _TURN_TOKENS = 64, 16
"""Tokens that a chat template may add to a conversation and to each of its turns."""
_MOST_TOKENS = 10**12
"""Of one request; a larger count is a fault of the endpoint, and may exceed what a float holds."""
_LONGEST_WAIT = 120.0
_LAST_SECONDS = 1.0
"""The time that requests under way have left to be answered once a stop is requested: their replies are paid for."""

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Reply:
    """The text of the first choice. `finish_reason` is `length` where it was cut off."""

    text: str
    finish_reason: str
    is_cached: bool = False
    refusal: str = ""
    """What the model says instead of a text, where the endpoint marks that."""
    usage: Usage | None = None
    """Tokens as the endpoint counted them, also of a cached reply; None if it did not."""
    tool_calls: Sequence[Mapping[str, Any]] = ()
    """The calls of the message, as the protocol has them."""
    reasoning: str = ""
    """What the model thought before the text, where the endpoint gives it apart."""


@dataclass(frozen=True)
class Request:
    """A conversation to answer, or a `prompt` among the fields. Equal requests with different `repeat` get replies of
    their own."""

    messages: Messages
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields of this request beside those of the settings, such as `seed`."""
    repeat: int = 0


class NoAnswerError(MachineError):
    """A request without an answer. `status` is that of a refusal, else 0; `was_sent` is False if others failed."""

    status = 0
    was_sent = True


class Endpoint:
    """One model of an endpoint. `counts` has the replies `requested`, those `cached`, and the `retries`.

    `cache` is a folder shared by all runs; `spending` a file of the run that counts across its attempts.
    `is_stopping` returns True once the run is requested to stop.
    Errors: AskError `ask.missing-key` if the variable with the API key is not set.
    """

    path, expected = "/chat/completions", "a chat completion"
    """Where requests go, and what a reply is called."""

    def __init__(
        self,
        spec: EndpointSpec,
        cache: Path | None = None,
        spending: Path | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
    ):
        self.name = f"{spec.model} at {spec.url}"
        self.temperature = spec.temperature
        self.counts: Counter[str] = Counter()
        self._cache = None if cache is None else JsonCache(cache, "reply")
        self.spending = Spending(spending, _limits(spec))
        self._url = f"{spec.url}{self.path}"
        self._timeout, self._retries, self._backoff = spec.timeout, spec.retries, spec.backoff
        self._concurrency = spec.concurrency
        self._longest_reply = longest_reply(spec.max_tokens, spec.parameters) or 0
        self._fixed: dict[str, Any] = {"model": spec.model, "temperature": self.temperature, **spec.parameters}
        if spec.max_tokens is not None:
            self._fixed["max_tokens"] = spec.max_tokens
        self._lock = threading.Lock()
        self._stop, self._abort = threading.Event(), threading.Event()
        self._is_stopping = is_stopping
        self._headers, self._spec = authorization(spec.api_key_env), spec

    def reply_to(self, conversations: Sequence[Messages]) -> list[Reply]:
        """A reply to each conversation, in order. Equal conversations are sent once. Errors: those of `answers`."""
        found = self.answers([Request(messages) for messages in conversations])
        return [reply for reply in found if isinstance(reply, Reply)]

    def answers(
        self,
        requests: Sequence[Request],
        keeps: Callable[[NoAnswerError], bool] = lambda _: False,
        tick: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Reply | NoAnswerError]:
        """A reply to each request, in order. Equal requests are sent once.

        `keeps` selects the failures that are returned in place of a reply; `tick` gets (requests done, total).
        Errors: NoAnswerError `machine.no-answer` after the last retry, or if the endpoint refuses the request;
        RunError `run.call-limit`. The first one in time stops the requests that have not been sent, and is raised.
        StopRequestedError if a stop is requested; those under way are ended.
        """
        keys = [self.key(request) for request in requests]
        waiting = dict(zip(keys, requests, strict=True))
        self._stop.clear()
        self._abort.clear()
        with ThreadPoolExecutor(self._concurrency) as pool:
            futures = {key: pool.submit(self._kept, key, request, keeps) for key, request in waiting.items()}
            failed: list[Future[Reply | NoAnswerError]] = []

            def stop_at_failure(future: Future[Reply | NoAnswerError]) -> None:
                if not future.cancelled() and future.exception() is not None:
                    failed.append(future)
                    self._stop.set()

            def is_stopping() -> bool:
                tick(sum(future.done() for future in futures.values()), len(futures))
                return self._is_stopping()

            try:
                for future in futures.values():
                    future.add_done_callback(stop_at_failure)  # runs before its thread takes the next request
                wait_for(futures.values(), is_stopping)
            except StopRequestedError:
                self._stop.set()
                wait([future for future in futures.values() if not future.cancel()], _LAST_SECONDS)
                self._abort.set()
                raise
            except BaseException:
                self._stop.set()
                raise
            finally:
                pool.shutdown(cancel_futures=True)
        if failed:
            failed[0].result()
        tick(len(futures), len(futures))
        return [futures[key].result() for key in keys]

    def key(self, request: Request) -> str:
        """The name of the reply in the cache."""
        body = self._body(request)
        more: dict[str, Any] = {"repeat": request.repeat} if request.repeat else {}
        if self.identity:
            more["fingerprint"] = self.identity
        return key_of(self._url, {**body, **more})

    @cached_property
    def identity(self) -> str:
        """What the server gives as the fingerprint of its model; "" if it gives none. Not asked without a cache."""
        return "" if self._cache is None else identity_of(self._spec) or ""

    @property
    def doubt(self) -> str:
        """A note on the replies of the cache, where they may be of another model; "" if there is no doubt."""
        count = self.counts["cached"]
        if not count or self.identity:
            return ""
        text = f"{self.name}: {count:,} replies are of the cache, and the server does not say which model it serves"
        return f"{text}: if it is another one now, remove .burnish/cache/replies"

    def is_cached(self, request: Request) -> bool:
        """Whether a reply is in the cache; it is checked when it is read."""
        return self._cache is not None and self._cache.has(self.key(request))

    def most_of(self, messages: Messages, fields: Mapping[str, Any] = MappingProxyType({})) -> Usage:
        """The most tokens that a request can use: a token has at least one byte of the text."""
        return self._most(self._body(Request(messages, fields)))

    @property
    def calls(self) -> int:
        """Requests sent so far, retries included."""
        return self.spending.calls

    @property
    def damaged(self) -> int:
        """Replies in the cache that could not be used, and were requested again."""
        return 0 if self._cache is None else self._cache.damaged

    @property
    def tokens(self) -> int:
        """Tokens of prompts and replies, as the endpoint counts them; those of lost replies at the most."""
        return self.spending.used.total

    def close(self) -> None:
        """End the waits before retries."""
        self._stop.set()

    def most_of_all(self, requests: Iterable[Request]) -> Usage:
        """The most tokens that requests can use, each sent once."""
        return sum((self._most(self._body(request)) for request in requests), Usage())

    def _body(self, request: Request) -> dict[str, Any]:
        messages = {"messages": [dict(message) for message in request.messages]} if request.messages else {}
        return {**self._fixed, **request.fields, **messages}

    def _most(self, body: Mapping[str, Any]) -> Usage:
        size = len(json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        return Usage(size + _TEMPLATE_TOKENS + _TURN_TOKENS * len(body.get("messages", ())), self._longest_reply)

    def _read(self, body: Mapping[str, Any]) -> Reply | None:
        """The reply in a body; None if it has none."""
        return reply_in(body)

    def _count(self, name: str) -> None:
        with self._lock:
            self.counts[name] += 1

    def _kept(self, key: str, request: Request, keeps: Callable[[NoAnswerError], bool]) -> Reply | NoAnswerError:
        try:
            return self._reply(key, request)
        except NoAnswerError as error:
            if error.was_sent and keeps(error):
                return error
            raise

    def _reply(self, key: str, request: Request) -> Reply:
        self._count("requested")
        stored = None if self._cache is None else self._cache.get(key)
        if stored is not None and (reply := self._read(stored)) is not None:
            self._count("cached")
            return replace(reply, is_cached=True)
        body = self._ask(key, self._body(request))
        if self._cache is not None:
            self._cache.put(key, body)
        reply = self._read(body)
        assert reply is not None
        return reply

    def _ask(self, key: str, request: dict[str, Any]) -> dict[str, Any]:
        """The body of a complete reply, after retries."""
        content = json.dumps(request, ensure_ascii=True).encode("ascii")
        most, jitter = self._most(request), random.Random(key)
        problem, fix, wait = "", GENERAL, 0.0
        for attempt in range(self._retries + 1):
            if attempt:
                self._count("retries")
                self._stop.wait(max(wait, self._backoff * 2 ** (attempt - 1) * (1 + jitter.random() / 4)))
            booked = self._book(most)
            wait = 0.0
            try:
                posted = post_json(self._url, content, self._headers, self._timeout, self._abort)
            except (OSError, http.client.HTTPException) as error:
                self.spending.settle(booked, Usage() if _is_unsent(error) else None)
                problem, fix = f"{type(error).__name__}: {reason(error)}", fix_of(error, self._url)
                continue
            self.spending.settle(booked, self._used(posted))
            if posted.status == 200 and posted.body is not None and self._read(posted.body) is not None:
                return posted.body
            problem, fix = _problem(posted, self.expected), fix_of(posted, self._url)
            if posted.status != 200 and posted.status not in _TRANSIENT:
                raise self._failed(f"refuses the request: {problem}", fix, posted.status)
            wait = _retry_after(posted.headers)
        tries = self._retries + 1
        attempts = f"{tries} attempt{'' if tries == 1 else 's'}"
        raise self._failed(f"gave no answer in {attempts}; the last one: {problem}", fix)

    def _book(self, most: Usage) -> int:
        """The number of a booking. Errors: NoAnswerError if the run stops; RunError `run.call-limit`."""
        booked = "" if self._stop.is_set() else self.spending.reserve(most, self._stop.is_set)
        if isinstance(booked, int):
            return booked
        if self._stop.is_set():
            error = self._failed("was not sent, because another request failed or the run stops")
            error.was_sent = False
            raise error
        raise RunError(
            "run.call-limit",
            f"{self.name}: the limit is reached ({booked}; {self.calls:,} calls)",
            "raise the limit and run it again: it resumes, and replies in the cache are not requested again",
        )

    def _used(self, posted: Posted) -> Usage | None:
        """What a reply cost: nothing for an error without a count, unknown for an answer without one."""
        used = usage_in(posted.body or {})
        return Usage() if used is None and posted.status != 200 else used

    def _failed(self, what: str, fix: str = GENERAL, status: int = 0) -> NoAnswerError:
        error = NoAnswerError("machine.no-answer", f"{self.name} {what}", fix)
        error.status = status
        return error


def _limits(spec: EndpointSpec) -> Limits:
    prompt, reply = (0.0, 0.0) if spec.price is None else (spec.price.input, spec.price.output)
    return Limits(spec.max_calls, spec.max_cost_tokens, spec.max_cost, prompt, reply)


def _is_unsent(error: Exception) -> bool:
    return isinstance(getattr(error, "reason", error) if isinstance(error, urllib.error.URLError) else error, _UNSENT)


def reply_in(body: Mapping[str, Any]) -> Reply | None:
    """The first choice of a reply; None if it is not one. A refusal or an empty content is the text ""."""
    choices = body.get("choices")
    choice: Any = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return None
    content = _text_of(message.get("content"))
    if content is not None and not isinstance(content, str):
        return None
    refusal = message.get("refusal")
    return Reply(
        encodable(content or ""),
        str(choice.get("finish_reason") or "stop"),
        refusal=encodable(refusal) if isinstance(refusal, str) else "",
        usage=usage_in(body),
        tool_calls=calls_in(message),
        reasoning=reasoning_in(message),
    )


def calls_in(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The calls of tools in a message; what is none is left out."""
    calls = message.get("tool_calls")
    return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


def reasoning_in(message: Mapping[str, Any]) -> str:
    """What the model thought, under the names that servers give it."""
    said = message.get("reasoning_content") or message.get("reasoning")
    return encodable(said) if isinstance(said, str) else ""


def _text_of(content: Any) -> Any:
    """The text of a list of parts, as some endpoints write it; parts of other types (reasoning) do not count."""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        return content
    texts = [part.get("text") for part in content if part.get("type") == "text"]
    return "".join(texts) if all(isinstance(text, str) for text in texts) else content


def usage_in(body: Mapping[str, Any]) -> Usage | None:
    """The tokens that an endpoint counted; None if it did not. A total alone counts as tokens of the reply.

    A number that no request can have used is no count.
    """
    said = body.get("usage")
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    given = [said.get(name) if isinstance(said, dict) else None for name in names]
    prompt, reply, every = (number if type(number) is int and 0 < number <= _MOST_TOKENS else 0 for number in given)
    return Usage(prompt, max(reply, every - prompt)) if prompt + reply + every else None


def _problem(posted: Posted, expected: str) -> str:
    if posted.status == 200:
        return f"the reply is not {expected}: {said_in(posted)}"
    if posted.status in REDIRECTS:
        return f"status {posted.status}: it redirects to {_header(posted.headers, 'location') or 'nowhere'}"
    return words_of(posted)


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")


def _retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that the endpoint asks to wait, at most two minutes; 0 if it does not say."""
    said = _header(headers, "retry-after")
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(said).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else 0.0
