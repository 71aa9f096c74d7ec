"""The app of the server: the routes behind the guard, and the page."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.responses import Response

from burnish.core.errors import BurnishError
from burnish.core.version import VERSION
from burnish.server.metrics import Metrics
from burnish.server.openai_errors import OpenAIErrors
from burnish.server.problems import Problem
from burnish.server.routes.table import AT_ROOT, OF_OPENAI, ROUTERS
from burnish.server.routing import GuardedRoute
from burnish.server.security.access import Access
from burnish.server.security.audit import Audit
from burnish.server.security.guard import Guard, answer_of
from burnish.server.settings import Settings
from burnish.server.static import page_routes
from burnish.server.streams import Streams
from burnish.studio.playground.asking import Playground

API = "/api/v1"
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {"model": Problem, "description": "An error.", "content": {"application/problem+json": {}}}
}
_ERRORS: dict[int | str, dict[str, Any]] = {"default": {"model": OpenAIErrors, "description": "An error, as OpenAI's."}}


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
    app.state.settings, app.state.access = settings, Access(settings)
    app.state.streams, app.state.metrics = Streams(), Metrics()
    app.state.playground = Playground(settings.workspace)
    app.state.audit = Audit(settings.state / "audit.jsonl")
    app.state.metrics.watch("burnish_streams", "Streams of events that are open.", lambda: app.state.streams.open)
    help_of = "Lines that could not be written to audit.jsonl, such as on a full disk."
    app.state.metrics.watch_total("burnish_audit_lost", help_of, lambda: app.state.audit.lost)
    for router in AT_ROOT:
        app.include_router(router, responses=_PROBLEMS)
    for router in OF_OPENAI:
        app.include_router(router, responses=_ERRORS)
    for router in ROUTERS:
        app.include_router(router, prefix=API, responses=_PROBLEMS)
    refuse_unguarded(app)
    templates = {id(found.original_route): found.path for found in iter_route_contexts(app.routes) if found.path}
    app.router.routes.extend(page_routes(settings.page))

    async def problem(request: Request, error: Exception) -> Response:
        return answer_of(error, request.method, request.url.path, request.scope["burnish"].id)

    for kind in (BurnishError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, problem)
    watched = {"audit": app.state.audit, "metrics": app.state.metrics, "templates": templates}
    app.add_middleware(Guard, settings=settings, **watched)
    return app


def refuse_unguarded(app: FastAPI) -> None:
    """ValueError for a route that does not say who may ask it, also one of a mounted app."""
    for found in iter_route_contexts(app.routes):
        if not isinstance(found.original_route, GuardedRoute):
            raise ValueError(
                f"the route {found.path or found.original_route} has no scope: use burnish.server.routing.Router"
            )


def _name_of(route: APIRoute) -> str:
    """The name of an operation in the generated client: that of its function."""
    return route.name
