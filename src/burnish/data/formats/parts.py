"""Typed parts of a turn's content: text, thoughts, tool calls and tool results, as the vendors of models write them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from burnish.data.formats.rest import keep_rest
from burnish.data.record import RowError, kind_of
from burnish.data.strict_json import decoded

WEIGHTS = ("loss_weight", "weight", "train", "training")
_TEXT = ("text", "input_text", "output_text")
_THOUGHTS = ("thinking", "reasoning", "thought")
_TEXT_KEYS = ("text", "value")
_TYPED = (*_TEXT, *_THOUGHTS, "refusal", "tool_use", "tool_call", "tool_result", "input_image", "input_audio", "file")
_UNTYPED = {
    "toolUse": "tool_use",
    "toolResult": "tool_result",
    "functionCall": "functionCall",
    "functionResponse": "functionResponse",
    "reasoningContent": "reasoningContent",
    "json": "json",
    "text": "text",
}


@dataclass
class Result:
    """The result of a tool."""

    content: str
    call_id: str | None = None
    name: str | None = None


@dataclass
class Parts:
    """The parts of one turn, in their order within each kind."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)


def is_part(value: Any) -> bool:
    """Whether an object has a type that vendors use for parts, and is not data with a `type` key."""
    kind = value.get("type") if isinstance(value, dict) else None
    return isinstance(kind, str) and (kind in _TYPED or kind.partition("_")[0] in ("image", "audio", "video"))


def text_parts(value: Any, path: str, extra: dict[str, Any]) -> str:
    """The text of a system prompt: a text, a list of text parts, or an object that holds either."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        held = next((key for key in ("parts", "content") if value.get(key) is not None), None)
        if held is not None:
            keep_rest(value, {held, "role"}, path, extra)
            return text_parts(value[held], f"{path}.{held}", extra)
    if not isinstance(value, list | dict):
        raise RowError(path, f"the system prompt must be a text, not {kind_of(value)}")
    found = read_parts(value if isinstance(value, list) else [value], path, extra)
    if found.thoughts or found.calls or found.results:
        raise RowError(path, "a system prompt must be text alone")
    return "".join(found.texts)


def read_parts(parts: list[Any], path: str, extra: dict[str, Any]) -> Parts:
    """Sort the parts by kind. Unmapped keys go to `extra`; RowError names a part that is not text."""
    found = Parts()
    for i, part in enumerate(parts):
        here = f"{path}.{i}"
        if isinstance(part, str):
            part = {"type": "text", "text": part}
        if not isinstance(part, dict):
            raise RowError(here, f"a part must be an object or a text, not {kind_of(part)}")
        if found.calls and _kind(part) in (*_TEXT, *_THOUGHTS):
            raise RowError(here, "there is text after a tool call in one turn: write it as a turn of its own")
        for key in WEIGHTS:
            if isinstance(part.get(key), int | float) and part[key] != 1:
                raise RowError(f"{here}.{key}", "a part cannot be weighted: weight whole turns with `weight`")
        used = _read(part, here, found, extra)
        keep_rest(part, used, here, extra)
    return found


def _kind(part: dict[str, Any]) -> str:
    kind = part.get("type")
    if kind is None:
        kind = next((kind for key, kind in _UNTYPED.items() if part.get(key) is not None), None)
    if kind is None:
        return next((key for key, value in part.items() if value is not None), "empty")
    return kind if isinstance(kind, str) else repr(kind)


def _read(part: dict[str, Any], path: str, found: Parts, extra: dict[str, Any]) -> set[str]:
    """Read one part into `found`; the keys that were read."""
    kind = _kind(part)
    if kind in _TEXT:
        into = found.thoughts if part.get("thought") is True else found.texts
        used = _text_of(part, path, _TEXT_KEYS, into)
        return {"thought", *used} if isinstance(part.get("thought"), bool) else used
    if kind in _THOUGHTS:
        return _text_of(part, path, (kind, *_TEXT_KEYS), found.thoughts)
    if kind == "refusal":
        return _text_of(part, path, ("refusal",), found.texts)
    if kind == "reasoningContent":
        value = part[kind]
        inner = value.get("reasoningText") if isinstance(value, dict) else None
        if not isinstance(inner, dict):
            raise RowError(path, "the part holds no text")
        keep_rest(inner, _text_of(inner, path, ("text",), found.thoughts), path, extra)
        keep_rest(value, {"reasoningText"}, path, extra)
        return {"type", kind}
    if kind == "tool_call" and "value" in part:
        value = decoded(part["value"], path) if isinstance(part["value"], str) else part["value"]
        found.calls += value if isinstance(value, list) else [value]
        return {"type", "value"}
    if kind in ("tool_use", "tool_call"):
        key = "toolUse" if "toolUse" in part else None
        value = part[key] if key else {name: rest for name, rest in part.items() if name != "type"}
        found.calls.append(value)
        return {"type", key} if key else set(part)
    if kind == "functionCall":
        found.calls.append(part[kind])
        return {"type", kind}
    if kind == "functionResponse":
        found.results.append(_response(part[kind], path, extra))
        return {"type", kind}
    if kind == "tool_result":
        key = "toolResult" if "toolResult" in part else None
        found.results.append(_result(part[key] if key else part, path, extra))
        return {"type", key} if key else set(part)
    raise RowError(path, f"a part of type '{kind}' is not text: only text is trained on")


def _text_of(part: Mapping[str, Any], path: str, keys: tuple[str, ...], into: list[str]) -> set[str]:
    key = next((key for key in keys if part.get(key) is not None), None)
    if key is None or not isinstance(part[key], str):
        raise RowError(path, "the part holds no text")
    into.append(part[key])
    return {"type", key}


def _result(value: Any, path: str, extra: dict[str, Any]) -> Result:
    """A tool's result: its content is a text, parts of text, or a value that is kept as JSON."""
    if not isinstance(value, dict):
        raise RowError(path, f"a tool result must be an object, not {kind_of(value)}")
    ids = [key for key in ("tool_use_id", "toolUseId", "tool_call_id") if isinstance(value.get(key), str)]
    content = value.get("content")
    if isinstance(content, list) and all(isinstance(part, dict | str) for part in content):
        texts = []
        for i, part in enumerate(content):
            if isinstance(part, dict) and part.get("json") is not None:
                keep_rest(part, {"json"}, f"{path}.content.{i}", extra)
                texts.append(json.dumps(part["json"], ensure_ascii=False))
            else:
                within = read_parts([part], f"{path}.content.{i}", extra)
                if within.thoughts or within.calls or within.results:
                    raise RowError(f"{path}.content.{i}", f"a tool result cannot hold a part of type '{_kind(part)}'")
                texts += within.texts
        text = "".join(texts)
    elif content is None or isinstance(content, str):
        text = content or ""
    else:
        text = json.dumps(content, ensure_ascii=False)
    used = {"type", "content", *ids[:1]}
    keep_rest(value, used, path, extra)
    return Result(text, value[ids[0]] if ids else None)


def _response(value: Any, path: str, extra: dict[str, Any]) -> Result:
    """Gemini's function response, kept as JSON."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise RowError(path, "a function response needs a name")
    call_id = value.get("id")
    keep_rest(value, {"name", "response", *(["id"] if isinstance(call_id, str) else [])}, path, extra)
    content = json.dumps(value.get("response"), ensure_ascii=False)
    return Result(content, call_id if isinstance(call_id, str) else None, value["name"])
