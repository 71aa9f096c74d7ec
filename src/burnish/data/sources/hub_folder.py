"""The layout of a dataset on the Hugging Face Hub: a card (`README.md`) whose head names configurations and splits."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from burnish.core.errors import DataError
from burnish.core.naming import nearest
from burnish.data.files.folder import is_hidden

_HEAD = re.compile(r"\A---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(\r?\n|\Z)", re.DOTALL)
MOST_CHARACTERS = 1_000_000


def configs(folder: Path) -> list[dict[str, Any]]:
    """The `configs` that the card's head lists; none where there is no card or no list."""
    card = folder / "README.md"
    if not card.is_file():
        return []
    with card.open(encoding="utf-8", errors="replace") as file:
        return configs_in(head_of(file.read(MOST_CHARACTERS), names_files=True))


def head_of(card: str, *, names_files: bool = False) -> dict[str, Any]:
    """The table at the head of a card; empty where there is none that can be read.

    Every value is read as a word, so that names such as 2024, 1.10 and no are as the card writes them.
    Errors: DataError `data.unreadable` for one with `configs` that cannot be read, if it `names_files` to be read.
    """
    head = _HEAD.match(card[:MOST_CHARACTERS])
    if head is None:
        return {}
    try:
        table = _table(head[1])
    except (yaml.YAMLError, RecursionError) as error:
        if names_files and re.search(r"(?m)^[\"']?configs\b", head[1]):
            why = " ".join(str(error).split())[:200]
            what = f"README.md names the files of the dataset, and its head cannot be read: {why}"
            raise DataError("data.unreadable", what, "correct it, or choose the files with data_files") from None
        return {}
    return table if isinstance(table, dict) else {}


def _table(head: str) -> Any:
    """The YAML of a head. YAMLError also for aliases, which can grow without bound."""
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    for event in yaml.parse(head, Loader=loader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"line {event.start_mark.line + 2}: aliases (*{event.anchor}) are not read")
    return yaml.load(head, Loader=loader)


def licence_in(table: dict[str, Any]) -> str | None:
    """The licence that a card names, several joined by commas; None where it names none."""
    named = table.get("license")
    names = [name for name in (named if isinstance(named, list) else [named]) if isinstance(name, str) and name]
    if names == ["other"] and isinstance(table.get("license_name"), str):
        names = [table["license_name"]]
    return ", ".join(names) or None


def configs_in(table: dict[str, Any]) -> list[dict[str, Any]]:
    """The `configs` of a card's head that name files or a folder."""
    listed = table.get("configs")
    named = [config for config in listed if isinstance(config, dict)] if isinstance(listed, list) else []
    return [config for config in named if config.get("data_files") or folder_of(config)]


def folder_of(config: dict[str, Any]) -> str:
    """The folder that a configuration's files are in, without a slash at its ends; "" for the whole dataset."""
    folder = str(config.get("data_dir") or "").removeprefix("./").strip("/")
    return "" if folder == "." else folder


def chosen(listed: list[dict[str, Any]], subset: str | None, name: str) -> dict[str, Any]:
    """The requested configuration, or the default one, or the only one. DataError `data.unreadable` otherwise."""
    table = {str(config.get("config_name", "default")): config for config in listed}
    if subset is not None:
        if subset not in table:
            raise DataError("data.unreadable", f"{name} has no subset '{subset}'", nearest(subset, table))
        return table[subset]
    for config_name, config in table.items():
        if len(table) == 1 or str(config.get("default")).lower() == "true" or config_name == "default":
            return config
    what = f"{name} has {len(table)} subsets"
    raise DataError("data.unreadable", what, f"choose one with `subset: …`: {', '.join(sorted(table))}")


def matches(pattern: str, name: str) -> bool:
    """Whether a path is that of a pattern, as the hub reads it: `*` stays within a folder, `**` does not.

    A hidden file is that of a pattern only if the pattern names something hidden.
    """
    pattern = pattern.removeprefix("./")
    return _compiled(pattern).fullmatch(name) is not None and (is_hidden(pattern) or not is_hidden(name))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts: list[str] = []
    for part in re.split(r"(\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\])", pattern):
        known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        if part in known:
            parts.append(known[part])
        elif part.startswith("[") and part.endswith("]") and len(part) > 2:
            inner = part[1:-1].replace("\\", r"\\")
            parts.append(f"[{'^' + inner[1:] if inner.startswith('!') else inner}]")
        else:
            parts.append(re.escape(part))
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error:
        return re.compile(re.escape(pattern))


def patterns(config: dict[str, Any]) -> list[tuple[str, str]]:
    """(split as the card calls it, pattern of paths) of a configuration; none if it names a folder alone."""
    files, folder = config.get("data_files") or [], folder_of(config)
    found: list[tuple[str, str]] = []
    for entry in files if isinstance(files, list) else [files]:
        split, paths = (str(entry.get("split", "train")), entry.get("path")) if isinstance(entry, dict) else ("", entry)
        listed = [str(path) for path in (paths if isinstance(paths, list) else [paths]) if path]
        found += [(split, f"{folder}/{path}" if folder else path) for path in listed]
    return found
