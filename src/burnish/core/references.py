"""From a reference in a spec to what it points to: a file, a hub name, a built-in, a registered artifact.

`step:x` is the plan's own business; everything else is resolved here.
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from burnish.core import hub
from burnish.core.context import Input
from burnish.core.errors import AskError
from burnish.core.fingerprint import of_path, of_value
from burnish.core.naming import nearest
from burnish.core.run import Run
from burnish.core.workspace import Workspace

_COMMON_KINDS = {"hub-model": "model", "hub-dataset": "folder"}


def resolve(ref: str, kinds: tuple[str, ...], workspace: Workspace, known: dict[str, Any]) -> Input:
    """The input that a reference means. A hub name is pinned but not fetched: its kind is hub-model or hub-dataset."""
    scheme, colon, rest = ref.partition(":")
    if not colon:
        return _artifact(ref, kinds, workspace)
    match scheme:
        case "file":
            return _file(ref, workspace.root / Path(rest).expanduser(), kinds, known)
        case "builtin":
            return _built_in(ref, rest, known)
        case "git":
            path = workspace.root / Path(rest).expanduser()
            return Input(ref, "git", path, of_value(["git", rest]) if not path.exists() else of_path(path, known))
        case _:
            repo_type = "model" if "model" in kinds or "tokenizer" in kinds else "dataset"
            commit = hub.pin(rest, repo_type)
            repo, _ = hub.split_name(rest)
            fingerprint = of_value(["hub", repo_type, repo, commit])
            return Input(ref, f"hub-{repo_type}", Path(), fingerprint, revision=commit)


def fetched(value: Input) -> Input:
    """The same input with its files on this disk; only hub names, and an adapter's hub base, have any to fetch."""
    if value.kind == "adapter" and "base" in value.inputs:
        return replace(value, inputs={**value.inputs, "base": fetched(value.inputs["base"])})
    kind = _COMMON_KINDS.get(value.kind)
    if kind is None:
        return value
    path = hub.fetch(value.ref.removeprefix("hub:"), value.revision, value.kind.removeprefix("hub-"))
    kind = "adapter" if kind == "model" and (path / "adapter_config.json").is_file() else kind
    return replace(value, kind=kind, path=path)


def folder_kind(path: Path) -> str:
    """What a folder holds, by its files."""
    if (path / "adapter_config.json").is_file():
        return "adapter"
    if (path / "config.json").is_file():
        return "model"
    if any((path / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")):
        return "tokenizer"
    if (path / "stats.json").is_file() and any(path.glob("*.parquet")):
        return "dataset"
    return "folder"


def check_kind(value: Input, kinds: tuple[str, ...], field: str) -> None:
    """An input of a kind that the field does not take is refused before anything runs."""
    kind = _COMMON_KINDS.get(value.kind, value.kind)
    if kind == "git":
        kind = "folder"
    if kind not in kinds:
        raise AskError(
            "ask.wrong-kind",
            f"'{field}' takes {' or '.join(kinds)}, and {value.ref} is a {value.kind}",
            f"point {field} to a {kinds[0]}",
        )


def _file(ref: str, path: Path, kinds: tuple[str, ...], known: dict[str, Any]) -> Input:
    if not path.exists():
        parent = path.parent
        names = [p.name for p in parent.iterdir()] if parent.is_dir() else []
        raise AskError(
            "ask.bad-reference",
            f"{ref}: there is no file or folder {path}",
            nearest(path.name, names) if names else f"there is no folder {parent} either; check the path",
        )
    if path.is_dir():
        kind = folder_kind(path)
        folder = path.resolve().parent
        lies_in_a_run = path.name == "out" and len(folder.parents) > 3 and folder.parents[2].name == "runs"
        artifact = Run(folder).artifact() if lies_in_a_run else None
        if artifact is not None:
            return artifact.as_input(ref)
        return Input(ref, kind, path.resolve(), of_path(path, known))
    return Input(ref, "file", path.resolve(), of_path(path, known))


def _built_in(ref: str, name: str, known: dict[str, Any]) -> Input:
    shelf = Path(str(files("burnish") / "builtin"))
    names = sorted(folder.name for folder in shelf.iterdir() if folder.is_dir()) if shelf.is_dir() else []
    if name not in names:
        raise AskError("ask.bad-reference", f"there is no built-in '{name}'", nearest(name, names))
    path = shelf / name
    return Input(ref, folder_kind(path), path, of_path(path, known))


def _artifact(ref: str, kinds: tuple[str, ...], workspace: Workspace) -> Input:
    """`recipe.step@number`, or `recipe.step@latest`: the artifact lies where it was made."""
    name, _, version = ref.rpartition("@")
    found = {f"{a.name}@{a.version}": a for run in workspace.artifacts() if (a := run.artifact()) is not None}
    if version == "latest":
        newest = next((a for a in found.values() if a.name == name), None)
        if newest is not None:
            return newest.as_input(ref)
    if ref not in found:
        of_fitting_kind = [key for key, artifact in found.items() if artifact.kind in kinds]
        raise AskError("ask.bad-reference", f"there is no artifact '{ref}'", nearest(ref, of_fitting_kind or found))
    return found[ref].as_input(ref)


def inputs_as_fingerprints(inputs: Mapping[str, Input]) -> dict[str, str]:
    return {path: value.fingerprint for path, value in inputs.items()}
