"""What a request asks of the engine: the prompts in ids, how tokens are drawn, and how the text is read."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from burnish.serve.chat.forcing import ForcedCall
from burnish.serve.chat.model import ServedModel
from burnish.serve.chat.parts import Parts
from burnish.serve.chat.schemas import SchemaError, check_schema
from burnish.serve.engines.protocol import Asked, Draw, Feature, ServingEngine
from burnish.serve.http.wire.errors import ApiError, wrong
from burnish.serve.http.wire.requests import CompletionRequest, ResponseFormat, SamplingRequest

Reader = Parts | ForcedCall


@dataclass(frozen=True)
class Order:
    """The completions of one request, in the order of its choices. `read` makes the reader of a choice of a chat."""

    model: ServedModel
    asked: tuple[Asked, ...]
    prompt_tokens: int
    stops: tuple[str, ...] = ()
    unshown: frozenset[int] = frozenset()
    """Of chats: tokens that are not part of the text."""
    read: Callable[[], Reader] | None = None
    log_probs: bool = False
    echo: tuple[str, ...] = ()
    """Of plain completions: the text of each prompt, to be given back."""
    scored: tuple[tuple[int, ...], ...] = ()
    """Of plain completions: the prompts whose own log-probabilities are requested."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))


def order_completion(request: CompletionRequest, model: ServedModel, engine: ServingEngine, most: int) -> Order:
    """The order of a plain completion. Errors: ApiError."""
    add_special = request.add_special_tokens is not False
    prompts = prompts_of(request.prompt, model, "prompt", most, add_special)
    choices = choices_of(request, most)
    if len(prompts) * choices > most:
        raise wrong(f"n times the number of prompts is more than {most}", "n")
    longest = 16 if request.max_tokens is None else request.max_tokens
    scores = bool(request.echo) and request.logprobs is not None
    if scores:
        require(engine, "log_probs", "logprobs")
        require(engine, "logit_bias", "echo with logprobs")
    asked: list[Asked] = []
    for prompt in prompts:
        if not prompt:
            raise wrong("the prompt is empty", "prompt")
        if longest == 0 and len(prompt) > engine.context:
            raise too_long(len(prompt), 0, engine)
        room = longest if longest == 0 else room_for(len(prompt), request.max_tokens, longest, engine)
        one = Asked(
            prompt=tuple(prompt),
            max_tokens=room,
            draw=draw_of(request, model, engine),
            stop_ids=model.stop_ids,
            top_log_probs=request.logprobs,
            schema=schema_of(request.response_format, engine),
            adapter=model.adapter,
        )
        asked += spread(one, choices)
    if request.logprobs is not None:
        require(engine, "log_probs", "logprobs")
    return Order(
        model,
        tuple(asked),
        prompt_tokens=sum(map(len, prompts)),
        stops=request.stops,
        log_probs=request.logprobs is not None,
        echo=tuple(model.decode(one.prompt) for one in asked) if request.echo else (),
        scored=tuple(one.prompt for one in asked) if scores else (),
    )


def prompts_of(
    prompt: str | Sequence[Any], model: ServedModel, param: str, most: int, add_special: bool = True
) -> list[list[int]]:
    """Prompts as ids: a text, several, ids, or several lists of ids. Errors: ApiError."""
    if isinstance(prompt, str):
        return [model.encode(prompt, add_special)]
    if not prompt:
        raise wrong(f"{param} is empty", param)
    if isinstance(prompt[0], int):
        prompt = [prompt]
    if len(prompt) > most:
        raise wrong(f"at most {most} prompts in one request", param)
    found = [model.encode(item, add_special) if isinstance(item, str) else list(item) for item in prompt]
    for ids in found:
        if (bad := next((token for token in ids if not 0 <= token < model.vocabulary), None)) is not None:
            raise wrong(f"{bad} is not a token id: the vocabulary has {model.vocabulary:,} tokens", param)
    return found


def choices_of(request: SamplingRequest, most: int) -> int:
    """`n`, within the limit of the server."""
    choices = request.n or 1
    if choices > most:
        raise wrong(f"n is {choices}, and at most {most} are given", "n")
    return choices


def spread(one: Asked, choices: int) -> list[Asked]:
    """The same prompt for each choice, each with its own seed where one is given."""
    seed = one.draw.seed
    if seed is None:
        return [one] * choices
    return [replace(one, draw=replace(one.draw, seed=(seed + place) % 2**32)) for place in range(choices)]


def draw_of(request: SamplingRequest, model: ServedModel, engine: ServingEngine) -> Draw:
    """How tokens are drawn. Errors: ApiError for what the engine lacks."""
    for name in ("frequency_penalty", "presence_penalty"):
        if getattr(request, name):
            require(engine, "penalties", name)
    repetition = 1.0 if request.repetition_penalty is None else float(request.repetition_penalty)
    if repetition != 1:
        require(engine, "penalties", "repetition_penalty")
    if request.logit_bias:
        require(engine, "logit_bias", "logit_bias")
    if request.min_p:
        require(engine, "min_p", "min_p")
    bias = {int(token): value for token, value in (request.logit_bias or {}).items()}
    if (bad := next((token for token in bias if token >= model.vocabulary), None)) is not None:
        raise wrong(f"logit_bias: {bad} is not a token id: the vocabulary has {model.vocabulary:,}", "logit_bias")
    return Draw(
        temperature=1.0 if request.temperature is None else float(request.temperature),
        top_p=1.0 if request.top_p is None else float(request.top_p),
        top_k=request.top_k if request.top_k is not None and request.top_k > 0 else None,
        min_p=float(request.min_p or 0.0),
        seed=None if request.seed is None else request.seed % 2**32,
        frequency_penalty=float(request.frequency_penalty or 0.0),
        presence_penalty=float(request.presence_penalty or 0.0),
        repetition_penalty=repetition,
        logit_bias=bias,
    )


def schema_of(requested: ResponseFormat | None, engine: ServingEngine) -> dict[str, Any] | None:
    """The schema of the whole text. Errors: ApiError for one that is not enforced as it is."""
    if requested is None or requested.type == "text":
        return None
    require(engine, "schema", "response_format")
    if requested.type == "json_object":
        return {"type": "object"}
    assert requested.json_schema is not None
    schema = requested.json_schema.schema_ or {}
    checked(schema, "response_format.json_schema.schema")
    return schema


def checked(schema: Any, param: str) -> None:
    """Errors: ApiError for a schema that is not enforced as it is."""
    try:
        check_schema(schema)
    except SchemaError as error:
        raise wrong(f"{param}: {error}", param, "unsupported_schema") from None


def room_for(prompt: int, requested: int | None, longest: int | None, engine: ServingEngine) -> int:
    """The most tokens of an answer. Errors: ApiError `context_length_exceeded`."""
    room = engine.context - prompt
    if room < 1 or (requested is not None and requested > room):
        raise too_long(prompt, requested or 0, engine)
    return room if longest is None else min(longest, room)


def too_long(prompt: int, longest: int, engine: ServingEngine) -> ApiError:
    """400: the context is too short."""
    return wrong(
        f"the context of this model is {engine.context:,} tokens, and {prompt + max(1, longest):,} are needed: "
        f"{prompt:,} of the prompt and {max(1, longest):,} of the answer; shorten one of them",
        "max_tokens" if prompt < engine.context else "prompt",
        "context_length_exceeded",
    )


def require(engine: ServingEngine, feature: Feature, param: str) -> None:
    """Errors: ApiError for a feature that the engine lacks."""
    if feature not in engine.features:
        message = f"{param} is not supported by the engine {engine.name}"
        raise wrong(message, param.partition(" ")[0], "unsupported_by_engine")
