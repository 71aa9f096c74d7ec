"""The JSON Schema of stages and recipes."""

import pytest

import burnish
from burnish.core.catalog import stages
from burnish.core.errors import AskError


@pytest.mark.parametrize("name", list(stages()))
def test_every_stage_has_a_schema_with_help(name):
    found = burnish.schema(name)
    assert found["type"] == "object"
    assert found["additionalProperties"] is False
    assert all("description" in field or "$ref" in field for field in found["properties"].values()), "each has help"


def test_the_schema_of_recipes_names_every_stage_and_resolves_its_references():
    found = burnish.schema()
    assert {
        choice["properties"]["stage"]["const"] for name, choice in found["$defs"].items() if name[:5] == "step_"
    } == {*stages()}

    def references(value):
        if isinstance(value, dict):
            yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
            for member in value.values():
                yield from references(member)
        elif isinstance(value, list):
            for member in value:
                yield from references(member)

    assert {ref.removeprefix("#/$defs/") for ref in references(found)} <= {*found["$defs"]}


def test_an_unknown_stage_offers_the_nearest():
    with pytest.raises(AskError, match="unknown stage 'stf'"):
        burnish.schema("stf")
