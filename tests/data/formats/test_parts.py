"""Typed parts of every vendor: which text, thought, call or result each is, and what of it stays in `extra`."""

from typing import Any

import pytest

from burnish.data.formats.parts import Parts, Result, is_part, read_parts, text_parts
from burnish.data.record import RowError

NO_TEXT = "p.0: the part holds no text"
WEIGHED = "a part cannot be weighted: weight whole turns with `weight`"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(({"type": kind}, True) for kind in ("text", "input_text", "output_text", "thinking", "reasoning", "thought")),
        *(({"type": kind}, True) for kind in ("refusal", "tool_use", "tool_call", "tool_result", "file")),
        *(({"type": kind}, True) for kind in ("input_image", "input_audio", "image", "audio", "video")),
        *(({"type": kind}, True) for kind in ("image_url", "audio_url", "video_url", "image_url_b")),
        *(
            ({"type": kind}, False)
            for kind in ("input_video", "url_image", "document", "imageurl", "", None, 7, ["text"])
        ),
        ({}, False),
        ({"text": "a"}, False),
        ("text", False),
        (None, False),
    ],
)
def test_a_part_is_an_object_with_a_type_of_parts(value, expected):
    assert is_part(value) is expected


@pytest.mark.parametrize(
    ("part", "found", "extra"),
    [
        ("a", Parts(texts=["a"]), {}),
        ({"type": "text", "text": "a", "note": 1, "none": None}, Parts(texts=["a"]), {"note": 1}),
        ({"type": "input_text", "text": "a"}, Parts(texts=["a"]), {}),
        ({"type": "output_text", "text": "a", "annotations": []}, Parts(texts=["a"]), {"annotations": []}),
        ({"type": "text", "value": "a"}, Parts(texts=["a"]), {}),
        ({"type": "text", "text": None, "value": "a"}, Parts(texts=["a"]), {}),
        ({"type": "text", "text": "a", "value": "b"}, Parts(texts=["a"]), {"value": "b"}),
        ({"type": None, "text": "a"}, Parts(texts=["a"]), {}),
        ({"text": "a", "thought": True}, Parts(thoughts=["a"]), {}),
        ({"text": "a", "thought": False}, Parts(texts=["a"]), {}),
        ({"text": "a", "thought": "b"}, Parts(texts=["a"]), {"thought": "b"}),
        ({"type": "thinking", "thinking": "a", "signature": "s"}, Parts(thoughts=["a"]), {"signature": "s"}),
        ({"type": "reasoning", "reasoning": "a", "text": "b"}, Parts(thoughts=["a"]), {"text": "b"}),
        ({"type": "thought", "thought": "a"}, Parts(thoughts=["a"]), {}),
        ({"type": "reasoning", "text": "a"}, Parts(thoughts=["a"]), {}),
        ({"type": "reasoning", "value": "a"}, Parts(thoughts=["a"]), {}),
        ({"type": "refusal", "refusal": "a", "text": "b"}, Parts(texts=["a"]), {"text": "b"}),
        ({"reasoningContent": {"reasoningText": {"text": "a"}}}, Parts(thoughts=["a"]), {}),
        (
            {"reasoningContent": {"reasoningText": {"text": "a", "s": 1}, "more": 2}, "over": 3},
            Parts(thoughts=["a"]),
            {"s": 1, "more": 2, "over": 3},
        ),
        ({"type": "tool_call", "value": {"name": "f"}, "note": 1}, Parts(calls=[{"name": "f"}]), {"note": 1}),
        ({"type": "tool_call", "value": '{"name": "f"}'}, Parts(calls=[{"name": "f"}]), {}),
        ({"type": "tool_call", "value": '[{"name": "f"}, 7]'}, Parts(calls=[{"name": "f"}, 7]), {}),
        ({"type": "tool_call", "value": [{"name": "f"}]}, Parts(calls=[{"name": "f"}]), {}),
        ({"type": "tool_call", "name": "f", "id": "1"}, Parts(calls=[{"name": "f", "id": "1"}]), {}),
        ({"type": "tool_use", "name": "f", "value": 1}, Parts(calls=[{"name": "f", "value": 1}]), {}),
        ({"toolUse": {"name": "f", "type": "t"}, "note": 1}, Parts(calls=[{"name": "f", "type": "t"}]), {"note": 1}),
        ({"type": "tool_use", "toolUse": {"name": "f"}}, Parts(calls=[{"name": "f"}]), {}),
        ({"functionCall": {"name": "f"}, "note": 1}, Parts(calls=[{"name": "f"}]), {"note": 1}),
        ({"functionCall": 7}, Parts(calls=[7]), {}),
        (
            {"functionResponse": {"name": "f", "response": {"é": 1}, "id": "1", "more": 2}, "note": 3},
            Parts(results=[Result('{"é": 1}', "1", "f")]),
            {"more": 2, "note": 3},
        ),
        ({"functionResponse": {"name": "f", "id": 7}}, Parts(results=[Result("null", None, "f")]), {"id": 7}),
        ({"type": "tool_result", "content": "a"}, Parts(results=[Result("a")]), {}),
        ({"type": "tool_result", "content": None, "is_error": True}, Parts(results=[Result("")]), {"is_error": True}),
        ({"type": "tool_result"}, Parts(results=[Result("")]), {}),
        ({"type": "tool_result", "content": 0}, Parts(results=[Result("0")]), {}),
        ({"type": "tool_result", "content": {"é": 1}}, Parts(results=[Result('{"é": 1}')]), {}),
        ({"type": "tool_result", "content": []}, Parts(results=[Result("")]), {}),
        ({"type": "tool_result", "content": ["a", 7]}, Parts(results=[Result('["a", 7]')]), {}),
        ({"type": "tool_result", "content": [{"text": "a"}, "b"]}, Parts(results=[Result("ab")]), {}),
        ({"type": "tool_result", "content": "a", "tool_use_id": "1"}, Parts(results=[Result("a", "1")]), {}),
        ({"type": "tool_result", "content": "a", "toolUseId": "1"}, Parts(results=[Result("a", "1")]), {}),
        ({"type": "tool_result", "content": "a", "tool_call_id": "1"}, Parts(results=[Result("a", "1")]), {}),
        (
            {"type": "tool_result", "content": "a", "tool_call_id": "1", "toolUseId": "2"},
            Parts(results=[Result("a", "2")]),
            {"tool_call_id": "1"},
        ),
        ({"type": "tool_result", "content": "a", "tool_use_id": 7}, Parts(results=[Result("a")]), {"tool_use_id": 7}),
        (
            {"toolResult": {"toolUseId": "1", "content": [{"json": {"é": 1}, "note": 2}, {"text": "a"}]}, "more": 3},
            Parts(results=[Result('{"é": 1}a', "1")]),
            {"content.0.note": 2, "more": 3},
        ),
        (
            {"type": "tool_result", "content": [{"text": "a", "note": 1}]},
            Parts(results=[Result("a")]),
            {"content.0.0.note": 1},
        ),
        ({"type": "tool_result", "toolResult": {"content": "a"}}, Parts(results=[Result("a")]), {}),
        ({"text": "a", "weight": 1, "train": True}, Parts(texts=["a"]), {"weight": 1, "train": True}),
        ({"text": "a", "weight": "0", "training": None}, Parts(texts=["a"]), {"weight": "0"}),
    ],
)
def test_parts_are_sorted_by_kind(part, found, extra):
    rest: dict[str, Any] = {}
    assert read_parts([part], "p", rest) == found
    assert rest == {f"p.0.{key}": value for key, value in extra.items()}


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ({"text": "a"}, Parts(texts=["a"])),
        ({"reasoningContent": {"reasoningText": {"text": "a"}}}, Parts(thoughts=["a"])),
        ({"toolUse": {"name": "f"}}, Parts(calls=[{"name": "f"}])),
        ({"functionCall": {"name": "f"}}, Parts(calls=[{"name": "f"}])),
        ({"toolResult": {"content": "a"}}, Parts(results=[Result("a")])),
        ({"functionResponse": {"name": "f", "response": 1}}, Parts(results=[Result("1", None, "f")])),
    ],
)
def test_a_part_without_a_type_is_known_by_any_of_its_keys(part, found):
    for value in ({"note": 1} | part, part | {"note": 1}, {"type": None, "note": 1} | part):
        rest: dict[str, Any] = {}
        assert read_parts([value], "p", rest) == found
        assert rest == {"p.0.note": 1}


def test_parts_of_one_turn_keep_their_order_within_each_kind():
    parts = ["a", {"type": "thinking", "thinking": "t"}, {"text": "b"}, {"type": "thought", "thought": "u"}]
    parts += [{"type": "tool_use", "name": "f"}, {"functionCall": {"name": "g"}}, {"type": "tool_result"}]
    found = read_parts(parts, "p", {})
    assert (found.texts, found.thoughts) == (["a", "b"], ["t", "u"])
    assert (found.calls, found.results) == ([{"name": "f"}, {"name": "g"}], [Result("")])
    assert read_parts([], "p", {}) == Parts() == Parts([], [], [], [])


def kind(word: str) -> str:
    return f"p.0: a part of type '{word}' is not text: only text is trained on"


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (7, "p.0: a part must be an object or a text, not a number"),
        (["a"], "p.0: a part must be an object or a text, not a list"),
        ({}, kind("empty")),
        ({"note": None}, kind("empty")),
        ({"note": None, "url": "u", "more": 1}, kind("url")),
        ({"type": "image_url"}, kind("image_url")),
        ({"type": 7}, kind("7")),
        ({"type": ["text"], "text": "a"}, kind("['text']")),
        ({"json": {}}, kind("json")),
        ({"note": 1, "json": {}}, kind("json")),
        ({"inlineData": {"data": "x"}}, kind("inlineData")),
        ({"type": "text"}, NO_TEXT),
        ({"type": "text", "text": 7, "value": "a"}, NO_TEXT),
        ({"type": "text", "thinking": "a"}, NO_TEXT),
        ({"type": "thinking", "reasoning": "a"}, NO_TEXT),
        ({"type": "refusal", "text": "a"}, NO_TEXT),
        ({"reasoningContent": "a"}, NO_TEXT),
        ({"reasoningContent": {"reasoningText": "a"}}, NO_TEXT),
        ({"reasoningContent": {"reasoningText": {"value": "a"}}}, NO_TEXT),
        (
            {"type": "tool_call", "value": "{a"},
            "p.0: the text is invalid JSON: Expecting property name enclosed in double quotes (character 2 of the row)",
        ),
        ({"functionResponse": 7}, "p.0: a function response needs a name"),
        ({"functionResponse": {"name": 7}}, "p.0: a function response needs a name"),
        ({"toolResult": "a"}, "p.0: a tool result must be an object, not a text"),
        (
            {"type": "tool_result", "content": ["a", {"type": "thinking", "thinking": "b"}]},
            "p.0.content.1: a tool result cannot hold a part of type 'thinking'",
        ),
        (
            {"type": "tool_result", "content": [{"type": "tool_use", "name": "f"}]},
            "p.0.content.0: a tool result cannot hold a part of type 'tool_use'",
        ),
        (
            {"type": "tool_result", "content": [{"toolResult": {}}]},
            "p.0.content.0: a tool result cannot hold a part of type 'tool_result'",
        ),
        ({"type": "tool_result", "content": [{"json": None}]}, kind("empty").replace("p.0", "p.0.content.0.0")),
        *(({"text": "a", key: 0}, f"p.0.{key}: {WEIGHED}") for key in ("weight", "loss_weight", "train", "training")),
        ({"text": "a", "weight": 0.5}, f"p.0.weight: {WEIGHED}"),
        ({"text": "a", "weight": 2}, f"p.0.weight: {WEIGHED}"),
        ({"text": "a", "train": False}, f"p.0.train: {WEIGHED}"),
    ],
)
def test_parts_that_are_not_text_are_refused_by_place(part, message):
    with pytest.raises(RowError) as caught:
        read_parts([part], "p", {})
    assert str(caught.value) == message


AFTER = "there is text after a tool call in one turn: write it as a turn of its own"


@pytest.mark.parametrize("call", [{"type": "tool_use", "name": "f"}, {"functionCall": {}}, {"toolUse": {}}])
def test_text_after_a_call_is_refused(call):
    thought = {"type": "thinking", "thinking": "b"}
    for text in ("b", {"text": "b"}, {"type": "output_text", "text": "b"}, thought):
        with pytest.raises(RowError) as caught:
            read_parts(["a", call, text], "p", {})
        assert str(caught.value) == f"p.2: {AFTER}"
    assert len(read_parts(["a", thought, call, call], "p", {}).calls) == 2


@pytest.mark.parametrize(
    ("value", "text", "extra"),
    [
        ("a", "a", {}),
        ("", "", {}),
        (["a", {"text": "b"}], "ab", {}),
        ([], "", {}),
        ({"text": "a", "note": 1}, "a", {"p.0.note": 1}),
        ([{"type": "text", "text": "a", "cache_control": {}}], "a", {"p.0.cache_control": {}}),
        ({"parts": [{"text": "a"}, {"text": "b"}], "role": "system", "note": 1}, "ab", {"p.note": 1}),
        ({"content": "a", "role": "user"}, "a", {}),
        ({"parts": None, "content": "a"}, "a", {}),
        ({"parts": "a", "content": "b"}, "a", {"p.content": "b"}),
        ({"content": {"parts": [{"text": "a", "n": 1}]}}, "a", {"p.content.parts.0.n": 1}),
    ],
)
def test_a_system_prompt_is_text_however_it_is_wrapped(value, text, extra):
    rest: dict[str, Any] = {}
    assert text_parts(value, "p", rest) == text
    assert rest == extra


ALONE = "p: a system prompt must be text alone"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (7, "p: the system prompt must be a text, not a number"),
        (None, "p: the system prompt must be a text, not null"),
        ({"content": 7}, "p.content: the system prompt must be a text, not a number"),
        ([7], "p.0: a part must be an object or a text, not a number"),
        (["a", {"type": "thinking", "thinking": "b"}], ALONE),
        (["a", {"type": "tool_use", "name": "f"}], ALONE),
        (["a", {"type": "tool_result"}], ALONE),
        ({"parts": [{"functionCall": {}}]}, "p.parts: a system prompt must be text alone"),
    ],
)
def test_a_system_prompt_that_is_not_text_is_refused(value, message):
    with pytest.raises(RowError) as caught:
        text_parts(value, "p", {})
    assert str(caught.value) == message
