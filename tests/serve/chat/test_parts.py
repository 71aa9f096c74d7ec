"""A turn as it is written: reasoning, content and tool calls, wherever the tokens divide it."""

import json

import pytest

from burnish.evals.scoring.notations import MARKERS
from burnish.serve.chat.notation import Notation, Reasoning
from burnish.serve.chat.parts import Parts

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": properties}}}
    for name, properties in (("f", {"a": {"type": "string"}, "n": {"type": "integer"}}), ("g", {}))
]
ARGUMENTS = {"a": "x y", "n": 3}
JSON = json.dumps(ARGUMENTS)
OBJECT = f'{{"name": "f", "arguments": {JSON}}}'
NOTATIONS = {
    "<tool_call>": [
        f"<tool_call>\n{OBJECT}\n</tool_call>",
        "<tool_call>\n<function=f>\n<parameter=a>\nx y\n</parameter>\n<parameter=n>\n3\n</parameter>\n</function>\n"
        "</tool_call>",
        "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>x y</arg_value>\n<arg_key>n</arg_key>\n"
        "<arg_value>3</arg_value>\n</tool_call>",
    ],
    "[TOOL_CALLS]": [f"[TOOL_CALLS][{OBJECT}]", f"[TOOL_CALLS]f[CALL_ID]abc[ARGS]{JSON}"],
    "<|python_tag|>": [f"<|python_tag|>{OBJECT}"],
    "<｜tool▁call▁begin｜>": [
        f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{JSON}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        f"<｜tool▁call▁begin｜>f<｜tool▁sep｜>{JSON}<｜tool▁call▁end｜>",
    ],
    "to=functions.": [f"<|start|>assistant to=functions.f<|channel|>commentary json<|message|>{JSON}<|call|>"],
    "<|tool_call>": ['<|tool_call>call:f{a:<|"|>x y<|"|>,n:3}<tool_call|>'],
    "<|tool_call_start|>": ["<|tool_call_start|>[f(a='x y', n=3)]<|tool_call_end|>"],
    "<function=": [f"<function=f>{JSON}</function>"],
    "invoke name=": [
        '<function_calls>\n<invoke name="f">\n<parameter name="a">x y</parameter>\n<parameter name="n">3</parameter>\n'
        "</invoke>\n</function_calls>",
        '<invoke name="f"><parameter name="a">x y</parameter><parameter name="n">3</parameter></invoke>',
    ],
}
TEXTS = [text for texts in NOTATIONS.values() for text in texts]


def read(text, size, reasoning=None, marker="<tool_call>", **how):
    parts = Parts(Notation(reasoning, marker, None), TOOLS, **how)
    found = [part for place in range(0, len(text), size) for part in parts.add(text[place : place + size])]
    return [*found, *parts.end()], parts


def text_of(parts, kind):
    return "".join(part.text for part in parts if part.kind == kind)


def calls_of(parts):
    return [(part.call.name, json.loads(part.call.arguments)) for part in parts if part.call]


def test_every_notation_is_in_the_table():
    assert set(NOTATIONS) == set(MARKERS)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("text", TEXTS)
def test_every_notation_is_read_alone_and_after_words(text, size):
    found, _ = read(text, size)
    assert calls_of(found) == [("f", ARGUMENTS)]
    if not text.startswith("<|start|>"):
        assert text_of(found, "content") == ""
        found, _ = read(f"I look it up.\n\n{text}", size)
        assert calls_of(found) == [("f", ARGUMENTS)]
        assert text_of(found, "content") == "I look it up."


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_several_calls_come_as_each_is_complete(size):
    text = f'<tool_call>\n{OBJECT}\n</tool_call>\n<tool_call>\n{{"name": "g", "arguments": {{}}}}\n</tool_call>'
    found, _ = read(text, size)
    assert calls_of(found) == [("f", ARGUMENTS), ("g", {})]
    assert text_of(found, "content") == ""
    early = Parts(Notation(None, "<tool_call>", None), TOOLS)
    assert len([part for part in early.add(text[: text.index("</tool_call>") + 12]) if part.call]) == 1


def test_one_call_where_parallel_calls_are_off_and_the_rest_is_counted():
    text = f"<tool_call>{OBJECT}</tool_call><tool_call>{OBJECT}</tool_call>"
    found, parts = read(text, 1, parallel=False)
    assert len(calls_of(found)) == 1
    assert parts.surplus == 1


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize("text", [OBJECT, f"[{OBJECT}]", f"```json\n{OBJECT}\n```", "[f(a='x y', n=3)]"])
def test_calls_without_a_marker_are_read_where_the_template_writes_them_so(text, size):
    found, _ = read(text, size, marker="")
    assert calls_of(found) == [("f", ARGUMENTS)]
    assert text_of(found, "content") == ""
    found, _ = read(text, size, marker="<tool_call>")
    assert calls_of(found) == []
    assert text_of(found, "content") == text


@pytest.mark.parametrize("text", ['{"answer": 1}', "[1, 2]", '{"name": "unknown", "arguments": {}}', "{ not JSON"])
def test_other_json_is_content(text):
    found, _ = read(text, 1, marker="")
    assert text_of(found, "content") == text


@pytest.mark.parametrize("text", ["<tool_call>\n{broken\n</tool_call>", "<tool_call>", "[TOOL_CALLS]nothing"])
def test_a_call_that_cannot_be_parsed_is_content_and_named(text):
    found, parts = read(text, 1)
    assert text_of(found, "content") == text
    assert parts.malformed


THINK = Reasoning("<think>", "</think>")


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_reasoning_is_apart_from_content(size):
    found, _ = read("<think>\nHm, <b>.\n</think>\n\nYes.\nNo", size, THINK)
    assert text_of(found, "reasoning") == "Hm, <b>."
    assert text_of(found, "content") == "Yes.\nNo"
    found, _ = read("Hm.\n</think>\n\nYes.", size, THINK, begins_in_reasoning=True)
    assert (text_of(found, "reasoning"), text_of(found, "content")) == ("Hm.", "Yes.")
    found, _ = read("<think>\n\n</think>\n\nYes.", size, THINK)
    assert (text_of(found, "reasoning"), text_of(found, "content")) == ("", "Yes.")
    found, _ = read(f"<think>a</think>\n<tool_call>{OBJECT}</tool_call>", size, THINK)
    assert (text_of(found, "reasoning"), text_of(found, "content")) == ("a", "")
    assert calls_of(found) == [("f", ARGUMENTS)]


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("text", ["", " ", "a < b", "<thin", "see <tool_cal", "  indented\n", "x</think>y", "<th>"])
def test_what_only_looks_like_a_mark_is_content(text, size):
    found, _ = read(text, size, THINK)
    assert text_of(found, "content") == text


def test_reasoning_that_never_ends_is_reasoning():
    found, _ = read("<think>\nstill", 1, THINK)
    assert (text_of(found, "reasoning"), text_of(found, "content")) == ("still", "")
