"""LLaMA-Factory's `dataset_info.json`: which files a name stands for, and how their columns and roles are called."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from burnish.core.errors import DataError
from burnish.core.naming import nearest

FILE = "dataset_info.json"
Adapt = Callable[[dict[str, Any]], dict[str, Any]]
_ALPACA = {"prompt": "instruction", "query": "input", "response": "output", "history": "history"}
_SHARED = {"system": "system", "tools": "tools", "chosen": "chosen", "rejected": "rejected", "kto_tag": "kto_tag"}
_ROLES = {
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
_UNREAD = ("script_url", "cloud_file_name", "ms_hub_url", "om_hub_url")
_MOST_BYTES = 4 * 1024 * 1024


def entries(folder: Path) -> dict[str, dict[str, Any]] | None:
    """The table of a folder, or None when it has none (`datasets` writes files of that name for its own use)."""
    path = folder / FILE
    if not path.is_file():
        return None
    if path.stat().st_size > _MOST_BYTES:
        raise DataError("data.unreadable", f"{path.name} has more than {_MOST_BYTES:,} bytes", "check the file")
    try:
        table = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError("data.unreadable", f"{path.name} is no valid JSON: {error}", "mend the file") from None
    sources = ("file_name", "hf_hub_url", *_UNREAD)
    described = isinstance(table, dict) and bool(table) and all(isinstance(entry, dict) for entry in table.values())
    return table if described and any(key in entry for entry in table.values() for key in sources) else None


def chosen(table: dict[str, dict[str, Any]], subset: str | None, name: str) -> dict[str, Any]:
    """The entry to read: the one asked for, or the only one. DataError `data.unreadable` otherwise."""
    if subset is None:
        if len(table) == 1:
            return next(iter(table.values()))
        what = f"{name}/{FILE} describes {len(table)} datasets"
        raise DataError("data.unreadable", what, f"say which with `subset: …`: {', '.join(sorted(table))}")
    if subset not in table:
        raise DataError("data.unreadable", f"{name}/{FILE} has no dataset '{subset}'", nearest(subset, table))
    return table[subset]


def file_name(entry: dict[str, Any]) -> str:
    """The file or folder that an entry names, not yet checked to lie inside."""
    name = entry.get("file_name")
    if isinstance(name, str) and name:
        return name
    if "hf_hub_url" in entry:
        fix = f"write it as the source: `hub:{entry['hf_hub_url']}`"
    else:
        fix = "fetch it, and name its file with `file_name`"
    raise DataError("data.unreadable", f"the dataset of {FILE} is not in the folder", fix)


def adapter(entry: dict[str, Any]) -> Adapt:
    """Rename an entry's columns, and its turns' keys and roles, to those that the formats know."""
    columns, tags = entry.get("columns") or {}, entry.get("tags") or {}
    is_chat = entry.get("formatting", "alpaca") in ("sharegpt", "openai")
    names = _SHARED | ({"messages": "conversations"} if is_chat else _ALPACA)
    ours = {theirs: names[key] for key, theirs in columns.items() if key in names and isinstance(theirs, str)}
    role_key, text_key = tags.get("role_tag", "from"), tags.get("content_tag", "value")
    roles = {tags[tag]: ours_ for tag, ours_ in _ROLES.items() if isinstance(tags.get(tag), str)}

    def turn(value: Any) -> Any:
        if not isinstance(value, dict) or role_key not in value:
            return value
        rest = {key: child for key, child in value.items() if key not in (role_key, text_key)}
        role = value[role_key]
        return {"from": roles.get(role, role) if isinstance(role, str) else role, "value": value.get(text_key), **rest}

    def adapt(raw: dict[str, Any]) -> dict[str, Any]:
        renamed: dict[str, Any] = {}
        for key, value in raw.items():
            taken = key not in ours and key in ours.values()  # another column is described as this one
            renamed[f"other_{key}" if taken else ours.get(key, key)] = value
        for key in ("conversations", "chosen", "rejected") if is_chat else ():
            value = renamed.get(key)
            if isinstance(value, list):
                renamed[key] = [turn(child) for child in value]
            elif isinstance(value, dict):
                renamed[key] = turn(value)
        return renamed

    return adapt
