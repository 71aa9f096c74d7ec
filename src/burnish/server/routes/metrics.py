"""Metrics of the server for Prometheus."""

from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from burnish.core.errors import BurnishError
from burnish.server.metrics import Metrics
from burnish.server.routing import Place, Router
from burnish.studio.queueing import watching

router = Router(tags=["server"], work="queue")
_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def _metrics_of(request: Request) -> Metrics:
    return request.app.state.metrics


@router.get(
    "/metrics",
    scope="read",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def read_metrics(place: Place, metrics: Annotated[Metrics, Depends(_metrics_of)]) -> Response:
    """Requests, streams, and jobs by state, as Prometheus reads them."""
    try:
        known = watching.workers(workspace=place)
        living = [worker for worker in known if not (worker.has_ended or worker.is_silent)]
        metrics.set_jobs(watching.counts(workspace=place), len(living))
    except BurnishError:  # of the database: /health tells it, and the others are given
        metrics.forget_jobs()
    return Response(metrics.text(), media_type=_TYPE)
