"""Every string of a row is rendered, refused, or counted, for every template in TRL."""

import json
import re
from datetime import date
from typing import Any

import pytest
from tests.tokens.rendering.test_ground_truth import SOURCES

from burnish.core.errors import ModelError
from burnish.specs.tokens import RenderSpec
from burnish.tokens.rendering.omissions import Omissions
from burnish.tokens.rendering.renderer import Renderer
from burnish.tokens.templates.chatml import CHATML
from burnish.tokens.templates.dialect import Dialect

ROOM = RenderSpec(max_length=1_000_000)
TOOL = {
    "type": "function",
    "function": {
        "name": "wtool",
        "description": "wdescription",
        "parameters": {
            "type": "object",
            "properties": {
                "wplace": {"type": "string", "description": "wwhere", "enum": ["wnorth", "wsouth"]},
                "wdeep": {"type": "object", "properties": {"winner": {"type": "string", "description": "winside"}}},
            },
            "required": ["wplace"],
        },
    },
}
CALL = {"id": "wcall0001", "type": "function", "function": {"name": "wtool", "arguments": '{"wplace": "wnorth 北"}'}}
ASK = {"role": "user", "content": "wask"}
REPLY = {"role": "assistant", "content": "wreply"}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "content": "wresult", "name": "wtool", "tool_call_id": "wcall0001"}
MESSAGES: dict[str, list[dict[str, Any]]] = {
    "a question and its answer": [ASK, REPLY],
    "a system message": [{"role": "system", "content": "wsystem"}, ASK, REPLY],
    "a later system message": [
        ASK,
        REPLY,
        {"role": "system", "content": "wsystem"},
        {**ASK, "content": "wmore"},
        REPLY,
    ],
    "names": [{**ASK, "name": "wada"}, {**REPLY, "name": "wbob"}],
    "thinking": [ASK, {**REPLY, "reasoning_content": "wthought"}],
    "an earlier thought": [ASK, {**REPLY, "reasoning_content": "wthought"}, {**ASK, "content": "wmore"}, REPLY],
    "a call": [ASK, CALLING],
    "text beside a call": [ASK, {**CALLING, "content": "wbeside"}, RESULT, REPLY],
    "a thought before a call": [ASK, {**CALLING, "reasoning_content": "wthought"}, RESULT, REPLY],
    "a result": [ASK, CALLING, RESULT, REPLY],
    "a result of another name": [ASK, CALLING, {**RESULT, "name": "wother"}, REPLY],
    "a result in JSON": [ASK, CALLING, {**RESULT, "content": '{"wsky": "wclear", "wind": 12}'}, REPLY],
    "several lines": [{**ASK, "content": "wone\n\n  wtwo"}, REPLY],
}


def unique_words(messages: list[dict[str, Any]], tools: Any) -> dict[str, set[str]]:
    """Unique words of the test's rows, by the counter of their omission."""
    found: dict[str, set[str]] = {}
    for message in messages:
        calls = message.get("tool_calls", [])
        for kind, value in (
            ("content_left_out", message["content"]),
            ("thinking_left_out", message.get("reasoning_content")),
            ("names_left_out", message.get("name")),
            ("call_ids_left_out", [message.get("tool_call_id"), [call["id"] for call in calls]]),
            ("calls_left_out", [call["function"] for call in calls]),
            ("tools_left_out", tools),
        ):
            found.setdefault(kind, set()).update(words(json.dumps(value, ensure_ascii=False)))
    return found


def words(text: str) -> set[str]:
    return set(re.findall(r"\bw[a-z]\w+", text.replace("\\n", " ")))


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_string_appears_or_is_refused_or_counted(name, toy_tokenizer):
    renderer, rendered = Renderer(toy_tokenizer(SOURCES[name]), ROOM), 0
    for kind, messages in MESSAGES.items():
        tools = [TOOL] if any(message.get("tool_calls") for message in messages) else None
        row = {"kind": "chat", "source": "rows.jsonl:1", "messages": messages, **({"tools": tools} if tools else {})}
        renderer.counts.clear()
        try:
            text = "\n".join(sample.text for sample in renderer.render(row))
        except ModelError:
            continue
        rendered += 1
        for counted, strings in unique_words(messages, tools).items():
            lost = {string for string in strings if string not in text}
            if lost or counted not in ("names_left_out", "call_ids_left_out"):  # those may occur elsewhere by chance
                assert bool(lost) == bool(renderer.counts[counted]), (kind, counted, lost, dict(renderer.counts))
    assert rendered >= 4 or name in ("deepseek_r1_distill", "deepseekv3")


def test_text_beside_a_call_is_reported_under_the_template_of_llama(toy_tokenizer):
    renderer = Renderer(toy_tokenizer(SOURCES["llama3_2"]), ROOM)
    for text in ("Let me look", "Sun", ""):  # the second one also occurs in the answer
        messages = [ASK, {**CALLING, "content": text}, RESULT, {**REPLY, "content": "Sun is out"}]
        renderer.render({"kind": "chat", "source": "rows.jsonl:1", "messages": messages, "tools": [TOOL]})
    assert renderer.counts["content_left_out"] == 2
    warning = "messages have text that the chat template omits, such as text next to a tool call"
    assert f"2 {warning}" in renderer.warnings()


def test_a_completely_rendered_row_is_not_reported(toy_tokenizer):
    renderer = Renderer(toy_tokenizer(CHATML), ROOM)
    twice = [ASK, REPLY, ASK, REPLY, {**ASK, "content": "w"}, {**REPLY, "content": 'a "quoted"\n\tline \\ é'}]
    for messages in (twice, MESSAGES["text beside a call"], MESSAGES["an earlier thought"]):
        renderer.render({"kind": "chat", "source": "rows.jsonl:1", "messages": messages, "tools": [TOOL]})
    lost = {name: count for name, count in renderer.counts.items() if name.endswith("left_out") and count}
    assert lost == {"call_ids_left_out": 2, "names_left_out": 1}


# Exact counts

PLAIN = "{% for m in messages %}{{ m.role }}{{ m.content or '' }}"
CALLS = "{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments.place }}{% endfor %}"


@pytest.fixture
def omissions(letters):
    def make(template: str = PLAIN + CALLS + "{% endfor %}") -> Omissions:
        return Omissions(Dialect(letters(template), template, date(2026, 2, 3)))

    return make


def said(*contents: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content} for content in contents]


def calling(*arguments: str) -> list[dict[str, Any]]:
    calls = [{"type": "function", "function": {"name": "wtool", "arguments": each}} for each in arguments]
    return [{"role": "assistant", "content": "", "tool_calls": calls}]


@pytest.mark.parametrize(
    ("content", "texts", "missing"),
    [
        ("word", ["a word b"], 0),
        ("word", ["a", "word"], 0),
        ("word", ["a wor d"], 1),
        ("  word\n", ["word"], 0),
        ("   \n", [""], 0),
        ('say "a\\b"', ['{"x": "say \\"a\\\\b\\""}'], 0),
        ('say "a"', ["say a"], 1),
        ("schön\t!", ["sch\\u00f6n\\t!"], 0),
        ('say "a"', ['xay \\"a\\"'], 1),
        ('a "b" c', ['a \\"b\\" x'], 1),
        ("sé!", ["x\\u00e9!"], 1),
        ("sé!", ["s\\u00e9?"], 1),
        ('schön "a"', ['schön \\"a\\"'], 0),
        ("one\n  two \n\nthree", ["three; one; two"], 0),
        ("one\n  two \n\nthree", ["one; two"], 1),
        ("one\ntwo", ["one", "two"], 1),
        ('{"a": "b", "c": [1, 2.50]}', ["a b c 1 2.50"], 0),
        ('{"a": "b", "c": [1, 2.50]}', ["a b c 1 2.5"], 1),
        ('{"a": "b"}', ["a", "b"], 1),
        ('["a", "b"]', ["a b"], 1),
        ('{"a": true, "b": null}', ["a b"], 0),
        ("{}", ["a"], 1),
        ("{torn", ["torn"], 1),
        ("{torn", ["a {torn b"], 0),
    ],
)
def test_a_content_is_found_verbatim_as_json_or_in_parts(omissions, content, texts, missing):
    expected = {"content_left_out": missing} if missing else {}
    assert omissions().count(texts, said(content), None) == expected
    thinking = [{"role": "assistant", "content": None, "reasoning_content": content}]
    assert omissions().count(texts, thinking, None) == ({"thinking_left_out": missing} if missing else {})


@pytest.mark.parametrize(
    ("contents", "texts", "hidden"),
    [
        (["Sun", "Sun is out"], ["Sun is out"], 1),
        (["Sun", "Sun is out"], ["Sun; Sun is out"], 0),
        (["Sun is out", "Sun"], ["Sun is out", "Sun is out; Sun"], 0),
        (["a", "a", "b"], ["a b"], 1),
        (["a", "a"], ["a a"], 0),
        (["a", "a", "a"], ["a"], 2),
        (["x", "ax", "bx"], ["ax", "bx"], 1),
        (["x", "x"], ["x", "y"], 1),
        (["y", "Sun", "Sun is out"], ["y y Sun is out"], 1),
        (["x"], ["x x"], 0),
        (['"', '"'], ['\\"'], 1),
        (['a"', 'a"'], ['a\\"'], 0),
        (["Sun", "gone", "Sun is out"], ["Sun is out"], 2),
    ],
)
def test_a_content_found_only_as_part_of_another_is_missing(omissions, contents, texts, hidden):
    assert omissions().count(texts, said(*contents), None) == ({"content_left_out": hidden} if hidden else {})


@pytest.mark.parametrize(
    ("arguments", "text", "missing"),
    [
        (['{"place": "north"}'], "wtool place north", 0),
        (['{"place": "north"}'], "wtool north", 1),
        (['{"place": "north"}'], "place north", 1),
        (['{"place": "north"}', '{"place": "south"}'], "wtool place north", 1),
        (['{"place": "north"}', '{"place": "south"}'], "wtool", 2),
        (['{"n": 1.10, "m": 1e5, "k": -3}'], "wtool n 1.10 m 1e5 k -3", 0),
        (['{"n": 1.10}'], "wtool n 1.1", 1),
        (['{"n": [true, null, ["deep", {"er": " "}]]}'], "wtool n deep er", 0),
        (['{"n": [true, null, ["deep", {"er": "x"}]]}'], "wtool n deep er", 1),
        (["free text "], "wtool free text", 0),
        (["free text"], "wtool free", 1),
        ([""], "wtool", 0),
    ],
)
def test_a_call_is_found_by_its_name_keys_and_values(omissions, arguments, text, missing):
    assert omissions().count([text], calling(*arguments), None) == ({"calls_left_out": missing} if missing else {})
    without = [{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "wtool"}}]}]
    assert omissions().count(["wtool"], without, None) == {}


FULL = {
    "type": "function",
    "function": {
        "name": "wname",
        "description": " wdescription ",
        "strict": True,
        "parameters": {
            "type": "object",
            "title": "wtitle",
            "$defs": {"wdef": {"type": ["string", "null"], "const": "wconst"}},
            "definitions": {"wold": {"$ref": "#/wref"}},
            "properties": {
                "wzero": {
                    "type": "string",
                    "enum": ["wone", 22, 2.5, True, {"description": "winlist"}],
                    "required": ["no"],
                },
                "type": {"anyOf": [{"description": "wany"}, {"type": "integer", "minimum": 33}]},
                "required": {"items": {"description": "witem"}, "default": {"wkey": "wvalue"}, "uniqueItems": True},
            },
            "required": ["wzero", "absent"],
            "examples": ["wexample", ["wnested"]],
        },
    },
}
SHOWN = (
    "wname wdescription wtitle wdef wconst wold wzero wone 22 2.5 winlist type wany 33 required witem wvalue wexample"
)
SHOWN += " wnested"


def test_a_tool_is_found_by_the_words_of_its_author(omissions):
    words_shown = SHOWN.split()
    made = omissions()
    assert made.count([" | ".join(words_shown)], [], [FULL]) == {}
    assert made.count([" | ".join(words_shown)], [], [FULL["function"]]) == {}
    for word in words_shown:
        text = " | ".join(each for each in words_shown if each != word)
        assert made.count([text], [], [FULL]) == {"tools_left_out": 1}, word
        assert made.count([text], [], [{"function": {"name": "wname"}}, FULL]) == {"tools_left_out": 1}
    assert made.count(["a"], [], []) == {}
    assert made.count(["wtool"], [], [{"function": {"name": "wtool", "description": None, "parameters": None}}]) == {}
    assert made.count(["wtool"], [], [{"function": {"name": "wtool", "parameters": {"properties": ["x"]}}}]) == {
        "tools_left_out": 1
    }


NAMED = {"system": "wsys", "user": "wada", "assistant": "wbob", "tool": "wfun", "developer": "wdev"}
EVERYTHING = [
    *({"role": role, "content": "", "name": name} for role, name in NAMED.items()),
    {"role": "assistant", "content": "", "tool_calls": [{"id": "wid", "function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "content": "", "tool_call_id": "wid"},
]


@pytest.mark.parametrize(
    ("shown", "names", "ids"),
    [
        ("", 5, 2),
        *(
            ("{% if m.role == '" + role + "' %}{{ m.name }}{% endif %}", 4, 2)
            for role in ("system", "assistant", "tool")
        ),
        ("{% if m.role == 'user' %}{{ m.name }}{% endif %}", 3, 2),  # a user stands for other roles
        ("{{ m.name }}", 0, 2),
        ("{{ m.tool_call_id }}", 5, 1),
        ("{% for c in m.tool_calls or [] %}{{ c.id }}{% endfor %}", 5, 1),
        ("{% for c in m.tool_calls or [] %}{{ c.id }}{% endfor %}{{ m.tool_call_id }}", 5, 0),
        ("{% if m.role == 'tool' %}{{ loop.previtem.tool_calls[0].id or m.tool_call_id }}{% endif %}", 5, 1),
        ("{% if m.name is defined and m.role != 'tool' %}{{ raise_exception('no') }}{% endif %}", 1, 2),
    ],
)
def test_names_and_ids_are_counted_where_the_template_shows_none(omissions, shown, names, ids):
    made = omissions(PLAIN + CALLS + shown + "{% endfor %}")
    expected = {"names_left_out": names, "call_ids_left_out": ids}
    for _ in range(2):
        assert made.count(["f"], EVERYTHING, None) == {key: count for key, count in expected.items() if count}
    empty = [{"role": "user", "content": "", "name": ""}, {"role": "tool", "content": "", "tool_call_id": None}]
    assert made.count(["f"], empty, None) == {}


def test_a_part_of_each_kind_is_counted_once(omissions):
    row = [
        {"role": "user", "content": "gone", "name": "wada"},
        {
            "role": "assistant",
            "content": "lost",
            "reasoning_content": "hm",
            "tool_calls": calling("{}")[0]["tool_calls"],
        },
        {"role": "assistant", "content": ["no text"], "reasoning_content": "so"},
    ]
    assert omissions().count(["nothing", "at all"], row, [FULL]) == {
        "content_left_out": 2,
        "thinking_left_out": 2,
        "names_left_out": 1,
        "calls_left_out": 1,
        "tools_left_out": 1,
    }
