"""Calls are read in each notation; a call that is cut short or written wrong is an error, and prose is no call."""

from decimal import Decimal

import pytest

from burnish.evals.scoring import notations
from burnish.evals.scoring.notations import _from_json_sequence, _from_plain_json, _literal, _looks_like_calls, _skip


def calls(found) -> list[tuple[str, dict]]:
    return [(call.name, dict(call.arguments)) for call in found]


ONE = '{"name": "f", "arguments": {"a": 1}}'
TWO = '{"name": "g", "parameters": {}}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ONE, [("f", {"a": 1})]),
        (f"[{ONE}, {TWO}]", [("f", {"a": 1}), ("g", {})]),
        (f"{ONE};{TWO}", [("f", {"a": 1}), ("g", {})]),
        (f"{ONE}, {TWO} ", [("f", {"a": 1}), ("g", {})]),
        (f"{ONE}\n{TWO}\n", [("f", {"a": 1}), ("g", {})]),
        (f" \n{ONE};{TWO}", [("f", {"a": 1}), ("g", {})]),
        ('{"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}', [("f", {"a": 1})]),
        ('{"function": {"name": "f", "arguments": {"a": 1}}}', [("f", {"a": 1})]),
        ("[]", []),
        ("7", []),
        ('{"name": "f"}', []),
        ('{"name": 7, "arguments": {}}', []),
        ('{"arguments": {}}', []),
        (f"[{ONE}, 7]", []),
        (f"{ONE} {{", []),
        (f"{ONE} 7", []),
        ('{"a": 1} {"b": 2}', []),
        ("prose", []),
        ("[1, 2", []),
        ('{"tool_calls": []}', []),
    ],
)
def test_plain_json_is_a_call_only_where_all_of_it_is(text, expected):
    assert calls(_from_plain_json(text)) == expected


def test_a_sequence_ends_where_something_else_begins():
    assert calls(_from_json_sequence(f"{ONE} {TWO} and so on")) == [("f", {"a": 1}), ("g", {})]
    assert calls(_from_json_sequence(f"{ONE}; {TWO}", ";")) == [("f", {"a": 1}), ("g", {})]
    assert calls(_from_json_sequence(f"{ONE}; {TWO}")) == [("f", {"a": 1})]
    assert calls(_from_json_sequence(f"{ONE} ~ {TWO}")) == [("f", {"a": 1})]
    assert calls(_from_json_sequence(f"{ONE} [{TWO}]")) == [("f", {"a": 1}), ("g", {})]
    for broken in ("prose", '{"name": ', f'{ONE} {{"name"'):
        with pytest.raises(notations.MalformedToolCallError):
            _from_json_sequence(broken)


def test_blanks_and_separators_are_skipped():
    assert [_skip(" ; ,x", at, ";,") for at in range(5)] == [4, 4, 4, 4, 4]
    assert (_skip("  ;x", 0, ""), _skip("   ", 0, ""), _skip("x", 0, ";")) == (2, 3, 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-1", -1),
        ("-1.5", Decimal("-1.5")),
        ("0.1", Decimal("0.1")),
        ("'a'", "a"),
        ("True", True),
        ("true", True),
        ("false", False),
        ("null", None),
        ("None", None),
        ("[1, (2, 'a')]", [1, [2, "a"]]),
        ("{'a': {'b': [False]}}", {"a": {"b": [False]}}),
        ("{**a, 'b': 1}", {"b": 1}),
    ],
)
def test_literals_of_python_are_read(text, value):
    import ast

    found = _literal(ast.parse(text, mode="eval").body)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["a", "f()", "1 + 1", "b'a'", "1j", "..."])
def test_other_expressions_are_no_literals(text):
    import ast

    with pytest.raises(ValueError):
        _literal(ast.parse(text, mode="eval").body)


def test_what_looks_like_calls():
    call = {"name": "f", "arguments": {}}
    for value in (call, [call], {"function": call}, {"tool_calls": [call]}, {"name": "f", "parameters": 1}):
        assert _looks_like_calls(value)
    for value in ([], [call, 1], {}, {"name": "f"}, {"tool_calls": []}, {"tool_calls": [1]}, 1, None, "f"):
        assert not _looks_like_calls(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<tool_call>f\n<arg_key> a </arg_key>\n<arg_value>\n b \n</arg_value></tool_call>", [("f", {"a": "b"})]),
        ('<function=f>\n{"a": 1}\n</function>', [("f", {"a": 1})]),
        ('<|python_tag|>{"name": "f", "parameters": {"a": "<|python_tag|>"}}', [("f", {"a": "<|python_tag|>"})]),
        ("<|tool_call>call:f{a:1}", [("f", {"a": 1})]),
        ('<|tool_call>call:f{a:1}<tool_call|><|tool_call>call:g{b:<|"|>', "the call is not valid JSON"),
        ("<|tool_call>call:f{a:1}<tool_call|><|tool_call>call:g{}<tool_call|>", [("f", {"a": 1}), ("g", {})]),
        ("Sure. <|tool_call_start|>[f(a=1)]<|tool_call_end|>", [("f", {"a": 1})]),
        ("<|tool_call_start|>[f(a=1)]", [("f", {"a": 1})]),
        ("<|tool_call_start|>[f(a=1)]<|tool_call_end|> [g()]<|tool_call_end|>", [("f", {"a": 1})]),
        (" \n[f(a=1)] ", [("f", {"a": 1})]),
        (f"<tool_call>{ONE}</tool_call><tool_call> !! </tool_call>", "the tool call cannot be parsed: '!!'"),
        ("<tool_call>{oops}</tool_call>", "the call is not valid JSON"),
        ("[TOOL_CALLS]{}", "the tool call cannot be parsed: '[TOOL_CALLS]{}'"),
        ("[f(1)]", "the calls are not valid Python: tool calls need keyword arguments"),
    ],
)
def test_marked_calls_are_read_whatever_stands_around_them(text, expected):
    if isinstance(expected, str):
        with pytest.raises(notations.MalformedToolCallError) as caught:
            notations.parse_tool_calls(text)
        assert str(caught.value).startswith(expected)
    else:
        found = notations.parse_tool_calls(text)
        shown = [(call.name, {k: getattr(v, "raw", v) for k, v in call.arguments.items()}) for call in found]
        assert shown == expected
