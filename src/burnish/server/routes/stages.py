"""Stages: what steps can do, and the JSON Schema of their settings, from which forms are made."""

from typing import Any

from pydantic import BaseModel

from burnish.server.routing import Router
from burnish.studio import schema as studio

router = Router(tags=["stages"])


class InputField(BaseModel):
    """A setting that refers to an input: the kinds of artifact that it takes."""

    field: str
    kinds: list[str]
    required: bool


class Stage(BaseModel):
    """What a step can do. `produces` is the kind of its artifact, `extra` the pip extra that it needs."""

    name: str
    summary: str
    family: str
    produces: str
    takes: list[InputField]
    extra: str
    version: int
    problem: str | None = None
    """Why the settings of a plugin's stage cannot be loaded."""


class StageDetail(Stage):
    """A stage with the JSON Schema of its settings; `help` is the text of its command.

    `usual` are the settings that the shipped recipes set, such as `method.rank`; `elsewhere` has the names that other
    tools have for a setting, by its path.
    """

    help: str
    usual: list[str]
    elsewhere: dict[str, list[str]]
    json_schema: dict[str, Any]


@router.get("/stages", scope="read")
def list_stages() -> list[Stage]:
    """All stages, in the order of the work; those of other packages come last."""
    return [Stage.model_validate(row) for row in studio.list_stages()]


@router.get("/stages/{name}", scope="read")
def show_stage(name: str) -> StageDetail:
    """One stage with the JSON Schema of its settings."""
    return StageDetail.model_validate(studio.show_stage(name))
