"""A client of one model behind an OpenAI-compatible URL: cached, retried, counted, several requests at a time."""

import email.utils
import http.client
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.context import StopRequestedError, wait_for
from burnish.core.errors import AskError, BurnishError, MachineError, RunError
from burnish.core.faults import reason
from burnish.core.printable import encodable
from burnish.endpoints.post import Posted, post_json
from burnish.endpoints.replies import CallCount, ReplyCache, key_of
from burnish.specs.endpoints import EndpointSpec

_TRANSIENT = (408, 425, 429, 500, 502, 503, 504, 529)
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


class Endpoint:
    """One model of an endpoint. `counts` has the replies `requested`, those `cached`, and the `retries`.

    `cache` is a folder shared by all runs; `calls` a file of the run that counts requests across its attempts.
    `is_stopping` returns True once the run is requested to stop.
    Errors: AskError `ask.missing-key` if the variable with the API key is not set.
    """

    def __init__(
        self,
        spec: EndpointSpec,
        cache: Path | None = None,
        calls: Path | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
    ):
        self.name = f"{spec.model} at {spec.url}"
        self.counts: Counter[str] = Counter()
        self._cache = None if cache is None else ReplyCache(cache)
        self._calls = CallCount(calls)
        self._url = f"{spec.url}/chat/completions"
        self._timeout, self._retries, self._backoff = spec.timeout, spec.retries, spec.backoff
        self._concurrency, self._max_calls, self._max_tokens = spec.concurrency, spec.max_calls, spec.max_cost_tokens
        self._fixed: dict[str, Any] = {"model": spec.model, "temperature": spec.temperature, **spec.parameters}
        if spec.max_tokens is not None:
            self._fixed["max_tokens"] = spec.max_tokens
        self._lock = threading.Lock()
        self._stop, self._abort = threading.Event(), threading.Event()
        self._is_stopping = is_stopping
        self._headers = _authorization(spec.api_key_env)

    def reply_to(self, conversations: Sequence[Messages]) -> list[Reply]:
        """A reply to each conversation, in order. Equal conversations are sent once.

        Errors: MachineError `machine.no-answer` after the last retry, or if the endpoint refuses the request;
        RunError `run.call-limit`. The first one in time stops the requests that have not been sent, and is raised.
        StopRequestedError if a stop is requested; those under way are ended.
        """
        requests = [self._request(messages) for messages in conversations]
        keys = [key_of(self._url, request) for request in requests]
        waiting = dict(zip(keys, requests, strict=True))
        self._stop.clear()
        self._abort.clear()
        with ThreadPoolExecutor(self._concurrency) as pool:
            futures = {key: pool.submit(self._reply, key, request) for key, request in waiting.items()}
            failed: list[Future[Reply]] = []

            def stop_at_failure(future: Future[Reply]) -> None:
                if not future.cancelled() and future.exception() is not None:
                    failed.append(future)
                    self._stop.set()

            try:
                for future in futures.values():
                    future.add_done_callback(stop_at_failure)  # runs before its thread takes the next request
                wait_for(futures.values(), self._is_stopping)
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
        return [futures[key].result() for key in keys]

    @property
    def calls(self) -> int:
        """Requests sent so far, retries included."""
        return self._calls.calls

    @property
    def damaged(self) -> int:
        """Replies in the cache that could not be used, and were requested again."""
        return 0 if self._cache is None else self._cache.damaged

    @property
    def tokens(self) -> int:
        """Tokens of prompts and replies, as the endpoint counts them."""
        return self._calls.tokens

    def close(self) -> None:
        """End the waits before retries."""
        self._stop.set()

    def _request(self, messages: Messages) -> dict[str, Any]:
        return {**self._fixed, "messages": [dict(message) for message in messages]}

    def _count(self, name: str) -> None:
        with self._lock:
            self.counts[name] += 1

    def _reply(self, key: str, request: dict[str, Any]) -> Reply:
        self._count("requested")
        stored = None if self._cache is None else self._cache.get(key)
        if stored is not None and (reply := _reply_in(stored)) is not None:
            self._count("cached")
            return Reply(reply.text, reply.finish_reason, is_cached=True)
        body = self._ask(key, request)
        if self._cache is not None:
            self._cache.put(key, body)
        reply = _reply_in(body)
        assert reply is not None
        return reply

    def _ask(self, key: str, request: dict[str, Any]) -> dict[str, Any]:
        """The body of a complete reply, after retries."""
        content = json.dumps(request, ensure_ascii=True).encode("ascii")
        jitter = random.Random(key)
        problem, wait = "", 0.0
        for attempt in range(self._retries + 1):
            if attempt:
                self._count("retries")
                self._stop.wait(max(wait, self._backoff * 2 ** (attempt - 1) * (1 + jitter.random() / 4)))
            if self._stop.is_set():
                raise self._failed("was not sent, because another request failed or the run stops")
            if limit := self._calls.book(self._max_calls, self._max_tokens):
                raise RunError(
                    "run.call-limit",
                    f"{self.name}: the limit is reached ({limit}, {self.calls:,} calls)",
                    "raise the limit and run it again: it resumes, and replies in the cache are not requested again",
                )
            wait = 0.0
            try:
                posted = post_json(self._url, content, self._headers, self._timeout, self._abort)
            except (OSError, http.client.HTTPException) as error:
                problem = f"{type(error).__name__}: {reason(error)}"
                continue
            self._spend(posted)
            if posted.status == 200 and posted.body is not None and _reply_in(posted.body) is not None:
                return posted.body
            problem = _problem(posted)
            if posted.status != 200 and posted.status not in _TRANSIENT:
                raise self._failed(f"refuses the request: {problem}")
            wait = _retry_after(posted.headers)
        tries = self._retries + 1
        raise self._failed(f"gave no answer in {tries} attempt{'' if tries == 1 else 's'}; the last one: {problem}")

    def _spend(self, posted: Posted) -> None:
        usage = posted.body.get("usage") if posted.body else None
        tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
        if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens > 0:
            self._calls.spend(tokens)

    def _failed(self, what: str) -> BurnishError:
        fix = "check the address, the model's name and the key (api_key_env), or raise retries, backoff or timeout"
        return MachineError("machine.no-answer", f"{self.name} {what}", fix)


def _authorization(variable: str | None) -> dict[str, str]:
    if variable is None:
        return {}
    key = os.environ.get(variable, "").strip()
    if not key:
        raise AskError(
            "ask.missing-key",
            f"the environment variable {variable}, named in api_key_env, is not set",
            f"set it where burnish runs: export {variable}=…",
        )
    if not key.isascii() or not key.isprintable():
        raise AskError(
            "ask.wrong-value",
            f"the key in {variable} has characters that a header cannot hold",
            "set the key alone, on one line, without quotes",
        )
    return {"Authorization": f"Bearer {key}"}


def _reply_in(body: Mapping[str, Any]) -> Reply | None:
    """The first choice of a reply; None if it is not one. A refusal or an empty content is the text ""."""
    choices = body.get("choices")
    choice: Any = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        return None
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        return None
    return Reply(encodable(content or ""), str(choice.get("finish_reason") or "stop"))


def _problem(posted: Posted) -> str:
    body: Mapping[str, Any] = posted.body or {}
    error = body.get("error")
    said = error.get("message") if isinstance(error, dict) else error
    text = said if isinstance(said, str) and said else " ".join(posted.text.split())[:200] or "an empty body"
    if posted.status == 200:
        return f"the reply is not a chat completion: {text}"
    return f"status {posted.status}: {text}"


def _retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that the endpoint asks to wait, at most two minutes; 0 if it does not say."""
    said = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(said).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else 0.0
