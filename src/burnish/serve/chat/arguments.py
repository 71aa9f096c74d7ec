"""The arguments of a parsed tool call as JSON text; those of notations without types get the types of the schema."""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from burnish.evals.scoring.json_values import Untyped, parse_json

_DEEPEST = 16
"""References and alternatives that are followed within each other."""


def arguments_text(arguments: Mapping[str, Any], function: Mapping[str, Any]) -> str:
    """`arguments` as JSON. `function` is the tool's definition: `parameters` is a JSON schema."""
    parameters = function.get("parameters")
    properties = parameters.get("properties") if isinstance(parameters, Mapping) else None
    known = properties if isinstance(properties, Mapping) else {}
    return json_text({name: _typed(value, known.get(name), parameters) for name, value in arguments.items()})


def _typed(value: Any, schema: Any, root: Any) -> Any:
    """A value of a notation without types: its text where the schema takes it as a string, else as JSON."""
    if not isinstance(value, Untyped):
        return value
    if value.raw.strip() == "null" and _takes(None, schema, root):
        return None
    if _takes(value.raw, schema, root):
        return value.raw
    try:
        return parse_json(value.raw)
    except ValueError:
        return value.raw


def _takes(
    value: str | None, schema: Any, root: Any, known: dict[int, bool | None] | None = None, depth: int = _DEEPEST
) -> bool | None:
    """Whether a schema takes a string or null by its types and values; None if it says nothing of them.

    `known` are the verdicts of parts that were read, or are being read: each is read once.
    """
    known = {} if known is None else known
    if not isinstance(schema, Mapping) or depth == 0:
        return None
    if id(schema) not in known:
        known[id(schema)] = None
        known[id(schema)] = _verdict(value, schema, lambda part: _takes(value, part, root, known, depth - 1), root)
    return known[id(schema)]


def _verdict(
    value: str | None, schema: Mapping[str, Any], takes: Callable[[Any], bool | None], root: Any
) -> bool | None:
    found: list[bool | None] = []
    types = schema.get("type")
    if isinstance(types, str | list):
        found.append(("null" if value is None else "string") in ([types] if isinstance(types, str) else types))
    if isinstance(values := schema.get("enum"), list):
        found.append(value in values)
    if "const" in schema:
        found.append(value == schema["const"])
    if isinstance(reference := schema.get("$ref"), str):
        found.append(takes(_resolved(reference, root)))
    for word in ("anyOf", "oneOf"):
        if isinstance(choices := schema.get(word), list):
            verdicts = [takes(choice) for choice in choices]
            found.append(True if True in verdicts else None if None in verdicts else False)
    if isinstance(parts := schema.get("allOf"), list):
        found += [takes(part) for part in parts]
    return False if False in found else True if True in found else None


def _resolved(reference: str, root: Any) -> Any:
    """The schema of a reference into the same document; None where there is none."""
    place = root
    if not reference.startswith("#"):
        return None
    for name in filter(None, reference[1:].split("/")):
        place = place.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(place, Mapping) else None
    return place


def json_text(value: Any) -> str:
    """JSON with the numbers as they were written."""
    match value:
        case Decimal():
            return str(value)
        case Untyped():
            return json_text(_typed(value, None, None))
        case Mapping():
            return "{" + ", ".join(f"{_quoted(str(key))}: {json_text(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(json_text, value)) + "]"
        case _:
            return _quoted(value)


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
