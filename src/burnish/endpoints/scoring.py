"""Log-probabilities of given tokens from `/completions` of an endpoint, in the forms that servers have.

vLLM gives `prompt_logprobs` by token id. The legacy API of OpenAI, which others follow, gives `logprobs` of the prompt
with `echo`, by the text of the tokens. Servers that give log-probabilities of generated tokens only, as llama.cpp's
does, cannot score a text.
"""

import http.client
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.errors import ModelError
from burnish.core.faults import reason
from burnish.endpoints.client import NoAnswerError, Reply, Request
from burnish.endpoints.completions import Completion, CompletionEndpoint
from burnish.endpoints.post import post_json
from burnish.specs.endpoints import EndpointSpec

_REFUSED = (400, 404, 405, 422, 501)
_NO_PATH = (404, 405, 501)
_MOST = (20, 5)
"""Alternatives of a position that servers give: vLLM's default limit, and that of OpenAI."""
_FORMS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("prompt_logprobs", {}),
    ("logprobs", {"echo": True, "return_tokens_as_token_ids": True}),
    ("logprobs", {"echo": True}),
)
"""The field with the number of alternatives, and the others."""
_BY_ID = "token_id:"


@dataclass(frozen=True)
class ScoredPosition:
    """What an endpoint says of one token: its log-probability, and those of alternatives by their id or their text."""

    chosen: float
    by_id: Mapping[int, float]
    by_text: Mapping[str, float]


class ScoringEndpoint(CompletionEndpoint):
    """An endpoint that scores prompts of ids; replies are cached, retried and counted as those of `Endpoint`."""

    def __init__(self, spec: EndpointSpec, cache: Path | None = None, spending: Path | None = None, **more: Any):
        super().__init__(spec, cache, spending, **more)
        self._fixed |= {"max_tokens": 1, "temperature": 0.0}
        self._root = spec.url.removesuffix("/v1")
        self._model = spec.model
        self._form: dict[str, Any] | None = None
        self._tokenizes: bool | None = None

    def score(self, rows: Sequence[Sequence[int]]) -> list[list[ScoredPosition]]:
        """T - 1 positions for each row of T ids, in order.

        Errors: ModelError `model.unsupported` if the endpoint does not score prompts; those of `answers`.
        """
        if self._form is None and rows:
            self._form = self._find_form(max(rows, key=len))
        found = self.answers([Request((), {**(self._form or {}), "prompt": list(row)}) for row in rows])
        scored = [_positions(reply, row) for reply, row in zip(found, rows, strict=True)]
        if None in scored:
            raise _unscored(self.name)
        return [positions for positions in scored if positions is not None]

    def tokenize(self, messages: Sequence[Mapping[str, Any]], tools: Any, prompt: bool) -> list[int] | None:
        """The ids of a conversation with the endpoint's own template (vLLM's `/tokenize`); None without such a path.

        Empty for a conversation that the template refuses. Errors: NoAnswerError if it fails after all retries.
        """
        if self._tokenizes is False:
            return None
        request: dict[str, Any] = {"model": self._model, "messages": list(messages), "add_generation_prompt": prompt}
        if tools:
            request["tools"] = tools
        content = json.dumps(request).encode()
        problem = ""
        for attempt in range(self._retries + 1):
            if attempt:
                self._stop.wait(self._backoff * 2 ** (attempt - 1))
            try:
                posted = post_json(f"{self._root}/tokenize", content, self._headers, self._timeout)
            except (OSError, http.client.HTTPException) as error:
                problem = f"{type(error).__name__}: {reason(error)}"
                continue
            ids: Any = (posted.body or {}).get("tokens")
            if posted.status == 200 and isinstance(ids, list) and all(isinstance(token, int) for token in ids):
                self._tokenizes = True
                return ids
            is_missing = posted.status in (*_REFUSED, 200) if self._tokenizes is None else posted.status in _NO_PATH
            if is_missing:
                self._tokenizes = False
                return None
            if posted.status in _REFUSED:
                return []
            problem = f"status {posted.status}: {posted.text[:200]}"
        raise self._failed(f"gave no ids of a conversation (/tokenize) in {self._retries + 1} attempts: {problem}")

    def _find_form(self, row: Sequence[int]) -> dict[str, Any]:
        for most in _MOST:
            for name, others in _FORMS:
                request = {**others, name: most}
                [reply] = self.answers(
                    [Request((), {**request, "prompt": list(row)})], keeps=lambda error: error.status in _REFUSED
                )
                if not isinstance(reply, NoAnswerError) and _positions(reply, row) is not None:
                    return request
        raise _unscored(self.name)


def _positions(reply: Reply | NoAnswerError, row: Sequence[int]) -> list[ScoredPosition] | None:
    """What a reply says of the tokens of a row; None if it does not score them, or is about other tokens."""
    choice = reply.choice if isinstance(reply, Completion) else {}
    by_id, echoed = choice.get("prompt_logprobs"), choice.get("logprobs")
    try:
        if isinstance(by_id, list):
            return [_from_ids(place, token) for place, token in zip(by_id[1:], row[1:], strict=True)]
        if isinstance(echoed, dict) and len(echoed["token_logprobs"]) >= len(row):
            places = zip(echoed["tokens"], echoed["token_logprobs"], echoed["top_logprobs"], strict=True)
            return [_from_texts(*place, token) for place, token in list(zip(places, row, strict=False))[1:]]
    except (KeyError, TypeError, ValueError):
        return None
    return None


def _from_ids(place: Mapping[str, Any], token: int) -> ScoredPosition:
    found = {int(name): _number(value["logprob"]) for name, value in place.items()}
    return ScoredPosition(found[token], found, {})


def _from_texts(text: str, chosen: float, others: Mapping[str, float], token: int) -> ScoredPosition:
    if text.startswith(_BY_ID):
        if int(text.removeprefix(_BY_ID)) != token:
            raise ValueError("another token")
        found = {int(name.removeprefix(_BY_ID)): _number(value) for name, value in others.items()}
        return ScoredPosition(_number(chosen), {token: _number(chosen), **found}, {})
    return ScoredPosition(_number(chosen), {token: _number(chosen)}, {k: _number(v) for k, v in others.items()})


def _number(value: Any) -> float:
    """A log-probability; vLLM writes -9999.0 and others null for minus infinity."""
    found = -math.inf if value is None else float(value)
    if math.isnan(found) or found > 1e-3:
        raise ValueError("not a log-probability")
    return min(found, 0.0) if found > -9999.0 else -math.inf


def _unscored(name: str) -> ModelError:
    return ModelError(
        "model.unsupported",
        f"{name} gives no log-probabilities of prompts (neither prompt_logprobs nor echo with logprobs)",
        "serve the model with vLLM, or certify its files",
    )
