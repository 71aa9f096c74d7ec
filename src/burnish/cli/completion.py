"""What the shell completes besides commands: recipes, their steps and settings, runs, artifacts, references.

Each function gets the words so far and the beginning of the next one. A completion never fails and never imports a
workroom: what cannot be read gives nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import wraps
from typing import Any

Completer = Callable[[Any, str], list[str]]


def _quietly(complete: Callable[[Any, str], Iterable[str]]) -> Completer:
    """Candidates that begin as the word does; none where looking for them fails."""

    @wraps(complete)
    def completer(ctx: Any, incomplete: str) -> list[str]:
        found: list[str] = []
        with suppress(Exception):
            found = sorted({word for word in complete(ctx, incomplete) if word.startswith(incomplete)})
        return found

    return completer


@_quietly
def recipes(ctx: Any, incomplete: str) -> Iterator[str]:
    """Shipped recipes by name, and YAML files."""
    from burnish.studio.asking import shipped_recipes

    yield from shipped_recipes()
    yield from _paths(incomplete, (".yaml", ".yml"))


@_quietly
def files(ctx: Any, incomplete: str) -> Iterator[str]:
    """YAML files with settings."""
    yield from _paths(incomplete, (".yaml", ".yml"))


@_quietly
def steps(ctx: Any, incomplete: str) -> Iterator[str]:
    """The steps of the recipe that is named before."""
    yield from (step.name for step in _recipe(ctx).steps)


@_quietly
def settings(ctx: Any, incomplete: str) -> Iterator[str]:
    """`step.field=` of the recipe that is named before."""
    for step in _recipe(ctx).steps:
        yield from (f"{step.name}.{key}=" for key in _keys(step.stage.spec_type()))


def settings_of(stage: str) -> Completer:
    """`field=` of a stage."""

    @_quietly
    def complete(ctx: Any, incomplete: str) -> Iterator[str]:
        from burnish.core.catalog import stage as find

        yield from (f"{key}=" for key in _keys(find(stage).spec_type()))

    return complete


@_quietly
def runs(ctx: Any, incomplete: str) -> Iterator[str]:
    """`latest`, recipes that were run, their numbers and steps."""
    yield "latest"
    for run in _workspace(ctx).all_runs():
        recipe, number, _ = run.name.split("/")
        yield from (recipe, f"{recipe}/{number}", run.name)


@_quietly
def references(ctx: Any, incomplete: str) -> Iterator[str]:
    """Artifacts (`recipe.step@latest`, `@3`), built-in models, and paths."""
    from burnish.core.inputs.references import artifact_names, built_ins

    for name in artifact_names(_workspace(ctx)):
        yield from (name, f"{name.rpartition('@')[0]}@latest")
    yield from (f"builtin:{name}" for name in built_ins())
    yield from _paths(incomplete)


def _recipe(ctx: Any) -> Any:
    from burnish.studio.asking import as_recipe

    return as_recipe(ctx.params.get("files") or ())


def _workspace(ctx: Any) -> Any:
    from burnish.core.runs.workspace import Workspace

    return Workspace.find(ctx.find_root().params.get("workspace"))


def _keys(spec_type: Any) -> Iterator[str]:
    from burnish.core.recipes.validation import all_specs

    for prefix, spec in all_specs(spec_type):
        yield from (f"{prefix}{name}" for name in spec.__pydantic_fields__)


def _paths(incomplete: str, suffixes: tuple[str, ...] = ()) -> Iterator[str]:
    """Files and folders that the word may become; only those of some suffixes, and the folders above them."""
    from burnish.core.paths import expanded

    path = expanded(incomplete)
    parent = path if incomplete.endswith("/") else path.parent
    before = incomplete[: incomplete.rfind("/") + 1]
    for path in parent.iterdir():
        if path.is_dir() and not path.name.startswith("."):
            yield f"{before}{path.name}/"
        elif not suffixes or path.suffix in suffixes:
            yield f"{before}{path.name}"
