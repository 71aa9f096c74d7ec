"""The layout of a dataset on the Hugging Face Hub: a card (`README.md`) whose head names configurations and splits."""

import re
from pathlib import Path
from typing import Any

import yaml

from burnish.core.errors import DataError
from burnish.core.naming import nearest

_HEAD = re.compile(r"\A---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(\r?\n|\Z)", re.DOTALL)
_MOST_CHARACTERS = 1_000_000


def configs(folder: Path) -> list[dict[str, Any]]:
    """The `configs` that the card's head lists; none where there is no card or no list.

    Every value is read as a word, so that names such as 2024, 1.10 and no are as the card writes them.
    """
    card = folder / "README.md"
    if not card.is_file():
        return []
    with card.open(encoding="utf-8", errors="replace") as file:
        head = _HEAD.match(file.read(_MOST_CHARACTERS))
    if head is None:
        return []
    if re.search(r"(?m)(^|[\s\[{,:-])[&*][\w-]", head[1]):
        return []  # anchors and aliases can grow without bound, and cards have no use for them
    try:
        table = yaml.load(head[1], Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except (yaml.YAMLError, RecursionError):
        return []
    listed = table.get("configs") if isinstance(table, dict) else None
    named = [config for config in listed if isinstance(config, dict)] if isinstance(listed, list) else []
    return [config for config in named if config.get("data_files")]


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


def patterns(config: dict[str, Any]) -> list[tuple[str, str]]:
    """(split as the card calls it, pattern of paths) of a configuration."""
    files = config["data_files"]
    found: list[tuple[str, str]] = []
    for entry in files if isinstance(files, list) else [files]:
        split, paths = (str(entry.get("split", "train")), entry.get("path")) if isinstance(entry, dict) else ("", entry)
        found += [(split, str(path)) for path in (paths if isinstance(paths, list) else [paths]) if path]
    return found
