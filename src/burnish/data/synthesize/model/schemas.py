"""JSON schemas of replies, and replies checked against them."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import jsonschema
import referencing
from jsonschema.exceptions import best_match

from burnish.core.errors import AskError
from burnish.data.document import canonical_json
from burnish.data.record import RowError
from burnish.data.strict_json import parse
from burnish.data.synthesize.model.references import UnresolvedError, without_references

TEXT = {"type": "string"}
_NAME = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,47}$"}
_MOST_SHOWN = 120


class UnusableError(ValueError):
    """A reply of which no row can be made: `reason` is for counts, the message for people."""

    def __init__(self, reason: str, why: str = ""):
        super().__init__(why or reason)
        self.reason = reason


def object_of(**properties: Any) -> dict[str, Any]:
    """An object with exactly these members."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def list_of(items: Mapping[str, Any], least: int, most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


TOOLBOX = object_of(
    tools=list_of(
        object_of(
            name=_NAME,
            description=TEXT,
            parameters=list_of(
                object_of(
                    name=_NAME,
                    type={"enum": ["string", "integer", "number", "boolean"]},
                    description=TEXT,
                ),
                1,
                5,
            ),
        ),
        1,
        6,
    )
)
"""Tools as the model is asked for them; `tools_from` makes those of the protocol."""
VERDICT = object_of(reason=TEXT, score={"enum": list(range(1, 11))})


def subtopics_schema(count: int) -> dict[str, Any]:
    return object_of(subtopics=list_of(TEXT, 1, count))


def call_schema(tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One call of one of the tools."""
    calls = [object_of(name={"const": tool["function"]["name"]}, arguments=parameters_of(tool)) for tool in tools]
    return calls[0] if len(calls) == 1 else {"anyOf": calls}


def parameters_of(tool: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a tool's arguments, which can stand inside another one; a tool without one takes none.

    Errors: UnresolvedError, which `read_tools` has excluded.
    """
    return without_references(tool["function"].get("parameters") or object_of())


def value_in(text: str, schema: Mapping[str, Any], *, is_cut: bool = False) -> Any:
    """The value of a JSON text that fits the schema. Errors: UnusableError."""
    if not text.strip():
        raise UnusableError("cut off" if is_cut else "empty", "the reply is empty")
    try:
        value = parse(text)
    except RowError as error:
        raise UnusableError("cut off" if is_cut else "not JSON", error.reason) from None
    check(value, schema)
    return value


def check(value: Any, schema: Mapping[str, Any]) -> None:
    """Errors: UnusableError `other schema`, which names the place."""
    validator = _validator(canonical_json(schema))
    first = best_match(validator.iter_errors(value))
    if first is not None:
        place = ".".join(map(str, first.absolute_path)) or "the reply"
        raise UnusableError("other schema", f"{place}: {first.message[:_MOST_SHOWN]}")


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> jsonschema.Draft202012Validator:
    """Nothing is fetched: a reference to another document is an error."""
    return jsonschema.Draft202012Validator(parse(schema.decode()), registry=referencing.Registry())


def read_tools(text: str, name: str) -> list[dict[str, Any]]:
    """Tools of the protocol from a JSON text: a list of them, of their functions, or an object with `tools`.

    Errors: AskError `ask.wrong-value`, which names the tool.
    """
    fix = 'write [{"type": "function", "function": {"name": …, "description": …, "parameters": {JSON schema}}}]'
    try:
        value = parse(text)
    except RowError as error:
        raise AskError("ask.wrong-value", f"{name}: {error.reason}", fix) from None
    listed = value.get("tools") if isinstance(value, dict) else value
    if not isinstance(listed, list) or not listed:
        raise AskError("ask.wrong-value", f"{name} is no list of tools", fix)
    tools = []
    for place, given in enumerate(listed, start=1):
        function = given.get("function", given) if isinstance(given, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
            raise AskError("ask.wrong-value", f"{name}: tool {place} has no name", fix)
        tool = {"type": "function", "function": function}
        _check_tool(tool, f"{name}: tool {place} ({function['name']})")
        tools.append(tool)
    if len({tool["function"]["name"] for tool in tools}) < len(tools):
        raise AskError("ask.wrong-value", f"{name}: two tools have the same name", "rename one of them")
    return tools


def _check_tool(tool: Mapping[str, Any], place: str) -> None:
    fix = "correct its parameters"
    try:
        given = tool["function"].get("parameters") or {}
        if not isinstance(given, dict) or given.get("type", "object") != "object":
            raise jsonschema.SchemaError("the parameters of a tool are an object")
        jsonschema.Draft202012Validator.check_schema(given)
        parameters_of(tool)
    except jsonschema.SchemaError as error:
        raise AskError("ask.wrong-value", f"{place}: {error.message[:_MOST_SHOWN]}", fix) from None
    except UnresolvedError as error:
        fix = "name parts of $defs of its own parameters, and none that contains itself"
        raise AskError("ask.wrong-value", f"{place}: {error}", fix) from None


def tools_from(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Tools of the protocol from a value of `TOOLBOX`. Errors: UnusableError for a name that occurs twice."""
    tools = []
    for made in value["tools"]:
        names = [one["name"] for one in made["parameters"]]
        if len(set(names)) < len(names):
            raise UnusableError("other schema", f"the tool {made['name']} has a parameter twice")
        members = {one["name"]: {"type": one["type"], "description": one["description"]} for one in made["parameters"]}
        function = {"name": made["name"], "description": made["description"], "parameters": object_of(**members)}
        tools.append({"type": "function", "function": function})
    if len({tool["function"]["name"] for tool in tools}) < len(tools):
        raise UnusableError("other schema", "two tools have the same name")
    return tools
