"""Make a recipe from files, a mapping, or a stage and its settings, and plan it."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from burnish.core.catalog import stage
from burnish.core.errors import AskError
from burnish.core.naming import nearest
from burnish.core.paths import expanded
from burnish.core.plan import Plan, make_plan
from burnish.core.recipes.recipe import Recipe, load_recipe, merged, nested, parse_setting, recipe_of, with_settings
from burnish.core.recipes.yaml import Document, read_yaml
from burnish.core.runs.workspace import MARK, Workspace
from burnish.studio.executing.stopping import interruptible_planning

RecipeLike = str | Path | Mapping[str, Any] | Recipe


def shipped_recipes() -> dict[str, Path]:
    """The recipes shipped with burnish, by name."""
    package = Path(__file__).parents[1]
    shelf = next((f for f in (package / "recipes", package.parents[1] / "recipes") if f.is_dir()), package / "recipes")
    return {path.stem: path for path in sorted(shelf.glob("*.yaml"))}


def as_recipe(given: RecipeLike | Iterable[str | Path], settings: Iterable[str] = ()) -> Recipe:
    """A recipe from files (later ones override earlier ones), from the name of a shipped recipe, or from a mapping.

    A copy `NAME.yaml` in the current folder, as `burnish init` makes, goes before the shipped recipe of that name.
    """
    if isinstance(given, Recipe | Mapping):
        values = given.as_dict() if isinstance(given, Recipe) else dict(cast(Mapping[str, Any], given))
        return recipe_of(*with_settings(values, settings))
    paths = [given] if isinstance(given, str | Path) else list(given)
    return load_recipe([_recipe_file(path) for path in paths], settings)


def _recipe_file(given: str | Path) -> Path:
    path = expanded(given)
    shipped = shipped_recipes()
    if path.exists() or (path.suffix and path.name not in {p.name for p in shipped.values()}):
        return path
    if not path.suffix and (own := path.with_name(f"{path.name}.yaml")).is_file():
        return own
    return _shipped(path)


def _shipped(path: Path) -> Path:
    shipped = shipped_recipes()
    if path.stem in shipped and path.parent in (Path(), Path("recipes")):
        return shipped[path.stem]
    raise AskError("ask.bad-reference", f"unknown recipe {path}", nearest(path.stem, shipped, len(shipped)))


def stage_recipe(
    name: str, files: Iterable[str | Path] = (), settings: Iterable[str] = (), values: Mapping[str, Any] | None = None
) -> Recipe:
    """A recipe of one step. `values` override `settings` (`key=value`), which override files."""
    stage(name)
    given: dict[str, Any] = {}
    documents = [read_yaml(expanded(path)) for path in files]
    for document in documents:
        value: Any = document.value
        if not isinstance(value, dict):
            raise AskError(
                "ask.recipe-unreadable",
                f"{document.name}: expected a mapping of settings",
                f"write settings as `key: value`; pass rows with a flag, see `burnish {name} --help`",
            )
        if "steps" in value:
            raise AskError(
                "ask.wrong-value",
                f"{document.name}: this is a whole recipe",
                f"run it with `burnish run {document.name}`",
            )
        given = merged(given, value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    if given.get("stage", name) != name:
        raise AskError(
            "ask.wrong-value", f"the file is for stage {given['stage']}, not {name}", "use the command of that stage"
        )
    known = [document.below("steps", name) for document in documents]
    recipe: dict[str, Any] = {"name": name, "steps": {name: {**given, "stage": name}}}
    for setting in settings:
        path, value = parse_setting(setting)
        recipe = merged(recipe, nested(("steps", name, *path), value))
        known.append(Document(None, f"--set {'.'.join(path)}", {("steps", name, *path): 0}))
    return recipe_of(merged(recipe, {"steps": {name: dict(values or {})}}), known)


def plan(
    recipe: RecipeLike | Iterable[str | Path],
    *,
    settings: Iterable[str] = (),
    workspace: Path | str | None = None,
    start: str | None = None,
    force: Collection[str] = (),
    only: Iterable[str] = (),
) -> Plan:
    """What `run` would do: for each step run, reuse or resume, and the reason."""
    with interruptible_planning():
        return make_plan(as_recipe(recipe, settings), Workspace.find(workspace), start=start, force=force, only=only)


def init_workspace(folder: Path, recipe: str) -> list[Path]:
    """Mark a folder as a workspace and copy a shipped recipe into it. Returns the created files; overwrites none."""
    source, folder = _shipped(expanded(recipe)), expanded(folder)
    target, mark = folder / source.name, folder / MARK
    if target.exists():
        raise AskError("ask.wrong-value", f"{target} exists", "remove it, or use another --folder")
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    if not mark.exists():
        mark.write_text("# This file marks a burnish workspace: runs/ is created beside it.\n", encoding="utf-8")
        made.append(mark)
    target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    return [*made, target]
