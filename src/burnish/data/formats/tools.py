"""Tools and their calls: the layouts of all vendors, converted to OpenAI's."""

import json
import re
from collections.abc import Mapping
from typing import Any

from burnish.data.formats.rest import keep_rest
from burnish.data.record import RowError, kind_of
from burnish.data.strict_json import decoded

Schemas = dict[str, Any]
"""The parameters of each tool by its name."""
_PARAMETERS = ("parameters", "input_schema", "inputSchema")
_DECLARATIONS = ("functionDeclarations", "function_declarations")
_ARGUMENTS = ("arguments", "parameters", "args", "input")
_TYPES = ("function", "tool_use", "tool_call")
_IDS = ("id", "toolUseId", "call_id")
_OPENED = re.compile(r"[\[{]")
_MAY_BE_NULL = ("default", "const", "example")
NULLS_IN_SCHEMAS = "nulls dropped from tool schemas (Parquet fills absent keys with them)"
NULL_ARGUMENTS = "null arguments dropped from tool calls, which the tool's schema does not allow"
REPEATED_TOOLS = "tools described more than once, identically, and kept once"
KEPT_NULLS = "null arguments kept in tool calls, since no tool schema covers them"


def tools_of(described: Mapping[str, Any], extra: dict[str, Any], remarks: list[str]) -> list[dict[str, Any]]:
    """The tools of all columns that describe some. Two descriptions of one tool that differ are an error.

    Unmapped keys around a tool go to `extra`.
    """
    tools: dict[str, dict[str, Any]] = {}
    for column, value in described.items():
        for i, tool in enumerate(_listed(value, column, extra)):
            canonical = _without_nulls(_tool(tool, f"{column}.{i}", extra), remarks)
            name = canonical["function"]["name"]
            if tools.setdefault(name, canonical) != canonical:
                raise RowError(f"{column}.{i}", f"the tool '{name}' has two different descriptions")
            if tools[name] is not canonical:
                remarks.append(REPEATED_TOOLS)
    return list(tools.values())


def schemas_of(tools: list[dict[str, Any]]) -> Schemas:
    return {tool["function"]["name"]: tool["function"].get("parameters") for tool in tools}


def calls_of(
    listed: list[Any], path: str, schemas: Schemas, extra: dict[str, Any], remarks: list[str]
) -> list[dict[str, Any]]:
    """Canonical calls; unmapped keys go to `extra`."""
    calls = []
    for i, call in enumerate(listed):
        here = f"{path}.{i}"
        function = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
            raise RowError(f"{here}.name", "a tool call needs a name")
        written = [key for key in _ARGUMENTS if function.get(key) is not None]
        if len(written) > 1:
            raise RowError(f"{here}.{written[1]}", f"a tool call has both '{written[0]}' and '{written[1]}'")
        value = function[written[0]] if written else None
        if isinstance(value, dict):
            value = _without_null_arguments(value, schemas.get(function["name"]), remarks)
        arguments = _arguments(value, f"{here}.arguments")
        ids = [key for key in _IDS if isinstance(call.get(key), str)]
        canonical: dict[str, Any] = {"id": call[ids[0]]} if ids else {}
        canonical |= {"type": "function", "function": {"name": function["name"], "arguments": arguments}}
        calls.append(canonical)
        used = {"name", *written}
        if function is not call:
            keep_rest(function, used, f"{here}.function", extra)
            used = {"function"}
        used = {*used, *ids[:1], *(["type"] if call.get("type") in _TYPES else [])}
        keep_rest(call, used, here, extra)
    return calls


def call_list(value: Any, path: str) -> list[Any]:
    """The calls in a value: a list, one object, or either as JSON text."""
    if isinstance(value, str):
        value = _decoded_calls(value, path)
    listed = [value] if isinstance(value, dict) else value
    if not isinstance(listed, list) or not listed:
        raise RowError(path, "a tool call must be an object with name and arguments, or a list of them")
    return listed


def _decoded_calls(text: str, path: str) -> Any:
    try:
        return decoded(text, path)
    except RowError:
        start = _OPENED.search(text)
        before = text[: start.start()].strip() if start else ""
        if not before:
            raise
        reason = f"the text '{before:.60}' precedes the tool call"
        raise RowError(path, f"{reason}: write `{{role: assistant, content, tool_calls}}`") from None


def _listed(value: Any, column: str, extra: dict[str, Any]) -> list[Any]:
    """The descriptions in a column: a list, one object, JSON text; Gemini's and Bedrock's lists within are opened."""
    if isinstance(value, str):
        value = decoded(value, column) if value.strip() else []
    if isinstance(value, dict) and isinstance(value.get("tools"), list):
        keep_rest(value, {"tools"}, column, extra)
        value = value["tools"]
    listed = [value] if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise RowError(column, f"tools must be a list, not {kind_of(value)}")
    found: list[Any] = []
    for i, tool in enumerate(listed):
        keys = [key for key in _DECLARATIONS if key in tool] if isinstance(tool, dict) else []
        if keys and isinstance(tool[keys[0]], list):
            keep_rest(tool, {keys[0]}, f"{column}.{i}", extra)
            found += tool[keys[0]]
        else:
            found.append(tool)
    return found


def _tool(tool: Any, path: str, extra: dict[str, Any]) -> dict[str, Any]:
    """One tool as `{"type": "function", "function": {…}}`."""
    if isinstance(tool, dict) and isinstance(tool.get("toolSpec"), dict):
        keep_rest(tool, {"toolSpec"}, path, extra)
        tool = tool["toolSpec"]
    described = tool.get("function", tool) if isinstance(tool, dict) else None
    if not isinstance(described, dict) or not isinstance(described.get("name"), str):
        raise RowError(path, "a tool needs a name")
    if "function" in tool:
        return tool
    flat = {key: value for key, value in tool.items() if not (key == "type" and value in ("function", "custom"))}
    written = [key for key in _PARAMETERS if flat.get(key) is not None]
    if len(written) > 1:
        raise RowError(f"{path}.{written[1]}", f"a tool has both '{written[0]}' and '{written[1]}'")
    if written:
        schema = flat[written[0]]
        if written[0] == "inputSchema" and isinstance(schema, dict) and isinstance(schema.get("json"), dict):
            keep_rest(schema, {"json"}, f"{path}.inputSchema", extra)
            schema = schema["json"]
        flat = {("parameters" if key == written[0] else key): value for key, value in flat.items()}
        flat["parameters"] = schema
    return {"type": "function", "function": flat}


def _without_nulls(tool: dict[str, Any], remarks: list[str]) -> dict[str, Any]:
    """A tool's description without null keys, which have no meaning in a schema."""

    def cleaned(value: Any) -> Any:
        if isinstance(value, list):
            return [cleaned(child) for child in value]
        if not isinstance(value, dict):
            return value
        return {key: cleaned(child) for key, child in value.items() if child is not None or key in _MAY_BE_NULL}

    clean = cleaned(tool)
    if clean != tool:
        remarks.append(NULLS_IN_SCHEMAS)
    return clean


def _without_null_arguments(value: dict[str, Any], schema: Any, remarks: list[str]) -> dict[str, Any]:
    """Arguments without nulls that the schema does not allow: Arrow gives every call the keys of all calls."""
    nulls = [key for key, child in value.items() if child is None]
    if not nulls:
        return value
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        remarks.append(KEPT_NULLS)
        return value
    dropped = [key for key in nulls if not _may_be_null(properties.get(key))]
    if dropped:
        remarks.append(NULL_ARGUMENTS)
    return {key: child for key, child in value.items() if key not in dropped}


def _may_be_null(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    kind = schema.get("type")
    within = [*(schema.get("anyOf") or []), *(schema.get("oneOf") or [])]
    kinds = [kind, *(inner.get("type") for inner in within if isinstance(inner, dict))]
    return bool(schema.get("nullable")) or "null" in kinds or (isinstance(kind, list) and "null" in kind)


def _arguments(value: Any, path: str) -> str:
    """Arguments as JSON text: a text is kept as it is, an object is written with its keys in their order."""
    if value is None or value == "":
        return "{}"
    if not isinstance(value, str):
        if not isinstance(value, dict):
            raise RowError(path, f"arguments must be an object, not {kind_of(value)}")
        return json.dumps(value, ensure_ascii=False)
    if not isinstance(decoded(value, path), dict):
        raise RowError(path, "arguments must be the text of a JSON object")
    return value
