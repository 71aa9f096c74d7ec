"""What a row asks: the contexts before the turns that are learned, with spelling folded."""

import hashlib
import random
import unicodedata

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


# The slow twin: every context written out in full, and hashed by the definition.


def spelled(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


def hashed(text: str) -> int:
    """The first 64 bits of a sha256."""
    return int(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16], 16)


def asked_by_hand(row: dict, train_on: str) -> tuple[int, dict[int, int]]:
    """(the shortest context, {context: its turns} of those that are asked)."""
    turns = row.get("messages", [])
    answers = [row[name] for name in ("chosen", "rejected", "completion") if name in row]
    said = [i for i, message in enumerate(turns) if message["role"] == A]
    if row["kind"] == "prompt":
        end = len(turns) - 1 if turns[-1]["role"] == A else len(turns)
        chains = [(turns, {end}, {*said, end})]
    elif answers:
        chains = []
        for answer in answers if any(message["role"] in (U, "tool") for message in turns) else []:
            whole = [*turns, *answer]
            spoken = {i for i, message in enumerate(whole) if message["role"] == A}
            chains.append((whole, {i for i in spoken if i >= len(turns)}, spoken))
    else:
        learned = {i for i in said if train_on == "all" or turns[i].get("weight", 1) > 0} | {said[-1]}
        chains = [(turns, {said[-1]} if train_on == "completion" else learned, set(said))]
    contexts, asked = [], {}
    for whole, wanted, places in chains:
        for i in sorted(places):
            if any(message["role"] in (U, "tool") for message in whole[:i]):
                parts = [f"{message['role']}\x1f{spelled(message['content'])}\x1e" for message in whole[:i]]
                contexts.append(hashed("".join(parts)))
                if i in wanted:
                    asked[contexts[-1]] = i
    if not asked:
        texts = [message for name in ("messages", "chosen", "rejected", "completion") for message in row.get(name, [])]
        key = hashed("row\x1f" + "\x1e".join(spelled(f"{m['role']}\x1f{m['content']}") for m in texts))
        return key, {key: 0}
    return contexts[0], asked


def drawn(draw: random.Random) -> dict:
    def said(role: str) -> dict:
        words = draw.choices(["Why", "not", " ", "\uff37", "ﬁne", "\n", "ß", "x\x1e"], k=3)
        more = {"weight": draw.choice([0.0, 0.5, 1.0])} if role == A and draw.random() < 0.6 else {}
        return turn(role, "a" + "".join(words), **more)

    roles = draw.choices([U, A, S, "tool"], k=draw.randrange(7))
    turns = [said(role) for role in roles]
    kind = draw.choice(["chat", "chat", "prompt", "label", "preference"])
    answers = [[*(said(role) for role in draw.choices([U, A], k=draw.randrange(3))), said(A)] for _ in range(2)]
    if kind == "preference":
        answers[1][-1]["content"] += "other"
        return make_row(kind, "x:1", messages=turns or None, chosen=answers[0], rejected=answers[1])
    turns = turns or [said(U)]
    if kind == "label":
        return make_row(kind, "x:1", messages=turns, completion=answers[0], label=True)
    return make_row(kind, "x:1", messages=turns if kind == "prompt" else [*turns, said(A), *turns[:1]])


@pytest.mark.parametrize("train_on", ["assistant", "all", "completion"])
def test_the_questions_are_those_that_are_written_out_in_full(train_on):
    draw = random.Random(0)
    for _ in range(400):
        row = drawn(draw)
        first, asked = asked_by_hand(row, train_on)
        found = questions(row, train_on)
        assert (found.first, found.asked, found.depths) == (first, tuple(asked), tuple(asked.values())), row


def test_a_text_is_hashed_by_its_folded_words():
    assert questions(make_row("text", "x:1", text=" \uff37hy\n NOT ")).asked == (hashed("text\x1fwhy not"),)
