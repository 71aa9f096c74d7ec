"""Tokens: what programs ask with. Each is shown once, when it is made."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from burnish.server.routing import Place, Router
from burnish.server.security.caller import Scope
from burnish.studio.serving import logins as studio

router = Router(tags=["tokens"])


class AskedToken(BaseModel):
    """A token to make: `read` looks, `run` also starts and changes, `admin` also manages access and settings."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "ci", "scope": "run", "days": 90}]}
    )

    name: Annotated[str, Field(max_length=64)]
    scope: Scope
    days: Annotated[float | None, Field(gt=0, le=36_500)] = None
    """Days until it expires; never without it."""


class Token(BaseModel):
    """A token without its secret."""

    name: str
    scope: Scope | None
    made: str
    expires: str | None
    has_expired: bool


class NewToken(BaseModel):
    """A token with its secret, which nobody can show again."""

    name: str
    token: str


class NewLogin(BaseModel):
    """A one-time token that logs another browser in, and the seconds in which it does."""

    token: str
    seconds: int


@router.get("/tokens", scope="admin")
def list_tokens(place: Place) -> list[Token]:
    """The tokens of programs, without their secrets."""
    return [Token.model_validate(row) for row in studio.list_tokens(workspace=place)]


@router.post("/tokens", scope="admin", status_code=201)
def add_token(asked: AskedToken, place: Place) -> NewToken:
    """Make a token."""
    token = studio.add_token(asked.name, asked.scope, days=asked.days, workspace=place)
    return NewToken(name=asked.name, token=token)


@router.delete("/tokens/{name}", scope="admin", status_code=204)
def remove_token(name: Annotated[str, Path(max_length=64)], place: Place) -> None:
    """Remove a token: it is refused within a second."""
    studio.remove_token(name, workspace=place)


@router.post("/logins", scope="admin", status_code=201)
def add_login(place: Place) -> NewLogin:
    """Make a one-time token for another browser."""
    return NewLogin(token=studio.new_login(workspace=place), seconds=studio.LOGIN_SECONDS)
