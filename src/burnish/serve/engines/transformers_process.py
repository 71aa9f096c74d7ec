"""The process that answers with transformers: `python -m …transformers_process PARENT_PID SETTINGS`.

For models that no other engine reads. Requests are answered one at a time, in order, a token in each step.
"""

import json
import sys
from collections import deque
from dataclasses import dataclass
from typing import Any

import torch

from burnish.core.context import Input
from burnish.core.errors import AskError
from burnish.models.device import inference_dtype, pick_device
from burnish.models.load import load_model
from burnish.serve.engines.child import News, run_child
from burnish.serve.engines.drawing import Drawing, log_probs
from burnish.serve.engines.protocol import Draw

_FEATURES = ("log_probs", "penalties", "logit_bias", "min_p")
_CONTEXT = 8192


@dataclass
class _Answer:
    number: int
    tokens: list[int]
    room: int
    drawing: Drawing
    stops: frozenset[int]
    top: int | None
    cache: Any = None
    read: int = 0


class TransformersDecoder:
    """Answers one request at a time."""

    def __init__(self, source: Input, *, context: int | None, device: str, threads: int):
        torch.set_num_threads(threads)
        place = pick_device(device)
        self._model: Any = load_model(source, dtype=inference_dtype(place), device=place).eval()
        config = self._model.config.get_text_config()
        longest = getattr(config, "max_position_embeddings", None) or _CONTEXT
        if context is not None and context > longest:
            what = f"context is {context:,}, and the model has {longest:,}"
            raise AskError("ask.wrong-value", what, f"set context to {longest} or less")
        self._size = min(longest, _CONTEXT) if context is None else context
        self._vocabulary = int(self._model.get_input_embeddings().num_embeddings)
        self._device = place
        self._waiting: deque[_Answer] = deque()

    def describe(self) -> dict[str, Any]:
        return {"context": self._size, "features": _FEATURES, "slots": 1, "ends": []}

    def add(self, number: int, request: dict[str, Any]) -> None:
        """Errors: AskError for ids outside the vocabulary, adapters and schemas."""
        prompt = request["prompt"]
        if request.get("schema") is not None or request.get("adapter") is not None:
            raise AskError("ask.wrong-value", "transformers follows no schema, and has one model", "use another engine")
        bias = {int(token): value for token, value in request["draw"]["logit_bias"].items()}
        for ids in (prompt, bias):
            if ids and not 0 <= min(ids) <= max(ids) < self._vocabulary:
                raise AskError("ask.wrong-value", "ids outside the vocabulary", f"use ids below {self._vocabulary}")
        if not 0 < len(prompt) < self._size:
            what = f"the prompt has {len(prompt)} tokens, and the context is {self._size}"
            raise AskError("ask.wrong-value", what, "shorten the prompt")
        drawing = Drawing(Draw(**{**request["draw"], "logit_bias": bias}), request["prompt"])
        room = min(request["max_tokens"], self._size - len(prompt))
        stops = frozenset(request["stop_ids"])
        self._waiting.append(_Answer(number, list(prompt), room, drawing, stops, request.get("top_log_probs")))

    def embed(self, number: int, prompts: list[list[int]]) -> None:
        raise AskError("ask.wrong-value", "transformers gives no embeddings here", "use another engine")

    def cancel(self, number: int) -> None:
        self._waiting = deque(answer for answer in self._waiting if answer.number != number)

    def has_work(self) -> bool:
        return bool(self._waiting)

    @torch.inference_mode()
    def step(self, news: News) -> None:
        answer = self._waiting[0]
        scores = self._scores(answer)
        if not bool(scores.isfinite().any()) or bool(scores.isnan().any()):
            news.errors.append([answer.number, "failed", "the scores of the next token are NaN or infinite"])
            self._waiting.popleft()
            return
        values = scores.float().cpu().numpy()
        token = answer.drawing.next(values)
        log_prob, top = (None, ()) if answer.top is None else log_probs(values, token, answer.top)
        if token in answer.stops:
            news.ends.append([answer.number, "stop", token, log_prob])
            self._waiting.popleft()
            return
        answer.drawing.count(token)
        answer.tokens.append(token)
        answer.room -= 1
        news.tokens.append([answer.number, token, log_prob, top])
        if answer.room <= 0:
            news.ends.append([answer.number, "length", None, None])
            self._waiting.popleft()

    def command(self, name: str, request: dict[str, Any]) -> Any:
        raise AskError("ask.wrong-value", f"transformers has no command '{name}'", "use another engine")

    def _scores(self, answer: _Answer) -> torch.Tensor:
        """[vocabulary] of the next token; a model without a cache of keys and values reads the whole text again."""
        ids = torch.tensor([answer.tokens[answer.read :]], device=self._device)
        output = self._model(ids, past_key_values=answer.cache, use_cache=True, logits_to_keep=1)
        cache = getattr(output, "past_key_values", None)
        answer.cache, answer.read = cache, 0 if cache is None else len(answer.tokens)
        return output.logits[0, -1]


def main(arguments: list[str]) -> None:
    settings = json.loads(arguments[1])
    source = Input.from_json(settings["source"])
    settings = {name: settings[name] for name in ("context", "device", "threads")}
    run_child(lambda: TransformersDecoder(source, **settings), int(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
