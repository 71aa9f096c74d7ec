"""The recipes of a workspace and those that ship with burnish: list, show, find by name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from burnish.core.errors import AskError, BurnishError
from burnish.core.naming import nearest
from burnish.core.paths.within import file_within
from burnish.core.recipes.yaml import MAX_BYTES, parse_yaml
from burnish.core.runs.workspace import MARK, Workspace
from burnish.studio.planning import shipped_recipes

_FOLDERS = ("", "recipes")
_SUFFIXES = (".yaml", ".yml")


def list_recipes(*, workspace: Path | str | None = None) -> list[dict[str, Any]]:
    """Each recipe: its `name`, by which it is planned, `origin` (workspace | shipped), `summary`, `stages`, `error`.

    Those of the workspace are its YAML files with `steps`, also in its folder `recipes`; they come first. A shipped one
    that has a copy `NAME.yaml` there is not listed: its name means the copy.
    """
    place = Workspace.find(workspace)
    found = dict(_own(place))
    own = [_row(name, path, "workspace") for name, path in found.items()]
    shipped = [_row(name, path, "shipped") for name, path in shipped_recipes().items() if f"{name}.yaml" not in found]
    return [row for row in (*own, *shipped) if row is not None]


def recipe_file(name: str, *, workspace: Path | str | None = None) -> Path:
    """The file of a recipe: `NAME.yaml` of the workspace, else the shipped recipe NAME.

    Errors: AskError `ask.bad-reference` for another name, also for one that leads out of the workspace.
    """
    place, shipped = Workspace.find(workspace), shipped_recipes()
    if name.endswith(_SUFFIXES):
        return file_within(place.root, name)
    own = dict(_own(place))
    if f"{name}.yaml" in own:
        return file_within(place.root, f"{name}.yaml")
    if name not in shipped:
        raise AskError("ask.bad-reference", f"there is no recipe '{name[:80]}'", nearest(name, [*own, *shipped]))
    return shipped[name]


def show_recipe(name: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """The row of a recipe, its `yaml`, of one that is too large the beginning, and its `values` if it can be read.

    Errors: those of `recipe_file`; AskError `ask.recipe-unreadable`.
    """
    path = recipe_file(name, workspace=workspace)
    shipped = path in shipped_recipes().values()
    row = _row(name, path, "shipped" if shipped else "workspace", whole=True)
    if row is None:
        raise AskError("ask.bad-reference", f"{name} is no recipe", "a recipe has `name` and `steps`")
    return row


def _own(place: Workspace) -> Iterator[tuple[str, Path]]:
    for folder in _FOLDERS:
        for path in sorted((place.root / folder).glob("*.y*ml")):
            if path.suffix in _SUFFIXES and path.name != MARK and (path.is_file() or path.is_symlink()):
                yield path.relative_to(place.root).as_posix(), path


def _row(name: str, path: Path, origin: str, *, whole: bool = False) -> dict[str, Any] | None:
    """None for a file that is no recipe; one that cannot be read, or is a link, has its `error`. With `whole` it has
    `yaml` and `values`."""
    row: dict[str, Any] = {"name": name, "origin": origin, "summary": "", "stages": [], "error": None}
    row |= {"yaml": "", "values": None} if whole else {}
    try:
        if path.is_symlink():
            return {**row, "error": "it is a link: put the file itself here"}
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)  # one byte more is refused
        row |= {"yaml": text[:MAX_BYTES].decode(errors="replace")} if whole else {}
        value: Any = parse_yaml(text, path.name).value
    except BurnishError as error:
        return {**row, "error": error.what}
    except OSError as error:
        return {**row, "error": str(error.strerror)}
    if not isinstance(value, dict) or "steps" not in value:
        return None
    steps: Any = cast(dict[str, Any], value)["steps"]
    if not isinstance(steps, dict):
        return {**row, "error": "`steps` is no mapping of a name to a step"}
    row |= {"values": value} if whole else {}
    given = [cast(dict[str, Any], step) for step in cast(dict[str, Any], steps).values() if isinstance(step, dict)]
    stages = [step["stage"] for step in given if isinstance(step.get("stage"), str)]
    return {**row, "summary": _summary(text.decode(errors="replace")), "stages": stages}


def _summary(text: str) -> str:
    """The first sentence of the comment at the start of a file."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#") or not line.strip("# "):
            break
        lines.append(line.lstrip("# ").strip())
    return " ".join(lines).partition(". ")[0].rstrip(".:")
