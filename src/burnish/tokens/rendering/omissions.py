"""Count the parts of a row that its rendered texts omit, so that no template drops content silently.

Texts, arguments and tool schemas are searched for in the rendered text. Names and ids often occur elsewhere in a row
by chance, so whether a template renders them is tested once with an example.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from burnish.core.errors import BurnishError
from burnish.tokens.templates.conversation import as_object
from burnish.tokens.templates.dialect import ASK, CALL_MESSAGE, REPLY, TOOL_MESSAGE, Dialect, make_message

Messages = Sequence[Mapping[str, Any]]
Tools = Sequence[Mapping[str, Any]] | None
_NAME, _ID = "qzname", "qzcall009"


class Omissions:
    """Counts omissions of one template."""

    def __init__(self, dialect: Dialect):
        self._dialect = dialect
        self._shown: dict[tuple[str, str], bool] = {}

    def count(self, texts: Sequence[str], messages: Messages, tools: Tools) -> Counter[str]:
        """The number of messages, calls and rows with a part that is missing from all `texts`, by keys of COUNTED."""
        missing: Counter[str] = Counter()
        present: list[str] = []
        for message in messages:
            for kind, string in _strings(message):
                if not _appears(string, texts):
                    missing[kind] += 1
                elif kind == "content_left_out":
                    present.append(string)
            for kind, field in (("names_left_out", "name"), ("call_ids_left_out", "tool_call_id")):
                if message.get(field) and not self._shows(message["role"], field):
                    missing[kind] += 1
            for call in message.get("tool_calls") or ():
                missing["calls_left_out"] += not all(_appears(leaf, texts) for leaf in _leaves_of_call(call))
                missing["call_ids_left_out"] += bool(call.get("id")) and not self._shows("assistant", "id")
        missing["content_left_out"] += _hidden_duplicates(present, texts)
        if tools and not all(_appears(leaf, texts) for tool in tools for leaf in _leaves_of_tool(tool)):
            missing["tools_left_out"] += 1
        return +missing

    def _shows(self, role: str, field: str) -> bool:
        """Whether the template renders a field of messages with a role; True if it refuses the example."""
        if (role, field) not in self._shown:
            messages, wanted = _example(role, field)
            try:
                self._shown[role, field] = wanted in self._dialect.trace(messages).text
            except BurnishError:
                self._shown[role, field] = True
        return self._shown[role, field]


def _strings(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for kind, field in (("content_left_out", "content"), ("thinking_left_out", "reasoning_content")):
        text = message.get(field)
        if isinstance(text, str) and (text := text.strip()):
            yield kind, text


def _appears(string: str, texts: Sequence[str]) -> bool:
    """Whether one of the texts contains a string: verbatim, JSON-encoded, or in parts."""
    if any(string in text for text in texts):
        return True
    return any(all(part in text for part in parts) for text in texts for parts in _encodings(string))


def _encodings(string: str) -> Iterator[list[str]]:
    """Other ways a template may write a string, each as a list of parts that the text must contain."""
    yield [json.dumps(string, ensure_ascii=False)[1:-1]]
    yield [json.dumps(string)[1:-1]]
    if "\n" in string:
        yield [line.strip() for line in string.splitlines()]
    leaves = list(_leaves(as_object(string))) if string[:1] == "{" else []
    if leaves:
        yield leaves


def _hidden_duplicates(strings: list[str], texts: Sequence[str]) -> int:
    """The number of strings that are found only as part of another string."""
    if len(strings) < 2:
        return 0
    together, hidden = "\0".join(strings), 0
    for string, count in Counter(strings).items():
        lacking = together.count(string) - max(text.count(string) for text in texts)
        if any(string in text for text in texts):
            hidden += min(count, max(lacking, 0))
    return hidden


def _leaves_of_call(call: Mapping[str, Any]) -> Iterator[str]:
    yield call["function"]["name"]
    arguments = as_object(call["function"].get("arguments", "{}"))
    yield from _leaves(arguments)


def _leaves_of_tool(tool: Mapping[str, Any]) -> Iterator[str]:
    """The author's strings in a tool: names, descriptions, values; no keywords of JSON Schema."""
    function = tool.get("function", tool)
    yield from (function[key].strip() for key in ("name", "description") if isinstance(function.get(key), str))
    yield from _leaves_of_schema(function.get("parameters"))


def _leaves_of_schema(schema: Any) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
            for name, child in value.items():
                yield name
                yield from _leaves_of_schema(child)
        elif isinstance(value, Mapping):
            yield from _leaves_of_schema(value)
        elif isinstance(value, list) and key not in ("required", "type"):
            for item in value:
                yield from _leaves_of_schema(item) if isinstance(item, Mapping) else _leaves(item)
        elif key not in ("type", "$ref", "required"):
            yield from _leaves(value)


def _leaves(value: Any) -> Iterator[str]:
    """Keys, strings and numbers of a JSON value; true, false and null have many spellings."""
    if isinstance(value, str):
        if value.strip():
            yield value.strip()
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)


def _example(role: str, field: str) -> tuple[list[dict[str, Any]], str]:
    """A conversation in which a message of the role has the field, and the field's value."""
    user, reply = make_message("user", ASK), make_message("assistant", REPLY)
    match role, field:
        case _, "id":
            return [user, CALL_MESSAGE], CALL_MESSAGE["tool_calls"][0]["id"]
        case "tool", "name":
            return [user, CALL_MESSAGE, {**TOOL_MESSAGE, "name": _NAME}], _NAME
        case "tool", _:
            call = {**CALL_MESSAGE["tool_calls"][0]}
            return [user, {**CALL_MESSAGE, "tool_calls": [{**call, "id": ""}]}, {**TOOL_MESSAGE, field: _ID}], _ID
        case "assistant", _:
            return [user, {**reply, field: _NAME}], _NAME
        case "system", _:
            return [make_message("system", "qzsystem", **{field: _NAME}), user, reply], _NAME
        case _:
            return [{**user, field: _NAME}, reply], _NAME
