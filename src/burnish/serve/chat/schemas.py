"""JSON schemas that an engine can enforce: a keyword that it would ignore is refused, and so is a schema too large."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

MOST_NODES, DEEPEST, MOST_REPEATED, LONGEST_PATTERN, LONGEST_TEXT = 2000, 32, 2000, 512, 64_000
_ANNOTATIONS = {"title", "description", "default", "examples", "example", "$schema", "$id", "$comment", "deprecated"}
_SCHEMAS = {"additionalProperties", "items"}
_LISTS = {"anyOf", "oneOf", "allOf", "prefixItems"}
_TABLES = {"properties", "$defs", "definitions"}
_COUNTS = {"minItems", "maxItems", "minLength", "maxLength"}
_PLAIN = {"type", "required", "enum", "const", "$ref", "pattern", "format", "minimum", "maximum"}
_PLAIN |= {"exclusiveMinimum", "exclusiveMaximum"}
_KNOWN = _ANNOTATIONS | _SCHEMAS | _LISTS | _TABLES | _COUNTS | _PLAIN
_TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}
_LARGEST_DECIMAL = 1e15
_FORMATS = {"date", "time", "date-time", "uuid"}


class SchemaError(ValueError):
    """A schema that is not enforced as it is; the message names the place in it."""


def check_schema(schema: Mapping[str, Any]) -> None:
    """Errors: SchemaError."""
    _Check(schema).run()


class _Check:
    def __init__(self, root: Mapping[str, Any]):
        self._root, self._nodes, self._characters = root, 0, 0

    def run(self) -> None:
        self._schema(self._root, "schema", 0)

    def _schema(self, schema: Any, place: str, depth: int) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES or depth > DEEPEST:
            raise SchemaError(f"{place}: the schema has more than {MOST_NODES} parts or {DEEPEST} levels")
        if isinstance(schema, bool):
            if not schema and not place.endswith("additionalProperties"):
                raise SchemaError(f"{place}: false matches nothing")
            return
        if not isinstance(schema, Mapping):
            raise SchemaError(f"{place}: a schema is an object")
        for key, value in schema.items():
            self._characters += len(key) + (len(value) if isinstance(value, str) else 8)
            if key not in _KNOWN:
                raise SchemaError(f"{place}: '{key[:60]}' is not supported, and is not ignored: remove it")
            self._keyword(key, value, f"{place}.{key}", depth)
        if self._characters > LONGEST_TEXT:
            raise SchemaError(f"the schema has more than {LONGEST_TEXT:,} characters")

    def _keyword(self, key: str, value: Any, place: str, depth: int) -> None:
        if key in _SCHEMAS:
            self._schema(value, place, depth + 1)
        elif key in _LISTS:
            if not isinstance(value, Sequence) or isinstance(value, str) or not value:
                raise SchemaError(f"{place}: a list of schemas is expected")
            for number, child in enumerate(value):
                self._schema(child, f"{place}.{number}", depth + 1)
        elif key in _TABLES:
            if not isinstance(value, Mapping):
                raise SchemaError(f"{place}: an object of schemas is expected")
            for name, child in value.items():
                self._schema(child, f"{place}.{name[:60]}", depth + 1)
        elif key in _COUNTS:
            if type(value) is not int or not 0 <= value <= MOST_REPEATED:
                raise SchemaError(f"{place}: a whole number up to {MOST_REPEATED} is expected")
        elif key in _PLAIN:
            self._value(key, value, place)

    def _value(self, key: str, value: Any, place: str) -> None:
        match key:
            case "type":
                found = [value] if isinstance(value, str) else value
                if not isinstance(found, list) or not found or not all(name in _TYPES for name in found):
                    raise SchemaError(f"{place}: one of {', '.join(sorted(_TYPES))} is expected")
            case "enum":
                if not isinstance(value, list) or not value:
                    raise SchemaError(f"{place}: a list of values is expected")
                self._nodes += len(value)
                self._constant(value, place)
            case "required":
                if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
                    raise SchemaError(f"{place}: a list of names is expected")
            case "$ref":
                self._reference(value, place)
            case "pattern":
                if not isinstance(value, str) or len(value) > LONGEST_PATTERN:
                    raise SchemaError(f"{place}: a pattern of at most {LONGEST_PATTERN} characters is expected")
                if not (value.startswith("^") and value.endswith("$")):
                    raise SchemaError(f"{place}: a pattern is enforced as a whole: begin it with ^ and end it with $")
            case "format":
                if value not in _FORMATS:
                    raise SchemaError(f"{place}: only {', '.join(sorted(_FORMATS))} are supported")
            case "const":
                self._constant(value, place)
            case _:
                self._constant(value, place)
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise SchemaError(f"{place}: a number is expected")
                if isinstance(value, float) and not abs(value) <= _LARGEST_DECIMAL:
                    raise SchemaError(f"{place}: a number with a point is at most {_LARGEST_DECIMAL:g}")

    def _constant(self, value: Any, place: str) -> None:
        """Errors: SchemaError for an integer that engines do not represent."""
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise SchemaError(f"{place}: {str(value)[:12]}… has more than 64 bits")
        if isinstance(value, str):
            self._characters += len(value)
        children: Any = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        for child in children:
            self._constant(child, place)

    def _reference(self, value: Any, place: str) -> None:
        parts = value.split("/") if isinstance(value, str) else []
        if len(parts) != 3 or parts[0] != "#" or parts[1] not in ("$defs", "definitions"):
            raise SchemaError(f"{place}: only references such as #/$defs/NAME are supported")
        table = self._root.get(parts[1])
        if not isinstance(table, Mapping) or parts[2] not in table:
            raise SchemaError(f"{place}: there is no {str(value)[:80]}")
        seen = {parts[2]}
        target = table[parts[2]]
        while isinstance(target, Mapping) and isinstance(target.get("$ref"), str):
            name = target["$ref"].rsplit("/", 1)[-1]
            if name in seen or name not in table:
                raise SchemaError(f"{place}: the reference leads back to itself")
            seen.add(name)
            target = table[name]


def call_schema(functions: Sequence[Mapping[str, Any]], arguments: str) -> dict[str, Any]:
    """The schema of one call to one of `functions`: an object with `name` and `arguments`, whatever that key is."""
    definitions: dict[str, Any] = {}
    calls = [
        {
            "type": "object",
            "properties": {
                "name": {"const": function["name"]},
                arguments: _hoisted(function.get("parameters"), f"t{number}_", definitions),
            },
            "required": ["name", arguments],
            "additionalProperties": False,
        }
        for number, function in enumerate(functions)
    ]
    schema: dict[str, Any] = calls[0] if len(calls) == 1 else {"anyOf": calls}
    return {**schema, "$defs": definitions} if definitions else schema


def _hoisted(parameters: Any, prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of arguments inside another one: its definitions go to the root, under other names."""
    schema = copy.deepcopy(dict(parameters or {}))
    own = {name: value for table in ("$defs", "definitions") for name, value in (schema.pop(table, None) or {}).items()}
    definitions |= {f"{prefix}{name}": _renamed(value, prefix) for name, value in own.items()}
    schema = _renamed(schema, prefix)
    return schema if schema.get("type") or "anyOf" in schema or "$ref" in schema else {**schema, "type": "object"}


def _renamed(value: Any, prefix: str) -> Any:
    if isinstance(value, Mapping):
        return {
            key: f"#/$defs/{prefix}{item.rsplit('/', 1)[-1]}"
            if key == "$ref" and isinstance(item, str)
            else _renamed(item, prefix)
            for key, item in value.items()
        }
    return [_renamed(item, prefix) for item in value] if isinstance(value, list) else value
