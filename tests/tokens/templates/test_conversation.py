"""Messages get the shape that a template reads, and nothing of them changes."""

import copy
import json

import pytest

from burnish.tokens.templates.conversation import Number, Shape, as_object, strings_in

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1.10, "b": [1e5, 2]}'}}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALL], "weight": 0.5, "name": None}


def test_arguments_are_an_object_or_stay_text():
    (shaped,) = Shape().messages([CALLING])
    arguments = shaped["tool_calls"][0]["function"]["arguments"]
    assert arguments == {"a": 1.1, "b": [100000.0, 2]}
    assert repr(arguments["a"]) == "1.10"
    assert [repr(number) for number in arguments["b"]] == ["1e5", "2"]
    assert list(arguments) == ["a", "b"]
    (shaped,) = Shape(arguments="text").messages([CALLING])
    assert shaped["tool_calls"] == [CALL]


@pytest.mark.parametrize(
    ("empty", "expected"), [("absent", None), ("empty", {"content": ""}), ("none", {"content": None})]
)
def test_a_call_without_content_looks_as_the_template_wants(empty, expected):
    (shaped,) = Shape(empty=empty).messages([CALLING])
    assert {key: value for key, value in shaped.items() if key == "content"} == (expected or {})
    assert "weight" not in shaped
    assert "name" not in shaped
    (shaped,) = Shape(empty=empty).messages([{**CALLING, "content": "So:"}])
    assert shaped["content"] == "So:"
    (shaped,) = Shape(empty=empty).messages([{"role": "assistant", "content": ""}])
    assert shaped == {"role": "assistant", "content": ""}


def test_content_is_a_text_or_a_typed_part():
    message = {"role": "user", "content": "Hi", "reasoning_content": "Hm"}
    assert Shape(parts=True).messages([message])[0]["content"] == [{"type": "text", "text": "Hi"}]
    assert Shape().messages([message])[0] == {**message, "thinking": "Hm"}
    assert Shape().messages([{**message, "thinking": "mine"}])[0]["thinking"] == "mine"
    listed = [{"type": "text", "text": "Hi"}]
    assert Shape(parts=True).messages([{"role": "user", "content": listed}])[0]["content"] == listed
    assert "content" not in Shape(parts=True).messages([CALLING])[0]


def test_what_was_given_stays_as_it_is():
    given = [copy.deepcopy(CALLING), {"role": "user", "content": "Hi", "reasoning_content": "Hm"}]
    before = copy.deepcopy(given)
    for parts in (False, True):
        for empty in ("absent", "empty", "none"):
            Shape(parts, "object", empty).messages(given)
    assert given == before


@pytest.mark.parametrize("value", ["[1]", "7", '"a"', "null", "{", "", "{" * 100_000, 7, None, ["a"]])
def test_what_is_no_object_stays_as_it_is(value):
    assert as_object(value) is value


def test_a_number_is_written_as_its_author_wrote_it():
    numbers = as_object('{"a": 1.10, "b": 1.5, "c": 1E5, "d": 10, "e": -0.0}')
    assert [repr(number) for number in numbers.values()] == ["1.10", "1.5", "1E5", "10", "-0.0"]
    assert [type(number) is Number for number in numbers.values()] == [True, False, True, False, False]
    assert numbers["a"] + 1 == pytest.approx(2.1)


def test_every_string_of_a_value_is_found():
    value = {"a": ["b", {"c": ("d", 7, None)}], "e": {}}
    assert list(strings_in(value)) == ["a", "b", "c", "d", "e"]
    assert list(strings_in(json.loads("7"))) == []
