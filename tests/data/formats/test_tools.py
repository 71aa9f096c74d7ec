"""Tools and calls of every vendor become OpenAI's, word for word; what has no place there is kept in `extra`."""

from typing import Any

import pytest

from burnish.data.formats.tools import call_list, calls_of, schemas_of, tools_of
from burnish.data.record import RowError

NULLS = "nulls dropped from tool schemas (Parquet fills absent keys with them)"
REPEATED = "tools described more than once, identically, and kept once"
DROPPED = "null arguments dropped from tool calls, which the tool's schema does not allow"
KEPT = "null arguments kept in tool calls, since no tool schema covers them"
SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}}
INVALID = "the text is invalid JSON: Expecting"


def function(**described: Any) -> dict[str, Any]:
    return {"type": "function", "function": described}


A, B, C = function(name="a"), function(name="b"), function(name="c")


@pytest.mark.parametrize(
    ("described", "tools", "extra"),
    [
        ({}, [], {}),
        ({"tools": []}, [], {}),
        ({"tools": ""}, [], {}),
        ({"tools": "  "}, [], {}),
        ({"tools": [{"name": "b"}, {"name": "a"}]}, [B, A], {}),
        ({"tools": [{"name": "b"}], "functions": [{"name": "a"}]}, [B, A], {}),
        ({"tools": {"name": "a"}}, [A], {}),
        ({"tools": '{"name": "a"}'}, [A], {}),
        ({"tools": '[{"name": "a"}, {"name": "b"}]'}, [A, B], {}),
        ({"tools": [{"type": "function", "name": "a"}]}, [A], {}),
        ({"tools": [{"type": "custom", "name": "a"}]}, [A], {}),
        ({"tools": [{"type": "search", "name": "a"}]}, [function(type="search", name="a")], {}),
        ({"tools": [{"name": "a", "kind": "custom"}]}, [function(name="a", kind="custom")], {}),
        ({"tools": [A | {"strict": True}]}, [A | {"strict": True}], {}),
        ({"tools": [function(name="a", parameters=SCHEMA)]}, [function(name="a", parameters=SCHEMA)], {}),
        ({"tools": [{"name": "a", "parameters": SCHEMA}]}, [function(name="a", parameters=SCHEMA)], {}),
        ({"tools": [{"name": "a", "input_schema": SCHEMA}]}, [function(name="a", parameters=SCHEMA)], {}),
        ({"tools": [{"name": "a", "inputSchema": SCHEMA}]}, [function(name="a", parameters=SCHEMA)], {}),
        ({"tools": [{"name": "a", "inputSchema": "S"}]}, [function(name="a", parameters="S")], {}),
        ({"tools": [{"name": "a", "inputSchema": {"json": 7}}]}, [function(name="a", parameters={"json": 7})], {}),
        (
            {"tools": [{"name": "a", "inputSchema": {"json": SCHEMA, "more": 1}}]},
            [function(name="a", parameters=SCHEMA)],
            {"tools.0.inputSchema.more": 1},
        ),
        (
            {"tools": [{"name": "a", "input_schema": {"json": SCHEMA}}]},
            [function(name="a", parameters={"json": SCHEMA})],
            {},
        ),
        ({"tools": [{"toolSpec": {"name": "a"}, "note": 1}]}, [A], {"tools.0.note": 1}),
        ({"tools": [{"toolSpec": 7, "name": "a"}]}, [function(toolSpec=7, name="a")], {}),
        ({"toolConfig": {"tools": [{"name": "a"}], "choice": "any"}}, [A], {"toolConfig.choice": "any"}),
        ({"toolConfig": {"tools": 7, "name": "a"}}, [function(tools=7, name="a")], {}),
        (
            {"tools": [{"name": "a"}, {"functionDeclarations": [{"name": "b"}, {"name": "c"}], "note": 1}]},
            [A, B, C],
            {"tools.1.note": 1},
        ),
        ({"tools": {"function_declarations": [{"name": "c"}, {"name": "a"}]}}, [C, A], {}),
        ({"tools": [{"functionDeclarations": 7, "name": "a"}]}, [function(functionDeclarations=7, name="a")], {}),
    ],
)
def test_tools_are_described_in_many_ways(described, tools, extra):
    rest: dict[str, Any] = {}
    remarks: list[str] = []
    assert tools_of(described, rest, remarks) == tools
    assert (rest, remarks) == (extra, [])


@pytest.mark.parametrize(
    ("described", "tools", "remarks"),
    [
        ([{"name": "a"}, {"name": "b"}, {"name": "a"}], [A, B], [REPEATED]),
        ([{"name": "a", "x": None}, {"name": "a"}], [A], [NULLS, REPEATED]),
        ([{"name": "a", "parameters": None, "input_schema": {}}], [function(name="a", parameters={})], []),
        ([{"name": "a", "input_schema": {}, "parameters": None}], [function(name="a", parameters={})], []),
        (
            [{"name": "a", "parameters": {"x": [None, {"y": None, "z": 0}], "enum": ["", None]}}],
            [function(name="a", parameters={"x": [None, {"z": 0}], "enum": ["", None]})],
            [NULLS],
        ),
        (
            [{"name": "a", "parameters": {"default": None, "const": None, "example": None, "d": {"default": None}}}],
            [function(name="a", parameters={"default": None, "const": None, "example": None, "d": {"default": None}})],
            [],
        ),
    ],
)
def test_nulls_and_repetitions_in_tools_are_dropped_and_remarked(described, tools, remarks):
    found: list[str] = []
    assert tools_of({"tools": described}, {}, found) == tools
    assert found == remarks


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"tools": 7}, "tools: tools must be a list, not a number"),
        ({"tools": "7"}, "tools: tools must be a list, not a number"),
        ({"functions": True}, "functions: tools must be a list, not true or false"),
        ({"tools": "[a"}, f"tools: {INVALID} value (character 2 of the row)"),
        ({"tools": [7]}, "tools.0: a tool needs a name"),
        ({"tools": [{}]}, "tools.0: a tool needs a name"),
        ({"tools": [{"name": "a"}, {"name": 7}]}, "tools.1: a tool needs a name"),
        ({"tools": [{"function": 7, "name": "a"}]}, "tools.0: a tool needs a name"),
        ({"tools": [{"function": {"name": None}, "name": "a"}]}, "tools.0: a tool needs a name"),
        ({"tools": [{"functionDeclarations": [{"name": "a"}, {}]}]}, "tools.1: a tool needs a name"),
        (
            {"tools": [{"name": "a", "parameters": {}, "input_schema": {}}]},
            "tools.0.input_schema: a tool has both 'parameters' and 'input_schema'",
        ),
        (
            {"tools": [{"name": "a", "inputSchema": {}, "input_schema": {}}]},
            "tools.0.inputSchema: a tool has both 'input_schema' and 'inputSchema'",
        ),
        (
            {"tools": [{"name": "a"}], "functions": [{"name": "b"}, {"name": "a", "x": 1}]},
            "functions.1: the tool 'a' has two different descriptions",
        ),
    ],
)
def test_tools_that_cannot_be_read_are_refused_by_place(described, message):
    with pytest.raises(RowError) as caught:
        tools_of(described, {}, [])
    assert str(caught.value) == message


def test_schemas_are_found_by_the_name_of_their_tool():
    assert schemas_of([function(name="a", parameters=SCHEMA), B]) == {"a": SCHEMA, "b": None}


def call(name: str = "a", arguments: str = "{}", **more: str) -> dict[str, Any]:
    return {**more, "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("written", "canonical", "extra"),
    [
        ({"name": "a"}, call(), {}),
        ({"function": {"name": "a"}}, call(), {}),
        ({"name": "a", "arguments": {"é": 1, "a": 2}}, call(arguments='{"é": 1, "a": 2}'), {}),
        ({"name": "a", "parameters": {"x": 1}}, call(arguments='{"x": 1}'), {}),
        ({"name": "a", "args": {"x": 1}}, call(arguments='{"x": 1}'), {}),
        ({"name": "a", "input": {"x": 1}}, call(arguments='{"x": 1}'), {}),
        ({"name": "a", "input": {"x": 1}, "arguments": None}, call(arguments='{"x": 1}'), {}),
        ({"function": {"name": "a", "arguments": '{"x":1}'}}, call(arguments='{"x":1}'), {}),
        ({"name": "a", "arguments": ""}, call(), {}),
        ({"name": "a", "arguments": {}}, call(), {}),
        ({"name": "a", "id": "1"}, call(id="1"), {}),
        ({"name": "a", "toolUseId": "1"}, call(id="1"), {}),
        ({"name": "a", "call_id": "1"}, call(id="1"), {}),
        ({"name": "a", "call_id": "1", "toolUseId": "2", "id": "3"}, call(id="3"), {"call_id": "1", "toolUseId": "2"}),
        ({"name": "a", "id": 7}, call(), {"id": 7}),
        ({"name": "a", "id": 7, "call_id": "1"}, call(id="1"), {"id": 7}),
        ({"name": "a", "type": "function"}, call(), {}),
        ({"name": "a", "type": "tool_use"}, call(), {}),
        ({"name": "a", "type": "tool_call"}, call(), {}),
        ({"name": "a", "type": "other"}, call(), {"type": "other"}),
        ({"name": "a", "note": 1, "none": None}, call(), {"note": 1}),
        (
            {"function": {"name": "a", "args": {}, "note": 1, "id": "0", "type": "function"}, "id": "1", "name": "b"},
            call(id="1"),
            {"function.note": 1, "function.id": "0", "function.type": "function", "name": "b"},
        ),
    ],
)
def test_calls_are_written_in_many_ways(written, canonical, extra):
    rest: dict[str, Any] = {}
    remarks: list[str] = []
    assert calls_of([{"name": "first"}, written], "p", {}, rest, remarks) == [call("first"), canonical]
    assert (rest, remarks) == ({f"p.1.{key}": value for key, value in extra.items()}, [])


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (7, "p.1.name: a tool call needs a name"),
        ({}, "p.1.name: a tool call needs a name"),
        ({"name": 7}, "p.1.name: a tool call needs a name"),
        ({"name": ""}, "p.1.name: a tool call needs a name"),
        ({"function": 7, "name": "a"}, "p.1.name: a tool call needs a name"),
        ({"function": {}, "name": "a"}, "p.1.name: a tool call needs a name"),
        ({"name": "a", "arguments": {}, "args": {}}, "p.1.args: a tool call has both 'arguments' and 'args'"),
        (
            {"name": "a", "input": {}, "args": "", "parameters": {}},
            "p.1.args: a tool call has both 'parameters' and 'args'",
        ),
        ({"name": "a", "arguments": 7}, "p.1.arguments: arguments must be an object, not a number"),
        ({"name": "a", "input": [1]}, "p.1.arguments: arguments must be an object, not a list"),
        ({"name": "a", "arguments": False}, "p.1.arguments: arguments must be an object, not true or false"),
        ({"name": "a", "arguments": "[1]"}, "p.1.arguments: arguments must be the text of a JSON object"),
        ({"name": "a", "arguments": " "}, f"p.1.arguments: {INVALID} value (character 2 of the row)"),
    ],
)
def test_calls_that_cannot_be_read_are_refused_by_place(written, message):
    with pytest.raises(RowError) as caught:
        calls_of([{"name": "first"}, written], "p", {}, {}, [])
    assert str(caught.value) == message


NULL, TEXT = {"type": "null"}, {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "may_be_null"),
    [
        (TEXT, False),
        (NULL, True),
        ({"type": ["string"]}, False),
        ({"type": ["string", "null"]}, True),
        ({"type": "string", "nullable": True}, True),
        ({"type": "string", "nullable": False}, False),
        ({"anyOf": [TEXT, NULL]}, True),
        ({"oneOf": [NULL, TEXT]}, True),
        ({"anyOf": [TEXT, 7], "oneOf": [TEXT]}, False),
        ({"anyOf": None, "oneOf": None}, False),
        ({"anyOf": [{"type": "nullable"}]}, False),
        ({}, False),
        (True, False),
        (None, False),
    ],
)
def test_a_null_argument_is_kept_where_its_schema_allows_it(schema, may_be_null):
    schemas = {"a": {"properties": {"x": schema, "y": TEXT}}, "b": None}
    listed = [{"name": "a", "arguments": {"x": None, "y": "é", "z": 0}}]
    remarks: list[str] = []
    kept = '{"x": null, "y": "é", "z": 0}' if may_be_null else '{"y": "é", "z": 0}'
    assert calls_of(listed, "p", schemas, {}, remarks) == [call(arguments=kept)]
    assert remarks == ([] if may_be_null else [DROPPED])


@pytest.mark.parametrize("schema", [None, 7, {}, {"properties": None}, {"properties": [1]}])
def test_null_arguments_that_no_schema_covers_are_kept_and_remarked(schema):
    remarks: list[str] = []
    listed = [{"name": "a", "arguments": {"x": None, "y": 1}}, {"name": "a", "arguments": {"y": 1}}]
    found = calls_of(listed, "p", {"a": schema}, {}, remarks)
    assert found == [call(arguments='{"x": null, "y": 1}'), call(arguments='{"y": 1}')]
    assert remarks == [KEPT]


def test_an_argument_that_the_schema_does_not_name_may_not_be_null():
    remarks: list[str] = []
    found = calls_of([{"name": "a", "arguments": {"x": None}}], "p", {"a": {"properties": {}}}, {}, remarks)
    assert (found, remarks) == ([call()], [DROPPED])


@pytest.mark.parametrize(
    ("value", "listed"),
    [
        ({"name": "a"}, [{"name": "a"}]),
        ([{"name": "a"}, 7], [{"name": "a"}, 7]),
        ('{"name": "a"}', [{"name": "a"}]),
        (' [{"name": "a"}]', [{"name": "a"}]),
    ],
)
def test_calls_are_a_list_or_one_object_or_their_json(value, listed):
    assert call_list(value, "p") == listed


NO_CALL = "a tool call must be an object with name and arguments, or a list of them"
BEFORE = "precedes the tool call: write `{role: assistant, content, tool_calls}`"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], NO_CALL),
        ("[]", NO_CALL),
        (7, NO_CALL),
        (None, NO_CALL),
        ("7", NO_CALL),
        ("a call", f"{INVALID} value (character 1 of the row)"),
        (" {a", f"{INVALID} property name enclosed in double quotes (character 3 of the row)"),
        ('So:  {"name": "a"}', f"the text 'So:' {BEFORE}"),
        ('So [{"name": "a"}]', f"the text 'So' {BEFORE}"),
        ("so " * 30 + "{}", f"the text '{'so ' * 20}' {BEFORE}"),
    ],
)
def test_what_is_no_call_is_refused(value, reason):
    with pytest.raises(RowError) as caught:
        call_list(value, "p")
    assert (caught.value.field, caught.value.reason) == ("p", reason)
