"""Which settings one usually sets: those that the shipped recipes do, and of a training how long. A form shows them."""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from burnish.core.catalog import stage as row_of
from burnish.core.recipes.yaml import read_yaml
from burnish.studio.planning import shipped_recipes

_SHARE = 0.2
"""A setting is usual if at least this share of a stage's steps set it."""
_OF_TRAININGS = ("epochs", "batch_size", "learning_rate")
"""What a person who trains looks for, whatever our recipes set."""


def usual(stage: str) -> list[str]:
    """Paths of the settings of a stage that shipped recipes set, such as `method.rank`, the most common first, and the
    epochs, batch size and learning rate of a training."""
    steps, found = _counts()
    common = [path for path, count in found.get(stage, Counter()).most_common() if count >= _SHARE * steps[stage]]
    fields = row_of(stage).spec_type().model_fields
    trained = [name for name in _OF_TRAININGS if name in fields] if "epochs" in fields else []
    return list(dict.fromkeys([*common, *trained]))


@cache
def _counts() -> tuple[Counter[str], dict[str, Counter[str]]]:
    """How many steps of each stage there are in the shipped recipes, and how many of them set each path."""
    steps: Counter[str] = Counter()
    found: dict[str, Counter[str]] = {}
    for path in shipped_recipes().values():
        recipe: Any = read_yaml(path).value
        for step in cast(dict[str, dict[str, Any]], recipe["steps"]).values():
            steps[step["stage"]] += 1
            found.setdefault(step["stage"], Counter()).update(set(_paths(step)) - {"stage", "register"})
    return steps, found


def _paths(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _paths(cast(dict[str, Any], value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"
