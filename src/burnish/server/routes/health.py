"""Whether the server answers: the only route that needs no token."""

from typing import Literal

from pydantic import BaseModel

from burnish.core.version import VERSION
from burnish.server.routing import Router

router = Router(tags=["server"])


class Health(BaseModel):
    """The server answers."""

    status: Literal["ok"] = "ok"
    version: str


@router.get("/health", scope="open")
def health() -> Health:
    """Whether the server answers, and its version."""
    return Health(version=VERSION)
