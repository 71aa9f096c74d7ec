"""Prove a step of a recipe: run what it needs and its checks, and train nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError
from burnish.core.files import jsonable, read_json
from burnish.core.naming import nearest
from burnish.core.plan import make_plan
from burnish.core.recipes.recipe import Recipe, recipe_of, with_settings
from burnish.core.runs.records import broken
from burnish.core.runs.workspace import Workspace
from burnish.studio.executing.results import Watcher
from burnish.studio.executing.stopping import interruptible_planning
from burnish.studio.planning import RecipeLike, as_recipe
from burnish.studio.running import execute

FILE = "proof.json"


@dataclass(frozen=True)
class ProofResult:
    """The checks of a step, each with name, question, verdict, numbers, and the fix of one that does not hold."""

    run: str
    step: str
    path: Path
    proof: Mapping[str, Any]

    @property
    def holds(self) -> bool:
        """True if checks hold, none failed, and none ended with an error."""
        return self.proof["held"] > 0 and not self.proof["failed"] and not self.proof["errors"]

    def as_dict(self) -> dict[str, Any]:
        return {"run": self.run, "step": self.step, "path": str(self.path), **self.proof}


def prove(
    recipe: RecipeLike | Iterable[str | Path],
    *,
    step: str | None = None,
    settings: Iterable[str] = (),
    workspace: Path | str | None = None,
    watcher: Watcher | None = None,
) -> ProofResult:
    """Check a training step on its own model and rows. The steps before it are run, or reused.

    The checks are a run of their own, named `<recipe>-proof`. Errors: AskError `ask.bad-reference` for an unknown step,
    `ask.missing-key` where several steps train; those of a run.
    """
    place = Workspace.find(workspace)
    with interruptible_planning():
        requested = as_recipe(recipe, settings)
        name = _step(requested, step)
        values = {**requested.as_dict(), "name": f"{requested.name}-proof"}
        only = recipe_of(with_settings(values, [f"{name}.prove=only"])[0])
        plan = make_plan(only, place, only=[name], force=[name])
    found = execute(plan, place, watcher)
    folder = found[name].path
    return ProofResult(found.name, name, folder / FILE, read_proof(folder))


def read_proof(folder: Path) -> dict[str, Any]:
    """The proof of an artifact. Errors: FileNotFoundError without one; RunError `run.broken-record` for another one."""
    path = folder / FILE
    try:
        found: Any = jsonable(read_json(path))
        whole = all(type(found[key]) is int for key in ("held", "failed", "errors"))
        if whole and all(type(check[key]) is str for check in found["checks"] for key in ("name", "verdict", "found")):
            return found
        raise ValueError("a field has another type")
    except FileNotFoundError:
        raise
    except KeyError as error:
        raise broken(path, f"lacks {error}") from None
    except (OSError, ValueError, TypeError) as error:
        raise broken(path, f"is no proof ({error})") from None


def _step(recipe: Recipe, requested: str | None) -> str:
    """The requested training step, or the only one."""
    trains = [step.name for step in recipe.steps if "prove" in type(step.spec).model_fields]
    if requested is None and len(trains) == 1:
        return trains[0]
    if requested is None:
        what = f"the recipe has {len(trains)} training steps"
        raise AskError("ask.missing-key", what, f"add --step: {', '.join(trains)}" if trains else "name another recipe")
    if requested not in trains:
        what = f"the recipe has no training step '{requested}'"
        raise AskError("ask.bad-reference", what, nearest(requested, trains))
    return requested
