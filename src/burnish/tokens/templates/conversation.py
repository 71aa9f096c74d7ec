"""Convert the messages of a row to the shape that a template reads: arguments, reasoning, content parts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Message = dict[str, Any]
EMPTY: dict[str, Any] = {"empty": "", "none": None}


@dataclass(frozen=True)
class Shape:
    """A message shape: typed parts or strings, arguments as an object or as text, and the value of empty content."""

    parts: bool = False
    arguments: Literal["object", "text"] = "object"
    empty: Literal["absent", "empty", "none"] = "absent"

    def messages(self, messages: Sequence[Mapping[str, Any]]) -> list[Message]:
        """Converted copies of `messages`."""
        return [self._message(message) for message in messages]

    def _message(self, message: Mapping[str, Any]) -> Message:
        shaped = {key: value for key, value in message.items() if value is not None and key != "weight"}
        if "reasoning_content" in shaped:  # gpt-oss and LFM2.5 read it under this name; transformers does the same
            shaped.setdefault("thinking", shaped["reasoning_content"])
        calls = shaped.get("tool_calls")
        if calls:
            shaped["tool_calls"] = [self._call(call) for call in calls]
        if calls and not shaped.get("content"):
            shaped.pop("content", None)
            if self.empty != "absent":
                shaped["content"] = EMPTY[self.empty]
        if self.parts and isinstance(shaped.get("content"), str):
            shaped["content"] = [{"type": "text", "text": shaped["content"]}]
        return shaped

    def _call(self, call: Mapping[str, Any]) -> Message:
        function = dict(call["function"])
        if self.arguments == "object":
            function["arguments"] = as_object(function.get("arguments", "{}"))
        return {**call, "function": function}


def as_object(arguments: Any) -> Any:
    """Parse `arguments` as a JSON object with its key order; other values are returned unchanged."""
    if not isinstance(arguments, str):
        return arguments
    try:
        value = json.loads(arguments, parse_float=_number)
    except (ValueError, RecursionError):
        return arguments
    return value if isinstance(value, dict) else arguments


class Number(float):
    """A number that keeps its spelling: 1.10 stays 1.10, and 1e5 stays 1e5."""

    def __new__(cls, written: str) -> "Number":
        number = super().__new__(cls, written)
        number.written = written
        return number

    written: str

    def __repr__(self) -> str:
        return self.written


def _number(written: str) -> float:
    number = float(written)
    return number if repr(number) == written else Number(written)


def strings_in(value: Any) -> Iterator[str]:
    """Every string in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from strings_in(key)
            yield from strings_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from strings_in(item)
