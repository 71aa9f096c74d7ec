"""Texts that share runs of words with evaluations are found, as a plain loop finds them, and the rows are named."""

import pickle
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.filters.contamination import Contamination
from burnish.data.texts.block import Block

QUESTION = "A train leaves the town at noon and travels south at forty miles an hour; when does it arrive?"
CHINESE = "小明有三个苹果，小红有五个苹果，他们一共有多少个苹果？"
EVALUATION = [("gsm.jsonl:1", QUESTION), ("cmath.jsonl:7", CHINESE), ("x:3", "What is two plus two?")]


def found(contamination, text):
    return bool(contamination(Block([text]))[contamination.reason][0])


def test_a_text_with_a_question_of_an_evaluation_is_found_and_the_row_named():
    drop = Contamination(EVALUATION, 13)
    text = f"Homework.\n\n{QUESTION.upper().replace(';', ' -')} Show your work."
    assert found(drop, text)
    assert drop.rows_in(text) == [("gsm.jsonl:1", 7)]
    chinese = f"请回答：{CHINESE}谢谢"
    assert found(drop, chinese)
    assert [name for name, _ in drop.rows_in(chinese)] == ["cmath.jsonl:7"]
    assert drop.rows_in("Another text of more than thirteen words that is in no evaluation of any kind here.") == []
    assert drop.too_short == 1


def test_fewer_words_than_a_run_are_no_match():
    drop = Contamination(EVALUATION, 13)
    assert not found(drop, " ".join(QUESTION.split()[:12]))
    assert found(drop, " ".join(QUESTION.split()[:13]))
    assert not found(drop, "")


def test_a_short_question_is_found_whole():
    drop = Contamination([("a", "Which river flows through the town of Ulm?")], 13)
    assert found(drop, "Quiz: which river flows through the town of Ulm? The Danube.")
    assert not found(drop, "Which river flows through the town of Linz?")


def test_a_share_of_the_runs_can_be_required():
    text = QUESTION + " " + " ".join(f"word{i}" for i in range(100))
    assert found(Contamination(EVALUATION, 13), text)
    assert found(Contamination(EVALUATION, 13, 0.05), text)
    assert not found(Contamination(EVALUATION, 13, 0.1), text)


def test_it_can_be_pickled():
    assert found(pickle.loads(pickle.dumps(Contamination(EVALUATION, 13))), QUESTION)


def test_an_evaluation_without_rows_finds_nothing():
    assert not found(Contamination([], 13), QUESTION)


WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "中", "文"]), max_size=14).map(" ".join)


@settings(deadline=None, max_examples=80)
@given(st.lists(WORDS, max_size=4), st.lists(WORDS, min_size=1, max_size=4), st.integers(2, 4))
def test_what_is_found_is_what_a_plain_loop_finds(evaluations, texts, size):
    drop = Contamination([(str(i), text) for i, text in enumerate(evaluations)], size)

    def runs(text):
        words = re.findall(r"\w", text)
        return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}

    expected = [any(runs(text) & runs(other) for other in evaluations) for text in texts]
    assert drop(Block(texts))[drop.reason].tolist() == expected
    for text in texts:
        counts = {str(i): len(runs(text) & runs(other)) for i, other in enumerate(evaluations)}
        assert dict(drop.rows_in(text)) == {name: count for name, count in counts.items() if count}
