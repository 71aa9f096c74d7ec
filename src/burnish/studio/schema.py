"""The JSON Schema of the settings of a stage, or of a whole recipe."""

from typing import Any

from burnish.core.catalog import Stage, stage, stages
from burnish.core.errors import MachineError
from burnish.core.plugins import warn_left_out
from burnish.core.registry.names import KINDS

_REGISTER = "Register the artifact under this name in the registry, as its next version."


def _registration(row: Stage) -> dict[str, Any]:
    """The key `register` of a step that produces what the registry holds."""
    return {"register": {"type": "string", "description": _REGISTER}} if row.produces in KINDS else {}


def schema(name: str | None = None) -> dict[str, Any]:
    """The schema of one stage; without a name, of a recipe with all stages."""
    if name is not None:
        return stage(name).spec_type().model_json_schema()
    definitions: dict[str, Any] = {}
    choices: list[dict[str, Any]] = []
    for row in stages().values():
        try:
            spec_type = row.spec_type()
        except MachineError as error:
            warn_left_out(error)
            continue
        made = spec_type.model_json_schema(ref_template="#/$defs/{model}")
        definitions |= made.pop("$defs", {})
        made["properties"] = {"stage": {"const": row.name}, **_registration(row), **made.get("properties", {})}
        made["required"] = ["stage", *made.get("required", [])]
        definitions[f"step_{row.name}"] = made
        choices.append({"$ref": f"#/$defs/step_{row.name}"})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "burnish recipe",
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "steps"],
        "properties": {
            "name": {"type": "string"},
            "steps": {"type": "object", "additionalProperties": {"anyOf": choices}},
        },
        "$defs": definitions,
    }
