"""Tool calls in the notations of the common templates; see the table at the top of tool_calls.py."""

import pytest

from burnish.evals.json_values import Untyped
from burnish.evals.tool_calls import MalformedToolCallError, ToolCall, difference, parse_tool_calls, reference_calls

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
    "text", ["", "The weather is fine.", '{"city": "Paris"}', '{"name": "Paris"}', "[]", "[1, 2]", "{oops"]
)
def test_other_text_holds_no_call(text: str) -> None:
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
    ],
)
def test_a_call_that_is_begun_and_broken_is_an_error(text: str) -> None:
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


def test_the_order_of_calls_counts_only_when_asked() -> None:
    assert difference([TIME, WEATHER], [WEATHER, TIME], order=True) == "called get_time in place of get_weather"
    assert difference([TIME, WEATHER], [WEATHER, TIME], order=False) == ""
    assert difference([TIME, TIME], [WEATHER, TIME], order=False) == "no call equals get_weather(city, days)"


def test_a_difference_is_told_in_words() -> None:
    assert difference([], [TIME], order=True) == "0 calls in place of 1"
    wrong = ToolCall("get_time", {"zone": "PST"})
    assert difference([wrong], [TIME], order=True) == "get_time: argument zone is 'PST', not 'CET'"
    assert difference([ToolCall("get_time", {})], [TIME], order=True) == "get_time: argument zone is missing"
    surplus = ToolCall("get_time", {"zone": "CET", "format": "h"})
    assert difference([surplus], [TIME], order=True) == "get_time: argument format is not expected"


def test_reference_arguments_are_json_strings() -> None:
    row_calls = [
        {"type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris", "days": 3.0}'}}
    ]
    assert difference(reference_calls(row_calls), [WEATHER], order=True) == ""
