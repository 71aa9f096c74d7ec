"""Rows of rarer shapes: refused by the field that is wrong, or mapped with nothing lost."""

import pytest

from burnish.data.formats import FORMATS
from burnish.data.record import RowError
from layouts.turns import BOT, CALL, USER


def assistant(*parts, **more) -> dict:
    return {"messages": [USER, {"role": "assistant", "content": list(parts), **more}]}


def result(content) -> dict:
    return {"type": "tool_result", "tool_use_id": "c1", "content": content}


GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": [{"text": "Hello"}]}]}
ASKED = {"prompt": "Hi"}
TEN = [{"role": "user", "content": "Other"}, {"role": "assistant", "content": "x"}]


@pytest.mark.parametrize(
    ("format", "raw", "field"),
    [
        ("gemini", {**GEMINI, "systemInstruction": {"parts": [{"functionCall": {"name": "f"}}]}}, None),
        ("messages", {"messages": [USER, BOT], "system": [{"type": "thinking", "thinking": "a"}]}, "system"),
        ("messages", {"messages": [USER, BOT], "system": [{"type": "tool_use", "name": "a"}]}, "system"),
        ("messages", assistant(7), "messages.1.content.0"),
        ("messages", assistant({"type": "text", "text": 7}), "messages.1.content.0"),
        ("messages", assistant({"type": "text"}), "messages.1.content.0"),
        ("messages", assistant({"reasoningContent": {"reasoningText": "a"}}), "messages.1.content.0"),
        ("messages", assistant({"reasoningContent": "a"}), "messages.1.content.0"),
        ("messages", {"messages": [{"role": "user", "content": [{"toolResult": "a"}]}, BOT]}, "messages.0.content.0"),
        ("gemini", {"contents": [{"role": "user", "parts": [{"functionResponse": {}}]}]}, "contents.0.parts.0"),
        ("gemini", {"contents": [{"role": "user", "parts": [{"functionResponse": "a"}]}]}, "contents.0.parts.0"),
        ("messages", {"messages": [USER, {**BOT, "tool_calls": 7}]}, "messages.1.tool_calls"),
        (
            "messages",
            {"messages": [USER, {**BOT, "tool_calls": [{"name": "f", "arguments": [1]}]}]},
            "messages.1.tool_calls.0.arguments",
        ),
        (
            "messages",
            {"messages": [USER, {**BOT, "tool_calls": [{"name": "f", "arguments": "[1]"}]}]},
            "messages.1.tool_calls.0.arguments",
        ),
        (
            "messages",
            {"messages": [USER, {**BOT, "tool_calls": [{"name": "f", "arguments": {}, "input": {}}]}]},
            None,
        ),
        ("messages", {"messages": [USER, BOT], "tools": 7}, "tools"),
        ("messages", {"messages": [USER, BOT], "tools": [{"name": "f", "parameters": {}, "input_schema": {}}]}, None),
        ("messages", {"prompt": "x"}, "messages"),
        ("messages", {"messages": 7}, "messages"),
        ("messages", {"messages": [USER, {**BOT, "name": 7}]}, "messages.1.name"),
        ("messages", {"messages": [{"role": "user", "content": "a", "reasoning": "b"}, BOT]}, "messages.0"),
        ("sharegpt", {"conversations": [{"system": 7, "input": "Hi", "output": "x"}]}, "conversations.0.system"),
        ("alpaca", {"instruction": "Hi", "output": "x", "history": 7}, "history"),
        ("alpaca", {"instruction": "Hi", "output": "x", "history": [["a", 7]]}, "history.0"),
        ("compared", {**ASKED, "response_a": "a", "response_b": "b"}, "winner"),
        ("compared", {**ASKED, "response_a": "a", "response_b": "b", "winner_model_a": 3, "winner_model_b": 0}, None),
        ("compared", {**ASKED, "response_a": "a", "response_b": "b", "winner_model_a": 1, "winner_model_b": 1}, None),
        ("preference", {**ASKED, "chosen": [*TEN[:1], BOT], "rejected": [*TEN[:1], TEN[1]]}, "chosen"),
        ("scored", {**ASKED, "responses": ["a", "b"]}, "responses"),
        ("scored", {**ASKED, "responses": ["a", 7], "scores": [1, 2]}, "responses.1"),
        ("scored", {**ASKED, "responses": [{"text": "a", "score": 1}, {"score": 2}]}, "responses.1"),
        ("scored", {**ASKED, "responses": [{"text": "a", "score": 1}, "b"]}, "responses.1"),
        ("squad", {"question": "Hi", "answers": 7}, "answers"),
        ("squad", {"question": "Hi", "answers": {"text": "a"}}, "answers"),
        ("kto", {**ASKED, "label": True}, "prompt"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_field(format, raw, field):
    with pytest.raises(RowError) as caught:
        FORMATS[format].read(raw, "x:1")
    assert caught.value.reason
    if field is not None:
        assert caught.value.field == field


def turns(raw: dict, format: str = "messages") -> list[dict]:
    row, _ = FORMATS[format].read(raw, "x:1")
    return row["messages"]


def test_parts_of_other_apis_are_read():
    reasoning = {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "s"}, "more": 1}}
    row, _ = FORMATS["messages"].read(assistant(reasoning, {"text": "Hello"}), "x:1")
    assert row["messages"][1] == {"role": "assistant", "content": "Hello", "reasoning_content": "Hm"}
    assert row["extra"] == {"messages.1.content.0.signature": "s", "messages.1.content.0.more": 1}
    assert turns(assistant({"type": "refusal", "refusal": "No."}))[1]["content"] == "No."
    assert turns(assistant("Hel", {"type": "text", "text": "lo"}))[1] == BOT


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("sunny", "sunny"),
        (None, ""),
        ({"a": "é"}, '{"a": "é"}'),
        ([1, 2], "[1, 2]"),
        (7, "7"),
        (["sun", {"type": "text", "text": "ny"}], "sunny"),
        ([{"json": {"a": "é"}}], '{"a": "é"}'),
    ],
)
def test_the_result_of_a_tool_is_a_text_or_kept_as_json(content, text):
    first, last = turns({"messages": [{"role": "user", "content": [result(content)]}, BOT]})
    assert first == {"role": "tool", "content": text, "tool_call_id": "c1"}
    assert last == BOT
    direct = content if content is not None else ""
    if isinstance(content, dict | str) or content == [1, 2]:
        assert turns({"messages": [{"role": "tool", "content": direct}, BOT]})[0]["content"] == text


def test_results_stand_before_what_else_a_turn_says_and_keep_its_names():
    said = {"role": "user", "content": [result("sunny"), {"type": "text", "text": "and?"}], "name": "ann"}
    assert turns({"messages": [said, BOT]})[:2] == [
        {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
        {"role": "user", "content": "and?", "name": "ann"},
    ]
    of_tool = {"role": "tool", "content": [{"type": "tool_result", "content": "sunny"}], "name": "weather", "weight": 0}
    assert turns({"messages": [of_tool, BOT]})[0] == {
        "role": "tool",
        "content": "sunny",
        "name": "weather",
        "weight": 0.0,
    }


def test_an_exchange_weighs_its_answer():
    found = turns({"conversations": [{"system": "s", "input": "Hi", "output": "Hello", "weight": 0.5}]}, "sharegpt")
    assert found == [{"role": "system", "content": "s"}, USER, {**BOT, "weight": 0.5}]


def test_history_is_pairs_or_turns_itself_or_as_json():
    later = {"instruction": "And?", "output": "x"}
    for history in ([["Hi", "Hello"]], [USER, BOT], '[["Hi", "Hello"]]'):
        assert turns({**later, "history": history}, "alpaca")[:2] == [USER, BOT]
    for history in ([], "", None):
        assert len(turns({**later, "history": history}, "alpaca")) == 2


@pytest.mark.parametrize(
    ("answers", "extra"),
    [
        (["a"], None),
        (["a", "a"], None),
        (["a", " ", "b"], {"answers.text": ["a", "b"]}),
        ({"text": ["a"], "start": [3]}, {"answers.start": [3]}),
    ],
)
def test_the_first_of_several_answers_is_learned_and_the_others_are_kept(answers, extra):
    row, _ = FORMATS["squad"].read({"question": "Q", "answers": answers}, "x:1")
    assert row["messages"][-1]["content"] == "a"
    assert row.get("extra") == extra


@pytest.mark.parametrize("scores", [[1, 3, 2], ["1", "3.0", "2"], [-3.5, 0, -1]])
def test_of_scored_answers_the_best_and_the_worst_are_a_preference(scores):
    row, _ = FORMATS["scored"].read({**ASKED, "responses": ["a", "b", "c"], "scores": scores}, "x:1")
    assert (row["chosen"][0]["content"], row["rejected"][0]["content"]) == ("b", "a")
    assert row["extra"]["responses.2"] == "c"
    assert [row["extra"][f"responses.{i}.scores"] for i in range(3)] == scores


@pytest.mark.parametrize(
    ("verdict", "best"),
    [
        ({"winner": "A"}, "a"),
        ({"winner": "model_b"}, "b"),
        ({"winner_model_a": 1, "winner_model_b": 0, "winner_tie": 0}, "a"),
        ({"winner_model_a": 0, "winner_model_b": 1}, "b"),
    ],
)
def test_the_verdict_says_which_answer_is_chosen(verdict, best):
    row, _ = FORMATS["compared"].read({**ASKED, "response_a": "a", "response_b": "b", **verdict}, "x:1")
    assert row["chosen"][0]["content"] == best
    assert row["rejected"][0]["content"] == ("b" if best == "a" else "a")


def test_turns_that_both_answers_repeat_belong_to_the_prompt():
    other = {"role": "assistant", "content": "No"}
    expected = {"messages": [USER], "chosen": [BOT], "rejected": [other]}

    def read(**raw):
        row, _ = FORMATS["preference"].read(raw, "x:1")
        return {key: row[key] for key in expected}

    both = {"chosen": [USER, BOT], "rejected": [USER, other]}
    assert read(**both) == expected
    assert read(prompt="Hi", **both) == expected
    assert read(prompt=[USER, BOT], **both) == expected
    assert read(prompt="Hi", chosen="Hello", rejected="No") == expected
    system = {"role": "system", "content": "s"}
    assert read(prompt=[system, USER], **both) == {**expected, "messages": [system, USER]}
    longer = {"chosen": [system, USER, BOT], "rejected": [system, USER, other]}
    assert read(prompt="Hi", **longer) == {**expected, "messages": [system, USER]}


def test_calls_are_read_however_they_are_written():
    plain = turns({"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}]})[1]["tool_calls"]
    name = plain[0]["function"]["name"]
    for arguments in ("", None, {}, "{}"):
        call = {"name": name, "arguments": arguments}
        for written in ([call], call):
            found = turns({"messages": [USER, {"role": "assistant", "content": None, "tool_calls": written}]})
            assert found[1]["tool_calls"][0]["function"] == {"name": name, "arguments": "{}"}
