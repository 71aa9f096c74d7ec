"""Shell completion of recipes, their steps and settings, runs, versions of the registry, and references.

Each function gets the parsed arguments and the start of the next one. Completion never fails and never imports torch:
an error gives no candidates.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import wraps
from typing import Any

Completer = Callable[[Any, str], list[str]]


def _without_errors(complete: Callable[[Any, str], Iterable[str]]) -> Completer:
    """Keep the candidates that start with the incomplete word; none if an error occurs."""

    @wraps(complete)
    def completer(ctx: Any, incomplete: str) -> list[str]:
        found: list[str] = []
        with suppress(Exception):
            found = sorted({word for word in complete(ctx, incomplete) if word.startswith(incomplete)})
        return found

    return completer


@_without_errors
def recipes(ctx: Any, incomplete: str) -> Iterator[str]:
    """Names of shipped recipes, and YAML files."""
    from burnish.studio.planning import shipped_recipes

    yield from shipped_recipes()
    yield from _paths(incomplete, (".yaml", ".yml"))


@_without_errors
def files(ctx: Any, incomplete: str) -> Iterator[str]:
    """YAML files with settings."""
    yield from _paths(incomplete, (".yaml", ".yml"))


@_without_errors
def steps(ctx: Any, incomplete: str) -> Iterator[str]:
    """The steps of the recipe on the command line."""
    yield from (step.name for step in _recipe(ctx).steps)


@_without_errors
def settings(ctx: Any, incomplete: str) -> Iterator[str]:
    """`step.field=` for the recipe on the command line."""
    for step in _recipe(ctx).steps:
        yield from (f"{step.name}.{key}=" for key in _keys(step.stage.spec_type()))


def settings_of(stage: str) -> Completer:
    """`field=` for a stage."""

    @_without_errors
    def complete(ctx: Any, incomplete: str) -> Iterator[str]:
        from burnish.core.catalog import stage as find

        yield from (f"{key}=" for key in _keys(find(stage).spec_type()))

    return complete


@_without_errors
def runs(ctx: Any, incomplete: str) -> Iterator[str]:
    """`latest`, and the recipes, run numbers and steps in the workspace."""
    yield "latest"
    for run in _workspace(ctx).all_runs():
        recipe, number, _ = run.name.split("/")
        yield from (recipe, f"{recipe}/{number}", run.name)


@_without_errors
def references(ctx: Any, incomplete: str) -> Iterator[str]:
    """Artifacts (`recipe.step@latest`, `@3`), built-in models and paths."""
    from burnish.core.inputs.references import artifact_names, built_ins

    for name in artifact_names(_workspace(ctx)):
        yield from (name, f"{name.rpartition('@')[0]}@latest")
    yield from (f"builtin:{name}" for name in built_ins())
    yield from _paths(incomplete)


@_without_errors
def any_files(ctx: Any, incomplete: str) -> Iterator[str]:
    """Files of any kind."""
    yield from _paths(incomplete)


@_without_errors
def datasets(ctx: Any, incomplete: str) -> Iterator[str]:
    """Names of datasets."""
    from burnish.studio.datasets import datasets as listed

    yield from (row["name"] for row in listed(workspace=_workspace(ctx).root)["datasets"])


@_without_errors
def entries(ctx: Any, incomplete: str) -> Iterator[str]:
    """Names in the registry."""
    from burnish.core.registry.registry import Registry

    yield from Registry(_workspace(ctx)).names()


@_without_errors
def versions(ctx: Any, incomplete: str) -> Iterator[str]:
    """References to versions in the registry: `name@3`, `name@latest`, `name@production`, `name@TAG`."""
    from burnish.core.registry.registry import Registry

    yield from Registry(_workspace(ctx)).references()


def _recipe(ctx: Any) -> Any:
    from burnish.studio.planning import as_recipe

    return as_recipe(ctx.params.get("files") or ())


def _workspace(ctx: Any) -> Any:
    from burnish.core.runs.workspace import Workspace

    return Workspace.find(ctx.find_root().params.get("workspace"))


def _keys(spec_type: Any) -> Iterator[str]:
    from burnish.core.recipes.validation import all_specs

    for prefix, spec in all_specs(spec_type):
        yield from (f"{prefix}{name}" for name in spec.__pydantic_fields__)


def _paths(incomplete: str, suffixes: tuple[str, ...] = ()) -> Iterator[str]:
    """Folders, and files with one of the suffixes (all files by default), that start with the incomplete path."""
    from burnish.core.paths import expanded

    path = expanded(incomplete)
    parent = path if incomplete.endswith("/") else path.parent
    before = incomplete[: incomplete.rfind("/") + 1]
    for path in parent.iterdir():
        if path.is_dir() and not path.name.startswith("."):
            yield f"{before}{path.name}/"
        elif not suffixes or path.suffix in suffixes:
            yield f"{before}{path.name}"
