"""What a merge of adapters would do, before it is run."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from burnish.core.runs.workspace import Workspace
from burnish.studio.exploration import resolve_model
from burnish.studio.kept_workrooms import KeptWorkroom
from burnish.studio.recipes.given import Given
from burnish.studio.workrooms import require

_PREVIEWING = KeptWorkroom("burnish.stages.models.previewing", most=1)


def preview_merge(
    stage: Literal["merge", "combine"],
    values: Mapping[str, Any],
    *,
    allowed: Iterable[Path] = (),
    workspace: Path | str | None = None,
) -> dict[str, Any]:
    """The `adapters` with ranks and sizes, their `base`, the `result` (kind, rank, dtype, bytes) and `warnings`.

    The checks are those that the stage makes before it works, and raise its errors: other bases, tokenizers, an adapter
    named twice. Files outside of the workspace and of `allowed` are refused: AskError `ask.not-allowed`.
    """
    require("torch", "train")
    place = Workspace.find(workspace)
    recipe = Given(stage=stage, values=values).recipe(workspace=place.root, allowed=tuple(allowed))
    [step] = recipe.steps
    inputs = {
        path: resolve_model(ref, workspace=place.root, field=path, kinds=kinds)
        for path, (ref, kinds) in step.references().items()
    }
    return _PREVIEWING.ask(
        {
            "stage": stage,
            "spec": step.spec.model_dump(mode="json", exclude_unset=True),
            "inputs": {path: value.to_json() for path, value in inputs.items()},
        }
    )
