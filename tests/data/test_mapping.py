"""Layouts are detected from the first rows, doubts are errors with a way out, columns are renamed and counted."""

import json
import re

import pytest

from burnish.core.errors import DataError
from burnish.data.formats.tools import KEPT_NULLS, NULL_ARGUMENTS, NULLS_IN_SCHEMAS, REPEATED_TOOLS
from burnish.data.formats.turns import REFUSALS
from burnish.data.mapping import SAMPLE, Found, Mapped, check_names, detect, map_rows, renamed
from burnish.data.record import Bad, Record

USER, BOT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}


def detected(*rows: dict, format: str = "auto") -> Found:
    return detect(iter([Record(raw, f"x:{i}") for i, raw in enumerate(rows, 1)]), "rows.jsonl", format)[0]


def test_two_layouts_at_once_are_not_guessed():
    with pytest.raises(DataError) as caught:
        detected({"messages": [USER, BOT], "question": "Why?", "answer": "So."})
    assert caught.value.code == "data.unknown-format"
    assert "messages (1 of 1)" in caught.value.what
    assert "question_answer (1 of 1)" in caught.value.what
    assert "format: …" in caught.value.fix


def test_an_unknown_layout_lists_its_columns_and_the_way_out():
    with pytest.raises(DataError) as caught:
        detected({"ask": "Hi", "reply": "Hello"})
    assert caught.value.code == "data.unknown-format"
    assert "ask, reply" in caught.value.what
    assert "columns: {" in caught.value.fix


def test_a_few_odd_rows_do_not_hide_the_layout():
    found = detected(*[{"text": "x"}] * 9, {"nothing": 1})
    assert found.format.name == "text"
    assert "9 of the first 10 rows" in found.reason


def test_bad_rows_at_the_start_do_not_hide_the_layout():
    items = [Bad(f"x:{i}", "", "broken", "") for i in range(SAMPLE)]
    found, rest = detect(iter([*items, Record({"question": "a", "answer": "b"}, f"x:{SAMPLE + 1}")]), "x")
    assert found.format.name == "question_answer"
    assert len(list(rest)) == SAMPLE + 1


def test_files_of_two_layouts_are_to_be_given_apart():
    records = [Record({"question": "a", "answer": "b"}, "a.jsonl:1"), Record({"text": "a"}, "b.jsonl:1")]
    records.append(Record({"prompt": "a", "completion": "b"}, "b.jsonl:2"))
    with pytest.raises(DataError) as caught:
        detect(iter(records), "folder")
    assert "give each as a source of its own" in caught.value.fix


def test_a_missing_column_names_the_nearest():
    with pytest.raises(DataError) as caught:
        detected({"qestion": "Hi", "answer": "Hello"}, format="question_answer")
    assert caught.value.code == "data.missing-column"
    assert "answer, qestion" in caught.value.what
    assert "did you mean 'qestion'?" in caught.value.fix


def test_columns_are_renamed():
    items = renamed([Record({"prompt": "Hi", "response": "Hello"}, "x:1")], {"response": "completion"})
    found, items = detect(items, "x")
    assert found.format.name == "prompt_completion"


def test_a_renaming_that_would_lose_a_column_makes_the_row_bad():
    (item,) = renamed([Record({"a": 1, "text": "x"}, "x:1")], {"a": "text"})
    assert isinstance(item, Bad)
    assert item.field == "text"


def test_a_renaming_of_a_column_that_is_not_there_is_an_error():
    with pytest.raises(DataError, match="names 'respons', which no row of x has"):
        check_names([Record({"response": "x"}, "x:1")], ["respons"], [], "x")


def test_columns_that_nothing_maps_are_named():
    raw = {"messages": [{**USER, "mood": "good"}, {**BOT, "mood": "bad"}], "topic": "greetings", "none": None}
    found, items = detect(iter([Record(raw, "x:1")]), "x")
    (item,) = map_rows(items, found)
    assert item.unmapped == ["topic", "messages.*.mood"]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"message_id": "b", "parent_id": "a", "text": "Hi", "role": "prompter"}, "one row each"),
        ({"message_tree_id": "a", "prompt": {"text": "Hi", "replies": []}}, "trees of replies"),
        ({"id": "1", "data": ["Hi", "Hello"]}, "lists of texts without roles"),
        ({"question": "Hi?", "choices": ["a", "b"], "answer": 1}, "multiple-choice"),
        ({"question": "Hi?", "choices": {"text": ["a", "b"]}, "answerKey": "A"}, "multiple-choice"),
    ],
)
def test_a_layout_that_cannot_be_read_is_refused_by_name_with_what_to_write(raw, said):
    with pytest.raises(DataError, match=said) as caught:
        detected(raw)
    assert caught.value.code == "data.unknown-format"
    assert re.search(r"write .*`\{.*\}`", caught.value.fix)


def test_a_row_that_fits_a_layout_is_not_refused_for_another_column():
    raw = {"question": "Hi", "answer": "Hello", "turns": ["a", "b"]}
    assert detected(raw).format.name == "question_answer"


def test_roles_in_the_datas_own_words_are_mapped():
    raw = {"messages": [{"role": "Klant", "content": "Hi"}, {"role": "Agent", "content": "Hello"}], "x": [{"from": 1}]}
    roles = {"Klant": "user", "Agent": "assistant"}
    found, items = detect(iter([Record(raw, "x:1")]), "x", roles=roles)
    (item,) = map_rows(items, found)
    assert isinstance(item, Mapped)
    assert item.row["messages"] == [USER, BOT]
    check_names([Record(raw, "x:1")], [], roles, "x")


def test_an_unknown_role_says_how_to_map_it():
    raw = {"messages": [{"role": "klant", "content": "Hi"}, BOT]}
    found, items = detect(iter([Record(raw, "x:1")]), "x")
    (item,) = map_rows(items, found)
    assert isinstance(item, Bad)
    assert "'klant' is unknown: map it with `roles: {theirs: ours}`" in item.reason


@pytest.mark.parametrize("turns", [[{"from": "klant", "value": "Hi"}], '[{"from": "klant", "value": "Hi"}]'])
def test_a_role_that_no_turn_has_is_an_error(turns):
    with pytest.raises(DataError, match="names 'kant', which no turn of x has; its roles are: klant") as caught:
        check_names([Record({"conversations": turns}, "x:1")], [], ["kant"], "x")
    assert "did you mean 'klant'?" in caught.value.fix


def test_a_column_may_come_after_the_first_rows():
    late = [Record({"a": 1}, "x:1")] * (SAMPLE + 1) + [Record({"a": 1, "reply": "x"}, "x:9")]
    check_names(late, ["reply"], [], "x")
    with pytest.raises(DataError, match="names 'repy', which no row of x has"):
        check_names(late, ["repy"], [], "x")


def tool_rows(**arguments):
    call = {"function": {"name": "now", "arguments": arguments}}
    return {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [call]}]}


def test_nulls_that_parquet_fills_in_are_dropped_and_counted():
    schema = {"type": "object", "properties": {"zone": {"type": "string", "enum": None}, "city": None}}
    schema["properties"]["at"] = {"type": ["string", "null"], "default": None}
    tools = [{"type": "function", "function": {"name": "now", "parameters": schema}}]
    raw = tool_rows(zone="UTC", city=None, at=None) | {"tools": tools}
    found, items = detect(iter([Record(raw, "x:1")]), "x")
    (item,) = map_rows(items, found)
    assert isinstance(item, Mapped)
    assert item.remarks == (NULLS_IN_SCHEMAS, NULL_ARGUMENTS)
    properties = item.row["tools"][0]["function"]["parameters"]["properties"]
    assert properties == {"zone": {"type": "string"}, "at": {"type": ["string", "null"], "default": None}}
    (call,) = item.row["messages"][1]["tool_calls"]
    assert call["function"]["arguments"] == '{"zone": "UTC", "at": null}'


def test_null_arguments_without_a_schema_are_kept_and_counted():
    found, items = detect(iter([Record(tool_rows(zone=None), "x:1")]), "x")
    (item,) = map_rows(items, found)
    assert isinstance(item, Mapped)
    assert item.remarks == (KEPT_NULLS,)
    assert item.row["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"zone": null}'


@pytest.mark.parametrize("column", ["tools", "functions"])
def test_a_tool_that_is_repeated_is_kept_once_and_counted(column):
    tool = {"name": "now", "description": "The time", "parameters": {}}
    raw = {"messages": [USER, BOT], "tools": [tool]}
    raw[column] = [*raw.get(column, []), tool]
    found, items = detect(iter([Record(raw, "x:1")]), "x")
    (item,) = map_rows(items, found)
    assert isinstance(item, Mapped)
    assert item.remarks == (REPEATED_TOOLS,)
    assert item.row["tools"] == [{"type": "function", "function": tool}]


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}, {"content": []}])
def test_a_refusal_is_what_the_assistant_says_and_is_counted(content):
    raw = {"messages": [USER, {"role": "assistant", **content, "refusal": "I cannot."}]}
    found, items = detect(iter([Record(raw, "x:1")]), "x")
    (item,) = map_rows(items, found)
    assert isinstance(item, Mapped)
    assert item.remarks == (REFUSALS,)
    assert item.row["messages"][1] == {"role": "assistant", "content": "I cannot."}
    assert item.unmapped == []


@pytest.mark.parametrize(
    ("column", "raw"),
    [
        ("input", {"instruction": "Say hi", "output": "hi"}),
        ("context", {"question": "Who?", "answer": "I"}),
        ("system", {"messages": [USER, BOT]}),
    ],
)
@pytest.mark.parametrize(("value", "is_counted"), [("  \n", True), ("\u3000", True), ("", False), (None, False)])
def test_a_column_of_the_question_that_is_blank_is_left_out_and_counted(column, raw, value, is_counted):
    found, items = detect(
        iter([Record({**raw, column: "Some text"}, "x:1"), Record({**raw, column: value}, "x:2")]), "x"
    )
    whole, item = map_rows(items, found)
    assert "Some text" in json.dumps(whole.row["messages"])
    assert item.remarks == ((f"the column '{column}' with nothing but whitespace, left out",) if is_counted else ())
    assert not any(message["content"].isspace() for message in item.row["messages"])


def test_a_refusal_beside_a_content_is_kept_apart():
    found, items = detect(iter([Record({"messages": [USER, {**BOT, "refusal": "I cannot."}]}, "x:1")]), "x")
    (item,) = map_rows(items, found)
    assert isinstance(item, Mapped)
    assert (item.row["messages"][1], item.remarks, item.unmapped) == (BOT, (), ["messages.*.refusal"])


def test_rows_that_fit_no_layout_name_their_columns_and_whether_files_differ():
    def what(*sources: str) -> DataError:
        with pytest.raises(DataError) as caught:
            detect(iter([Record({"alien": 1, "other": 2}, source) for source in sources]), "x")
        return caught.value

    assert "alien, other" in what("a.jsonl:1").what
    for same in (("a.jsonl:1", "a.jsonl:2"), ("a.json:1#1", "a.json:1#2"), ("a.parquet#1", "a.parquet#2")):
        assert "if its files differ" not in what(*same).fix
    assert "if its files differ" in what("a.jsonl:1", "b.jsonl:1").fix
