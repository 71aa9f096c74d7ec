"""Parse tool calls from model output, in the notations of common chat templates.

    <tool_call>{"name": …, "arguments": {…}}</tool_call>               Hermes, Qwen 2.5 and 3
    <tool_call><function=f><parameter=k>v</parameter></function>…      Qwen 3 Coder and 3.5, Nemotron 3
    <tool_call>f <arg_key>k</arg_key><arg_value>v</arg_value>…         GLM 4.5
    <function=f>{…}</function>                                         Llama 3.1, custom functions
    <|python_tag|>{"name": …, "parameters": {…}}; {…}                  Llama 3.1 and later
    [TOOL_CALLS][{"name": …, "arguments": {…}}]                        Mistral up to v7
    [TOOL_CALLS]f[CALL_ID]…[ARGS]{…}                                   Mistral from v11
    <｜tool▁call▁begin｜>f<｜tool▁sep｜>{…}<｜tool▁call▁end｜>                DeepSeek V3 and later
    to=functions.f … <|message|>{…}<|call|>                            gpt-oss
    <|tool_call>call:f{k:<|"|>v<|"|>}<tool_call|>                      Gemma 4
    <invoke name="f"><parameter name="k">v</parameter></invoke>        XML, with or without a prefix
    [f(k="v"), g()]                                                    LFM 2, Llama 4
    {"name": …, "arguments" | "parameters": {…}}, or a list of them    plain JSON, fenced or not

The last two also cover models whose markers are special tokens that decoding skips.
"""

import ast
import json
import re
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from burnish.evals.scoring.json_values import Untyped, decoder, parse_json
from burnish.evals.scoring.tool_calls import MalformedToolCallError, ToolCall, call_of

_BLOCK = re.compile(r"<tool_call>(.*?)(?:</tool_call>|(?=<tool_call>)|\Z)", re.DOTALL)
_FUNCTION = re.compile(r"<function=([^>\s]+)>(.*?)(?:</function>|(?=<function=)|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\s]+)>(.*?)</parameter>", re.DOTALL)
_ARGUMENT = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.DOTALL)
_GLM_NAME = re.compile(r"\s*([\w.-]+)\s*(?=<arg_key>|\Z)")
_MISTRAL = re.compile(r"\s*([\w.-]+)\s*(?:\[CALL_ID\]\s*[\w-]+\s*)?(?:\[ARGS\]\s*)?(?=\{)")
_DEEPSEEK = re.compile(
    r"<｜tool▁call▁begin｜>(?:function<｜tool▁sep｜>)?([\w.-]+)\s*(?:<｜tool▁sep｜>)?\s*(?:```json\s*)?"
)
_HARMONY = re.compile(r"to=(?:functions\.)?([\w.-]+)[^{]*?<\|message\|>")
_GEMMA = re.compile(r"<\|tool_call>call:([\w.-]+)(?=\{)")
_GEMMA_QUOTE = '<|"|>'
_GEMMA_KEY = re.compile(r"([{,]\s*)([\w.-]+)\s*:")
_INVOKE = re.compile(r'<(?:\w+:)?invoke name="([^"]+)">(.*?)</(?:\w+:)?invoke>', re.DOTALL)
_INVOKED_PARAMETER = re.compile(r'<(?:\w+:)?parameter name="([^"]+)"[^>]*>(.*?)</(?:\w+:)?parameter>', re.DOTALL)
_PYTHONIC = re.compile(r"(?:<\|tool_call_start\|>)?\s*(\[\s*[A-Za-z_][\w.]*\(.*\)\s*\])", re.DOTALL)
_NAMES = {"true": True, "false": False, "null": None}


def parse_tool_calls(text: str) -> list[ToolCall]:
    """All tool calls in a model's output, in order; [] if there are none.

    Raises MalformedToolCallError if a call's marker is found and the call cannot be parsed.
    """
    for marker, read in MARKERS.items():
        if marker in text:
            calls = read(text)
            if not calls:
                raise MalformedToolCallError(f"the tool call cannot be parsed: {text.strip()[:60]!r}")
            return calls
    if pythonic := _PYTHONIC.match(text):
        return _from_python(pythonic[1])
    return _from_plain_json(text)


def _from_blocks(text: str) -> list[ToolCall]:
    calls = []
    for block in _BLOCK.findall(text):
        if found := _FUNCTION.findall(block):
            calls += [_from_function(name, body) for name, body in found]
        elif block.lstrip().startswith(("{", "[")):
            calls += _from_json_sequence(block)
        elif name := _GLM_NAME.match(block):
            arguments = {key.strip(): Untyped(value.strip()) for key, value in _ARGUMENT.findall(block)}
            calls.append(ToolCall(name[1], arguments))
        else:
            raise MalformedToolCallError(f"the tool call cannot be parsed: {block.strip()[:60]!r}")
    return calls


def _from_functions(text: str) -> list[ToolCall]:
    return [_from_function(name, body) for name, body in _FUNCTION.findall(text)]


def _from_function(name: str, body: str) -> ToolCall:
    if body.strip().startswith("{"):
        return call_of({"name": name, "arguments": _decode(body.strip(), 0)[0]})
    return ToolCall(name, {key: Untyped(value.strip("\n")) for key, value in _PARAMETER.findall(body)})


def _from_mistral(text: str) -> list[ToolCall]:
    text = text.partition("[TOOL_CALLS]")[2].lstrip()
    if text.startswith("["):
        return _from_value(_decode(text, 0)[0])
    calls, position = [], 0
    text = text.replace("[TOOL_CALLS]", " ")
    while match := _MISTRAL.match(text, position):
        arguments, position = _decode(text, match.end())
        calls.append(call_of({"name": match[1], "arguments": arguments}))
    return calls


def _from_python_tag(text: str) -> list[ToolCall]:
    return _from_json_sequence(text.partition("<|python_tag|>")[2], separator=";")


def _named_json(pattern: re.Pattern[str]) -> Callable[[str], list[ToolCall]]:
    """A parser for notations where a JSON object follows each match of `pattern`, whose group is the name."""

    def read(text: str) -> list[ToolCall]:
        return [
            call_of({"name": match[1], "arguments": _decode(text, match.end())[0]}) for match in pattern.finditer(text)
        ]

    return read


def _from_gemma(text: str) -> list[ToolCall]:
    """Parse Gemma 4's notation by converting its quoted strings and bare keys to JSON."""
    calls = []
    for match in _GEMMA.finditer(text):
        pieces = text[match.end() :].partition("<tool_call|>")[0].split(_GEMMA_QUOTE)
        for index, piece in enumerate(pieces):
            bare = _GEMMA_KEY.sub(r'\1"\2":', piece).replace("None", "null")
            pieces[index] = json.dumps(piece) if index % 2 else bare
        calls.append(call_of({"name": match[1], "arguments": _decode("".join(pieces), 0)[0]}))
    return calls


def _from_invocations(text: str) -> list[ToolCall]:
    return [
        ToolCall(name, {key: Untyped(value.strip("\n")) for key, value in _INVOKED_PARAMETER.findall(body)})
        for name, body in _INVOKE.findall(text)
    ]


def _from_marked_python(text: str) -> list[ToolCall]:
    match = _PYTHONIC.match(text[text.index("<|tool_call_start|>") :].partition("<|tool_call_end|>")[0])
    return _from_python(match[1]) if match else []


def _from_python(text: str) -> list[ToolCall]:
    """Parse a list of calls with keyword arguments by Python's grammar; nothing is executed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(text, mode="eval").body
        assert isinstance(tree, ast.List)
        return [_from_python_call(node) for node in tree.elts]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise MalformedToolCallError(f"the calls are not valid Python: {error}") from None


def _from_python_call(node: ast.expr) -> ToolCall:
    if not isinstance(node, ast.Call) or node.args:
        raise ValueError("tool calls need keyword arguments")
    return ToolCall(ast.unparse(node.func), {str(word.arg): _literal(word.value) for word in node.keywords})


def _literal(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=float(value)):
            return Decimal(repr(value))
        case ast.Constant(value=str() | int() | None as value):
            return value
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant() as operand):
            return -_literal(operand)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return [_literal(element) for element in elements]
        case ast.Dict(keys=keys, values=values):
            return {_literal(key): _literal(value) for key, value in zip(keys, values, strict=True) if key is not None}
        case _:
            raise ValueError(f"{ast.unparse(node)} is not a literal")


def _from_plain_json(text: str) -> list[ToolCall]:
    """Parse a text that is one JSON value or a sequence of them; [] for any other text."""
    try:
        value = parse_json(text)
    except ValueError:
        return _from_plain_sequence(text) if text.lstrip().startswith("{") else []
    return _from_value(value) if _looks_like_calls(value) else []


def _from_plain_sequence(text: str) -> list[ToolCall]:
    calls, position = [], 0
    while (position := _skip(text, position, ";,")) < len(text):
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return []
        if not _looks_like_calls(value):
            return []
        calls += _from_value(value)
    return calls


def _from_json_sequence(text: str, separator: str = "") -> list[ToolCall]:
    """Parse a sequence of JSON values; text after the last one is ignored."""
    calls, position = [], 0
    while (position := _skip(text, position, separator)) < len(text):
        if calls and text[position] not in "{[":
            break
        value, position = _decode(text, position)
        calls += _from_value(value)
    return calls


def _skip(text: str, position: int, separator: str) -> int:
    while position < len(text) and (text[position].isspace() or text[position] in separator):
        position += 1
    return position


def _decode(text: str, position: int) -> tuple[Any, int]:
    try:
        return decoder.raw_decode(text, position)
    except (ValueError, RecursionError) as error:
        raise MalformedToolCallError(f"the call is not valid JSON: {error}") from None


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
    return [call_of(item) for item in (value if isinstance(value, list) else [value])]


MARKERS: dict[str, Callable[[str], list[ToolCall]]] = {
    "<tool_call>": _from_blocks,
    "[TOOL_CALLS]": _from_mistral,
    "<|python_tag|>": _from_python_tag,
    "<｜tool▁call▁begin｜>": _named_json(_DEEPSEEK),
    "to=functions.": _named_json(_HARMONY),
    "<|tool_call>": _from_gemma,
    "<|tool_call_start|>": _from_marked_python,
    "<function=": _from_functions,
    "invoke name=": _from_invocations,
}
"""The parser of each notation by the text that opens a call."""
