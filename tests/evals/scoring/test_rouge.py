"""ROUGE compared with rouge-score 0.1.2 without a stemmer, and words of other scripts."""

import pytest

from burnish.evals.scoring.rouge import common_subsequence, rouge, words

# (answer, reference, rouge1, rouge2, rougeL)
RECORDED = [
    ("Don't stop_at 3.5 snake_case e-mails,  OK? (v2)", "Do not stop at 3.5 snake case e-mails", 8 / 11, 0.7, 8 / 11),
    ("police kill the gunman", "police killed the gunman", 0.75, 1 / 3, 0.75),
    ("the gunman kill police", "police killed the gunman", 0.75, 1 / 3, 0.5),
    ("the the the cat", "the cat is on the mat", 0.6, 0.25, 0.4),
    ("", "the cat", 0.0, 0.0, 0.0),
    ("one", "one", 1.0, 0.0, 1.0),
]


@pytest.mark.parametrize(("answer", "reference", "one", "two", "longest"), RECORDED)
def test_rouge_equals_rouge_score(answer, reference, one, two, longest):
    assert rouge("rouge1", answer, reference) == pytest.approx(one)
    assert rouge("rouge2", answer, reference) == pytest.approx(two)
    assert rouge("rougeL", answer, reference) == pytest.approx(longest)


def test_words_keep_the_letters_of_every_script():
    text = "Don't stop_at 3.5 snake_case e-mails,  OK? (v2)"
    assert words(text) == ["don", "t", "stop", "at", "3", "5", "snake", "case", "e", "mails", "ok", "v2"]
    assert words("Ça va, 你好 मिल 안녕") == ["ça", "va", "你", "好", "मिल", "안녕"]


def test_the_longest_common_subsequence_keeps_the_order():
    assert common_subsequence("abcde", "xaxcxe") == 3
    assert common_subsequence("abc", "cba") == 1
    assert common_subsequence("", "abc") == 0
