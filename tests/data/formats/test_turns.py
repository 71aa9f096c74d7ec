"""Turns in every layout become canonical messages, and what two keys of a turn say must not differ."""

import json
from typing import Any

import pytest

from burnish.data.formats.turns import TurnReader
from burnish.data.record import RowError

REFUSALS = "refusals used as the assistant's text"
CALL = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
OTHER = {"type": "function", "function": {"name": "g", "arguments": "{}"}}


def read(*listed: Any) -> tuple[list[dict[str, Any]], dict[str, Any], list[str]]:
    """(messages, extra, remarks) of the turns of a column `m`."""
    extra: dict[str, Any] = {}
    remarks: list[str] = []
    return TurnReader({"Chef": "system"}, {"f": None}, extra, remarks).read(list(listed), "m"), extra, remarks


def user(content: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def bot(content: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def tool(content: str, **more: Any) -> dict[str, Any]:
    return {"role": "tool", "content": content, **more}


def system(content: str) -> dict[str, Any]:
    return {"role": "system", "content": content}


RESULT = {"type": "tool_result", "content": "r"}
NAMED = {"functionResponse": {"name": "f", "id": "1", "response": 2}}


@pytest.mark.parametrize(
    ("turn", "messages"),
    [
        ({"role": "user", "content": "a"}, [user("a")]),
        ({"from": "human", "value": "a"}, [user("a")]),
        ({"role": "user", "value": "a"}, [user("a")]),
        ({"role": "user", "parts": [{"text": "a"}]}, [user("a")]),
        ({"role": "user", "text": "a"}, [user("a")]),
        ({"role": "user", "message": "a"}, [user("a")]),
        ({"role": "user", "content": None, "value": "a"}, [user("a")]),
        ({"role": "Chef", "content": "a"}, [system("a")]),
        ({"role": "system", "content": ["a", "b"]}, [system("ab")]),
        ({"role": "assistant", "content": None, "tool_calls": [{"name": "f"}]}, [bot("", tool_calls=[CALL])]),
        ({"role": "assistant", "tool_calls": [{"name": "f"}]}, [bot("", tool_calls=[CALL])]),
        ({"role": "assistant", "content": "", "function_call": {"name": "f"}}, [bot("", tool_calls=[CALL])]),
        ({"role": "assistant", "content": "a", "tool_calls": '[{"name": "f"}]'}, [bot("a", tool_calls=[CALL])]),
        ({"role": "assistant", "content": "a", "tool_calls": [], "function_call": None}, [bot("a")]),
        (
            {"role": "assistant", "tool_calls": [], "function_call": {"name": "f", "id": "1"}},
            [bot("", tool_calls=[{"id": "1", **CALL}])],
        ),
        (
            {
                "role": "assistant",
                "tool_calls": [{"name": "f", "id": "1"}, {"name": "g"}],
                "function_call": {"name": "f"},
            },
            [bot("", tool_calls=[{"id": "1", **CALL}, OTHER])],
        ),
        (
            {"role": "assistant", "content": ["a", {"type": "tool_use", "name": "g"}], "tool_calls": [{"name": "g"}]},
            [bot("a", tool_calls=[OTHER])],
        ),
        ({"from": "function_call", "value": {"name": "f"}}, [bot("", tool_calls=[CALL])]),
        ({"from": "tool_call", "value": ' [{"name": "f"}, {"name": "g"}]'}, [bot("", tool_calls=[CALL, OTHER])]),
        (
            {"from": "function_call", "value": ' <think>\n\n a\nb \n</think> {"name": "f"}'},
            [bot("", reasoning_content=" a\nb ", tool_calls=[CALL])],
        ),
        (
            {"from": "function_call", "value": '<think></think>{"name": "f"}', "thinking": "a"},
            [bot("", reasoning_content="a", tool_calls=[CALL])],
        ),
        ({"role": "assistant", "content": "a", "reasoning_content": "t"}, [bot("a", reasoning_content="t")]),
        ({"role": "assistant", "content": "a", "reasoning": "t"}, [bot("a", reasoning_content="t")]),
        ({"role": "assistant", "content": "a", "thinking": "t"}, [bot("a", reasoning_content="t")]),
        ({"role": "assistant", "content": "a", "reasoning": "", "thinking": "t"}, [bot("a", reasoning_content="t")]),
        ({"role": "assistant", "content": "a", "reasoning": "", "thinking": None}, [bot("a")]),
        (
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "t"}, {"type": "thought", "thought": "u"}],
            },
            [bot("", reasoning_content="tu")],
        ),
        ({"role": "user", "content": "a", "name": "ann", "tool_call_id": None}, [user("a", name="ann")]),
        ({"role": "tool", "content": "a", "name": "", "tool_call_id": "1"}, [tool("a", name="", tool_call_id="1")]),
        ({"role": "tool", "content": {"é": 1}}, [tool('{"é": 1}')]),
        ({"role": "tool", "content": []}, [tool("[]")]),
        ({"role": "tool", "content": ["é", 1]}, [tool('["é", 1]')]),
        (
            {"role": "tool", "content": [{"type": "text", "text": "a"}, "b"]},
            [tool('[{"type": "text", "text": "a"}, "b"]')],
        ),
        ({"role": "tool", "content": [{"text": "a"}]}, [tool('[{"text": "a"}]')]),
        ({"role": "tool", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, [tool("ab")]),
        ({"role": "user", "content": [RESULT]}, [tool("r")]),
        ({"role": "user", "content": [NAMED, RESULT]}, [tool("2", name="f", tool_call_id="1"), tool("r")]),
        ({"role": "user", "content": ["a", RESULT], "name": "b"}, [tool("r"), user("a", name="b")]),
        (
            {"role": "tool", "content": [RESULT, {**RESULT, "tool_use_id": "1"}], "name": "g", "weight": 2},
            [tool("r", name="g", weight=2.0), tool("r", name="g", tool_call_id="1", weight=2.0)],
        ),
        (
            {"role": "tool", "content": [RESULT, {"type": "text", "text": "a"}], "name": "g"},
            [tool("r"), tool("a", name="g")],
        ),
        ({"human": "a", "assistant": "b"}, [user("a"), bot("b")]),
        ({"human": "a", "gpt": "b"}, [user("a"), bot("b")]),
        ({"user": "a", "assistant": "b"}, [user("a"), bot("b")]),
        ({"input": "a", "output": "b"}, [user("a"), bot("b")]),
        ({"question": "a", "answer": "b"}, [user("a"), bot("b")]),
        ({"output": "b", "system": "s", "input": "a"}, [system("s"), user("a"), bot("b")]),
        ({"input": "", "output": "b", "system": None}, [bot("b")]),
        ({"input": "a", "output": ""}, [user("a")]),
        ({"input": "a", "output": "b", "weight": 0.5, "system": ""}, [user("a"), bot("b", weight=0.5)]),
        ({"input": "a", "output": "", "train": True}, [user("a")]),
    ],
)
def test_a_turn_becomes_messages_and_nothing_is_left_over(turn, messages):
    before = json.dumps(turn)
    assert read({"role": "user", "content": "0"}, turn) == ([user("0"), *messages], {}, [])
    assert json.dumps(turn) == before


@pytest.mark.parametrize(
    ("turn", "message", "extra"),
    [
        ({"content": None, "refusal": "no"}, bot("no"), {}),
        ({"refusal": "no"}, bot("no"), {}),
        ({"content": " ", "refusal": "no", "mood": 1}, bot("no"), {"mood": 1}),
        ({"content": [], "refusal": "no"}, bot("no"), {}),
    ],
)
def test_a_refusal_in_place_of_a_content_is_the_text_and_remarked(turn, message, extra):
    found = {f"m.0.{key}": value for key, value in extra.items()}
    assert read({"role": "assistant", **turn}) == ([message], found, [REFUSALS])


@pytest.mark.parametrize(
    ("turn", "message", "extra"),
    [
        ({"role": "assistant", "content": "a", "refusal": "no"}, bot("a"), {"refusal": "no"}),
        ({"role": "assistant", "content": "", "refusal": " "}, bot(""), {"refusal": " "}),
        ({"role": "assistant", "content": "", "refusal": 7}, bot(""), {"refusal": 7}),
        ({"role": "assistant", "content": ["a"], "refusal": "no"}, bot("a"), {"refusal": "no"}),
        ({"role": "user", "content": "", "refusal": "no"}, user(""), {"refusal": "no"}),
        ({"role": "user", "content": "a", "value": "b", "mood": 1, "none": None}, user("a"), {"value": "b", "mood": 1}),
        ({"from": "user", "role": "assistant", "content": "a"}, bot("a"), {"from": "user"}),
        ({"from": "gpt", "value": "a", "human": "b", "gpt": "c"}, bot("a"), {"human": "b", "gpt": "c"}),
        ({"role": "user", "content": [{"text": "a", "n": 1}]}, user("a"), {"content.0.n": 1}),
        (
            {"role": "user", "content": "a", "images": [], "train_detail": []},
            user("a"),
            {"images": [], "train_detail": []},
        ),
        (
            {"role": "assistant", "tool_calls": [{"name": "f", "n": 1}]},
            bot("", tool_calls=[CALL]),
            {"tool_calls.0.n": 1},
        ),
        ({"from": "function_call", "value": {"name": "f", "n": 1}}, bot("", tool_calls=[CALL]), {"value.0.n": 1}),
        (
            {"role": "assistant", "content": [{"type": "tool_use", "name": "f", "n": 1}]},
            bot("", tool_calls=[CALL]),
            {"content.calls.0.n": 1},
        ),
    ],
)
def test_keys_that_a_turn_does_not_map_are_kept_in_extra(turn, message, extra):
    assert read(turn) == ([message], {f"m.0.{key}": value for key, value in extra.items()}, [])


@pytest.mark.parametrize("role", ["user", "system"])
def test_what_a_turn_of_results_alone_says_of_itself_is_kept_in_extra(role):
    turn = {"role": role, "content": [RESULT, NAMED], "name": "ann", "tool_call_id": "9", "weight": 0.5, "mood": 1}
    extra = {"m.0.name": "ann", "m.0.tool_call_id": "9", "m.0.weight": 0.5, "m.0.mood": 1}
    assert read(turn) == ([tool("r"), tool("2", name="f", tool_call_id="1")], extra, [])


@pytest.mark.parametrize("role", ["user", "system", "tool"])
def test_calls_beside_results_are_refused(role):
    for text in ([], [{"type": "text", "text": "a"}]):
        turn = {"role": role, "content": [RESULT, *text], "tool_calls": [{"name": "f"}]}
        with pytest.raises(RowError) as caught:
            read(turn)
        assert str(caught.value) == f"m.0: a {role} turn cannot call tools"


def test_keys_that_an_exchange_does_not_map_are_kept_in_extra():
    assert read({"input": "a", "output": "b", "mood": 1})[1] == {"m.0.mood": 1}


@pytest.mark.parametrize(
    ("turn", "weight"),
    [
        ({"weight": 1}, 1.0),
        ({"weight": 0}, 0.0),
        ({"weight": True}, 1.0),
        ({"weight": False}, 0.0),
        ({"loss_weight": 0.25}, 0.25),
        ({"train": 3}, 3.0),
        ({"training": 0.5, "weight": None}, 0.5),
        ({"loss_weight": 1, "weight": 1.0, "train": True, "training": True}, 1.0),
        ({"loss_weight": 0, "training": False}, 0.0),
    ],
)
def test_a_weight_is_a_number_under_any_of_its_names(turn, weight):
    assert read({"role": "assistant", "content": "a", **turn}) == ([bot("a", weight=weight)], {}, [])
    ((_, message), extra, _) = read({"input": "a", "output": "b", **turn})
    assert (message, extra) == (bot("b", weight=weight), {})
    assert type(message["weight"]) is float


WEIGHT = "must be true, false, or a number of 0 or more"
NO_CALL = "a tool call must be an object with name and arguments, or a list of them"
INVALID = "the text is invalid JSON: Expecting value (character 1 of the row)"
OTHERWISE = "the turn has different tool calls in another place"
MEDIA = (
    "the row has 'audio': only text is trained on; leave such rows out, or where it only describes the row rename it "
    "with `columns: {audio: audio_file}`"
)


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        (7, "m.1: a turn must be an object, not a number"),
        (None, "m.1: a turn must be an object, not null"),
        ({"role": "user", "content": 7}, "m.1.content: the content must be a text, not a number"),
        ({"role": "user", "content": {"a": 1}}, "m.1.content: the content must be a text, not an object"),
        ({"role": "user"}, "m.1.content: the content must be a text, not null"),
        ({"from": "human"}, "m.1.value: the content must be a text, not null"),
        ({"role": "assistant", "tool_calls": [], "content": None}, "m.1.content: the content must be a text, not null"),
        ({"role": "tool", "content": 7}, "m.1.content: the content must be a text, not a number"),
        ({"role": "user", "content": [7]}, "m.1.content.0: a part must be an object or a text, not a number"),
        ({"from": "function_call", "value": 7}, f"m.1.value: {NO_CALL}"),
        ({"from": "function_call", "value": [{}]}, "m.1.value.0.name: a tool call needs a name"),
        ({"from": "function_call", "value": "<think>a</think>"}, f"m.1.value: {INVALID}"),
        ({"role": "assistant", "tool_calls": 7}, f"m.1.tool_calls: {NO_CALL}"),
        ({"role": "assistant", "tool_calls": [{"name": "f"}], "function_call": {"name": "g"}},
         f"m.1.function_call: {OTHERWISE}"),
        ({"role": "assistant", "tool_calls": [{"name": "f"}], "function_call": [{"name": "f"}, {"name": "g"}]},
         f"m.1.function_call: {OTHERWISE}"),
        ({"role": "assistant", "content": [{"toolUse": {"name": "f"}}], "tool_calls": {"name": "f", "args": {"x": 1}}},
         f"m.1.tool_calls: {OTHERWISE}"),
        ({"role": "user", "content": "a", "reasoning": "t"}, "m.1: a user turn cannot hold reasoning"),
        ({"role": "tool", "content": "a", "thinking": "t"}, "m.1: a tool turn cannot hold reasoning"),
        ({"role": "assistant", "content": "a", "reasoning": 7}, "m.1.reasoning: reasoning must be a text"),
        ({"role": "assistant", "content": "a", "reasoning": "t", "thinking": "u"},
         "m.1.thinking: the turn has different reasoning in another place"),
        ({"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}], "reasoning_content": "u"},
         "m.1.reasoning_content: the turn has different reasoning in another place"),
        ({"role": "user", "content": "a", "name": 7}, "m.1.name: must be a text"),
        ({"role": "user", "content": "a", "tool_call_id": []}, "m.1.tool_call_id: must be a text"),
        ({"role": "assistant", "content": [RESULT]}, "m.1: an assistant turn cannot hold the result of a tool"),
        ({"role": "user", "content": "a", "audio": "b"}, f"m.1.audio: {MEDIA}"),
        ({"input": "a", "output": "b", "audio": "b"}, f"m.1.audio: {MEDIA}"),
        ({"role": "user", "content": "a", "train_detail": [1]},
         "m.1.train_detail: spans of a turn cannot be weighted: weight whole turns with `weight`"),
        ({"input": "a", "output": "b", "system": 7}, "m.1.system: the content must be a text, not a number"),
        ({"input": "a", "output": "b", "weight": -1}, f"m.1.weight: {WEIGHT}"),
        ({"role": "assistant", "content": "a", "weight": "1"}, f"m.1.weight: {WEIGHT}"),
        ({"role": "assistant", "content": "a", "loss_weight": -0.5}, f"m.1.loss_weight: {WEIGHT}"),
        ({"role": "assistant", "content": "a", "train": float("inf")}, f"m.1.train: {WEIGHT}"),
        ({"role": "assistant", "content": "a", "training": float("nan")}, f"m.1.training: {WEIGHT}"),
        ({"role": "assistant", "content": "a", "weight": 0, "train": True},
         "m.1.train: the turn has a different weight in another place"),
        ({"role": "assistant", "content": "a", "loss_weight": 2, "training": 0.5},
         "m.1.training: the turn has a different weight in another place"),
    ],
)  # fmt: skip
def test_a_turn_that_cannot_be_read_is_refused_by_place(turn, message):
    with pytest.raises(RowError) as caught:
        read({"role": "user", "content": "0"}, turn)
    assert str(caught.value) == message


def test_a_conversation_without_turns_is_refused():
    with pytest.raises(RowError) as caught:
        read()
    assert str(caught.value) == "m: there are no turns"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"role": "user"}, True),
        ({"from": "human"}, True),
        ({"role": 7, "from": "human"}, True),
        ({"role": 7}, False),
        ({"role": 7, "human": "a", "gpt": "b"}, False),
        ({"human": "a", "gpt": "b"}, True),
        ({"human": "a", "assistant": "b"}, True),
        ({"human": "a"}, False),
        ({"human": "a", "gpt": 7}, False),
        ({"content": "a"}, False),
        ({}, False),
    ],
)
def test_a_turn_has_a_role_or_is_a_question_and_its_answer(value, expected):
    assert TurnReader.looks_like_a_turn(value) is expected


def test_null_arguments_of_calls_are_remarked():
    kept = "null arguments kept in tool calls, since no tool schema covers them"
    turn = {"role": "assistant", "tool_calls": [{"name": "f", "arguments": {"x": None}}]}
    (message,), _, remarks = read(turn)
    assert message["tool_calls"][0]["function"]["arguments"] == '{"x": null}'
    assert remarks == [kept]
