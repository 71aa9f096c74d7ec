"""The stages, and the JSON Schema of the settings of one, or of a whole recipe."""

from typing import Any

from burnish.core.catalog import Stage, stage, stages
from burnish.core.errors import MachineError
from burnish.core.plugins import warn_left_out
from burnish.core.recipes.aliases import elsewhere
from burnish.core.registry.names import KINDS
from burnish.specs.base import Takes, marks_of
from burnish.studio.recipes.usual import usual

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


def list_stages() -> list[dict[str, Any]]:
    """Each stage: `name`, `summary`, `family`, `produces`, `takes`, `extra`, `version`, `problem`.

    `takes` are the fields that refer to inputs, with the kinds that they accept; `problem` says why the settings of
    another package's stage cannot be loaded, else it is None.
    """
    return [_described(row) for row in stages().values()]


def show_stage(name: str) -> dict[str, Any]:
    """One stage: its row, its `help`, the `usual` settings, their names `elsewhere`, and the `json_schema` of all.

    Errors: AskError `ask.unknown-stage`.
    """
    row = stage(name)
    made = schema(name)
    made["properties"] = {**made.get("properties", {}), **_registration(row)}
    return {
        **_described(row),
        "help": (row.spec_type().__doc__ or "").strip(),
        "usual": usual(name),
        "elsewhere": {
            ours: theirs for ours, theirs in elsewhere().items() if ours.partition(".")[0] in made["properties"]
        },
        "json_schema": made,
    }


def _described(row: Stage) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": row.name,
        "summary": row.summary,
        "family": _family(row),
        "produces": row.produces,
        "takes": [],
        "extra": row.extra,
        "version": row.version,
        "problem": None,
    }
    try:
        fields = row.spec_type().__pydantic_fields__
    except MachineError as error:
        return {**described, "problem": error.what}
    found = {
        name: next((mark for mark in marks_of(info) if isinstance(mark, Takes)), None) for name, info in fields.items()
    }
    described["takes"] = [
        {"field": name, "kinds": list(mark.kinds), "required": fields[name].is_required()}
        for name, mark in found.items()
        if mark is not None
    ]
    return described


def _family(row: Stage) -> str:
    """The file of `specs/` that has its settings: data, train, …; `others` for those of other packages."""
    room, _, rest = row.spec.partition(":")[0].partition(".specs.")
    return rest.partition(".")[0] if room == "burnish" else "others"
