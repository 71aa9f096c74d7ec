"""Settings: the variables that the `.env` of the workspace may hold. Secrets are written, and never shown."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from burnish.server.routing import Place, Router
from burnish.studio.settings import changes as studio

router = Router(tags=["settings"])


class Setting(BaseModel):
    """A variable. `source` says where its value comes from: the environment of the server comes before the file."""

    name: str
    group: Literal["keys", "hub", "network", "machine", "trackers", "burnish", "containers"]
    kind: Literal["secret", "path", "flag", "number", "text"]
    help: str
    choices: list[str]
    is_set: bool
    source: Literal["environment", "file"] | None
    value: str | None
    """None for a secret."""
    in_file: bool
    for_workers: bool
    """Whether jobs get it; the others are those of containers."""
    problem: str
    """Why its value cannot be used; empty if it can."""


class AllSettings(BaseModel):
    """The known variables, and the keys that the file has; `others` are names in it that burnish does not know."""

    path: str
    variables: list[Setting]
    others: list[str]


class SettingChanges(BaseModel):
    """Values to set by name; null removes a variable from the file."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"changes": {"HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": None}}]},
    )

    changes: Annotated[dict[str, str | None], Field(min_length=1, max_length=100)]


@router.get("/settings", scope="read")
def list_settings(place: Place) -> AllSettings:
    """The variables that the `.env` of the workspace may hold: which are set, and the values of those that are no
    secrets."""
    return AllSettings.model_validate(studio.settings(workspace=place))


@router.patch("/settings", scope="admin")
def change_settings(asked: SettingChanges, place: Place) -> AllSettings:
    """Set or remove variables, all or none; jobs that start from now on get them."""
    return AllSettings.model_validate(studio.change_settings(asked.changes, workspace=place))
