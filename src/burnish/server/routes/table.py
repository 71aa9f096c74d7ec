"""All routers: those under /api/v1 and those at the root."""

from burnish.server.routes import (
    datasets,
    generate,
    health,
    machine,
    plans,
    recipes,
    run_events,
    run_steps,
    runs,
    session,
    settings,
    stages,
)
from burnish.server.routes.openai import files, fine_tuning
from burnish.server.routing import Router

ROUTERS: tuple[Router, ...] = (
    session.router,
    machine.router,
    stages.router,
    recipes.router,
    plans.router,
    runs.router,
    run_events.router,
    run_steps.router,
    datasets.router,
    settings.router,
    generate.router,
)
"""Under /api/v1."""
AT_ROOT: tuple[Router, ...] = (health.router, files.router, fine_tuning.router)
