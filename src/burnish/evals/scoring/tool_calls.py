"""Tool calls and their comparison. `burnish.evals.scoring.notations` parses them from text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.evals.scoring.json_values import Untyped, parse_json, same_json


@dataclass(frozen=True)
class ToolCall:
    """A function name and its arguments as JSON values."""

    name: str
    arguments: Mapping[str, Any]


class MalformedToolCallError(ValueError):
    """The text contains a tool call that cannot be parsed."""


def call_of(value: Any) -> ToolCall:
    """Convert a JSON object to a call: `{"name", "arguments" | "parameters"}`, at the top level or under `function`.

    Arguments may be an object, a string that contains one, or absent.
    """
    if isinstance(value, Mapping) and isinstance(value.get("function"), Mapping):
        value = value["function"]
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise MalformedToolCallError("the call has no name")
    arguments = value.get("arguments", value.get("parameters"))
    if isinstance(arguments, str):
        try:
            arguments = parse_json(arguments) if arguments.strip() else {}
        except ValueError:
            raise MalformedToolCallError(f"the arguments of {value['name']} are not valid JSON") from None
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, Mapping):
        raise MalformedToolCallError(f"the arguments of {value['name']} are not a JSON object")
    return ToolCall(value["name"], arguments)


def reference_calls(tool_calls: Sequence[Mapping[str, Any]]) -> list[ToolCall]:
    """Convert the calls of a row's assistant turn, whose arguments are JSON strings."""
    return [call_of(call) for call in tool_calls]


def difference(got: Sequence[ToolCall], expected: Sequence[ToolCall], *, order: bool) -> str:
    """Describe the first difference between two lists of calls; "" if they are equal."""
    if len(got) != len(expected):
        return f"{len(got)} call{'' if len(got) == 1 else 's'} instead of {len(expected)}"
    if order:
        return next((text for pair in zip(got, expected, strict=True) if (text := _difference_of(*pair))), "")
    left = list(got)
    for call in expected:
        match = next((other for other in left if not _difference_of(other, call)), None)
        if match is None:
            return f"no call matches {call.name}({', '.join(call.arguments)})"
        left.remove(match)
    return ""


def _difference_of(got: ToolCall, expected: ToolCall) -> str:
    if got.name != expected.name:
        return f"called {got.name} instead of {expected.name}"
    for key in expected.arguments:
        if key not in got.arguments:
            return f"{got.name}: argument {key} is missing"
        if not same_json(got.arguments[key], expected.arguments[key]):
            return f"{got.name}: argument {key} is {_shown(got.arguments[key])}, not {_shown(expected.arguments[key])}"
    surplus = next((key for key in got.arguments if key not in expected.arguments), None)
    return "" if surplus is None else f"{got.name}: unexpected argument {surplus}"


def _shown(value: Any) -> str:
    return repr(value.raw) if isinstance(value, Untyped) else repr(value) if isinstance(value, str) else str(value)
