"""The OpenAPI schema of an app, the same for every workspace."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi


def schema_of(app: FastAPI) -> dict[str, Any]:
    """The schema. Each operation has its scope as `x-scope`."""
    made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    made["components"]["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": "burnish-session-PORT"},
        "token": {"type": "http", "scheme": "bearer"},
    }
    return made
