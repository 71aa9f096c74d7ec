"""Layouts are detected from the first rows, doubts are errors with a way out, columns are renamed and counted."""

import pytest

from burnish.core.errors import DataError
from burnish.data.mapping import SAMPLE, Found, check_names, detect, map_rows, renamed
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
