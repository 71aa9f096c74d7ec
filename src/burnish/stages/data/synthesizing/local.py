"""A local model that answers the requests of an endpoint, with the same cache of replies."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from burnish.core.context import Context, Input, StopRequestedError
from burnish.core.runs.cache import JsonCache
from burnish.endpoints.client import NoAnswerError, Reply, Request
from burnish.endpoints.replies import key_of
from burnish.endpoints.spending import Usage
from burnish.models.device import inference_dtype, pick_device, use_threads
from burnish.models.engines.opening import engine_of, open_model
from burnish.specs.evals import GenerationSpec
from burnish.specs.tokens import RenderSpec
from burnish.stages.data.synthesizing.asking import Tick
from burnish.stages.models.answering import only_gguf
from burnish.stages.models.tokenizers import tokenizer_of
from burnish.tokens.rendering.renderer import Renderer

if TYPE_CHECKING:
    from burnish.models.engines.protocol import Engine

_TOGETHER = 64
_TOO_LONG = 413
"""The status with which an endpoint refuses a request that its context cannot hold."""


class LocalModel:
    """Answers chats by its chat template, and continues prompts of ids.

    The seed of a request counts for the `_TOGETHER` requests that are answered with it: an answer is a function of the
    requests of its call, so that a resumed run gives the same ones. Replies have no response_format.
    """

    def __init__(self, source: Input, generation: GenerationSpec, date: str, device: str, threads: Any, ctx: Context):
        use_threads(threads)
        self.name = source.ref
        self._source, self._generation, self._ctx = source, generation, ctx
        self._device, self._date = "cpu" if only_gguf(ctx) else device, date
        self._cache = JsonCache(ctx.cache / "replies", "reply")

    @cached_property
    def _renderer(self) -> Renderer:
        return Renderer(tokenizer_of(self._source, self._ctx.emit), RenderSpec(date=self._date))

    @cached_property
    def _engine(self) -> "Engine":
        device = pick_device(self._device)
        model = open_model(self._source, dtype=inference_dtype(device), device=device, emit=self._ctx.emit)
        return engine_of(model, self._renderer.tokenizer, self._ctx.emit)

    def answers(
        self, requests: Sequence[Request], keeps: Callable[[NoAnswerError], bool], tick: Tick
    ) -> list[Reply | NoAnswerError]:
        """As `Endpoint.answers`. Errors: those of opening the model; NoAnswerError for a prompt that fills the context,
        if `keeps` does not select it; StopRequestedError."""
        found = list[Reply | NoAnswerError]()
        for first in range(0, len(requests), _TOGETHER):
            if self._ctx.stopping:
                raise StopRequestedError
            found += self._together(requests[first : first + _TOGETHER])
            tick(len(found), len(requests))
        for reply in found:
            if isinstance(reply, NoAnswerError) and not keeps(reply):
                raise reply
        return found

    def is_cached(self, request: Request) -> bool:
        return self._cache.has(self._key(request))

    def _together(self, requests: Sequence[Request]) -> list[Reply | NoAnswerError]:
        stored = [self._cache.get(self._key(request)) for request in requests]
        if any(one is None for one in stored):
            stored = self._computed(requests)
            for request, reply in zip(requests, stored, strict=True):
                self._cache.put(self._key(request), reply)
        return [_reply(self.name, one) for one in stored]

    def _computed(self, requests: Sequence[Request]) -> list[dict[str, Any]]:
        prompts, engine = [self._prompt(request) for request in requests], self._engine
        fitting = [place for place, prompt in enumerate(prompts) if len(prompt) < engine.context]
        made: list[dict[str, Any]] = [{"prompt_tokens": len(prompt)} for prompt in prompts]
        changed = {"seed": int(requests[0].fields["seed"])}
        if "temperature" in requests[0].fields:
            changed["temperature"] = requests[0].fields["temperature"]
        spec = self._generation.model_copy(update=changed)
        until: Sequence[str] = requests[0].fields.get("stop", ())
        stops = [*self._renderer.stop_ids, *self._ids_of(until)]
        answers = engine.generate([prompts[place] for place in fitting], spec, stops)
        for place, answer in zip(fitting, answers, strict=True):
            made[place] |= {"text": answer.text, "finish_reason": answer.finish_reason, "tokens": len(answer.ids)}
        return made

    def _prompt(self, request: Request) -> list[int]:
        return list(request.fields.get("prompt") or self._renderer.prompt([dict(turn) for turn in request.messages])[1])

    def _ids_of(self, texts: Sequence[str]) -> list[int]:
        """The special tokens of these texts."""
        found = (self._renderer.tokenizer.convert_tokens_to_ids(text) for text in texts)
        return [token for token in found if isinstance(token, int)]

    def _key(self, request: Request) -> str:
        """What the reply depends on; equal content, equal key."""
        spec = self._generation
        known = {"messages": [dict(turn) for turn in request.messages], "fields": dict(request.fields)}
        sampling = {"temperature": spec.temperature, "max_new_tokens": spec.max_new_tokens, "date": self._date}
        model = self._source.content or str(self._source.path)
        return key_of(f"local:{model}", {**known, **sampling, "repeat": request.repeat})


def _reply(name: str, made: dict[str, Any]) -> Reply | NoAnswerError:
    if "text" not in made:
        error = NoAnswerError(
            "machine.no-answer", f"{name}: a prompt of {made['prompt_tokens']:,} tokens fills its context", "shorten it"
        )
        error.status = _TOO_LONG
        return error
    return Reply(made["text"], made["finish_reason"], usage=Usage(made["prompt_tokens"], made["tokens"]))
