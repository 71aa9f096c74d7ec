"""What a row asks: the contexts before the turns that are learned, with spelling folded."""

import pytest

from burnish.data.document import make_row
from burnish.data.splits.questions import questions


def turn(role: str, content: str, **more) -> dict:
    return {"role": role, "content": content, **more}


def chat(*turns: dict, **more) -> dict:
    return make_row("chat", "x:1", messages=list(turns), **more)


U, A, S = "user", "assistant", "system"
PINNED, PINNED_TEXT, PINNED_ROW = 8947326760604401096, 251396173706610404, 9871814059152709433


def test_each_learned_turn_has_the_context_before_it():
    asked = questions(chat(turn(S, "s"), turn(U, "1"), turn(A, "a"), turn(U, "2"), turn(A, "b")))
    assert asked.depths == (2, 4)
    assert asked.asked[0] == asked.first == questions(chat(turn(S, "s"), turn(U, "1"), turn(A, "other"))).first
    longer = questions(chat(turn(S, "s"), turn(U, "1"), turn(A, "a"), turn(U, "2"), turn(A, "c"), turn(U, "3")))
    assert longer.asked[:2] == asked.asked


@pytest.mark.parametrize(
    ("train_on", "weight", "depths"),
    [
        ("assistant", 1.0, (1, 3)),
        ("assistant", 0.5, (1, 3)),
        ("assistant", 0.0, (3,)),
        ("all", 0.0, (1, 3)),
        ("completion", 1.0, (3,)),
    ],
)
def test_a_turn_that_is_not_learned_asks_nothing_but_is_the_first_context(train_on, weight, depths):
    row = chat(turn(U, "1"), turn(A, "a", weight=weight), turn(U, "2"), turn(A, "b"))
    asked = questions(row, train_on)
    assert asked.depths == depths
    assert asked.first == questions(chat(turn(U, "1"), turn(A, "a"))).first
    assert (asked.first in asked.asked) == (1 in depths)


def test_the_last_answer_is_asked_although_it_has_no_weight():
    assert questions(chat(turn(U, "1"), turn(A, "a", weight=0.0))).depths == (1,)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Why  not?", "why not?"), (" why not?\n", "Why not?"), ("\uff37hy", "why"), ("STRASSE", "straße")],
)
def test_spelling_is_folded(one, other):
    assert questions(chat(turn(U, one), turn(A, "a"))) == questions(chat(turn(U, other), turn(A, "b")))


def test_role_order_and_words_each_count():
    rows = [
        chat(turn(U, "ab"), turn(A, "x")),
        chat(turn(U, "a"), turn(U, "b"), turn(A, "x")),
        chat(turn(U, "b"), turn(U, "a"), turn(A, "x")),
        chat(turn(S, "ab"), turn(U, "c"), turn(A, "x")),
        chat(turn(S, "a"), turn(U, "bc"), turn(A, "x")),
        chat(turn("tool", "ab"), turn(A, "x")),
    ]
    assert len({questions(row).first for row in rows}) == len(rows)


def test_a_context_without_a_question_asks_nothing_and_a_row_without_any_is_one_by_its_text():
    opening = questions(chat(turn(S, "s"), turn(A, "hello"), turn(U, "1"), turn(A, "a")))
    assert opening.depths == (3,)
    alone = [questions(chat(turn(S, "s"), turn(A, text))) for text in ("a", "A ", "b")]
    assert alone[0] == alone[1] != alone[2]
    assert (alone[0].asked, alone[0].depths) == ((alone[0].first,), (0,))


def test_text_is_one_question():
    rows = [make_row("text", "x:1", text=text) for text in ("One  text", "one text", "other")]
    assert questions(rows[0]) == questions(rows[1]) != questions(rows[2])
    assert questions(rows[0]).depths == (0,)


def test_a_prompt_asks_once_whether_or_not_it_carries_an_answer():
    prompt = make_row("prompt", "x:1", messages=[turn(U, "1")])
    answered = make_row("prompt", "x:1", messages=[turn(U, "1"), turn(A, "a")])
    assert questions(prompt) == questions(answered)
    assert questions(prompt).depths == (1,)
    assert questions(prompt).asked == questions(chat(turn(U, "1"), turn(A, "b"))).asked


def test_both_answers_of_a_preference_ask_the_shared_prompt():
    row = make_row("preference", "x:1", messages=[turn(U, "1")], chosen=[turn(A, "a")], rejected=[turn(A, "b")])
    assert questions(row).asked == questions(chat(turn(U, "1"), turn(A, "x"))).asked
    longer = [turn(A, "a"), turn(U, "2"), turn(A, "c")]
    row = make_row("preference", "x:1", messages=[turn(U, "1")], chosen=longer, rejected=[turn(A, "b")])
    assert questions(row).depths == (1, 3)


def test_the_hashes_are_those_of_earlier_versions():
    """Other ones would move rows between splits."""
    assert questions(chat(turn(U, "Why not?"), turn(A, "a"))).first == PINNED
    assert questions(make_row("text", "x:1", text="Why not?")).first == PINNED_TEXT
    assert questions(chat(turn(S, "s"), turn(A, "a"))).first == PINNED_ROW
