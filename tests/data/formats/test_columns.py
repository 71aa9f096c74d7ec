"""Columns of a row: each is taken once, of the kind it must be, and what no format takes is kept in `extra`."""

import math

import pytest

from burnish.data.formats import COLUMNS
from burnish.data.formats.columns import Columns, is_content, is_turns
from burnish.data.record import RowError

USER, BOT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
SYSTEM = {"role": "system", "content": "s"}
CHAT = {"messages": [USER, BOT]}


def message(caught: pytest.ExceptionInfo[RowError]) -> str:
    return f"{caught.value.field}: {caught.value.reason}"


def test_every_column_that_a_format_takes_is_known():
    assert sorted(COLUMNS) == sorted(
        [
            *("system", "system_prompt", "systemInstruction", "system_instruction", "tools", "functions", "toolConfig"),
            *("history", "input", "context", "messages", "conversations", "conversation", "contents", "text"),
            *("instruction", "output", "response", "prompt", "completion", "answer", "query", "question", "problem"),
            *("solution", "answers", "completions", "responses", "kto_tag", "label"),
            *("chosen", "preferred_output", "chosen_messages", "chosen_response", "response_j"),
            *("rejected", "non_preferred_output", "rejected_messages", "rejected_response", "response_k"),
            *("response_a", "conversation_a", "response_0", "response_b", "conversation_b", "response_1"),
            *("winner", "preferred", "preference", "better_response_id", "winner_model_a"),
        ]
    )


def test_a_column_is_there_when_it_is_not_null():
    columns = Columns({"a": 0, "b": "", "c": None}, {})
    assert columns.has("a")
    assert columns.has("a", "b")
    assert not columns.has("a", "c")
    assert not columns.has("d")


def test_a_column_that_is_missing_cannot_be_taken():
    columns = Columns({"a": None}, {})
    assert columns.take("a") is None
    with pytest.raises(RowError) as caught:
        columns.take("b")
    assert message(caught) == "b: the column 'b' is missing"
    for name in ("a", "b"):
        with pytest.raises(RowError) as caught:
            columns.turns(name)
        assert message(caught) == f"{name}: the column '{name}' is missing"


@pytest.mark.parametrize(
    ("value", "allowed", "expected"),
    [
        ("a", {}, "a"),
        (" a ", {}, " a "),
        ("a", {"empty": True}, "a"),
        ("a", {"numbers": True}, "a"),
        ("", {"empty": True}, ""),
        (" ", {"empty": True}, " "),
        (None, {"empty": True}, ""),
        (7, {"numbers": True}, "7"),
        (0, {"numbers": True}, "0"),
        (0.5, {"numbers": True}, "0.5"),
        (True, {"numbers": True}, "true"),
    ],
)
def test_a_text_is_read_from_what_may_be_one(value, allowed, expected):
    assert Columns({"a": value}, {}).text("a", **allowed) == expected


@pytest.mark.parametrize(
    ("value", "allowed", "reason"),
    [
        ("", {}, "the text is empty"),
        (" \n", {}, "the text is empty"),
        ("", {"numbers": True}, "the text is empty"),
        (None, {}, "the column must be a text, not null"),
        (7, {}, "the column must be a text, not a number"),
        (7, {"empty": True}, "the column must be a text, not a number"),
        (math.inf, {"numbers": True}, "the column must be a text, not a number"),
        (math.nan, {"numbers": True}, "the column must be a text, not a number"),
        (["a"], {"numbers": True}, "the column must be a text, not a list"),
    ],
)
def test_a_column_that_is_not_a_text_is_refused(value, allowed, reason):
    with pytest.raises(RowError) as caught:
        Columns({"a": value}, {}).text("a", **allowed)
    assert message(caught) == f"a: {reason}"


@pytest.mark.parametrize(
    ("value", "turns"),
    [
        ([USER, BOT], [USER, BOT]),
        (USER, [USER]),
        ('[{"role": "user", "content": "Hi"}]', [USER]),
        ('{"from": "gpt", "value": "Hello"}', [BOT]),
    ],
)
def test_turns_are_a_list_or_one_object_or_their_json(value, turns):
    assert Columns({"a": value}, {}).turns("a") == turns
    if not isinstance(value, str) or value.startswith("["):
        assert Columns({"a": value}, {}).turns_from("a", "user") == turns


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (7, "a: the column must be a list of turns, not a number"),
        ("7", "a: the column must be a list of turns, not a number"),
        ("Hi", "a: the text is invalid JSON: Expecting value (character 1 of the row)"),
        ([], "a: there are no turns"),
        ([USER, 7], "a.1: a turn must be an object, not a number"),
    ],
)
def test_a_column_without_turns_is_refused(value, reason):
    with pytest.raises(RowError) as caught:
        Columns({"a": value}, {}).turns("a")
    assert message(caught) == reason


@pytest.mark.parametrize(
    ("value", "turns"),
    [
        ("Hi", [USER]),
        (7, [{"role": "user", "content": "7"}]),
        (0.5, [{"role": "user", "content": "0.5"}]),
        ("Human: Hi\n\nAssistant: Hello", [USER, BOT]),
        ("Human: Hi", [{"role": "user", "content": "Human: Hi"}]),
        ('{"role": "user"}', [{"role": "user", "content": '{"role": "user"}'}]),
    ],
)
def test_a_text_is_a_turn_of_its_role_or_a_transcript(value, turns):
    assert Columns({"a": value}, {}).turns_from("a", "user") == turns


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({}, "a: the column 'a' is missing"),
        ({"a": None}, "a: the column must be a text, not null"),
        ({"a": " "}, "a: the text is empty"),
        ({"a": []}, "a: there are no turns"),
    ],
)
def test_a_column_with_neither_text_nor_turns_is_refused(raw, reason):
    with pytest.raises(RowError) as caught:
        Columns(raw, {}).turns_from("a", "user")
    assert message(caught) == reason


def test_the_conversation_is_the_first_column_of_turns():
    other = [{"role": "user", "content": "b"}]
    for raw, turns in (
        ({"conversation": [USER], "conversations": other, "messages": [BOT]}, [BOT]),
        ({"conversation": [USER], "conversations": other, "messages": ["Hi"]}, other),
        ({"conversation": [USER], "conversations": []}, [USER]),
        ({"contents": [USER], "messages": "Hi"}, []),
    ):
        assert Columns(raw, {}).conversation() == turns


@pytest.mark.parametrize(
    ("history", "turns"),
    [
        (None, []),
        ("", []),
        ([], []),
        ("[]", []),
        ([["Hi", "Hello"]], [USER, BOT]),
        (
            [["Hi", "Hello"], ["a", ""]],
            [USER, BOT, {"role": "user", "content": "a"}, {"role": "assistant", "content": ""}],
        ),
        ('[["Hi", "Hello"]]', [USER, BOT]),
        ([USER, BOT, USER], [USER, BOT, USER]),
        ([{"from": "human", "value": "Hi"}], [USER]),
        ('[{"human": "Hi", "gpt": "Hello"}]', [USER, BOT]),
    ],
)
def test_history_is_a_list_of_exchanges_or_of_turns(history, turns):
    columns = Columns({"history": history}, {})
    assert columns.history() == turns
    assert "extra" not in columns.row("x:1", "chat", messages=[USER, BOT])


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        (7, "history: must be a list of [question, answer]"),
        ({"a": "b"}, "history: must be a list of [question, answer]"),
        ("7", "history: must be a list of [question, answer]"),
        (["a"], "history.0: must be [question, answer]"),
        ([["a", "b"], ["a"]], "history.1: must be [question, answer]"),
        ([["a", "b", "c"]], "history.0: must be [question, answer]"),
        ([["a", 7]], "history.0: must be [question, answer]"),
        ([[7, "a"]], "history.0: must be [question, answer]"),
        ([["a", "b"], {"role": "user"}], "history.1: must be [question, answer]"),
        ([USER, ["a", "b"]], "history.1: a turn must be an object, not a list"),
    ],
)
def test_a_history_that_cannot_be_read_is_refused_by_place(history, reason):
    with pytest.raises(RowError) as caught:
        Columns({"history": history}, {}).history()
    assert message(caught) == reason


def test_keys_of_an_object_are_mapped_or_tools_or_kept():
    tools = [{"name": "f"}]
    raw = {"a": {"messages": [USER], "tools": tools, "functions": None, "n": 1, "none": None}, "b": 2}
    columns = Columns(raw, {})
    assert columns.within("a", ("messages",)) == raw["a"]
    row = columns.row("x:1", "chat", messages=[USER, BOT])
    assert row["extra"] == {"a.n": 1, "b": 2}
    assert row["tools"] == [{"type": "function", "function": {"name": "f"}}]
    with pytest.raises(RowError) as caught:
        columns.within("b", ())
    assert message(caught) == "b: the column must be an object, not a number"


@pytest.mark.parametrize(
    ("raw", "row"),
    [
        ({"tag": "t"}, {"tag": "t"}),
        ({"tag": ""}, {}),
        ({"tag": None}, {}),
        ({"tag": 7}, {"extra": {"tag": 7}}),
        ({"n": 1, "none": None, "zero": 0}, {"extra": {"n": 1, "zero": 0}}),
        ({"tools": [{"name": "f"}]}, {"tools": [{"type": "function", "function": {"name": "f"}}]}),
        ({"tools": [], "functions": None}, {}),
        ({"tools": [], "functions": {"name": "f"}}, {"tools": [{"type": "function", "function": {"name": "f"}}]}),
    ],
)
def test_what_a_format_does_not_take_is_the_tag_or_extra(content, raw, row):
    assert content("messages", CHAT | raw) == {"kind": "chat", **CHAT, **row}


def test_columns_of_a_conversation_are_extra_of_a_text(content):
    more = {"system": "s", "tools": [], "tag": "t"}
    extra = {"system": "s", "tools": []}
    assert content("text", {"text": "a", **more}) == {"kind": "text", "text": "a", "tag": "t", "extra": extra}


def test_the_schemas_of_tools_hold_for_their_calls(content):
    tool = {"name": "f", "parameters": {"properties": {"x": {"type": "string"}}}}
    called = {"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": {"x": None}}]}
    row = content("messages", {"messages": [USER, called], "toolConfig": [tool]})
    dropped = "null arguments dropped from tool calls, which the tool's schema does not allow"
    assert row["messages"][1]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert row["remarks"] == (dropped,)


def test_a_column_with_the_name_of_a_key_in_another_is_refused(refusal):
    raw = {"messages": [{**USER, "b": 1, "a": 2}, BOT], "messages.0.b": 3, "messages.0.a": 4}
    same = "a column has the name of a key inside another: rename it"
    assert refusal("messages", raw) == f"messages.0.a: {same}"


@pytest.mark.parametrize(
    ("raw", "system"),
    [
        ({}, None),
        ({"system": "s"}, "s"),
        ({"system_prompt": "s"}, "s"),
        ({"systemInstruction": {"parts": [{"text": "s"}]}}, "s"),
        ({"system_instruction": {"parts": [{"text": "s"}]}}, "s"),
        ({"system": None, "system_prompt": "s"}, "s"),
        ({"system": "s", "system_prompt": "s"}, "s"),
        ({"system": " ", "system_prompt": "s"}, "s"),
        ({"system": "s", "system_prompt": " "}, "s"),
        ({"system": " "}, None),
        ({"system": " s "}, " s "),
    ],
)
def test_a_system_prompt_in_a_column_is_the_first_turn(content, raw, system):
    first = [] if system is None else [{"role": "system", "content": system}]
    row = content("messages", CHAT | raw)
    blank = [name for name, text in raw.items() if text == " "]
    assert row.pop("remarks", ()) == tuple(f"the column '{n}' with nothing but whitespace, left out" for n in blank)
    assert row == {"kind": "chat", "messages": [*first, USER, BOT]}


def test_a_system_prompt_is_not_said_twice(content, refusal):
    chat = {"messages": [SYSTEM, USER, BOT]}
    assert content("messages", chat | {"system": "s"}) == content("messages", chat) == {"kind": "chat", **chat}
    assert content("messages", chat | {"system": ""}) == {"kind": "chat", **chat}
    differs = "the column and the first turn have different system prompts"
    assert refusal("messages", chat | {"system": "r"}) == f"system: {differs}"
    two = CHAT | {"system": "r", "system_prompt": "", "systemInstruction": "s"}
    assert refusal("messages", two) == "systemInstruction: two columns have different system prompts"
    only = content("kto", {"messages": [BOT], "label": True, "system": "s"})
    assert only == {"kind": "label", "messages": [SYSTEM], "completion": [BOT], "label": True}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([USER], True),
        ([USER, 7], True),
        ([{"from": "human"}], True),
        ([{"human": "a", "gpt": "b"}], True),
        ([7, USER], False),
        ([{"text": "a"}, USER], False),
        ([], False),
        (USER, False),
        (None, False),
        ('[{"role": "user"}]', True),
        (' \n[{"from": "human"}]', True),
        ('[{"role": "user"}', False),
        ('[{"role": 7}]', False),
        ('{"role": "user"}', False),
        ('[ {"role": "user"}]', False),
        ('[{"human": "a", "gpt": "b"}]', False),
        ('"role" and [{', False),
        ("Hi", False),
    ],
)
def test_turns_are_a_list_that_begins_with_one(value, expected):
    assert is_turns(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", True),
        ("a", True),
        (0, True),
        (0.5, True),
        (True, True),
        ([USER], True),
        ([], False),
        ({}, False),
        (None, False),
    ],
)
def test_a_content_is_a_text_a_number_or_turns(value, expected):
    assert is_content(value) is expected
