"""The addresses of all lists of the API: what GET answers with JSON, and needs nothing to be named."""

from pathlib import Path

from burnish.server.app import make_app
from burnish.server.openapi import schema_of
from burnish.server.settings import Settings

SLOW = {"/api/v1/devices", "/api/v1/doctor"}
"""They ask the machine, and look at no run."""
_PATHS = schema_of(make_app(Settings(Path("/nonexistent-workspace"))))["paths"]
LISTS = sorted(
    path
    for path, item in _PATHS.items()
    if "get" in item
    and "{" not in path
    and not any(parameter.get("required") for parameter in item["get"].get("parameters", ()))
    and "application/json" in item["get"]["responses"]["200"].get("content", {})
    and path not in SLOW
)
