"""Every layout that people write rows in is told apart, and mapped to the canonical row without loss."""

import json

import pytest

from burnish.data.formats import FORMATS
from burnish.data.mapping import detect, map_rows
from burnish.data.record import Bad, Record, RowError
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


def test_every_format_has_an_example():
    assert {name.split(" ")[0] for name in EXAMPLES} == set(FORMATS)


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
        ("sharegpt", {"conversations": [{"from": "function_call", "value": "no json"}]}, "conversations.0.value"),
        ("alpaca", {"instruction": "Hi", "output": ""}, "output"),
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
