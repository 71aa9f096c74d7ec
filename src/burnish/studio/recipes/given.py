"""A recipe that a client of the server gives: by name, as YAML, as values, or one stage and its settings.

What it refers to on this machine must lie in the workspace, or in a folder that the server was started with: a client
may be another person on another machine.
"""

import contextlib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from burnish.core.errors import AskError, BurnishError
from burnish.core.inputs import git
from burnish.core.paths import expanded, is_windows_path, of_reference, resolved
from burnish.core.recipes.recipe import Recipe, Step, load_recipe, recipe_of, with_settings
from burnish.core.recipes.yaml import at, parse_yaml
from burnish.core.runs.workspace import Workspace
from burnish.specs.base import LocalPath, fields_with
from burnish.studio.planning import shipped_recipes, stage_recipe
from burnish.studio.recipes.shelf import recipe_file


@dataclass(frozen=True)
class Given:
    """What was given: one of `name`, `yaml` and `values`, or a `stage` with `values`; and settings over it."""

    name: str | None = None
    yaml: str | None = None
    values: Mapping[str, Any] | None = None
    stage: str | None = None
    settings: Sequence[str] = ()

    def recipe(self, *, workspace: Path | str | None = None, allowed: Iterable[Path] = ()) -> Recipe:
        """The recipe. Errors: those of a recipe; AskError `ask.not-allowed` for a file outside."""
        place = Workspace.find(workspace)
        made = self._recipe(place)
        refuse_outside(made, (place.root, *allowed), place)
        self._refuse_hosts(made, place)
        return made

    def _refuse_hosts(self, made: Recipe, place: Workspace) -> None:
        """AskError `ask.not-allowed` for a step that may reach private addresses, unless it is the step of a file."""
        asking = [step for step in made.steps if step.spec.__dict__.get("allow_hosts")]
        kept = _steps_of_file(self.name or made.name, place) if asking and self.stage is None else {}
        for step in asking:
            if step.name not in kept or _reached(kept[step.name]) != _reached(step):
                where = at(step.place(("allow_hosts",)), f"'{step.name}.allow_hosts'")
                fix = "set it, with its source, in a recipe of the workspace and run that; or run it from the terminal"
                raise AskError("ask.not-allowed", f"{where} is not taken from a client of the server", fix)

    def _recipe(self, place: Workspace) -> Recipe:
        if self.stage is not None:
            return stage_recipe(self.stage, (), self.settings, self.values or {})
        given = [one for one in (self.name, self.yaml, self.values) if one is not None]
        if len(given) != 1:
            what = "give a recipe by its name, as YAML, or as values" if not given else "a recipe is given twice"
            raise AskError("ask.missing-key", what, "send exactly one of recipe, yaml and values")
        if self.name is not None:
            return load_recipe([recipe_file(self.name, workspace=place.root)], self.settings)
        if self.values is not None:
            return recipe_of(*with_settings(dict(self.values), self.settings))
        document = parse_yaml((self.yaml or "").encode(errors="replace"), "the recipe")
        values: Any = document.value
        if not isinstance(values, dict):
            what = "the recipe must be a mapping with `name` and `steps`"
            raise AskError("ask.recipe-unreadable", what, "GET /api/v1/recipes/demo shows an example")
        return recipe_of(*with_settings(cast(dict[str, Any], values), self.settings, [document]))


def _steps_of_file(name: str, place: Workspace) -> dict[str, Step]:
    """The steps of a recipe that ships with burnish or stands where a workspace has its own, not among the uploads."""
    with contextlib.suppress(BurnishError):
        file = recipe_file(name, workspace=place.root)
        folders = [resolved(place.root), resolved(place.root / "recipes")]
        if file in shipped_recipes().values() or resolved(file).parent in folders:
            return {step.name: step for step in load_recipe([file]).steps}
    return {}


def _reached(step: Step) -> tuple[list[str], dict[str, Any]]:
    """The private hosts that a step may reach, and what it reads there."""
    return sorted(step.spec.__dict__["allow_hosts"]), step.references()


def refuse_outside(recipe: Recipe, roots: Collection[Path], place: Workspace) -> None:
    """AskError `ask.not-allowed` for a step that refers to a file or folder outside of `roots`."""
    for step in recipe.steps:
        for path, (ref, _) in step.references().items():
            where = at(step.place(tuple(path.split("."))), f"'{step.name}.{path}'")
            refuse_path_outside(ref, roots, place, where)
        for path, _, value in fields_with(step.spec, LocalPath):
            if isinstance(value, str) and value != "auto":
                where = at(step.place(tuple(path.split("."))), f"'{step.name}.{path}'")
                refuse_path_outside(f"file:{value}", roots, place, where)


def refuse_path_outside(ref: str, roots: Iterable[Path], place: Workspace, where: str) -> None:
    """AskError `ask.not-allowed` for a reference to a file or folder outside of `roots`; `where` is what has it."""
    path = _path_in(f"file:{ref}" if is_windows_path(ref) else ref, place, where)
    if path is None:
        return
    found = Path(os.path.realpath(place.root / path))
    if not any(found.is_relative_to(os.path.realpath(root)) for root in roots):
        fix = "upload it, copy it into the workspace, or start the server with --allow-path FOLDER"
        raise AskError("ask.not-allowed", f"{where} refers to a file outside of the workspace", fix)


def _path_in(ref: str, place: Workspace, where: str) -> Path | None:
    """The file, folder or local repository that a reference is resolved to; None if it names none."""
    scheme, _, rest = ref.partition(":")
    if scheme not in ("file", "git"):
        return None
    if "\0" in unquote(rest):
        raise AskError("ask.bad-reference", f"{where} has a NUL character, which no path has", "remove it")
    if scheme == "file":
        return of_reference(rest)
    address, _ = git.split_name(rest, lambda path: (place.root / expanded(path)).exists())
    if address.startswith("file://"):  # Git decodes it, and takes a host for a folder
        return Path("/" + unquote(address.removeprefix("file://")).lstrip("/"))
    return None if git.is_address(address) else expanded(address)
