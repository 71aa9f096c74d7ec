"""Tool calls read from what a model wrote, in the notations of the common chat templates, and compared.

    <tool_call>{"name": …, "arguments": {…}}</tool_call>               Hermes, Qwen 2.5 and 3
    <tool_call><function=f><parameter=k>v</parameter></function>…      Qwen 3 Coder, Qwen 3.5
    <tool_call>f <arg_key>k</arg_key><arg_value>v</arg_value>…         GLM 4.5
    <function=f>{…}</function>                                         Llama 3.1, custom functions
    <|python_tag|>{"name": …, "parameters": {…}}; {…}                  Llama 3.1 and later
    [TOOL_CALLS][{"name": …, "arguments": {…}}]                        Mistral up to v7
    [TOOL_CALLS]f[CALL_ID]…[ARGS]{…}                                   Mistral from v11
    {"name": …, "arguments" | "parameters": {…}}, or a list of them    plain JSON, fenced or not

The last covers a model whose markers are special tokens that decoding has dropped.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.evals.json_values import Untyped, decoder, parse_json, same_json

_BLOCK = re.compile(r"<tool_call>(.*?)(?:</tool_call>|(?=<tool_call>)|\Z)", re.DOTALL)
_FUNCTION = re.compile(r"<function=([^>\s]+)>(.*?)(?:</function>|(?=<function=)|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\s]+)>(.*?)</parameter>", re.DOTALL)
_ARGUMENT = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.DOTALL)
_MISTRAL = re.compile(r"\s*([\w.-]+)\s*(?:\[CALL_ID\]\s*[\w-]+\s*)?(?:\[ARGS\]\s*)?(?=\{)")


@dataclass(frozen=True)
class ToolCall:
    """A name and its arguments by name, as JSON values."""

    name: str
    arguments: Mapping[str, Any]


class MalformedToolCallError(ValueError):
    """The text opens a tool call and does not finish it well."""


def parse_tool_calls(text: str) -> list[ToolCall]:
    """Every tool call of a model's text, in order; [] when there is none.

    Raises MalformedToolCallError when a call was begun (by its marker) and cannot be read.
    """
    if "<tool_call>" in text:
        return [call for block in _BLOCK.findall(text) for call in _from_block(block)]
    if "[TOOL_CALLS]" in text:
        return _from_mistral(text.partition("[TOOL_CALLS]")[2])
    if "<|python_tag|>" in text:
        return _from_json_sequence(text.partition("<|python_tag|>")[2], separator=";")
    if _FUNCTION.search(text):
        return [_from_function(name, body) for name, body in _FUNCTION.findall(text)]
    try:
        value = parse_json(text)
    except ValueError:
        value = None
    if _looks_like_calls(value):
        return _from_value(value)
    if text.lstrip().startswith("{") and (calls := _plain_sequence(text)):
        return calls
    return []


def reference_calls(tool_calls: Sequence[Mapping[str, Any]]) -> list[ToolCall]:
    """The calls of a row's assistant turn, whose arguments are JSON strings (see the contract of a row)."""
    return [_from_object(call) for call in tool_calls]


def difference(got: Sequence[ToolCall], expected: Sequence[ToolCall], *, order: bool) -> str:
    """What differs between two lists of calls, in words; "" when they are equal."""
    if len(got) != len(expected):
        return f"{len(got)} call{'' if len(got) == 1 else 's'} in place of {len(expected)}"
    if order:
        return next((text for pair in zip(got, expected, strict=True) if (text := _difference_of(*pair))), "")
    left = list(got)
    for call in expected:
        match = next((other for other in left if not _difference_of(other, call)), None)
        if match is None:
            return f"no call equals {call.name}({', '.join(call.arguments)})"
        left.remove(match)
    return ""


def _difference_of(got: ToolCall, expected: ToolCall) -> str:
    if got.name != expected.name:
        return f"called {got.name} in place of {expected.name}"
    for key in expected.arguments:
        if key not in got.arguments:
            return f"{got.name}: argument {key} is missing"
        if not same_json(got.arguments[key], expected.arguments[key]):
            return f"{got.name}: argument {key} is {_shown(got.arguments[key])}, not {_shown(expected.arguments[key])}"
    surplus = next((key for key in got.arguments if key not in expected.arguments), None)
    return "" if surplus is None else f"{got.name}: argument {surplus} is not expected"


def _shown(value: Any) -> str:
    return repr(value.raw) if isinstance(value, Untyped) else repr(value) if isinstance(value, str) else str(value)


def _from_block(block: str) -> list[ToolCall]:
    functions = _FUNCTION.findall(block)
    if functions:
        return [_from_function(name, body) for name, body in functions]
    if block.lstrip().startswith(("{", "[")):
        return _from_json_sequence(block)
    name = re.match(r"\s*([\w.-]+)\s*(?=<arg_key>|\Z)", block)
    if name is None:
        raise MalformedToolCallError(f"no call can be read in {block.strip()[:60]!r}")
    return [ToolCall(name[1], {key.strip(): Untyped(value.strip()) for key, value in _ARGUMENT.findall(block)})]


def _from_function(name: str, body: str) -> ToolCall:
    if body.strip().startswith("{"):
        return _from_object({"name": name, "arguments": _decode(body.strip(), 0)[0]})
    return ToolCall(name, {key: Untyped(value.strip("\n")) for key, value in _PARAMETER.findall(body)})


def _from_mistral(text: str) -> list[ToolCall]:
    if text.lstrip().startswith("["):
        return _from_value(_decode(text.lstrip(), 0)[0])
    calls, position = [], 0
    text = text.replace("[TOOL_CALLS]", " ")
    while match := _MISTRAL.match(text, position):
        arguments, position = _decode(text, match.end())
        calls.append(_from_object({"name": match[1], "arguments": arguments}))
    if not calls:
        raise MalformedToolCallError(f"no call can be read in {text.strip()[:60]!r}")
    return calls


def _from_json_sequence(text: str, separator: str = "") -> list[ToolCall]:
    """JSON values one after another; whatever follows the last one is left alone."""
    calls, position = [], 0
    while True:
        position = _skip(text, position, separator)
        if position == len(text) or (calls and text[position] not in "{["):
            break
        value, position = _decode(text, position)
        calls.extend(_from_value(value))
    if not calls:
        raise MalformedToolCallError("a call was opened and is empty")
    return calls


def _plain_sequence(text: str) -> list[ToolCall]:
    """Several plain JSON calls one after another; [] when the text is anything else."""
    calls, position = [], 0
    while (position := _skip(text, position, ";,")) < len(text):
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return []
        if not _looks_like_calls(value):
            return []
        calls.extend(_from_value(value))
    return calls


def _skip(text: str, position: int, separator: str) -> int:
    while position < len(text) and (text[position].isspace() or text[position] in separator):
        position += 1
    return position


def _decode(text: str, position: int) -> tuple[Any, int]:
    try:
        return decoder.raw_decode(text, position)
    except (ValueError, RecursionError) as error:
        raise MalformedToolCallError(f"the call is no JSON: {error}") from None


def _looks_like_calls(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_looks_like_calls, value))
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("tool_calls"), list):
        return _looks_like_calls(value["tool_calls"])
    function = value.get("function")
    inner = function if isinstance(function, dict) else value
    return isinstance(inner.get("name"), str) and ("arguments" in inner or "parameters" in inner)


def _from_value(value: Any) -> list[ToolCall]:
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    return [_from_object(item) for item in (value if isinstance(value, list) else [value])]


def _from_object(value: Any) -> ToolCall:
    if isinstance(value, Mapping) and isinstance(value.get("function"), Mapping):
        value = value["function"]
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise MalformedToolCallError("a call without a name")
    arguments = value.get("arguments", value.get("parameters"))
    if isinstance(arguments, str):
        try:
            arguments = parse_json(arguments) if arguments.strip() else {}
        except ValueError:
            raise MalformedToolCallError(f"the arguments of {value['name']} are no JSON") from None
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, Mapping):
        raise MalformedToolCallError(f"the arguments of {value['name']} are no JSON object")
    return ToolCall(value["name"], arguments)
