"""The YAML files of a folder of tasks, read before lm-evaluation-harness sees them.

A file is refused if it runs Python without consent, or reads files outside of the folder: the folder is what the
fingerprint covers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from burnish.core.errors import AskError, BurnishError, DataError
from burnish.core.faults import reason
from burnish.core.paths import expanded, is_windows_path

_CODE_KEYS = ("use_prompt", "unsafe_code")
"""Keys, besides `!function`, that load or run code."""
_LOCAL_SCHEMES = ("file:", "local:")
_IGNORED_FOLDERS = {"__pycache__", ".ipynb_checkpoints"}
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class _Function:
    """A value `!function module.name`."""

    name: str
    line: int


class _Loader(yaml.SafeLoader):
    pass


def _function(loader: yaml.SafeLoader, node: Any) -> _Function:
    return _Function(str(loader.construct_scalar(node)), node.start_mark.line + 1)


_Loader.add_constructor("!function", _function)


@dataclass(frozen=True)
class TaskFile:
    """A YAML file that defines a task or a group, with what it includes."""

    path: Path
    name: str
    config: Mapping[str, Any]

    @property
    def members(self) -> list[str]:
        """Names of the tasks and groups in a group."""
        found = self.config.get("task")
        listed = cast(list[Any], found) if "group" in self.config and isinstance(found, list) else []
        return [str(item if isinstance(item, str) else item.get("task") or item.get("group")) for item in listed]


@dataclass(frozen=True)
class TaskFolder:
    """The tasks and groups of a folder."""

    path: Path
    files: Sequence[TaskFile]
    chosen: Sequence[TaskFile]
    """Those that are run."""

    @property
    def is_complete(self) -> bool:
        """Whether the folder defines every member of its groups."""
        return {name for file in self.files for name in file.members} <= {file.name for file in self.files}


def read_folder(folder: Path, files: Sequence[str], *, trusts_code: bool) -> TaskFolder:
    """The tasks and groups of a folder; run are those of `files`, or all but the members of its groups.

    Errors: AskError `ask.wrong-value` for code without consent and for files outside of the folder, `ask.bad-reference`
    for a missing file, `ask.nothing-to-do` for a folder without tasks; DataError `data.unreadable` for a file that is
    no YAML, `data.empty` for two tasks of one name.
    """
    found = [made for path in _yaml_files(folder) if (made := _task_file(folder, path)) is not None]
    for file in found:
        _refuse_doubles(file, found)
        _check(folder, file, trusts_code)
    if files:
        return TaskFolder(folder, found, [_named(folder, name, found) for name in files])
    inner = {name for file in found for name in file.members}
    chosen = [file for file in found if file.name not in inner]
    if not chosen:
        fix = "give the folder of YAML files with the key task or group"
        raise AskError("ask.nothing-to-do", f"{folder} has no task", fix)
    return TaskFolder(folder, found, chosen)


def _yaml_files(folder: Path) -> list[Path]:
    found = [path for ending in ("*.yaml", "*.yml") for path in folder.rglob(ending)]
    return sorted(path for path in found if not _IGNORED_FOLDERS & set(path.relative_to(folder).parts))


def _task_file(folder: Path, path: Path) -> TaskFile | None:
    """None for a file without a task or a group, such as one that others include."""
    config = _read(folder, path, ())
    name = config.get("group") or config.get("task")
    return TaskFile(path, name, config) if isinstance(name, str) else None


def _read(folder: Path, path: Path, including: tuple[Path, ...]) -> dict[str, Any]:
    """The content of a file, over that of the files that it includes."""
    if path in including:
        raise DataError("data.unreadable", f"{path} includes itself", "remove the include")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError("data.unreadable", f"{path} has more than {_MAX_BYTES:,} bytes", "split the file")
        config: Any = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # a safe loader, and !function
    except BurnishError:
        raise
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise DataError("data.unreadable", f"{path} cannot be read as a task: {reason(error)}", "correct it") from error
    if not isinstance(config, dict):
        raise DataError("data.unreadable", f"{path} is not a mapping of settings", "write a task: its name, its data")
    settings = cast(dict[str, Any], config)
    merged: dict[str, Any] = {}
    for name in _listed(settings.pop("include", [])):
        inner = _inside(folder, path.parent / str(name), f"{path}: include: {name}")
        merged |= {key: value for key, value in _read(folder, inner, (*including, path)).items() if key != "task_list"}
    return merged | settings


def _listed(value: Any) -> list[Any]:
    """A list, or one value."""
    return cast(list[Any], value) if isinstance(value, list) else [value]


def _refuse_doubles(file: TaskFile, found: Sequence[TaskFile]) -> None:
    other = next(one for one in found if one.name == file.name)
    if other is not file:
        what = f"{other.path} and {file.path} both define '{file.name}'"
        raise DataError("data.unreadable", what, "give each task its own name")


def _named(folder: Path, name: str, found: Sequence[TaskFile]) -> TaskFile:
    path = _inside(folder, folder / name, f"files: {name}")
    for file in found:
        if file.path.resolve() == path:
            return file
    raise AskError("ask.nothing-to-do", f"{path} has neither the key task nor group", "name a file that defines a task")


def _check(folder: Path, file: TaskFile, trusts_code: bool) -> None:
    if not trusts_code:
        code = next(_code_in(file.config), "")
        if code:
            raise AskError(
                "ask.wrong-value",
                f"{file.path}: the task runs code: {code}",
                "read it, and set tasks.trust_code: true if you trust it; it runs with your rights",
            )
    for name in _data_files(file.config):
        _refuse_outside(folder, name, f"{file.path}: {name}")


def _code_in(value: Any, key: str = "") -> Iterator[str]:
    """What of a config runs code, each with its key."""
    if isinstance(value, _Function):
        yield f"{key}: !function {value.name} (line {value.line})"
    elif isinstance(value, dict):
        for name, member in cast(dict[Any, Any], value).items():
            if (name in _CODE_KEYS and member) or (name == "hf_evaluate" and member is True):
                yield f"{name}: {member}"
            yield from _code_in(member, str(name))
    elif isinstance(value, list):
        for member in cast(list[Any], value):
            yield from _code_in(member, key)


def _data_files(config: Mapping[str, Any]) -> Iterator[str]:
    """What a task reads its rows from: paths relative to the folder, patterns and addresses."""
    given = config.get("dataset_kwargs")
    settings = cast(dict[str, Any], given) if isinstance(given, dict) else {}
    for value in (settings.get("data_files"), settings.get("data_dir")):
        values = cast(dict[str, Any], value).values() if isinstance(value, dict) else [value]
        for member in values:
            for name in _listed(member):
                if isinstance(name, str):
                    yield name
    path = config.get("dataset_path")
    if isinstance(path, str) and (path.startswith((".", "/", "~")) or ".." in Path(path).parts or ":" in path):
        yield path


def _refuse_outside(folder: Path, name: str, place: str) -> None:
    """Refuse a file of this machine outside of the folder. Of a pattern, the part before its first sign is checked."""
    if "::" in name or is_windows_path(name) or name.lower().startswith(_LOCAL_SCHEMES):
        what = f"{place} is an address of files on this machine, which may be outside of {folder}"
        raise AskError("ask.wrong-value", what, f"give a path relative to {folder}")
    if "://" in name:
        return
    parts = Path(name).parts
    fixed = next((number for number, part in enumerate(parts) if any(sign in part for sign in "*?[{")), len(parts))
    if ".." in parts[fixed:]:
        raise AskError("ask.wrong-value", f"{place} has '..' after a pattern", "name the folder without '..'")
    _inside(folder, folder.joinpath(*parts[:fixed]), place)
    if fixed < len(parts):
        for path in folder.glob(name) if not Path(name).is_absolute() else ():
            _inside(folder, path, place)  # a link


def _inside(folder: Path, path: Path, place: str) -> Path:
    """The real path of a file that must be in the folder."""
    real = expanded(path).resolve()
    if not real.is_relative_to(folder.resolve()):
        raise AskError(
            "ask.wrong-value",
            f"{place} is outside of {folder}, so a change of it would not be seen",
            "copy it into the folder, or give a folder that has both",
        )
    if not real.exists():
        fix = f"paths are relative to {folder}"
        raise AskError("ask.bad-reference", f"{place}: there is no {real}", fix)
    return real
