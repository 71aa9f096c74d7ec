"""Every layout that people write rows in is told apart, and mapped to the canonical row without loss."""

import json

import pytest

from burnish.data.formats import FORMATS
from burnish.data.mapping import detect, map_rows
from burnish.data.record import Bad, Record, RowError

USER, BOT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
SYSTEM = {"role": "system", "content": "Be kind"}
TOOL = {"name": "now", "description": "The time", "parameters": {"type": "object", "properties": {}}}
CALL = {"type": "function", "function": {"name": "now", "arguments": '{"zone": "UTC"}'}}


def mapped(raw: dict, format: str = "auto") -> dict:
    found, items = detect(iter([Record(raw, "x:1")]), "x", format)
    (item,) = map_rows(items, found)
    assert not isinstance(item, Bad), item
    return item.row


def refused(raw: dict, format: str) -> RowError:
    with pytest.raises(RowError) as caught:
        FORMATS[format].read(raw, "x:1")
    return caught.value


EXAMPLES = {
    "alpaca": (
        {"instruction": "Hi", "input": "", "output": "Hello"},
        {"kind": "chat", "messages": [USER, BOT]},
    ),
    "alpaca with everything": (
        {
            "instruction": "Add",
            "input": "1 2",
            "output": "3",
            "system": "Be kind",
            "history": [["Hi", "Hello"]],
            "n": 4,
        },
        {
            "kind": "chat",
            "messages": [
                SYSTEM,
                USER,
                BOT,
                {"role": "user", "content": "Add\n1 2"},
                {"role": "assistant", "content": "3"},
            ],
            "extra": {"n": 4},
        },
    ),
    "alpaca with a text column": (
        {"instruction": "Hi", "input": "", "output": "Hello", "text": "### Hi"},
        {"kind": "chat", "messages": [USER, BOT], "extra": {"text": "### Hi"}},
    ),
    "input_output": ({"input": "Hi", "output": "Hello"}, {"kind": "chat", "messages": [USER, BOT]}),
    "question_answer": ({"question": "Hi", "answer": "Hello"}, {"kind": "chat", "messages": [USER, BOT]}),
    "prompt_completion": ({"prompt": "Hi", "completion": "Hello"}, {"kind": "chat", "messages": [USER, BOT]}),
    "prompt_completion of turns": (
        {"prompt": [SYSTEM, USER], "completion": [BOT]},
        {"kind": "chat", "messages": [SYSTEM, USER, BOT]},
    ),
    "sharegpt": (
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}], "system": "Be kind"},
        {"kind": "chat", "messages": [SYSTEM, USER, BOT]},
    ),
    "sharegpt with tools": (
        {
            "conversations": [
                {"from": "human", "value": "Hi"},
                {"from": "function_call", "value": '{"name": "now", "arguments": {"zone": "UTC"}}'},
                {"from": "observation", "value": "12:00"},
                {"from": "gpt", "value": "Hello"},
            ],
            "tools": json.dumps([TOOL]),
        },
        {
            "kind": "chat",
            "messages": [
                USER,
                {"role": "assistant", "content": "", "tool_calls": [CALL]},
                {"role": "tool", "content": "12:00"},
                BOT,
            ],
            "tools": [{"type": "function", "function": TOOL}],
        },
    ),
    "sharegpt with several calls": (
        {
            "conversations": [
                {"from": "human", "value": "Hi"},
                {"from": "function_call", "value": '[{"name": "now", "arguments": {"zone": "UTC"}}, {"name": "b"}]'},
            ]
        },
        {
            "kind": "chat",
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [CALL, {"type": "function", "function": {"name": "b", "arguments": "{}"}}],
                },
            ],
        },
    ),
    "messages": ({"messages": [SYSTEM, USER, BOT]}, {"kind": "chat", "messages": [SYSTEM, USER, BOT]}),
    "messages with calls": (
        {
            "messages": [
                USER,
                {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", **CALL}]},
                {"role": "tool", "tool_call_id": "c1", "name": "now", "content": "12:00"},
                BOT,
            ],
            "tools": [{"type": "function", "function": TOOL}],
        },
        {
            "kind": "chat",
            "messages": [
                USER,
                {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", **CALL}]},
                {"role": "tool", "tool_call_id": "c1", "name": "now", "content": "12:00"},
                BOT,
            ],
            "tools": [{"type": "function", "function": TOOL}],
        },
    ),
    "messages with parts and weights": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}],
                    "mood": "good",
                },
                {**BOT, "loss_weight": 0.5},
                USER,
                {**BOT, "train": False, "reasoning_content": "hm"},
                USER,
                {**BOT, "weight": 1},
            ]
        },
        {
            "kind": "chat",
            "messages": [
                USER,
                {**BOT, "weight": 0.5},
                USER,
                {**BOT, "weight": 0.0, "reasoning_content": "hm"},
                USER,
                {**BOT, "weight": 1.0},
            ],
            "extra": {"messages.0.mood": "good"},
        },
    ),
    "messages spelled as JSON": (
        {"messages": json.dumps([USER, BOT]), "source": "csv"},
        {"kind": "chat", "messages": [USER, BOT], "extra": {"source": "csv"}},
    ),
    "messages without an answer": ({"messages": [SYSTEM, USER]}, {"kind": "prompt", "messages": [SYSTEM, USER]}),
    "text": ({"text": "Hi", "url": "u"}, {"kind": "text", "text": "Hi", "extra": {"url": "u"}}),
    "preference": (
        {"prompt": "Hi", "chosen": "Hello", "rejected": "Bah"},
        {
            "kind": "preference",
            "messages": [USER],
            "chosen": [BOT],
            "rejected": [{"role": "assistant", "content": "Bah"}],
        },
    ),
    "preference that repeats its prompt": (
        {
            "prompt": "Hi",
            "chosen": [SYSTEM, USER, BOT],
            "rejected": [SYSTEM, USER, {"role": "assistant", "content": "Bah"}],
        },
        {
            "kind": "preference",
            "messages": [SYSTEM, USER],
            "chosen": [BOT],
            "rejected": [{"role": "assistant", "content": "Bah"}],
        },
    ),
    "preference without a prompt column": (
        {"chosen": [USER, BOT], "rejected": [USER, {"role": "assistant", "content": "Bah"}], "score": 2},
        {
            "kind": "preference",
            "messages": [USER],
            "chosen": [BOT],
            "rejected": [{"role": "assistant", "content": "Bah"}],
            "extra": {"score": 2},
        },
    ),
    "preference of sharegpt": (
        {
            "conversations": [{"from": "system", "value": "Be kind"}, {"from": "human", "value": "Hi"}],
            "chosen": {"from": "gpt", "value": "Hello"},
            "rejected": {"from": "gpt", "value": "Bah"},
        },
        {
            "kind": "preference",
            "messages": [SYSTEM, USER],
            "chosen": [BOT],
            "rejected": [{"role": "assistant", "content": "Bah"}],
        },
    ),
    "preference of alpaca": (
        {"instruction": "Hi", "input": "", "chosen": "Hello", "rejected": "Bah"},
        {
            "kind": "preference",
            "messages": [USER],
            "chosen": [BOT],
            "rejected": [{"role": "assistant", "content": "Bah"}],
        },
    ),
    "preference of OpenAI": (
        {
            "input": {"messages": [USER], "tools": [], "parallel_tool_calls": True},
            "preferred_output": [BOT],
            "non_preferred_output": [{"role": "assistant", "content": "Bah"}],
        },
        {
            "kind": "preference",
            "messages": [USER],
            "chosen": [BOT],
            "rejected": [{"role": "assistant", "content": "Bah"}],
            "extra": {"input.parallel_tool_calls": True},
        },
    ),
    "kto": (
        {"prompt": "Hi", "completion": "Hello", "label": True},
        {"kind": "label", "messages": [USER], "completion": [BOT], "label": True},
    ),
    "kto of messages": (
        {"messages": [USER, BOT], "kto_tag": False},
        {"kind": "label", "messages": [USER], "completion": [BOT], "label": False},
    ),
    "kto of alpaca": (
        {"instruction": "Hi", "output": "Hello", "kto_tag": "true"},
        {"kind": "label", "messages": [USER], "completion": [BOT], "label": True},
    ),
    "prompt": (
        {"prompt": "Hi", "answer": "42", "tag": "sums"},
        {"kind": "prompt", "messages": [USER], "tag": "sums", "extra": {"answer": "42"}},
    ),
    "prompt of turns": (
        {"prompt": [SYSTEM, USER], "reward_model": {"ground_truth": "42"}},
        {"kind": "prompt", "messages": [SYSTEM, USER], "extra": {"reward_model": {"ground_truth": "42"}}},
    ),
}


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
