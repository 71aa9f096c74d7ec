"""The OpenAPI schema, for programs that make a client of it."""

from typing import Any

from fastapi import Request

from burnish.server.openapi import schema_of
from burnish.server.routing import Router
from burnish.server.shared.cached import Kept

router = Router(tags=["server"])
_schemas: Kept[dict[str, Any]] = Kept(3600.0)


@router.get("/openapi.json", scope="read")
def read_schema(request: Request) -> dict[str, Any]:
    """The OpenAPI schema of this server."""
    return _schemas.get(id(request.app), lambda: schema_of(request.app))
