"""Reading answers from files and results, and joining them."""

import json

import pytest

from burnish.core.context import Input
from burnish.core.errors import AskError, DataError
from burnish.core.events import Chosen, Note
from burnish.evals.judge.answers import read_answers
from burnish.evals.judge.joining import with_others, with_references
from burnish.specs.evals.judge import ColumnsSpec
from burnish.testing import input_at


def found(path, field="answers", needs=("answer", "prompt"), **columns):
    events = []
    given = path if isinstance(path, Input) else input_at(path)
    answers = read_answers(given, ColumnsSpec(**columns), field, events.append, needs=needs)
    return answers, events


def texts(answers):
    return [(case.prompt, case.answer, case.reference) for case in answers.cases]


FILES = {
    "predictions.json": json.dumps([{"question": "q", "prediction": "a", "gold": "r"}]),
    "predictions.jsonl": '{"instruction": "q", "response": "a", "target": "r"}\n',
    "generated_predictions.jsonl": '{"prompt": "q", "predict": "a", "label": "r"}\n',
    "predictions.csv": "query,output,expected\nq,a,r\n",
    "predictions.tsv": "prompt\tcompletion\tground_truth\nq\ta\tr\n",
}


@pytest.mark.parametrize("name", FILES)
def test_usual_columns_are_found_and_reported(tmp_path, name):
    path = tmp_path / name
    path.write_text(FILES[name])
    answers, events = found(path)
    assert texts(answers) == [("q", "a", "r")]
    chosen = {event.field: event.value for event in events if isinstance(event, Chosen)}
    assert chosen.keys() == {"columns.prompt", "columns.answer", "columns.reference"}


def test_answers_that_may_be_missing_are_a_warning(tmp_path):
    path = tmp_path / "predictions.json"
    path.write_text('[{"question": "q", "prediction": "a", "gold": "r"},')
    answers, events = found(path)
    assert texts(answers) == [("q", "a", "r")]
    said = [event.text for event in events if isinstance(event, Note) and event.level == "warning"]
    assert said == ["predictions.json ends before its list is closed: rows at the end may be missing"]


PLAIN = {
    "a.json": ('["a", "b", null]', [("", "a"), ("", "b"), ("", None)]),
    "squad.json": ('{"id7": "a", "id9": "b"}', [("id7", "a"), ("id9", "b")]),
    "a.txt": ("a\nb\n\n", [("", "a"), ("", "b"), ("", "")]),
}


@pytest.mark.parametrize("name", PLAIN)
def test_texts_without_columns_are_answers(tmp_path, name):
    content, expected = PLAIN[name]
    path = tmp_path / name
    path.write_text(content)
    answers, _ = found(path, needs=("answer",))
    assert [case.answer for case in answers.cases] == [answer for _, answer in expected]
    if name == "squad.json":
        assert [case.id for case in answers.cases] == [key for key, _ in expected]


def test_one_json_object_with_usual_columns_is_a_row(tmp_path):
    path = tmp_path / "one.json"
    path.write_text('{"prompt": "q", "answer": "a"}')
    assert texts(found(path)[0]) == [("q", "a", None)]


def test_a_column_that_may_be_one_of_several_is_refused(answers):
    path = answers([{"prompt": "q", "prediction": "a", "output": "b"}])
    with pytest.raises(AskError, match="the column of the answer in answers may be prediction or output") as caught:
        found(path)
    assert "columns.answer" in caught.value.fix
    assert texts(found(path, answer="output")[0]) == [("q", "b", None)]
    with pytest.raises(AskError, match="the column of the prompt in answers may be"):
        found(answers([{"instruction": "q", "input": "x", "answer": "a"}]))


def test_a_column_that_is_not_needed_and_may_be_one_of_several_is_left_out_aloud(answers):
    answers_, events = found(answers([{"prompt": "q", "answer": "a", "label": "1", "target": "2"}]))
    assert answers_.cases[0].reference is None
    assert any(isinstance(event, Note) and "label or target, and none is used" in event.text for event in events)


def test_without_an_answer_the_columns_are_listed(answers):
    with pytest.raises(AskError, match="has none of the usual names") as caught:
        found(answers([{"x": "q", "y": "a"}]))
    assert "x, y" in caught.value.fix
    with pytest.raises(AskError, match=r"columns\.answer: answers has no column 'yy'") as caught:
        found(answers([{"x": "q", "y": "a"}]), answer="yy")
    assert "did you mean 'y'" in caught.value.fix


def test_a_dotted_name_reads_an_object_and_turns_are_a_conversation(answers):
    turns = [{"role": "user", "content": "q"}]
    path = answers([{"messages": turns, "result": {"text": "a"}}])
    assert texts(found(path, answer="result.text")[0]) == [("q", "a", None)]


def test_bad_rows_are_an_error_with_their_places(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"answer": "a"}\n{"answer": "b"\n{"answer": "c"}\n')
    with pytest.raises(DataError, match=r"1 of 3 rows of rows.jsonl cannot be read: rows.jsonl:2: invalid JSON"):
        found(path)


def test_results_of_evaluate_and_generate_are_read(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    line = {"id": "1", "source": "d:1", "tag": "t", "prompt": "<think>\n", "reference": "r"}
    (folder / "items.jsonl").write_text(json.dumps(line | {"answer": "hm</think>a", "scores": {}}) + "\n")
    (folder / "answers.jsonl").write_text(json.dumps(line | {"prompt": [{"role": "user", "content": "q"}]}) + "\n")
    answers, _ = found(Input("step:x", "evaluation", folder))
    assert (answers.cases[0].answer, answers.cases[0].source, answers.cases[0].tag) == ("a", "d:1", "t")
    with pytest.raises(AskError, match="the column of the answer"):
        found(Input("step:x", "generations", folder))


def test_rows_are_joined_by_id_and_those_without_a_partner_are_counted(answers):
    ours, _ = found(answers([{"id": "1", "answer": "a"}, {"id": "2", "answer": "b"}], "a.jsonl"))
    rows = [{"id": "2", "gold": "B", "question": "q2"}, {"id": "3", "gold": "C", "question": "q3"}]
    references, _ = found(answers(rows, "r.jsonl"), "references", ("reference",))
    events = []
    joined = with_references(ours, references, "auto", events.append)
    assert texts(joined) == [("", "a", None), ("q2", "b", "B")]
    notes = " ".join(event.text for event in events)
    assert "joined by id: 1 rows" in notes
    assert notes.count("1 ids of") == 2


def test_files_of_other_lengths_are_not_joined_by_order(answers):
    ours, _ = found(answers([{"answer": "a"}, {"answer": "b"}], "a.jsonl"))
    short, _ = found(answers([{"answer": "A"}], "r.jsonl"), "references", ("reference",))
    with pytest.raises(DataError, match=r"has 2 rows and .* 1, without ids in both"):
        with_references(ours, short, "auto", lambda _: None)
    equal, _ = found(answers([{"answer": "A"}, {"answer": "B"}], "r.jsonl"), "references", ("reference",))
    assert texts(with_references(ours, equal, "auto", lambda _: None)) == [("", "a", "A"), ("", "b", "B")]
    with pytest.raises(AskError, match="join: id, but no column"):
        with_references(ours, equal, "id", lambda _: None)


def test_rows_in_another_order_are_found_by_their_prompts(answers):
    ours, _ = found(answers([{"prompt": "1", "answer": "a"}, {"prompt": "2", "answer": "b"}], "a.jsonl"))
    others, _ = found(answers([{"prompt": "2", "answer": "B"}, {"prompt": "1", "answer": "A"}], "b.jsonl"), "against")
    with pytest.raises(DataError, match="have different prompts, so the order of the rows differs"):
        with_others(ours, others, "auto", lambda _: None)


def test_no_common_id_is_an_error(answers):
    ours, _ = found(answers([{"id": "1", "answer": "a"}], "a.jsonl"))
    others, _ = found(answers([{"id": "x1", "answer": "b"}], "b.jsonl"), "against")
    with pytest.raises(DataError, match=r"no id of .* \(such as 1\) occurs in .* \(such as x1\)"):
        with_others(ours, others, "auto", lambda _: None)


def test_equal_ids_are_told_apart_by_their_order(answers):
    rows = [{"id": "1", "answer": text} for text in "ab"]
    ours, events = found(answers(rows))
    assert [case.id for case in ours.cases] == ["1", "1#2"]
    assert any("1 ids occur several times" in event.text for event in events if isinstance(event, Note))


def test_ids_do_not_depend_on_the_answer(answers):
    one, _ = found(answers([{"prompt": "q", "answer": "a"}], "a.jsonl"))
    other, _ = found(answers([{"prompt": "q", "answer": "b"}], "b.jsonl"))
    assert one.cases[0].id == other.cases[0].id
