"""References of a JSON schema replaced by what they name, so that it can stand inside another schema."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_MOST_PARTS, _DEEPEST = 10_000, 150
_TABLES = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
"""Their members are schemas, whatever these are called."""
_DEFINITIONS = ("$defs", "definitions")
_VALUES = ("const", "enum", "default", "examples", "required")
"""What these hold is no schema."""
_NOTES = {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"}
_OTHERS = ("$dynamicRef", "$recursiveRef")


class UnresolvedError(ValueError):
    """A reference that cannot be replaced; the message names it and says why."""


def without_references(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with what its references name in their place, and without its definitions.

    Errors: UnresolvedError for a reference to itself or to something that the schema lacks, or if it gets too large.
    """
    return _Replacing(schema).made(schema, ())


class _Replacing:
    def __init__(self, root: Mapping[str, Any]):
        self._root, self._parts = root, 0

    def made(self, schema: Any, within: tuple[str, ...], depth: int = 0) -> Any:
        """A part of the schema; `within` has the references that lead to it."""
        self._parts += 1
        if self._parts > _MOST_PARTS or depth > _DEEPEST:
            raise UnresolvedError("with its references replaced, the schema is too large")
        if isinstance(schema, list):
            return [self.made(part, within, depth + 1) for part in schema]
        if not isinstance(schema, Mapping):
            return schema
        found: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _OTHERS:
                raise UnresolvedError(f"{key} is not supported")
            if key == "$ref" or key in _DEFINITIONS:
                continue
            if key in _VALUES:
                found[key] = value
            elif key in _TABLES and isinstance(value, Mapping):
                found[key] = {name: self.made(part, within, depth + 1) for name, part in value.items()}
            else:
                found[key] = self.made(value, within, depth + 1)
        reference = schema.get("$ref")
        return found if reference is None else self._joined(self._named(reference, within, depth), found)

    def _named(self, reference: str, within: tuple[str, ...], depth: int) -> Any:
        if reference in within:
            raise UnresolvedError(f"the reference {reference} leads to itself")
        part: Any = self._root
        pointer = reference.removeprefix("#")
        if pointer == reference or (pointer and not pointer.startswith("/")):
            raise UnresolvedError(f"the reference {reference} is not in the schema itself")
        for name in unquote(pointer).split("/")[1:]:
            key = name.replace("~1", "/").replace("~0", "~")
            if isinstance(part, list) and key.isdecimal() and int(key) < len(part):
                part = part[int(key)]
            elif isinstance(part, Mapping) and key in part:
                part = part[key]
            else:
                raise UnresolvedError(f"the reference {reference} is not in the schema itself")
        return self.made(part, (*within, reference), depth + 1)

    def _joined(self, named: Any, beside: dict[str, Any]) -> Any:
        """What is named, and what stands beside the reference: both hold."""
        if not beside:
            return named
        if isinstance(named, dict) and beside.keys() <= _NOTES:
            return {**named, **beside}
        return {**beside, "allOf": [named, *beside.get("allOf", [])]}
