"""Splits are a function of content and seed: stable, near the shares asked for, and never parting a question."""

from burnish.data.document import make_row
from burnish.data.split import Splitter


def ask(question: str, answer: str = "b") -> dict:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return make_row("chat", "x:1", messages=turns)


def test_shares_are_met_on_average():
    splitter = Splitter(0.1, 0.2, 0)
    places = [splitter.place(ask(f"question {i}")) for i in range(4000)]
    assert abs(places.count("test") / 4000 - 0.2) < 0.02
    assert abs(places.count("validation") / 4000 - 0.1) < 0.02


def test_a_row_stays_whatever_is_added_and_moves_with_the_seed():
    rows = [ask(f"question {i}") for i in range(200)]
    before = [Splitter(0.2, 0.2, 0).place(row) for row in rows]
    assert before == [Splitter(0.2, 0.2, 0).place(row) for row in reversed(rows)][::-1]
    assert before != [Splitter(0.2, 0.2, 1).place(row) for row in rows]


def test_two_answers_to_one_question_never_part():
    splitter = Splitter(0.3, 0.3, 0)
    for i in range(200):
        assert splitter.place(ask(f"Question {i}", "a")) == splitter.place(ask(f"question  {i} ", "b"))


def test_a_source_that_is_split_keeps_its_held_out_rows_and_leaks_are_counted():
    splitter = Splitter(0.0, 0.0, 0)
    assert splitter.split_of(ask("a"), "train") == "train"
    assert splitter.split_of(ask("b"), "test") == "test"
    assert splitter.leaks == 0
    assert splitter.split_of(ask("a"), "validation") == "validation"
    assert splitter.leaks == 1
