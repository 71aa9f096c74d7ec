"""All routers: those under /api/v1 and those at the root."""

from burnish.server.routes import health, runs, session
from burnish.server.routing import Router

ROUTERS: tuple[Router, ...] = (session.router, runs.router)
"""Under /api/v1."""
AT_ROOT: tuple[Router, ...] = (health.router,)
