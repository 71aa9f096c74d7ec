"""LLaMA-Factory's `dataset_info.json`: the files of each dataset, and the names of their columns and roles.

Every key that its documentation names is supported, or refused with an alternative; an unknown one is an error.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.errors import DataError
from burnish.core.naming import nearest
from burnish.data.formats import COLUMNS
from burnish.data.formats.media import MEDIA

FILE = "dataset_info.json"
_SHARED = {name: name for name in ("system", "tools", "chosen", "rejected", "kto_tag", "images", "videos", "audios")}
_ALPACA = {"prompt": "instruction", "query": "input", "response": "output", "history": "history"} | _SHARED
_CHAT = {"messages": "conversations"} | _SHARED
_ALPACA_DEFAULTS = {"prompt": "instruction", "query": "input", "response": "output"}
_CHAT_DEFAULTS = {"messages": "conversations"}
_ROLES = {
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
_KEYS_OF_TURNS = {"role_tag": "from", "content_tag": "value"}
_FORMATTINGS = ("alpaca", "sharegpt", "openai")
_ELSEWHERE = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
_REFUSED = {
    "num_samples": "remove it, and write `take: …` at the source of `prepare`",
    "subset": "remove it: it chooses a part of a hub dataset, and the file is read whole",
    "folder": "remove it, and write the folder into `file_name`",
}
_ENTRY = ("file_name", "formatting", "ranking", "columns", "tags", "split", *_ELSEWHERE, *_REFUSED)
_MOST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Adapt:
    """Renames an entry's columns, and its turns' keys and roles, to those that the formats know.

    A column that the entry does not name enters no prompt: where a format would take it, it is called `other_…`.
    """

    columns: Mapping[str, str]
    """The columns that the entry names, `{theirs: ours}`."""
    defaults: Mapping[str, str]
    """Those that apply where it names none."""
    role_key: str = "from"
    text_key: str = "value"
    roles: Mapping[str, str] | None = None

    def __call__(self, raw: dict[str, Any]) -> dict[str, Any]:
        ours = self.columns or self.defaults
        if not self.columns and next(iter(ours)) not in raw:
            return raw  # neither named nor the default: the layout is detected
        renamed: dict[str, Any] = {}
        for key, value in raw.items():
            name = ours.get(key)
            if name is None:
                name = f"other_{key}" if key in COLUMNS and key not in MEDIA else key
            renamed[name] = value
        if self.roles is not None:
            for key in ("conversations", "chosen", "rejected"):
                if isinstance(value := renamed.get(key), list | dict):
                    renamed[key] = (
                        [self._turn(child) for child in value] if isinstance(value, list) else self._turn(value)
                    )
        return renamed

    def _turn(self, value: Any) -> Any:
        if not isinstance(value, dict) or self.role_key not in value:
            return value
        turn = {"from": value[self.role_key], "value": value.get(self.text_key)}
        if isinstance(turn["from"], str) and self.roles is not None:
            turn["from"] = self.roles.get(turn["from"], turn["from"])
        rest = {key: child for key, child in value.items() if key not in (self.role_key, self.text_key)}
        return turn | {f"other_{key}" if key in turn else key: child for key, child in rest.items()}


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
        raise DataError("data.unreadable", f"{path.name} is not valid JSON: {error}", "correct the file") from None
    described = isinstance(table, dict) and bool(table) and all(isinstance(entry, dict) for entry in table.values())
    sources = ("file_name", *_ELSEWHERE)
    return table if described and any(key in entry for entry in table.values() for key in sources) else None


def chosen(table: dict[str, dict[str, Any]], subset: str | None, name: str) -> dict[str, Any]:
    """The entry to read: the one requested, or the only one. DataError `data.unreadable` otherwise."""
    if subset is None:
        if len(table) == 1:
            return next(iter(table.values()))
        what = f"{name}/{FILE} describes {len(table)} datasets"
        raise DataError("data.unreadable", what, f"choose one with `subset: …`: {', '.join(sorted(table))}")
    if subset not in table:
        raise DataError("data.unreadable", f"{name}/{FILE} has no dataset '{subset}'", nearest(subset, table))
    return table[subset]


def file_name(entry: dict[str, Any]) -> str:
    """The file or folder that an entry names, not yet checked to lie inside."""
    name = entry.get("file_name")
    elsewhere = next((key for key in _ELSEWHERE if entry.get(key) is not None), None)
    if elsewhere is None and isinstance(name, str) and name:
        return name
    if elsewhere == "hf_hub_url":
        fix = f"write it as the source: `hub:{entry[elsewhere]}`"
        fix += f" with `subset: {entry['subset']}`" if entry.get("subset") else ""
    else:
        fix = "fetch it, and name its file with `file_name`"
    if name and elsewhere is not None:
        what = f"an entry of {FILE} names both '{elsewhere}' and 'file_name', and LLaMA-Factory would take the former"
        raise DataError("data.unreadable", what, f"{fix}; or remove '{elsewhere}' to read the file")
    raise DataError("data.unreadable", f"the dataset of {FILE} is not in the folder", fix)


def adapter(entry: dict[str, Any]) -> Adapt:
    """How an entry's rows become those that the formats know. DataError `data.unreadable` names a wrong key."""
    _known(entry, _ENTRY, "an entry")
    for key, fix in _REFUSED.items():
        if entry.get(key) is not None:
            raise _error(f"'{key}' is not supported", fix)
    if entry.get("split") not in (None, "train"):
        raise _error(f"split '{entry['split']}' is not supported: a file has one split", "name its file instead")
    formatting = entry.get("formatting", "alpaca")
    if formatting not in _FORMATTINGS:
        raise _error(f"the formatting {formatting!r} is unknown", nearest(str(formatting), _FORMATTINGS))
    is_chat = formatting != "alpaca"
    columns, tags = _texts(entry, "columns"), _texts(entry, "tags")
    names = _CHAT if is_chat else _ALPACA
    _known(columns, {**_ALPACA, **_CHAT}, "columns")
    for key in columns:
        if key not in names:
            fix = f"name one of {', '.join(names)}, or set another `formatting`"
            raise _error(f"the formatting '{formatting}' has no column '{key}'", fix)
    _known(tags, (*_KEYS_OF_TURNS, *_ROLES), "tags")
    if tags and not is_chat:
        raise _error("'tags' belong to the formatting 'sharegpt', and this is 'alpaca'", "set `formatting: sharegpt`")
    _check_ranking(entry, columns)
    if not is_chat and "prompt" in columns and not columns.keys() & {"response", "chosen"}:
        names = names | {"prompt": "text"}  # pretraining: the only text there is
    ours = {theirs: names[key] for key, theirs in columns.items()}
    if len(ours) < len(columns):
        raise _error("one column is named twice in 'columns'", "name each column once")
    roles = {tags[tag]: role for tag, role in _ROLES.items() if tag in tags}
    defaults = _CHAT_DEFAULTS if is_chat else _ALPACA_DEFAULTS
    role_key, text_key = (tags.get(tag, key) for tag, key in _KEYS_OF_TURNS.items())
    return Adapt(ours, {ours_: ours_ for ours_ in defaults.values()}, role_key, text_key, roles if is_chat else None)


def _check_ranking(entry: dict[str, Any], columns: Mapping[str, str]) -> None:
    ranking = entry.get("ranking", False)
    if not isinstance(ranking, bool):
        raise _error(f"'ranking' must be true or false, not {ranking!r:.40}", "correct it")
    ranked = columns.keys() & {"chosen", "rejected"}
    if ranking and len(ranked) < 2:
        raise _error("'ranking' is true, and 'columns' does not name both 'chosen' and 'rejected'", "name both")
    if ranked and not ranking:
        raise _error(f"'columns' names '{min(ranked)}', and 'ranking' is not true", "set `ranking: true`")


def _texts(entry: dict[str, Any], key: str) -> dict[str, str]:
    value = entry.get(key) or {}
    if not isinstance(value, dict):
        raise _error(f"'{key}' must be an object", "correct it")
    for name, text in value.items():
        if text is not None and not isinstance(text, str):
            raise _error(f"'{key}.{name}' must be a text", "correct it")
    return {name: text for name, text in value.items() if text is not None}


def _known(given: Mapping[str, Any], known: Mapping[str, Any] | tuple[str, ...], where: str) -> None:
    for key in given:
        if key not in known:
            raise _error(f"the key '{key}' of {where} is unknown", f"{nearest(key, known)} correct it, or remove it")


def _error(what: str, fix: str) -> DataError:
    return DataError("data.unreadable", f"{FILE}: {what}", fix)
