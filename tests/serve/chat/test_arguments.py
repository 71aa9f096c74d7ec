"""Arguments of notations without types: text stays text where the schema takes a string."""

import json

import pytest

from burnish.evals.scoring.json_values import Untyped
from burnish.serve.chat.arguments import arguments_text

DEFINITIONS = {
    "code": {"type": "string", "enum": ["1", "2"]},
    "loop": {"$ref": "#/$defs/loop"},
    "a/b": {"type": "string"},
}
TEXT_OR_NULL = [
    {"type": ["string", "null"]},
    {"anyOf": [{"type": "string"}, {"type": "null"}]},
    {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/a~1b"}]},
    {"enum": ["123", "1e3", "true", "[1]", None]},
]
TEXT = [
    {"type": "string"},
    {"$ref": "#/$defs/a~1b"},
    {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    {"allOf": [{"type": "string"}, {"description": "a number"}]},
    {"anyOf": [{"const": "123"}, {"const": "1e3"}, {"const": "true"}, {"const": "[1]"}, {"const": "null"}]},
]


def typed(raw, schema):
    function = {"parameters": {"type": "object", "properties": {"a": schema}, "$defs": DEFINITIONS}}
    return json.loads(arguments_text({"a": Untyped(raw)}, function))["a"]


@pytest.mark.parametrize("raw", ["123", "1e3", "true", "[1]"])
@pytest.mark.parametrize("schema", [*TEXT, *TEXT_OR_NULL])
def test_text_stays_text_where_the_schema_takes_a_string(raw, schema):
    assert typed(raw, schema) == raw


def test_null_is_null_where_the_schema_takes_it():
    assert [typed("null", schema) for schema in TEXT_OR_NULL] == [None] * len(TEXT_OR_NULL)
    assert [typed("null", schema) for schema in TEXT] == ["null"] * len(TEXT)


@pytest.mark.parametrize(
    ("raw", "schema", "value"),
    [
        ("3", {"type": "integer"}, 3),
        ("3", {"type": ["integer", "null"]}, 3),
        ("3", {"anyOf": [{"type": "number"}, {"type": "null"}]}, 3),
        ("3", {"enum": ["auto", 3]}, 3),
        ("auto", {"enum": ["auto", 3]}, "auto"),
        ("3", {"$ref": "#/$defs/code"}, 3),  # no value of the enum: as before
        ("2", {"$ref": "#/$defs/code"}, "2"),
        ("true", {"type": "boolean"}, True),
        ('{"b": [1]}', {"type": "object"}, {"b": [1]}),
        ("3", {}, 3),
        ("3", None, 3),
        ("3", {"$ref": "#/$defs/none"}, 3),
        ("3", {"$ref": "https://example.com/x"}, 3),
        ("3", {"$ref": "#/$defs/loop"}, 3),
        ("3", {"type": 5}, 3),
        ("words", {"type": "integer"}, "words"),
    ],
)
def test_other_values_are_json(raw, schema, value):
    assert typed(raw, schema) == value


def test_a_schema_of_many_ways_is_read_in_time():
    definitions = {str(n): {"anyOf": [{"$ref": f"#/$defs/{n + 1}"}] * 100} for n in range(20)}
    function = {"parameters": {"properties": {"a": {"$ref": "#/$defs/0"}}, "$defs": definitions}}
    assert arguments_text({"a": Untyped("3")}, function) == '{"a": 3}'
