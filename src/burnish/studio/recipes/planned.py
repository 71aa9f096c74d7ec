"""The plan of what a client gives, with the forms that it can be written in."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from burnish.core.plan import make_plan
from burnish.core.runs.workspace import Workspace
from burnish.studio.recipes.forms import forms_of
from burnish.studio.recipes.given import Given


def plan_given(
    given: Given,
    *,
    start: str | None = None,
    force: Collection[str] = (),
    only: Iterable[str] = (),
    workspace: Path | str | None = None,
    allowed: Iterable[Path] = (),
) -> dict[str, Any]:
    """The plan, and its `yaml`, `command` and `python`.

    Errors: those of `Given.recipe` and of a plan.
    """
    place = Workspace.find(workspace)
    recipe = given.recipe(workspace=place.root, allowed=allowed)
    force, only = list(force), list(only)
    made = make_plan(recipe, place, start=start, force=force, only=only)
    return {**made.as_dict(), **forms_of(given, recipe, start=start, force=force, only=only)}
