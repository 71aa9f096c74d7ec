"""All routers: those under /api/v1 and those at the root."""

from burnish.server.routes import (
    artifacts,
    datasets,
    generate,
    health,
    jobs,
    machine,
    merges,
    plans,
    recipes,
    registry,
    session,
    settings,
    short,
    stages,
)
from burnish.server.routes.openai import files, fine_tuning
from burnish.server.routes.runs import events, shown, steps, submitting
from burnish.server.routing import Router

ROUTERS: tuple[Router, ...] = (
    session.router,
    machine.router,
    stages.router,
    recipes.router,
    plans.router,
    shown.router,
    events.router,
    steps.router,
    submitting.router,
    jobs.router,
    datasets.router,
    settings.router,
    generate.router,
    artifacts.router,
    registry.models,
    registry.adapters,
    merges.router,
)
"""Under /api/v1."""
AT_ROOT: tuple[Router, ...] = (health.router, files.router, fine_tuning.router, short.router)
