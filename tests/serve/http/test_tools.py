"""Tools, forced calls and JSON schemas in chats."""

import json

import pytest

from burnish.serve.chat.forcing import plain_end
from burnish.serve.chat.notation import Calling
from scripted import chunks_of

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "d", "parameters": PARAMETERS}},
    {"type": "function", "function": {"name": "clock"}},
]
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Zürich"}}\n</tool_call>'


def test_a_call_is_parsed_and_streamed_as_deltas(served):
    app = served(script=lambda asked: f"Let me see.\n{CALL}\n{CALL}")
    choice = app.chat(tools=TOOLS).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "Let me see."
    calls = choice["message"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["weather", "weather"]
    assert json.loads(calls[0]["function"]["arguments"]) == {"city": "Zürich"}
    assert len({call["id"] for call in calls}) == 2
    chunks = chunks_of(app.chat(tools=TOOLS, stream=True))
    streamed = [call for c in chunks for call in c["choices"][0]["delta"].get("tool_calls", [])]
    assert [call["index"] for call in streamed] == [0, 1]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_an_answer_that_is_cut_after_a_call_ends_with_length(served, tokenizer):
    text = f"{CALL}\nand more words than there is room for"
    room = len(tokenizer.encode(CALL, add_special_tokens=False)) + 3
    app = served(script=lambda asked: text)
    choice = app.chat(tools=TOOLS, max_tokens=room).json()["choices"][0]
    assert choice["finish_reason"] == "length"
    assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == ["weather"]
    chunks = chunks_of(app.chat(tools=TOOLS, max_tokens=room, stream=True))
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert app.chat(tools=TOOLS).json()["choices"][0]["finish_reason"] == "tool_calls"


def test_a_forced_call_that_is_whole_at_the_limit_is_a_call(served, tokenizer):
    written = '{"name": "weather", "arguments": {"city": "Bern"}}'
    app = served(script=lambda asked: written)
    room = len(tokenizer.encode(written, add_special_tokens=False))
    choice = app.chat(tools=TOOLS, tool_choice="required", max_tokens=room).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"


def test_a_call_of_a_function_that_was_not_offered_is_content_and_counted(served):
    other = CALL.replace("weather", "rm_rf")
    app = served(script=lambda asked: other)
    choice = app.chat(tools=TOOLS).json()["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("stop", other)
    assert "tool_calls" not in choice["message"]
    assert "burnish_malformed_tool_calls_total 1.0" in app.get("/metrics").text


def test_tools_are_in_the_prompt_unless_the_choice_is_none(served):
    app = served()
    for choice in ("auto", "none"):
        app.chat(tools=TOOLS, tool_choice=choice)
    shown, hidden = (app.models[0].decode(asked.prompt) for asked in app.engine.asked)
    assert '"weather"' in shown
    assert "weather" not in hidden


def test_without_tools_a_call_is_text(served):
    choice = served(script=lambda asked: CALL).chat().json()["choices"][0]
    assert choice["message"]["content"] == CALL
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_forced_call_has_its_opening_given_and_a_schema(served, choice):
    app = served(script=lambda asked: '{"name": "weather", "arguments": {"city": "Bern"}}')
    answer = app.chat(tools=TOOLS, tool_choice=choice).json()["choices"][0]
    assert answer["finish_reason"] == "tool_calls"
    (call,) = answer["message"]["tool_calls"]
    assert call["function"] == {"name": "weather", "arguments": '{"city": "Bern"}'}
    asked = app.engine.asked[0]
    assert app.models[0].decode(asked.prompt).endswith("<|im_start|>assistant\n<tool_call>\n")
    schemas = asked.schema.get("anyOf", [asked.schema])
    assert [schema["properties"]["name"]["const"] for schema in schemas] == (
        ["weather", "clock"] if choice == "required" else ["weather"]
    )
    assert schemas[0]["properties"]["arguments"] == PARAMETERS
    assert asked.after == "\n</tool_call>"


@pytest.mark.parametrize("tokens_less", [0, 1])
def test_a_forced_call_may_be_closed_as_the_template_closes_it(served, tokenizer, tokens_less):
    written = '{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>'
    app = served(script=lambda asked: written)
    room = len(tokenizer.encode(written, add_special_tokens=False)) - tokens_less
    answer = app.chat(tools=TOOLS, tool_choice="required", max_tokens=room).json()["choices"][0]
    assert answer["finish_reason"] == "tool_calls"
    assert answer["message"]["tool_calls"][0]["function"]["arguments"] == '{"city": "Bern"}'


def test_the_text_that_closes_a_call_ends_before_a_special_token():
    calling = Calling("<|call|>", "\n```<|end_call|>\n<|end_calls|>", "arguments")
    assert plain_end(calling, {"<|end_calls|>", "<|end_call|>", "<s>"}) == "\n```"
    assert plain_end(calling, ()) == calling.closes


def test_definitions_of_a_tools_schema_move_to_the_root(served):
    parameters = {
        "type": "object",
        "properties": {"where": {"$ref": "#/$defs/place"}},
        "$defs": {"place": {"type": "string"}},
    }
    tool = {"type": "function", "function": {"name": "go", "parameters": parameters}}
    app = served(script=lambda asked: '{"name": "go", "arguments": {}}')
    app.chat(tools=[tool], tool_choice="required")
    schema = app.engine.asked[0].schema
    assert schema["properties"]["arguments"]["properties"]["where"] == {"$ref": "#/$defs/t0_place"}
    assert schema["$defs"] == {"t0_place": {"type": "string"}}


def test_a_forced_call_that_is_cut_short_is_content(served):
    app = served(script=lambda asked: '{"name": "weather", "arguments": {"city": "Bern"}}')
    answer = app.chat(tools=TOOLS, tool_choice="required", max_tokens=4).json()["choices"][0]
    assert answer["finish_reason"] == "length"
    assert answer["message"]["content"].startswith('{"name"')


@pytest.mark.parametrize("strict", [True, False, None])
def test_a_schema_reaches_the_engine(served, strict):
    app = served(script=lambda asked: '{"city": "Bern"}')
    schema = {"name": "place", "schema": PARAMETERS, "strict": strict}
    answer = app.chat(response_format={"type": "json_schema", "json_schema": schema})
    assert json.loads(answer.json()["choices"][0]["message"]["content"]) == {"city": "Bern"}
    app.chat(response_format={"type": "json_object"})
    assert [asked.schema for asked in app.engine.asked] == [PARAMETERS, {"type": "object"}]


BAD = {
    "unknown keyword": {"type": "object", "minProperties": 2},
    "not": {"not": {"type": "string"}},
    "if": {"if": {}, "then": {}},
    "remote reference": {"$ref": "https://example.com/schema.json"},
    "missing reference": {"$ref": "#/$defs/nothing"},
    "loop": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "repetition bomb": {"type": "array", "items": {"type": "string"}, "minItems": 1_000_000_000},
    "wrong type": {"type": "strin"},
    "type of nothing": {"type": []},
    "too deep": {"type": "object"},
    "too many parts": {"type": "object", "properties": {str(n): {"type": "string"} for n in range(3000)}},
    "pattern without ends": {"type": "string", "pattern": "a"},
    "unknown format": {"type": "string", "format": "email"},
    "count of half": {"type": "array", "minItems": 1.5},
    "enum of nothing": {"enum": []},
    "bound as text": {"type": "number", "minimum": "0.5"},
    "bound beyond decimals": {"type": "number", "maximum": 1e300},
    "properties as list": {"type": "object", "properties": []},
    "false": {"type": "object", "properties": {"a": False}},
}
for _ in range(40):
    BAD["too deep"] = {"anyOf": [BAD["too deep"]]}


@pytest.mark.parametrize("name", BAD)
def test_a_schema_that_would_not_be_enforced_as_it_is_gets_400(served, name):
    app = served()
    formats = {"type": "json_schema", "json_schema": {"name": "x", "schema": BAD[name]}}
    tool = {"type": "function", "function": {"name": "f", "parameters": BAD[name]}}
    for body in ({"response_format": formats}, {"tools": [tool], "tool_choice": "required"}):
        answer = app.chat(**body)
        assert answer.status_code == 400, body
        assert answer.json()["error"]["type"] == "invalid_request_error"
    assert not app.engine.asked


def test_strict_is_refused_where_it_cannot_be_enforced(served):
    tools = [{"type": "function", "function": {**TOOLS[0]["function"], "strict": True}}]
    app = served(script=lambda asked: '{"name": "weather", "arguments": {"city": "Bern"}}')
    assert app.chat(tools=tools).json()["error"]["param"] == "tools.0.function.strict"
    assert app.chat(tools=tools, tool_choice="required").status_code == 200


def test_a_conversation_with_calls_and_results_is_rendered(served):
    app = served()
    calls = [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}]
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "Warm"}, {"type": "text", "text": "?"}]},
        {"role": "assistant", "content": None, "tool_calls": calls, "refusal": None, "annotations": []},
        {"role": "tool", "content": "21 °C", "tool_call_id": "c1"},
    ]
    assert app.post({"messages": turns, "tools": TOOLS}).status_code == 200
    text = app.models[0].decode(app.engine.asked[0].prompt)
    assert '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>' in text
    assert "<tool_response>\n21 °C\n</tool_response>" in text
    assert "user\nWarm?" in text


def test_reasoning_is_given_apart(served):
    app = served(script=lambda asked: "<think>\nHm.\n</think>\n\nYes.")
    message = app.chat().json()["choices"][0]["message"]
    assert message["reasoning_content"] == "Hm."
    assert message["content"] == "Yes."
    deltas = [c["choices"][0]["delta"] for c in chunks_of(app.chat(stream=True))]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "Hm."
    assert "".join(delta.get("content", "") for delta in deltas) == "Yes."
