"""The turns of a conversation, read from either of the two ways people write them: role/content and from/value."""

import json
import math
from typing import Any

from burnish.data.document import Message
from burnish.data.formats.format import Raw
from burnish.data.record import RowError, kind_of
from burnish.data.strict_json import parse

ROLE_OF = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "function_call": "function_call",
    "tool_call": "function_call",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "ipython": "tool",
}
_REASONING = ("reasoning_content", "reasoning", "thinking")
_WEIGHTS = ("loss_weight", "weight", "train")
_TEXT_PARTS = ("text", "input_text", "output_text")
_MAPPED = {
    *("role", "from", "content", "value", "tool_calls", "function_call", "name", "tool_call_id"),
    *_REASONING,
    *_WEIGHTS,
}


def turns(value: list[Any], field: str, extra: dict[str, Any]) -> list[Message]:
    """Canonical messages. Keys of a turn that nothing maps are put into `extra` under their dotted path."""
    if not value:
        raise RowError(field, "there are no turns")
    messages = []
    for i, turn in enumerate(value):
        path = f"{field}.{i}"
        if not isinstance(turn, dict):
            raise RowError(path, f"a turn must be an object, not {kind_of(turn)}")
        messages.append(_turn(turn, path))
        for key, rest in turn.items():
            if key not in _MAPPED and rest is not None:
                extra[f"{path}.{key}"] = rest
    return messages


def list_of(raw: Raw, column: str) -> list[Any]:
    """A column that holds a list, itself or spelled as JSON (as CSV must), or one object for a list of one."""
    if raw.get(column) is None:
        raise RowError(column, f"the column '{column}' is missing")
    value = decoded(raw[column], column) if isinstance(raw[column], str) else raw[column]
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise RowError(column, f"the column must be a list of turns, not {kind_of(value)}")
    return value


def decoded(text: str, field: str) -> Any:
    """The value that a text spells as JSON."""
    try:
        return parse(text)
    except RowError as error:
        raise RowError(field, f"the text is {error.reason}") from None


def system_of(raw: Raw) -> str:
    """The system prompt of a `system` column."""
    system = raw.get("system")
    if system is not None and not isinstance(system, str):
        raise RowError("system", f"the system prompt must be a text, not {kind_of(system)}")
    return system or ""


def with_system(system: str, messages: list[Message]) -> list[Message]:
    """The messages after the system prompt of a column of its own; two different prompts are an error."""
    if not system.strip():
        return messages
    if messages and messages[0]["role"] == "system":
        if messages[0]["content"] != system:
            raise RowError("system", "the column and the first turn are two different system prompts")
        return messages
    return [{"role": "system", "content": system}, *messages]


def tools_of(value: Any) -> list[dict[str, Any]] | None:
    """Tool descriptions from a list, one object, or JSON text; bare functions get their `type`."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        value = decoded(value, "tools")
    listed = [value] if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise RowError("tools", f"tools must be a list, not {kind_of(value)}")
    tools = []
    for i, tool in enumerate(listed):
        described = tool.get("function", tool) if isinstance(tool, dict) else None
        if not isinstance(described, dict) or not isinstance(described.get("name"), str):
            raise RowError(f"tools.{i}", "a tool needs a name")
        tools.append(tool if "function" in tool else {"type": "function", "function": tool})
    return tools or None


def _turn(turn: dict[str, Any], path: str) -> Message:
    role_key, content_key = ("role", "content") if "role" in turn else ("from", "value")
    written = turn.get(role_key)
    if not isinstance(written, str) or written not in ROLE_OF:
        known = ", ".join(ROLE_OF)
        raise RowError(f"{path}.{role_key}", f"the role {written!r:.60} is unknown (known: {known})")
    role = ROLE_OF[written]
    if role == "function_call":
        content, thought = "", ""
        calls = _calls(_call_list(turn.get(content_key), f"{path}.{content_key}"), f"{path}.{content_key}")
    else:
        calls = _written_calls(turn, path)
        content, thought = _content(turn.get(content_key), f"{path}.{content_key}", role, bool(calls))
    message: Message = {"role": "assistant" if role == "function_call" else role, "content": content}
    for key in _REASONING:
        if turn.get(key):
            if not isinstance(turn[key], str):
                raise RowError(f"{path}.{key}", "reasoning must be a text")
            thought = turn[key]
    if thought:
        if message["role"] != "assistant":
            raise RowError(path, f"a {role} turn cannot hold reasoning")
        message["reasoning_content"] = thought
    if calls:
        message["tool_calls"] = calls
    for key in ("name", "tool_call_id"):
        if turn.get(key) is not None:
            if not isinstance(turn[key], str):
                raise RowError(f"{path}.{key}", "must be a text")
            message[key] = turn[key]
    weight = _weight(turn, path)
    if weight is not None:
        message["weight"] = weight
    return message


def _content(value: Any, path: str, role: str, calls: bool) -> tuple[str, str]:
    """(text, reasoning) of a content: a text, typed parts joined, or nothing where tools are called."""
    if isinstance(value, str):
        return value, ""
    if value is None and calls:
        return "", ""
    if role == "tool" and isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False), ""
    if isinstance(value, list):
        if role == "tool" and not all(isinstance(part, dict) and "type" in part for part in value):
            return json.dumps(value, ensure_ascii=False), ""
        return _parts(value, path)
    raise RowError(path, f"the content must be a text, not {kind_of(value)}")


def _parts(parts: list[Any], path: str) -> tuple[str, str]:
    texts, thoughts = [], []
    for i, part in enumerate(parts):
        kind = part.get("type", "text") if isinstance(part, dict) else "text"
        if kind in ("thinking", "reasoning"):
            text, into = part.get(kind, part.get("text")), thoughts
        elif kind in _TEXT_PARTS:
            text, into = part.get("text") if isinstance(part, dict) else part, texts
        else:
            raise RowError(f"{path}.{i}", f"a part of type '{kind}' is no text: only text is trained on")
        if not isinstance(text, str):
            raise RowError(f"{path}.{i}", "the part holds no text")
        into.append(text)
    return "".join(texts), "".join(thoughts)


def _written_calls(turn: dict[str, Any], path: str) -> list[dict[str, Any]]:
    value, key = turn.get("tool_calls"), "tool_calls"
    if not value and turn.get("function_call"):
        value, key = turn["function_call"], "function_call"
    return _calls(_call_list(value, f"{path}.{key}"), f"{path}.{key}") if value else []


def _call_list(value: Any, path: str) -> list[Any]:
    if isinstance(value, str):
        value = decoded(value, path)
    listed = [value] if isinstance(value, dict) else value
    if not isinstance(listed, list) or not listed:
        raise RowError(path, "a tool call must be an object with name and arguments, or a list of them")
    return listed


def _calls(listed: list[Any], path: str) -> list[dict[str, Any]]:
    calls = []
    for i, call in enumerate(listed):
        function = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
            raise RowError(f"{path}.{i}.name", "a tool call needs a name")
        arguments = _arguments(function.get("arguments", function.get("parameters")), f"{path}.{i}.arguments")
        canonical: dict[str, Any] = {"id": call["id"]} if isinstance(call.get("id"), str) else {}
        canonical |= {"type": "function", "function": {"name": function["name"], "arguments": arguments}}
        calls.append(canonical)
    return calls


def _arguments(value: Any, path: str) -> str:
    """Arguments as JSON text: a text is kept letter by letter, an object is spelled with its keys in their order."""
    if value is None or value == "":
        return "{}"
    if not isinstance(value, str):
        if not isinstance(value, dict):
            raise RowError(path, f"arguments must be an object, not {kind_of(value)}")
        return json.dumps(value, ensure_ascii=False)
    if not isinstance(decoded(value, path), dict):
        raise RowError(path, "arguments must spell a JSON object")
    return value


def _weight(turn: dict[str, Any], path: str) -> float | None:
    for key in _WEIGHTS:
        value = turn.get(key)
        if value is None:
            continue
        if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise RowError(f"{path}.{key}", "must be true, false, or a number of 0 or more")
        return float(value)
    return None
