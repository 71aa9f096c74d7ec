"""What the trainings of a recipe would take before they run: memory and disk; and what is not known yet, with why."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from burnish.core.errors import BurnishError
from burnish.core.inputs.checks import check_fetched
from burnish.core.inputs.references import fetched, resolve
from burnish.core.recipes.recipe import Step
from burnish.core.runs.workspace import Workspace
from burnish.specs.train import TrainSpec
from burnish.studio.kept_workrooms import KeptWorkroom
from burnish.studio.recipes.given import Given
from burnish.studio.workrooms import require

_FORECASTING = KeptWorkroom("burnish.stages.models.forecasting", most=1)
_BASES = ("model", "adapter")


def forecast_given(
    given: Given, *, allowed: Iterable[Path] = (), workspace: Path | str | None = None
) -> list[dict[str, Any]]:
    """For each training: its `step`, and `forecast`, or `unknown`: why nothing can be said before it runs.

    A base is not downloaded for this. Errors: those of `Given.recipe`.
    """
    require("torch", "train")
    place = Workspace.find(workspace)
    recipe = given.recipe(workspace=place.root, allowed=tuple(allowed))
    return [_of(step, place) for step in recipe.steps if isinstance(step.spec, TrainSpec)]


def _of(step: Step, place: Workspace) -> dict[str, Any]:
    found: dict[str, Any] = {"step": step.name, "forecast": None, "unknown": None}
    ref, _ = step.references().get("base", (None, ()))
    if ref is None:
        return {**found, "unknown": "it makes its model from a config"}
    if ref.startswith("step:"):
        return {**found, "unknown": f"the step '{ref.removeprefix('step:')}' makes its base first"}
    try:
        known = place.hashes()
        base = check_fetched(fetched(resolve(ref, _BASES, place, known), weights=False, downloads=False), known)
        request = {"stage": step.stage.name, "spec": step.spec.model_dump(mode="json", exclude_unset=True)}
        return {**found, "forecast": _FORECASTING.ask({**request, "base": base.to_json()})}
    except BurnishError as error:
        is_away = error.code == "ask.not-allowed" or ref.startswith("hub:")
        away = f"{ref} is not on this machine: what it takes is known when it is downloaded"
        return {**found, "unknown": away if is_away else error.what}
