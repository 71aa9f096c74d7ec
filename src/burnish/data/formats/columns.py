"""One raw row while a format maps it: columns are taken by name, and the rest is kept in `extra`."""

import json
import math
from collections.abc import Mapping
from typing import Any

from burnish.data.document import Message, Row, make_row
from burnish.data.formats.media import refuse_media
from burnish.data.formats.parts import text_parts
from burnish.data.formats.tools import schemas_of, tools_of
from burnish.data.formats.transcript import is_transcript, transcribed
from burnish.data.formats.turns import TurnReader
from burnish.data.record import RowError, kind_of
from burnish.data.strict_json import decoded, parse

Raw = dict[str, Any]
BLANK_COLUMN = "the column '{}' with nothing but whitespace, left out"
"""A remark on a row."""
CONVERSATIONS = ("messages", "conversations", "conversation")
SYSTEM = ("system", "system_prompt", "systemInstruction", "system_instruction")
_TOOLS = ("tools", "functions", "toolConfig")
OPTIONAL = (*SYSTEM, *_TOOLS, "history", "input", "context")
"""Optional columns that formats take."""


class Columns:
    """The columns of one row. `roles` maps the source's names of roles to ours, before the known names."""

    def __init__(self, raw: Raw, roles: Mapping[str, str]):
        self.raw = raw
        self.extra: dict[str, Any] = {}
        self.remarks: list[str] = []
        self._roles = roles
        self._taken: set[str] = set()
        self._tools: list[dict[str, Any]] | None = None
        self._nested_tools: dict[str, Any] = {}

    def has(self, *names: str) -> bool:
        """Whether all of these columns exist and are not null."""
        return all(self.raw.get(name) is not None for name in names)

    def take(self, name: str) -> Any:
        """A column's value. RowError when the column is missing."""
        if name not in self.raw:
            raise RowError(name, f"the column '{name}' is missing")
        self._taken.add(name)
        return self.raw[name]

    def text(self, name: str, empty: bool = False, numbers: bool = False) -> str:
        """A column's text; where `numbers` may be, they are written as JSON. RowError when it is not text, or empty."""
        value = self.take(name)
        if value is None and empty:
            return ""
        if numbers and isinstance(value, int | float) and math.isfinite(value):
            value = json.dumps(value)
        if not isinstance(value, str):
            raise RowError(name, f"the column must be a text, not {kind_of(value)}")
        if not value.strip() and not empty:
            raise RowError(name, "the text is empty")
        return value

    def turns(self, name: str) -> list[Message]:
        """A column of turns: a list, itself or as JSON text (as in CSV), or one object for a list of one."""
        if not self.has(name):
            raise RowError(name, f"the column '{name}' is missing")
        return self.turns_of(self.take(name), name)

    def turns_of(self, value: Any, field: str) -> list[Message]:
        """The turns of a value; unmapped keys of a turn go to `extra` under their dotted path."""
        if isinstance(value, str):
            value = decoded(value, field)
        listed = [value] if isinstance(value, dict) else value
        if not isinstance(listed, list):
            raise RowError(field, f"the column must be a list of turns, not {kind_of(value)}")
        schemas = schemas_of(self._all_tools() or [])
        return TurnReader(self._roles, schemas, self.extra, self.remarks).read(listed, field)

    def turns_from(self, name: str, role: str) -> list[Message]:
        """The turns of a column that holds a text of `role`, a transcript, or a list of turns."""
        value = self.raw.get(name)
        if isinstance(value, list | dict) or is_turns(value):
            return self.turns(name)
        text = self.text(name, numbers=True)
        return transcribed(text, name) if is_transcript(text) else [{"role": role, "content": text}]

    def conversation(self) -> list[Message]:
        """The turns of the first conversation column that exists; empty without one."""
        name = next((name for name in CONVERSATIONS if is_turns(self.raw.get(name))), None)
        return self.turns(name) if name is not None else []

    def history(self) -> list[Message]:
        """Earlier turns from a `history` column: a list of [question, answer], or of turns."""
        value = self.take("history") if self.has("history") else ""
        if value == "":
            return []
        listed = decoded(value, "history") if isinstance(value, str) else value
        if not isinstance(listed, list):
            raise RowError("history", "must be a list of [question, answer]")
        if listed and isinstance(listed[0], dict):
            return self.turns_of(listed, "history")
        messages: list[Message] = []
        for i, pair in enumerate(listed):
            if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
                raise RowError(f"history.{i}", "must be [question, answer]")
            messages += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
        return messages

    def within(self, name: str, mapped: tuple[str, ...]) -> dict[str, Any]:
        """A column that is an object: its other keys go to `extra` as `name.key`, its tools count as the row's."""
        value = self.take(name)
        if not isinstance(value, dict):
            raise RowError(name, f"the column must be an object, not {kind_of(value)}")
        for key, rest in value.items():
            if key in _TOOLS:
                self._nested_tools |= {f"{name}.{key}": rest} if rest is not None else {}
            elif key not in mapped and rest is not None:
                self.extra[f"{name}.{key}"] = rest
        return value

    def row(self, source: str, kind: str, **content: Any) -> Row:
        """The canonical row, with the system prompt, tools and tag from their columns, and the rest as extra."""
        if "messages" in content:
            content["messages"] = self._with_system(content["messages"])
            content["tools"] = self._all_tools()
        refuse_media(self.raw, content)
        tag = self.raw.get("tag")
        if isinstance(tag, str):
            self._taken.add("tag")
            content["tag"] = tag or None
        rest = {name: value for name, value in self.raw.items() if name not in self._taken and value is not None}
        if twice := rest.keys() & self.extra.keys():
            raise RowError(min(twice), "a column has the name of a key inside another: rename it")
        return make_row(kind, source, **content, extra=rest | self.extra)

    def _with_system(self, messages: list[Message]) -> list[Message]:
        """The messages with the system prompt of its column before them; two different prompts are an error."""
        system = ""
        for name in SYSTEM:
            if not self.has(name):
                continue
            said = text_parts(self.take(name), name, self.extra)
            if said.strip() and system and said != system:
                raise RowError(name, "two columns have different system prompts")
            if said and not said.strip():
                self.remarks.append(BLANK_COLUMN.format(name))
            system = said if said.strip() else system
        if not system:
            return messages
        if messages and messages[0]["role"] == "system":
            if messages[0]["content"] != system:
                raise RowError("system", "the column and the first turn have different system prompts")
            return messages
        return [{"role": "system", "content": system}, *messages]

    def _all_tools(self) -> list[dict[str, Any]] | None:
        if self._tools is None:
            described = {name: self.take(name) for name in _TOOLS if self.has(name)}
            self._tools = tools_of(described | self._nested_tools, self.extra, self.remarks)
        return self._tools or None


def is_turns(value: Any) -> bool:
    """A list of turns in one of the known ways, itself or as JSON text."""
    if isinstance(value, str):
        if not value.lstrip().startswith("[{") or not ('"role"' in value or '"from"' in value):
            return False
        try:
            value = parse(value)
        except RowError:
            return False
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return False
    return TurnReader.looks_like_a_turn(value[0])


def is_content(value: Any) -> bool:
    """A text, a number, or turns."""
    return isinstance(value, str | int | float) or is_turns(value)
