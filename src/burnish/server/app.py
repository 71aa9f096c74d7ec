"""The app of the server: the routes behind the guard, and the page."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from burnish.core.errors import BurnishError
from burnish.core.version import VERSION
from burnish.server.problems import Problem
from burnish.server.routes.table import AT_ROOT, ROUTERS
from burnish.server.security.access import Access
from burnish.server.security.guard import Guard, answer_of
from burnish.server.settings import Settings
from burnish.server.static import page_routes
from burnish.server.streams import Streams

API = "/api/v1"
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {"model": Problem, "description": "An error.", "content": {"application/problem+json": {}}}
}


def make_app(settings: Settings) -> FastAPI:
    """The server of one workspace."""
    app = FastAPI(
        title="burnish",
        version=VERSION,
        summary="From raw data to a fine-tuned, evaluated, exported language model, with proof at each step.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_name_of,
    )
    app.state.settings, app.state.access, app.state.streams = settings, Access(settings), Streams()
    for router in AT_ROOT:
        app.include_router(router, responses=_PROBLEMS)
    for router in ROUTERS:
        app.include_router(router, prefix=API, responses=_PROBLEMS)
    app.router.routes.extend(page_routes(settings.page))

    async def problem(request: Request, error: Exception) -> Response:
        return answer_of(error, request.method, request.url.path, request.scope["burnish"].id)

    for kind in (BurnishError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, problem)
    app.add_middleware(Guard, settings=settings)
    return app


def _name_of(route: APIRoute) -> str:
    """The name of an operation in the generated client: that of its function."""
    return route.name
