"""Recipes: those of the workspace, and those that ship with burnish."""

from typing import Any, Literal

from pydantic import BaseModel

from burnish.server.routing import Place, Router
from burnish.studio.recipes import shelf

router = Router(tags=["recipes"])


class Recipe(BaseModel):
    """A recipe. `name` is what a plan or run is asked with; `error` says why one of the workspace cannot be read."""

    name: str
    origin: Literal["workspace", "shipped"]
    summary: str
    stages: list[str]
    error: str | None


class RecipeDetail(Recipe):
    """A recipe with its YAML, and what that says; `values` is null where it cannot be read."""

    yaml: str
    values: dict[str, Any] | None


@router.get("/recipes", scope="read")
def list_recipes(place: Place) -> list[Recipe]:
    """The recipes of the workspace, then those that ship with burnish."""
    return [Recipe.model_validate(row) for row in shelf.list_recipes(workspace=place)]


@router.get("/recipes/{name:path}", scope="read")
def show_recipe(name: str, place: Place) -> RecipeDetail:
    """One recipe with its YAML, as it is in its file."""
    return RecipeDetail.model_validate(shelf.show_recipe(name, workspace=place))
