"""The routes beside OpenAI's: tokens, adapters, health, metrics, version."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from burnish.core.errors import BurnishError
from burnish.core.version import VERSION
from burnish.serve.chat.model import ServedModel
from burnish.serve.http.chat_orders import tool_of, turn_of
from burnish.serve.http.orders import require
from burnish.serve.http.routes import aside, json_answer
from burnish.serve.http.state import ServerState
from burnish.serve.http.wire.bodies import read_request
from burnish.serve.http.wire.errors import ApiError, of_burnish, wrong
from burnish.serve.http.wire.requests import (
    DetokenizeRequest,
    LoadAdapterRequest,
    TokenizeRequest,
    UnloadAdapterRequest,
)

_WATCHED = ["GET", "HEAD"]
"""Programs that watch a server often ask without the body."""


def own_routes(state: ServerState) -> APIRouter:
    """The routes for one server."""
    router = APIRouter()

    @router.api_route("/health", methods=_WATCHED)
    async def health() -> Response:
        return json_answer({"status": "alive"})

    @router.api_route("/ready", methods=_WATCHED)
    async def ready() -> Response:
        if state.is_draining:
            raise ApiError(503, "the server is stopping", code="draining")
        if not await state.engine.is_ready():
            message = "the engine is not ready"
            raise ApiError(503, message, code="engine_unavailable", headers={"Retry-After": "2"})
        return json_answer({"status": "ready"})

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @router.get("/version")
    async def version() -> Response:
        return json_answer({"version": VERSION, "engine": state.engine.name})

    @router.post("/tokenize")
    async def tokenize(request: Request) -> Response:
        asked = await read_request(request, TokenizeRequest, state.max_request_bytes, state.body_timeout)
        model = state.model(asked.model, request.scope["visit"])
        ids = await aside(request, _ids, asked, model)
        found: dict[str, Any] = {"tokens": ids, "count": len(ids), "max_model_len": state.engine.context}
        if asked.return_token_strs:
            found["token_strs"] = [model.bytes_of(token).decode("utf-8", errors="replace") for token in ids]
        return json_answer(found)

    def _ids(asked: TokenizeRequest, model: ServedModel) -> list[int]:
        if asked.prompt is not None:
            return model.encode(asked.prompt, asked.add_special_tokens)
        if not model.has_template:
            raise wrong(f"{model.name} has no chat template: send prompt", "messages", "no_chat_template")
        turns = [turn_of(message, place) for place, message in enumerate(asked.messages or ())]
        tools = [tool_of(tool.model_dump(exclude_none=True)) for tool in asked.tools or ()] or None
        try:
            if not asked.add_generation_prompt:
                return model.rendered(turns, tools)
            if turns[-1]["role"] == "assistant":
                return model.prompt(turns, tools, begun=turns[-1]["content"])[1]
            return model.prompt(turns, tools)[1]
        except BurnishError as error:
            raise of_burnish(error, "messages") from error

    @router.post("/detokenize")
    async def detokenize(request: Request) -> Response:
        asked = await read_request(request, DetokenizeRequest, state.max_request_bytes, state.body_timeout)
        model = state.model(asked.model, request.scope["visit"])
        if (bad := next((token for token in asked.tokens if not 0 <= token < model.vocabulary), None)) is not None:
            raise wrong(f"{bad} is not a token id: the vocabulary has {model.vocabulary:,} tokens", "tokens")
        return json_answer({"prompt": await aside(request, model.decode, asked.tokens)})

    def _may_load(request: Request) -> None:
        key = request.scope["visit"].key
        if not state.offers_adapters or state.load_adapter is None:
            message = "adapters are not loaded by requests: start the server with load_adapters: true"
            raise ApiError(403, message, code="adapters_off")
        if not state.keys.is_open and (key is None or not key.admin):
            raise ApiError(403, "this key may not load adapters: it needs --admin", code="admin_key_needed")
        require(state.engine, "adapters", "lora_name")

    @router.post("/v1/load_lora_adapter")
    async def load(request: Request) -> Response:
        _may_load(request)
        asked = await read_request(request, LoadAdapterRequest, state.max_request_bytes, state.body_timeout)
        assert state.load_adapter is not None
        async with state.changing:
            if asked.lora_name in state.models:
                message = f"there is a model '{asked.lora_name}' already: unload it first"
                raise wrong(message, "lora_name", "name_taken")
            try:
                model = await state.load_adapter(asked.lora_name, asked.lora_path)
            except BurnishError as error:
                raise of_burnish(error, "lora_path") from error
            state.models[asked.lora_name] = model
        return json_answer({"status": "loaded", "model": asked.lora_name})

    @router.post("/v1/unload_lora_adapter")
    async def unload(request: Request) -> Response:
        _may_load(request)
        asked = await read_request(request, UnloadAdapterRequest, state.max_request_bytes, state.body_timeout)
        async with state.changing:
            model = state.models.get(asked.lora_name)
            if model is None:
                message = f"there is no adapter '{asked.lora_name}'"
                raise ApiError(404, message, param="lora_name", code="model_not_found")
            if model.adapter is None:
                raise wrong(f"'{asked.lora_name}' is the model itself, not an adapter", "lora_name")
            del state.models[asked.lora_name]  # no new request gets it while the engine lets it go
            try:
                await state.engine.remove_adapter(model.adapter)
            except BaseException:
                state.models[asked.lora_name] = model  # the engine has it still, such as while it is started again
                raise
        return json_answer({"status": "unloaded", "model": asked.lora_name})

    return router
