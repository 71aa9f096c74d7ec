"""Where the reference answer of a row comes from."""

import json

import pytest

from burnish.core.errors import DataError
from burnish.data.dataset import open_rows
from burnish.data.document import make_row
from burnish.data.formats.pairs import PAIRS
from burnish.evals.scoring.columns import column_of
from burnish.testing import input_at
from burnish.train.rewards.reference import reference_of

USER = {"role": "user", "content": "2+2?"}
FOUR = {"role": "assistant", "content": "4"}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}],
}


def prompt_row(**extra):
    return make_row("prompt", "rows.jsonl:7", messages=[USER], extra=extra)


@pytest.mark.parametrize(
    ("row", "reference"),
    [
        (make_row("chat", "x", messages=[USER, FOUR]), "4"),
        (make_row("chat", "x", messages=[USER, FOUR, USER]), None),
        (make_row("chat", "x", messages=[USER, CALL]), None),
        (make_row("preference", "x", messages=[USER], chosen=[FOUR], rejected=[CALL]), "4"),
        (make_row("label", "x", messages=[USER], completion=[FOUR], label=True), "4"),
        (make_row("label", "x", messages=[USER], completion=[FOUR], label=False), None),
        (make_row("text", "x", text="4"), None),
        (prompt_row(answer="4"), None),
    ],
)
def test_without_a_column_it_is_the_last_assistant_turn(row, reference):
    assert reference_of(row) == reference


def test_a_writer_gives_tool_calls_in_the_models_notation():
    row = make_row("chat", "x", messages=[USER, CALL])
    assert reference_of(row, write=lambda chat: f"<tool_call>{chat['messages'][-1]['tool_calls'][0]['type']}") == (
        "<tool_call>function"
    )


@pytest.mark.parametrize(
    ("given", "reference"),
    [
        ("4", "4"),
        (4, "4"),
        (0, "0"),
        (False, "false"),
        (1.5, "1.5"),
        (["é"], '["é"]'),
        ({"a": 1}, '{"a": 1}'),
        ("", ""),
    ],
)
def test_a_column_is_a_text_or_json(given, reference):
    assert reference_of(prompt_row(answer=given), "answer") == reference


def test_null_is_no_reference():
    assert reference_of(prompt_row(answer=None), "answer") is None


def test_a_dotted_name_reads_a_field_and_a_column_of_that_name_comes_first():
    nested = {"reward_model": {"ground_truth": "4"}}
    assert reference_of(prompt_row(**nested), "reward_model.ground_truth") == "4"
    assert reference_of(prompt_row(**nested, **{"reward_model.ground_truth": "5"}), "reward_model.ground_truth") == "5"


def test_a_missing_column_is_an_error_that_lists_the_columns():
    with pytest.raises(
        DataError, match=r"rows.jsonl:7: the row has no column 'anwser'; its columns: answer, level"
    ) as e:
        reference_of(prompt_row(answer="4", level=2), "anwser")
    assert e.value.code == "data.missing-column"
    assert "did you mean 'answer'" in e.value.fix
    with pytest.raises(DataError) as e:
        column_of(make_row("prompt", "x", messages=[USER]), "answer")
    assert "it has no columns besides its turns" in e.value.fix


DOCUMENTED = [  # what rewards.md and rl.md show, and the setting `answer` with it
    ('{"prompt": "2+2?", "answer": "42"}', "answer", "42"),
    ('{"prompt": "2+2?", "answer": "42", "level": 1}', "answer", "42"),
    ('{"prompt": "2+2?", "answer": "42"}', None, "42"),
    ('{"prompt": "2+2?", "reward_model": {"ground_truth": "42"}}', "reward_model.ground_truth", "42"),
]


def only_row(tmp_path, line):
    (tmp_path / "rows.jsonl").write_text(line + "\n")
    (row,) = open_rows(input_at(tmp_path / "rows.jsonl"), "train")
    return row


@pytest.mark.parametrize(("line", "column", "reference"), DOCUMENTED)
def test_a_documented_row_has_its_reference(tmp_path, line, column, reference):
    assert reference_of(only_row(tmp_path, line), column) == reference


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_column_that_became_the_last_turn_is_the_reference(tmp_path, pair):
    row = only_row(tmp_path, json.dumps({pair.asks: "2+2?", pair.answers: "42"}))
    assert reference_of(row, pair.answers) == reference_of(row) == "42"


def test_a_row_with_an_answer_and_no_such_column_hints_at_its_last_turn():
    with pytest.raises(DataError) as e:
        reference_of(make_row("chat", "x", messages=[USER, FOUR]), "solutoin")
    assert e.value.fix.startswith("the last turn is the reference: remove `answer`")


def test_a_conversation_that_ends_with_the_user_has_no_column():
    with pytest.raises(DataError, match="no column 'answer'"):
        reference_of(make_row("chat", "x", messages=[USER, FOUR, USER]), "answer")


def test_a_conversation_of_several_questions_has_no_column_that_a_format_mapped():
    turns = [{"role": role, "content": str(number)} for number, role in enumerate(["user", "assistant"] * 2)]
    row = {"kind": "chat", "messages": turns, "source": "rows.jsonl:1"}
    with pytest.raises(DataError, match="no column 'answer'") as caught:
        reference_of(row, "answer")
    assert "remove `answer`" in caught.value.fix
    assert reference_of(row) == "3"
