"""The share of repeated n-grams, and answers that end in a loop."""

import pytest

from burnish.evals.scoring.repetition import ends_in_loop, repeated, repeated_share


def test_an_n_gram_counts_from_its_second_occurrence_on():
    assert repeated([1, 2, 1, 2, 1], 2) == (2, 4)  # 12 21 12 21
    assert repeated([1, 2, 3], 4) == (0, 0)


def test_the_share_is_of_words_without_case_and_of_characters_in_chinese():
    assert repeated_share("one two three four ONE two three four") == pytest.approx(1 / 5)
    assert repeated_share("one two three") == 0.0 == repeated_share("")
    assert repeated_share("今天天气今天天气") == pytest.approx(1 / 5)


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 4. " + "The answer is 4. " * 2,
        "It begins well, and then and then and then and then and then and th",
        "!" * 32,
        "x" + "\n" * 40,
        "Yes.\n" * 7,
        "我不知道。" * 3,
        "a long paragraph with words that differ from each other; " * 3,
    ],
)
def test_a_loop_is_found_with_its_last_repetition_cut(text: str):
    assert ends_in_loop(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ha ha ha ha!",
        "No, no, no, no, no.",
        "The answer is 4. The answer is 4.",  # twice
        "Step 1. Add. Step 2. Add. Step 3. Add. Step 4. Add. Step 5. Add.",  # a counter
        "The answer is 4. " * 5 + "That is all that can be said of it.",  # it came out of the loop
        "!" * 31,
    ],
)
def test_what_is_short_or_goes_on_is_no_loop(text: str):
    assert not ends_in_loop(text)
