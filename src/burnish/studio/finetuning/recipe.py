"""The recipe that a fine-tuning job is: prepare its files, then train."""

import re
from collections.abc import Mapping
from typing import Any

from burnish.core.catalog import stage
from burnish.core.errors import AskError
from burnish.core.registry.registry import Registry
from burnish.core.runs.workspace import Workspace
from burnish.studio.finetuning.records import DATA, RECIPE, TUNE

STAGES = {"supervised": "sft", "dpo": "dpo"}
_OTHERS = re.compile(r"[^A-Za-z0-9._-]+")
_MOST_SUFFIX = 64


def name_of(suffix: str | None) -> str:
    """The name of the recipe: `ft`, and the suffix."""
    words = _OTHERS.sub("-", suffix or "")[:_MOST_SUFFIX].strip("-.")
    return f"{RECIPE}-{words}" if words else RECIPE


def model_of(name: str, place: Workspace) -> str:
    """A model as recipes name it: the name of one in the registry alone means its newest version."""
    if ":" not in name and "@" not in name and name in Registry(place).names():
        return f"{name}@latest"
    if ":" not in name and "@" not in name:
        what = f"model: there is no model {name!r:.100}"
        raise AskError(
            "ask.bad-reference",
            what,
            "name one as recipes do: builtin:pocket, hub:owner/name, recipe.step@3, a name of the registry",
        )
    return name


def values_of(
    *,
    name: str,
    model: str,
    training: str,
    validation: str | None,
    method: str,
    hyperparameters: Mapping[str, Any],
    seed: int,
) -> dict[str, Any]:
    """The recipe as values. `training` and `validation` are references. Hyperparameters that are `auto` are left to the
    stage; every bad row of a file is an error."""
    sources = [{"ref": training}, *([{"ref": validation, "split": "validation"}] if validation else [])]
    prepare = {"stage": "prepare", "source": sources if validation else training, "max_bad_share": 0.0}
    if method == "dpo":
        prepare["format"] = "preference"
    given = {key: value for key, value in hyperparameters.items() if value not in (None, "auto")}
    train: dict[str, Any] = {"stage": STAGES[method], "base": model, "data": f"step:{DATA}", "seed": seed}
    train |= {ours: given[theirs] for theirs, ours in _SAME.items() if theirs in given}
    if "learning_rate_multiplier" in given:
        train["learning_rate"] = usual_learning_rate(method) * given["learning_rate_multiplier"]
    train["checkpoint"] = {"archive": True}  # they are listed, and may be used, after the job
    return {"name": name, "steps": {DATA: prepare, TUNE: train}}


def usual_learning_rate(method: str) -> float:
    """The default of the stage of a method, of which the multiplier is."""
    return stage(STAGES[method]).spec_type().model_fields["learning_rate"].default


_SAME = {"n_epochs": "epochs", "batch_size": "batch_size", "beta": "beta"}
