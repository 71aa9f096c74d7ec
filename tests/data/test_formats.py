"""Every known layout is detected, and mapped to the canonical row without loss."""

import json
import random
import re
from pathlib import Path
from typing import get_args

import pytest

from burnish.data.formats import FORMATS
from burnish.data.mapping import detect, map_rows
from burnish.data.record import Bad, Record, RowError
from burnish.specs.data import Format
from layouts import EXAMPLES
from layouts.turns import BOT, CALL, SYSTEM, USER


def mapped(raw: dict, format: str = "auto") -> dict:
    found, items = detect(iter([Record(raw, "x:1")]), "x", format)
    (item,) = map_rows(items, found)
    assert not isinstance(item, Bad), item
    return item.row


def refused(raw: dict, format: str) -> RowError:
    with pytest.raises(RowError) as caught:
        FORMATS[format].read(raw, "x:1")
    return caught.value


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_layout_is_detected_and_mapped(name):
    raw, expected = EXAMPLES[name]
    before = json.dumps(raw)
    found, _ = detect(iter([Record(raw, "x:1")]), "x")
    assert found.format.name == name.split(" ")[0]
    assert found.reason
    row = mapped(raw)
    assert {key: value for key, value in row.items() if key not in ("id", "source")} == expected
    assert row["source"] == "x:1"
    assert len(row["id"]) == 16
    assert mapped(raw, format=name.split(" ")[0]) == row
    assert json.dumps(raw) == before, "the record itself was changed"


def test_every_format_has_an_example_a_setting_and_a_line_in_the_guide():
    assert {name.split(" ")[0] for name in EXAMPLES} == set(FORMATS)
    assert get_args(Format) == ("auto", *FORMATS)
    guide = (Path(__file__).parents[2] / "docs/guides/data.md").read_text(encoding="utf-8")
    table = guide[guide.index("| `format` | row |") :].split("\n\n")[0]
    table = [line.split(" | ")[0] for line in table.splitlines()[1:]]
    assert set(re.findall(r"`(\w+)`", " ".join(table))) == set(FORMATS)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("columns", [{}, {"id": 7, "topic": "greetings", "meta": {"lang": "en"}, "score": 0.5}])
def test_the_order_of_columns_and_other_columns_do_not_change_a_layout(name, columns):
    raw, expected = EXAMPLES[name]
    wider = columns | raw
    for seed in range(5):
        names = random.Random(seed).sample(list(wider), len(wider))
        row = mapped({key: wider[key] for key in names})
        extra = {key: value for key, value in columns.items() if key not in raw} | expected.get("extra", {})
        assert {key: row.get(key) for key in expected} == expected | ({"extra": extra} if "extra" in expected else {})
        assert row.get("extra", {}) == extra
        found, _ = detect(iter([Record(wider, "x:1")]), "x")
        assert found.format.name == name.split(" ")[0]


def test_arguments_that_are_an_object_keep_the_order_of_their_keys():
    call = {"function": {"name": "now", "arguments": {"zone": "UTC", "at": {"to": "ö", "from": 1}}}}
    row = mapped({"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [call]}]})
    (kept,) = row["messages"][1]["tool_calls"]
    assert kept["function"]["arguments"] == '{"zone": "UTC", "at": {"to": "ö", "from": 1}}'


def test_arguments_that_are_text_are_kept_letter_by_letter():
    written = '{ "b":1.10,  "a" : "é" }'
    call = {"function": {"name": "f", "arguments": written}}
    row = mapped({"messages": [USER, {"role": "assistant", "content": "", "tool_calls": [call]}]})
    assert row["messages"][1]["tool_calls"][0]["function"]["arguments"] == written


THOUGHT = {"type": "thinking", "thinking": "a"}
TWICE, F = "messages.1.function_call", "functions.0"
SPAN, SPANS = {"begin_offset": 0, "end_offset": 3, "train": False}, "conversations.0.train_detail"
MASKED = {"type": "text", "text": "a", "train": False}
CALLED = {"type": "tool_use", "name": "a", "input": {}}


@pytest.mark.parametrize(
    ("format", "raw", "field"),
    [
        ("messages", {"messages": []}, "messages"),
        ("messages", {"messages": [{"role": "alien", "content": "x"}]}, "messages.0.role"),
        ("messages", {"messages": [USER, {"role": "assistant", "content": 7}]}, "messages.1.content"),
        ("messages", {"messages": [USER, {"role": "assistant", "content": " "}]}, "messages.1.content"),
        ("messages", {"messages": [USER, "x"]}, "messages.1"),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, BOT]}, "messages.0.content.0"),
        ("messages", {"messages": [USER, {**BOT, "weight": -1}]}, "messages.1.weight"),
        ("messages", {"messages": [USER, {**BOT, "weight": "1"}]}, "messages.1.weight"),
        ("messages", {"messages": [USER, {**BOT, "training": "no"}]}, "messages.1.training"),
        ("messages", {"messages": [USER, {**BOT, "train": True, "training": False}]}, "messages.1.training"),
        ("messages", {"messages": [USER, {**BOT, "train_detail": [SPAN]}]}, "messages.1.train_detail"),
        ("sharegpt", {"conversations": [{"input": "Hi", "output": "x", "train_detail": [SPAN]}]}, SPANS),
        (
            "messages",
            {"messages": [USER, {"role": "assistant", "content": [MASKED, "x"]}]},
            "messages.1.content.0.train",
        ),
        ("messages", {"messages": [{"role": "user", "content": None, "refusal": "No"}, BOT]}, "messages.0.content"),
        ("messages", {"messages": [USER, {**BOT, "tool_calls": [{"function": {}}]}]}, "messages.1.tool_calls.0.name"),
        (
            "messages",
            {"messages": [USER, {**BOT, "tool_calls": [{"function": {"name": "f", "arguments": "{a"}}]}]},
            "messages.1.tool_calls.0.arguments",
        ),
        ("messages", {"messages": [{**USER, "tool_calls": [CALL]}, BOT]}, "messages.0.tool_calls"),
        ("messages", {"messages": [SYSTEM, USER, BOT], "system": "Be cruel"}, "system"),
        ("messages", {"messages": [USER, BOT], "tools": "no json"}, "tools"),
        ("messages", {"messages": [USER, BOT], "tools": [{"type": "function"}]}, "tools.0"),
        ("messages", {"messages": [USER, BOT], "tools": [{"name": "a"}, {"name": "a", "x": 1}]}, "tools.1"),
        ("sharegpt", {"conversations": [{"from": "function_call", "value": "no json"}]}, "conversations.0.value"),
        ("messages", {"messages": [USER, {**BOT, "function_call": {"name": "a"}, "tool_calls": [CALL]}]}, TWICE),
        ("messages", {"messages": [USER, {**BOT, "reasoning": "a", "thinking": "b"}]}, "messages.1.thinking"),
        ("messages", {"messages": [USER, {**BOT, "weight": 1, "train": False}]}, "messages.1.train"),
        ("messages", {"messages": [USER, BOT], "system": "a", "system_prompt": "b"}, "system_prompt"),
        ("messages", {"messages": [USER, BOT], "tools": [{"name": "a"}], "functions": [{"name": "a", "x": 1}]}, F),
        ("messages", {"messages": [USER, {"role": "assistant", "content": [CALLED, "x"]}]}, "messages.1.content.1"),
        ("messages", {"messages": [USER, {"role": "assistant", "content": [{"type": "tool_result"}]}]}, "messages.1"),
        (
            "messages",
            {"messages": [{"role": "tool", "content": [{"type": "tool_result", "content": [THOUGHT]}]}, BOT]},
            "messages.0.content.0.content.0",
        ),
        ("messages", {"messages": [USER, BOT], "system": 7}, "system"),
        ("messages", {"messages": [USER, {**BOT, "a": "b"}], "messages.1.a": "c"}, "messages.1.a"),
        ("gemini", {"contents": [{"role": "user", "parts": [{"inlineData": {"data": "x"}}]}]}, "contents.0.parts.0"),
        ("alpaca", {"instruction": "Hi", "input": [1], "output": "x"}, "input"),
        ("question_answer", {"question": [USER, BOT, USER], "answer": "x", "context": "c"}, "context"),
        ("squad", {"question": "Hi", "answers": {"text": []}}, "answers"),
        ("compared", {"prompt": "Hi", "response_a": "a", "response_b": "b", "winner": "tie"}, "winner"),
        ("compared", {"prompt": "Hi", "response_a": "a", "response_b": "b", "winner": "c"}, "winner"),
        ("scored", {"prompt": "Hi", "responses": ["a", "b"], "scores": [1, 1]}, "scores"),
        ("scored", {"prompt": "Hi", "responses": ["a", "b"], "scores": [1]}, "scores"),
        ("scored", {"prompt": "Hi", "responses": ["a", "b"], "scores": [1, "x"]}, "scores.1"),
        ("transcript", {"text": "Hi"}, "text"),
        ("alpaca", {"instruction": "Hi", "output": ""}, "output"),
        ("alpaca", {"instruction": "", "input": " ", "output": "x"}, "instruction"),
        ("alpaca", {"input": "Hi", "output": "x"}, "instruction"),
        ("question_answer", {"question": "", "context": "c", "answer": "x"}, "question"),
        ("alpaca", {"instruction": "Hi", "output": "x", "history": [["one"]]}, "history.0"),
        ("question_answer", {"question": "Hi"}, "answer"),
        ("question_answer", {"question": "Hi", "answer": None}, "answer"),
        ("text", {"text": "  "}, "text"),
        ("text", {"text": 7}, "text"),
        ("preference", {"prompt": "Hi", "chosen": "a", "rejected": "a"}, "rejected"),
        ("preference", {"chosen": "a", "rejected": "b"}, "prompt"),
        ("kto", {"prompt": "Hi", "completion": "a", "label": "maybe"}, "label"),
        ("kto", {"messages": [USER], "kto_tag": True}, "messages"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_field(format, raw, field):
    assert refused(raw, format).field == field


def test_keys_of_parts_and_of_calls_among_them_do_not_meet_in_extra():
    parts = [{"type": "text", "text": "Wait", "thought": "one"}, {"type": "tool_use", "name": "now", "note": "two"}]
    row = mapped({"messages": [USER, {"role": "assistant", "content": parts}]})
    assert row["extra"] == {"messages.1.content.0.thought": "one", "messages.1.content.calls.0.note": "two"}


@pytest.mark.parametrize("instruction", ["", " ", None])
@pytest.mark.parametrize(("format", "answer"), [("alpaca", "output"), ("instruction_response", "response")])
def test_the_input_of_an_empty_instruction_is_the_question(format, answer, instruction):
    raw = {"instruction": instruction, "input": "Hi", answer: "Hello", "system": "Be kind"}
    row, _ = FORMATS[format].read(raw, "x:1")
    assert row["messages"] == [{"role": "system", "content": "Be kind"}, USER, BOT]
    assert "extra" not in row


def called(value: str) -> dict:
    return {"conversations": [{"from": "human", "value": "Hi"}, {"from": "function_call", "value": value}]}


@pytest.mark.parametrize("call", ['{"name": "now", "arguments": {}}', '[{"name": "now", "arguments": {}}]'])
def test_a_thought_before_the_json_of_a_call_is_its_reasoning(call):
    message = mapped(called(f"<think>\nI need [the] {{time}}.\n</think>\n\n{call}"))["messages"][1]
    assert message["reasoning_content"] == "I need [the] {time}."
    assert message["content"] == ""
    assert message["tool_calls"] == mapped(called(call))["messages"][1]["tool_calls"]


@pytest.mark.parametrize("text", ["Let me look.", "<think>hm", "<think>hm</think> So:", "<think>", "hm</think>"])
def test_other_text_before_the_json_of_a_call_is_named(text):
    error = refused(called(f'{text} {{"name": "now", "arguments": {{}}}}'), "sharegpt")
    assert error.field == "conversations.1.value"
    assert f"the text '{text.removeprefix('<think>hm</think> ')}' precedes the tool call" in error.reason


def test_a_thought_without_a_call_is_refused():
    assert refused(called("<think>hm</think>"), "sharegpt").field == "conversations.1.value"


@pytest.mark.parametrize("key", ["weight", "loss_weight", "train", "training"])
def test_a_turn_that_is_not_to_be_learned_has_a_weight_of_nothing(key):
    row = mapped({"messages": [USER, {**BOT, key: False}]})
    assert row["messages"][1] == {**BOT, "weight": 0.0}
    row = mapped({"conversations": [{"input": "Hi", "output": "Hello", key: 0}]})
    assert row["messages"] == [USER, {**BOT, "weight": 0.0}]
    assert "extra" not in row


def test_a_part_that_is_to_be_learned_whole_is_taken():
    part = {"type": "text", "text": "Hello", "train": True}
    row = mapped({"messages": [USER, {"role": "assistant", "content": [part]}]})
    assert row["messages"] == [USER, BOT]
