"""The recipe that makes a model again: the steps behind an artifact, from the records of their runs."""

import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import PurePosixPath, PureWindowsPath
from posixpath import normpath
from typing import Any, cast

import yaml

from burnish.core.context import Input
from burnish.core.errors import BurnishError
from burnish.core.inputs import git
from burnish.core.paths import expanded, is_windows_path
from burnish.core.runs.run import Run, run_of_output
from burnish.core.secrets import masked_value

_LOCAL = ("push_to", "private", "commit_message", "device", "threads", "track", "resume")
"""Settings of the place and not of the model."""
_PATH = re.compile(r"(?:/|~\w*/)[^\n<>]+")
_OF_WINDOWS = re.compile(r"[\"']?(?:[A-Za-z]:[\\/]|\\\\)")
_SHORT = 3
"""Parts, with the root, of an absolute path that names nobody; such texts may be words of a template."""


class Steps:
    """The steps behind an artifact, in the order in which they run: `values` by name."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, Any]] = {}
        self.missing: list[str] = []
        """Runs whose records cannot be read."""
        self._names: dict[str, str] = {}

    def add(self, value: Input) -> str | None:
        """Add the steps behind an input; returns the name of its own step, None if no step made it."""
        run = run_of_output(value.path)
        if run is None:
            return None
        if run.name not in self._names:
            try:
                job = run.job
                inputs = {name: Input.from_json(each, run.workspace) for name, each in job["inputs"].items()}
            except BurnishError:
                self.missing.append(run.name)
                return None
            spec = self.spec(job["spec"], inputs)
            self._names[run.name] = self._put(run, {"stage": job["stage"], **spec})
        return self._names[run.name]

    def spec(self, spec: Mapping[str, Any], inputs: Mapping[str, Input]) -> dict[str, Any]:
        """The given settings of a step, with its inputs as references that hold elsewhere."""
        values = cast(dict[str, Any], masked_value({k: deepcopy(v) for k, v in spec.items() if k not in _LOCAL}))
        for path, value in inputs.items():
            name = self.add(value)
            _set(values, path.split("."), f"step:{name}" if name else value.ref)
        return public_values(values)

    def _put(self, run: Run, values: dict[str, Any]) -> str:
        name, number = run.folder.name, 2
        while name in self.values:
            name, number = f"{run.folder.name}-{number}", number + 1
        self.values[name] = values
        return name


def recipe_text(name: str, steps: Mapping[str, Mapping[str, Any]]) -> str:
    """The YAML of a recipe."""
    values = {"name": name, "steps": {step: dict(settings) for step, settings in steps.items()}}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100, default_flow_style=False)


def public_values(value: Any) -> Any:
    """A JSON-like value with each reference in it as `public_reference` gives it."""
    if isinstance(value, str):
        return public_reference(value)
    if isinstance(value, Mapping):
        return {key: public_values(member) for key, member in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [public_values(member) for member in cast(list[Any], value)]
    return value


def public_reference(ref: str) -> str:
    """A reference, or a path, without the folders of this machine: the name of its file or repository is left.

    Paths in the workspace, addresses, and other texts stay as they are.
    """
    scheme, _, rest = ref.partition(":")
    if _OF_WINDOWS.match(ref):
        return f"file:{_name(ref)}"
    if scheme == "file":
        return f"file:{_name(rest)}" if _leaves(rest) else ref
    if scheme == "git":
        return _public_repository(ref, rest)
    is_path = _PATH.fullmatch(ref) is not None and (ref[0] == "~" or len(PurePosixPath(ref).parts) > _SHORT)
    return _name(ref) if is_path else ref


def _public_repository(ref: str, rest: str) -> str:
    address, revision = git.split_name(rest, _exists)
    if git.is_address(address) and not address.startswith("file:"):
        return ref
    path = address.removeprefix("file://")
    return f"git:{_name(path)}{f'@{revision}' if revision else ''}" if _leaves(path) else ref


def _exists(path: str) -> bool:
    try:
        return expanded(path).exists()
    except (BurnishError, OSError, ValueError):
        return False


def _leaves(path: str) -> bool:
    """Whether a path is not one in the workspace."""
    return is_windows_path(path) or path.startswith(("/", "~")) or normpath(path).startswith("..")


def _name(path: str) -> str:
    """The last part of a path, which may be one of Windows."""
    return (PureWindowsPath if is_windows_path(path) else PurePosixPath)(path.strip("\"'")).name


def _set(values: Any, path: list[str], new: str) -> None:
    """Set the value at a path, where there is one."""
    *parents, last = path
    for part in parents:
        values = _below(values, part)
    if isinstance(values, list):
        members = cast(list[Any], values)
        if last.isdigit() and int(last) < len(members):
            members[int(last)] = new
    elif isinstance(values, dict) and last in values:
        values[last] = new


def _below(values: Any, part: str) -> Any:
    if isinstance(values, list):
        members = cast(list[Any], values)
        return members[int(part)] if part.isdigit() and int(part) < len(members) else None
    return cast(dict[str, Any], values).get(part) if isinstance(values, dict) else None
