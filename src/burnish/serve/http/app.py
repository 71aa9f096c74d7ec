"""The app of the server: routes behind the gate, and errors of the framework in OpenAI's shape."""

from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from burnish.serve.chat.model import ServedModel
from burnish.serve.engines.protocol import ServingEngine
from burnish.serve.http.gate import Gate
from burnish.serve.http.own_routes import own_routes
from burnish.serve.http.routes import openai_routes
from burnish.serve.http.state import LoadAdapter, ServerState
from burnish.serve.http.wire.errors import ApiError
from burnish.specs.ship.server import ServerSpec


def make_app(
    engine: ServingEngine,
    models: Sequence[ServedModel],
    settings: ServerSpec,
    *,
    folder: Path,
    load_adapter: LoadAdapter | None = None,
) -> FastAPI:
    """The server of `models`, of which the first is the default. `folder` gets access.jsonl.

    `load_adapter(name, reference)` loads one into the engine. Errors: AskError for keys that cannot be read.
    """
    app = FastAPI(title="burnish", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.server = state = ServerState(engine, models, settings, folder, load_adapter)
    app.include_router(openai_routes(state))
    app.include_router(own_routes(state))

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        request.scope["visit"].error = error.code or "error"
        return error.response()

    async def of_framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        method, path = request.method[:20], request.url.path[:200]
        if error.status_code == 404:
            found = ApiError(404, f"there is no route {method} {path}", code="unknown_url")
        elif error.status_code == 405:
            message = f"{path} does not take {method}"
            found = ApiError(405, message, code="method_not_allowed", headers=error.headers)
        else:
            found = ApiError(error.status_code, str(error.detail), headers=error.headers)
        return await known(request, found)

    app.add_exception_handler(ApiError, known)
    app.add_exception_handler(HTTPException, of_framework)
    app.add_middleware(Gate, state=state)
    if origins := settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],  # clients send their own, such as x-stainless-os
            expose_headers=["x-request-id", "retry-after"],
        )
    return app
