"""The routes of OpenAI's API: chats, completions, embeddings, models."""

import asyncio
import base64
from array import array
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from burnish.serve.engines.protocol import Token
from burnish.serve.http.admission.visit import Visit
from burnish.serve.http.answers import score, steps_of
from burnish.serve.http.chat_orders import order_chat
from burnish.serve.http.orders import Order, order_completion, prompts_of, require, too_long
from burnish.serve.http.shapes import ChatChoice, ChatChunks, TextChoice, TextChunks, head, usage_of
from burnish.serve.http.state import ServerState
from burnish.serve.http.streams import EventStream
from burnish.serve.http.wire.bodies import read_request, unless_gone
from burnish.serve.http.wire.encoding import json_bytes
from burnish.serve.http.wire.errors import wrong
from burnish.serve.http.wire.requests import ChatRequest, CompletionRequest, EmbeddingRequest, SamplingRequest

_LONG = 20_000
"""Bytes of a request."""


def json_answer(value: Any) -> Response:
    """An answer of JSON."""
    return Response(json_bytes(value), media_type="application/json")


async def aside(request: Request, work: Callable[..., Any], *arguments: Any) -> Any:
    """The result of work on what a request holds: of a long one in a thread, so that the others are not held up."""
    size = int(request.headers.get("content-length", _LONG))
    return work(*arguments) if size < _LONG else await asyncio.to_thread(work, *arguments)


def openai_routes(state: ServerState) -> APIRouter:
    """The routes for one server."""
    router = APIRouter()

    @router.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        visit: Visit = request.scope["visit"]
        asked = await read_request(request, ChatRequest, state.max_request_bytes, state.body_timeout)
        model = state.model(asked.model, visit)
        order = await _made(request, order_chat, asked, model, state.engine, state.max_choices)
        if asked.stream:
            return _stream(asked, order, ChatChunks(order), visit)
        choices = [ChatChoice(order, index) for index in range(len(order.asked))]
        return await _whole(request, order, choices, visit, "chat.completion")

    @router.post("/v1/completions")
    async def completions(request: Request) -> Response:
        visit: Visit = request.scope["visit"]
        asked = await read_request(request, CompletionRequest, state.max_request_bytes, state.body_timeout)
        model = state.model(asked.model, visit)
        order = await _made(request, order_completion, asked, model, state.engine, state.max_choices)
        scored = await _scored(request, order)
        if asked.stream:
            return _stream(asked, order, TextChunks(order, scored), visit)
        choices = [TextChoice(order, index, scored[index] if scored else ()) for index in range(len(order.asked))]
        return await _whole(request, order, choices, visit, "text_completion")

    @router.post("/v1/embeddings")
    async def embeddings(request: Request) -> Response:
        visit: Visit = request.scope["visit"]
        asked = await read_request(request, EmbeddingRequest, state.max_request_bytes, state.body_timeout)
        model = state.model(asked.model, visit)
        require(state.engine, "embeddings", "embeddings")
        if model.adapter is not None:
            raise wrong("embeddings are those of the model without adapters", "model")
        prompts = await aside(request, prompts_of, asked.input, model, "input", 2048)
        for prompt in prompts:
            if not prompt:
                raise wrong("an input is empty", "input")
            if len(prompt) > state.engine.context:
                raise too_long(len(prompt), 0, state.engine)
        count = sum(map(len, prompts))
        state.book(visit, count)
        visit.prompt_tokens = count
        vectors: list[list[float]] = []

        async def embed() -> None:
            async with state.slots.one():
                vectors.extend(await state.engine.embed(prompts))

        await _worked(request, 1, embed())
        data = [
            {"object": "embedding", "index": index, "embedding": _vector(vector, asked.encoding_format)}
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": count, "total_tokens": count}
        return json_answer({"object": "list", "data": data, "model": model.name, "usage": usage})

    @router.get("/v1/models")
    async def models(request: Request) -> Response:
        key = request.scope["visit"].key
        shown = [name for name in state.models if key is None or key.models is None or name in key.models]
        return json_answer({"object": "list", "data": [_model(name) for name in shown]})

    @router.get("/v1/models/{name:path}")
    async def one_model(request: Request, name: str) -> Response:
        return json_answer(_model(state.model(name, request.scope["visit"]).name))

    def _model(name: str) -> dict[str, Any]:
        model = state.models[name]
        parent = state.default if model.adapter is not None else None
        return {
            "id": name,
            "object": "model",
            "created": state.created,
            "owned_by": "burnish",
            "parent": parent,
            "max_model_len": state.engine.context,
            "fingerprint": model.fingerprint or None,
        }

    async def _made(request: Request, make: Any, *arguments: Any) -> Order:
        order = await aside(request, make, *arguments)
        visit: Visit = request.scope["visit"]
        state.book(visit, order.prompt_tokens + sum(asked.max_tokens for asked in order.asked))
        visit.prompt_tokens = order.prompt_tokens
        return order

    async def _scored(request: Request, order: Order) -> list[list[Token]]:
        if not order.scored:
            return []

        scored: list[list[Token]] = []

        async def all_of_them() -> None:
            for asked in order.asked:
                scored.append(await score(asked, state.engine, state.slots))

        await _worked(request, 1, all_of_them())
        return scored

    async def _worked(request: Request, count: int, work: Coroutine[Any, Any, None]) -> None:
        """Do work that takes so many places in the queue, within the time, as long as the client is there."""
        try:
            with state.slots.accept(count):
                async with asyncio.timeout(state.request_timeout):
                    await unless_gone(request.receive, work, state.work)
        finally:
            work.close()

    def _stream(asked: SamplingRequest, order: Order, chunks: ChatChunks | TextChunks, visit: Visit) -> Response:
        visit.is_stream = True
        options = asked.stream_options
        held = state.slots.accept(len(order.asked))
        steps = steps_of(order, state.engine, state.slots, visit)
        with_usage = options is not None and options.include_usage
        return EventStream(steps, chunks, visit, state, with_usage, held)

    async def _whole(
        request: Request,
        order: Order,
        choices: list[ChatChoice] | list[TextChoice],
        visit: Visit,
        kind: str,
    ) -> Response:
        async def collect() -> None:
            async with aclosing(steps_of(order, state.engine, state.slots, visit)) as steps:
                async for step in steps:
                    choices[step.index].add(step)

        await _worked(request, len(order.asked), collect())
        usage = usage_of(order, visit.completion_tokens)
        return json_answer({**head(order, kind), "choices": [choice.shape for choice in choices], "usage": usage})

    return router


def _vector(vector: list[float], encoding: str | None) -> Any:
    return base64.b64encode(array("f", vector).tobytes()).decode() if encoding == "base64" else vector
