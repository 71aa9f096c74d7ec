"""Whether the server and its database answer: the only route that needs no token."""

from typing import Literal

from pydantic import BaseModel

from burnish.core.errors import BurnishError
from burnish.core.version import VERSION
from burnish.server.routing import Place, Router
from burnish.server.shared.cached import Kept
from burnish.studio.queueing import watching

router = Router(tags=["server"], work="queue")
_checked: Kept[bool] = Kept(1.0)


class Health(BaseModel):
    """The server answers. `database` says whether the queue does: what needs no queue is answered all the same."""

    status: Literal["ok", "degraded"]
    version: str
    database: bool


@router.get("/health", scope="open", head=True)
def health(place: Place) -> Health:
    """Whether the server and its database answer, and the version."""
    database = _checked.get(place, lambda: _answers(place))
    return Health(status="ok" if database else "degraded", version=VERSION, database=database)


def _answers(place: Place) -> bool:
    try:
        watching.revision(workspace=place)
    except BurnishError:
        return False
    return True
