"""`python -m burnish.server.schema` prints the OpenAPI schema, from which `web/` makes its client. No server starts."""

import json
import sys
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from burnish.server.app import make_app
from burnish.server.settings import Settings


def schema_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI schema of an app, the same for every workspace."""
    made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    made["components"]["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": "burnish-session-PORT"},
        "token": {"type": "http", "scheme": "bearer"},
    }
    return made


if __name__ == "__main__":
    json.dump(schema_of(make_app(Settings(Path.cwd()))), sys.stdout, indent=1, sort_keys=True)
    print()
