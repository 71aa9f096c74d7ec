"""All routers: those under /api/v1 and those at the root."""

from burnish.server.routes import (
    artifacts,
    evaluations,
    generate,
    health,
    jobs,
    machine,
    merges,
    metrics,
    plans,
    recipes,
    registry,
    schema,
    served,
    session,
    settings,
    short,
    stages,
    tokens,
)
from burnish.server.routes.datasets import routes as datasets
from burnish.server.routes.openai import files, fine_tuning
from burnish.server.routes.runs import events, logs, shown, steps, submitting
from burnish.server.routing import Router

ROUTERS: tuple[Router, ...] = (
    session.router,
    tokens.router,
    machine.router,
    metrics.router,
    schema.router,
    stages.router,
    recipes.router,
    plans.router,
    shown.router,
    events.router,
    steps.router,
    logs.router,
    submitting.router,
    jobs.router,
    datasets.router,
    settings.router,
    generate.router,
    artifacts.router,
    evaluations.router,
    registry.models,
    registry.adapters,
    merges.router,
    served.router,
)
"""Under /api/v1."""
AT_ROOT: tuple[Router, ...] = (health.router, short.router)
OF_OPENAI: tuple[Router, ...] = (files.router, fine_tuning.router)
"""Under /v1; their errors are in OpenAI's shape."""
