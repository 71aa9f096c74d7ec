"""Tool calls in the notations of the common templates; see the table at the top of notations.py."""

import json
from pathlib import Path

import pytest

from burnish.evals.scoring.json_values import Untyped
from burnish.evals.scoring.notations import parse_tool_calls
from burnish.evals.scoring.scorers import visible
from burnish.evals.scoring.tool_calls import MalformedToolCallError, ToolCall, call_of, difference, reference_calls
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer

WEATHER = ToolCall("get_weather", {"city": "Paris", "days": 3})
TIME = ToolCall("get_time", {"zone": "CET"})


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}\n</tool_call>',
        'Let me look.\n<tool_call>{"arguments": {"days": 3.0, "city": "Paris"}, "name": "get_weather"}</tool_call>',
        '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\", \\"days\\": 3}"}</tool_call>',
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}',
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n</parameter>\n"
        "</function>\n</tool_call>",
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>days</arg_key>\n"
        "<arg_value>3</arg_value>\n</tool_call>",
        '<function=get_weather>{"city": "Paris", "days": 3}</function>',
        '<|python_tag|>{"type": "function", "name": "get_weather", "parameters": {"city": "Paris", "days": 3}}',
        '{"name": "get_weather", "parameters": {"city": "Paris", "days": 3}}',
        '```json\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}\n```',
        '[{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}, "id": "123456789"}]',
        '{"tool_calls": [{"function": {"name": "get_weather", "arguments": "{\\"city\\":\\"Paris\\",\\"days\\":3}"}}]}',
        '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}, "id": "abc"}]</s>',
        '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris", "days": 3}</s>',
        '[TOOL_CALLS]get_weather[CALL_ID]9Xa[ARGS]{"city": "Paris", "days": 3}',
        '[TOOL_CALLS]get_weather{"city": "Paris", "days": 3}',
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n"
        '{"city": "Paris", "days": 3}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
        '<｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris", "days": 3}<｜tool▁call▁end｜>',
        "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>"
        '{"city": "Paris", "days": 3}<|call|>',
        '<|tool_call>call:get_weather{city:<|"|>Paris<|"|>,days:3}<tool_call|>',
        '<x:invoke name="get_weather">\n<x:parameter name="city">Paris</x:parameter>\n'
        '<x:parameter name="days">3</x:parameter>\n</x:invoke>',
        "<|tool_call_start|>[get_weather(city='Paris', days=3)]<|tool_call_end|>",
        '[get_weather(city="Paris", days=3.0)]',
    ],
)
def test_one_call_is_read_in_every_notation(text: str) -> None:
    assert difference(parse_tool_calls(text), [WEATHER], order=True) == ""


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}</tool_call>\n'
        '<tool_call>{"name": "get_time", "arguments": {"zone": "CET"}}</tool_call>',
        '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris", "days": 3}}; '
        '{"name": "get_time", "parameters": {"zone": "CET"}}',
        '{"name": "get_weather", "parameters": {"city": "Paris", "days": 3}}; '
        '{"name": "get_time", "parameters": {"zone": "CET"}}',
        '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}, '
        '{"name": "get_time", "arguments": {"zone": "CET"}}]',
        '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris", "days": 3}[TOOL_CALLS]get_time[ARGS]{"zone": "CET"}',
    ],
)
def test_two_calls_are_read_in_order(text: str) -> None:
    assert difference(parse_tool_calls(text), [WEATHER, TIME], order=True) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The weather is fine.",
        '{"city": "Paris"}',
        '{"name": "Paris"}',
        "[]",
        "[1, 2]",
        "{oops",
        "f(x)",
        "[see (1)]",
    ],
)
def test_other_text_contains_no_call(text: str) -> None:
    assert parse_tool_calls(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Par',
        '<tool_call>{"name": "get_weather", "arguments": "not json"}</tool_call>',
        '<tool_call>{"name": "get_weather", "arguments": [1]}</tool_call>',
        '<tool_call>{"arguments": {}}</tool_call>',
        '<tool_call>{"name": "f", "arguments": ' + "[" * 100_000,
        "[TOOL_CALLS]",
        "[TOOL_CALLS]get_weather[ARGS]{",
        "<|python_tag|>print(1)",
        "[get_weather(city=open('x'))]",
        "[get_weather('Paris')]",
        "[get_weather(city=)]",
        "<|tool_call>call:get_weather{city:<tool_call|>",
        "<|tool_call_start|>Paris",
    ],
)
def test_an_incomplete_call_is_an_error(text: str) -> None:
    with pytest.raises(MalformedToolCallError):
        parse_tool_calls(text)


@pytest.mark.parametrize(
    ("got", "expected", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (0, None, False),
        ("1", 1, False),
        ([1, 2], [1.0, 2.0], True),
        ([1, 2], [2, 1], False),
        ({"a": {"b": 1}}, {"a": {"b": 1.0}}, True),
        (Untyped("1"), 1, True),
        (Untyped("1"), "1", True),
        (Untyped("true"), True, True),
        (Untyped("1"), True, False),
        (Untyped('["a"]'), ["a"], True),
        (Untyped("Paris"), "paris", False),
    ],
)
def test_arguments_are_compared_as_json_values(got: object, expected: object, equal: bool) -> None:
    assert (difference([ToolCall("f", {"x": got})], [ToolCall("f", {"x": expected})], order=True) == "") is equal


def test_the_order_of_calls_counts_only_on_request() -> None:
    assert difference([TIME, WEATHER], [WEATHER, TIME], order=True) == "called get_time instead of get_weather"
    assert difference([TIME, WEATHER], [WEATHER, TIME], order=False) == ""
    assert difference([TIME, TIME], [WEATHER, TIME], order=False) == "no call matches get_weather(city, days)"
    assert difference([TIME, WEATHER], [TIME, TIME], order=False) == "no call matches get_time(zone)"


def test_a_difference_is_described() -> None:
    assert difference([], [TIME], order=True) == "0 calls instead of 1"
    wrong = ToolCall("get_time", {"zone": "PST"})
    assert difference([wrong], [TIME], order=True) == "get_time: argument zone is 'PST', not 'CET'"
    assert difference([ToolCall("get_time", {})], [TIME], order=True) == "get_time: argument zone is missing"
    surplus = ToolCall("get_time", {"zone": "CET", "format": "h"})
    assert difference([surplus], [TIME], order=True) == "get_time: unexpected argument format"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({"name": "f"}, {}),
        ({"name": "f", "arguments": None}, {}),
        ({"name": "f", "arguments": " "}, {}),
        ({"name": "f", "arguments": {"a": 1}, "parameters": {"b": 2}}, {"a": 1}),
        ({"function": {"name": "f", "parameters": '{"a": 1}'}}, {"a": 1}),
        ({"name": "f", "arguments": "{a"}, "the arguments of f are not valid JSON"),
        ({"name": "f", "arguments": "[1]"}, "the arguments of f are not a JSON object"),
        ({"name": "f", "arguments": 7}, "the arguments of f are not a JSON object"),
        ({"name": 7}, "the call has no name"),
        ({"function": {}}, "the call has no name"),
        ({"function": "f", "name": "g"}, {}),
        ("f", "the call has no name"),
    ],
)
def test_a_call_has_a_name_and_an_object_of_arguments(call: object, expected: object) -> None:
    if isinstance(expected, str):
        with pytest.raises(MalformedToolCallError) as caught:
            call_of(call)
        assert str(caught.value) == expected
    else:
        assert call_of(call).arguments == expected


def test_reference_arguments_are_json_strings() -> None:
    row_calls = [
        {"type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris", "days": 3.0}'}}
    ]
    assert difference(reference_calls(row_calls), [WEATHER], order=True) == ""


FAMILIES = {
    "qwen2_5": [],
    "qwen3": [],
    "qwen3_instruct_2507": [],
    "qwen3_5_nothink": [],
    "qwen3_8": [],
    "qwen3_vl": [],
    "nemotron_3_nano": [],
    "lfm2_2_5": [],
    "llama3_1": ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>"],
    "llama3_2": ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>"],
    "glm4moe": ["<|user|>", "<|assistant|>", "<|observation|>"],
    "gemma4": ["<|turn>", "<turn|>", "<|tool_call>", "<tool_call|>", "<|tool_response>"],
    "gptoss": ["<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|call|>", "<|return|>", "<|constrain|>"],
}


@pytest.mark.parametrize("family", FAMILIES)
def test_calls_rendered_by_a_real_template_are_parsed(family: str, tmp_path: Path) -> None:
    """The reference of a row, rendered by a template, must score 1 against the row itself."""
    import trl

    from burnish.testing import tiny_tokenizer

    template = (Path(trl.__file__).parent / "chat_templates" / f"{family}.jinja").read_text(encoding="utf-8")
    tokenizer = load_tokenizer(tiny_tokenizer(tmp_path, template))
    tokenizer.add_special_tokens({"bos_token": "<|bos|>", "additional_special_tokens": FAMILIES[family]})
    deep = {"a": [1, 2.5, True, "x, y: {z}"]}
    arguments = {"city": 'São "P" <b>', "days": 3, "zip": "0123", "deep": deep}
    call = {
        "id": "abcdefghi",
        "type": "function",
        "function": {"name": "get_weather", "arguments": json.dumps(arguments)},
    }
    kinds = {"city": "string", "days": "integer", "zip": "string", "deep": "object"}
    parameters = {"type": "object", "properties": {key: {"type": kind} for key, kind in kinds.items()}}
    row = {
        "kind": "chat",
        "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "", "tool_calls": [call]}],
        "tools": [
            {"type": "function", "function": {"name": "get_weather", "description": "", "parameters": parameters}}
        ],
    }
    written = Renderer(tokenizer).answer(row)
    assert difference(parse_tool_calls(visible(written)), reference_calls([call]), order=True) == ""
