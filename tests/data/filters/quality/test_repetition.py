"""Shares of repeated lines, paragraphs and runs of words are those of a plain loop; what repeats itself is dropped."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.filters.quality.repetition import Runs
from burnish.data.texts.block import Block
from burnish.data.texts.repeated import repeats
from filtering import all_reasons, reasons

TEXT = st.text(st.sampled_from("ab \n.中文字 c"), max_size=80)
TEXTS = st.lists(TEXT, min_size=1, max_size=5)
MANY_WORDS = st.lists(st.sampled_from("a b cc 中 文 d".split()), min_size=30, max_size=60)  # noqa: SIM905
PROSE = "The river rises in the hills above the town. It flows south for miles. In spring it floods the meadows."


def words(text):
    return re.findall(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+", text.lower())


def size_in(found, size):
    """Twice the words where most are characters of a script without spaces."""
    solo = sum(bool(re.match(r"[\u3400-\u9fff]", word)) for word in found)
    return size * 2 if solo * 2 > len(found) else size


def plain_top(text, size):
    found = words(text)
    size = size_in(found, size)
    runs = Counter(tuple(found[i : i + size]) for i in range(len(found) - size + 1))
    most = max(runs.values(), default=0)
    if most < 2:
        return 0.0
    longest = max(sum(map(len, run)) for run, times in runs.items() if times == most)
    return most * longest / sum(map(len, found))


def plain_repeated(text, size):
    found = words(text)
    size = size_in(found, size)
    seen, covered = set(), set()
    for i in range(len(found) - size + 1):
        run = tuple(found[i : i + size])
        if run in seen:
            covered |= set(range(i, i + size))
        seen.add(run)
    return sum(len(found[i]) for i in covered) / max(1, sum(map(len, found)))


@settings(deadline=None, max_examples=60)
@given(TEXTS, st.integers(1, 5))
def test_shares_of_runs_are_those_of_a_plain_loop(texts, size):
    runs = Runs(Block(texts))
    np.testing.assert_allclose(runs.top(size), [plain_top(text, size) for text in texts])
    np.testing.assert_allclose(runs.repeated(size), [plain_repeated(text, size) for text in texts])


@settings(deadline=None, max_examples=60)
@given(TEXTS)
def test_texts_that_exceed_a_limit_are_those_of_every_size_alone(texts):
    limits = {2: 0.5, 3: 0.3, 4: 0.2}
    exceeds = [any(plain_repeated(text, size) > most for size, most in limits.items()) for text in texts]
    assert Runs(Block(texts)).exceed(limits).tolist() == exceeds


@settings(deadline=None, max_examples=60)
@given(st.lists(MANY_WORDS, min_size=1, max_size=3))
def test_a_filter_drops_what_exceeds_a_limit_by_a_plain_loop(texts):
    texts = [" ".join(words) for words in texts]
    top, again = {2: 0.2, 3: 0.15}, {3: 0.3, 4: 0.2}
    limits = {"max_top_ngram": top, "max_duplicate_ngrams": again}
    for text, found in zip(texts, all_reasons(texts, repetition=limits), strict=True):
        phrase = any(plain_top(text, size) > most for size, most in top.items())
        runs = any(plain_repeated(text, size) > most for size, most in again.items())
        assert found == ["a phrase repeated too often"] * phrase + ["runs of words repeated too often"] * runs


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 6), st.integers(2, 14), st.integers(0, 60), st.booleans())
def test_a_phrase_among_words_that_occur_once_is_dropped_as_a_plain_loop_says(size, times, others, is_chinese):
    """Texts near the bounds that spare the others a closer look."""
    phrase = "".join(map(chr, range(0x4E00, 0x4E00 + size))) if is_chinese else " ".join(f"w{i}" for i in range(size))
    rest = [chr(0x5000 + i) if is_chinese else f"x{i}" for i in range(max(others, times))]
    said = [f"{phrase} {word}" for word in rest[:times]]
    text = " ".join([*said, *rest[times:], *"abcdefghijklmnopqrstuvwxyz"])
    top, again = {2: 0.3, 4: 0.4}, {3: 0.35, 5: 0.3}
    found = reasons(text, repetition={"max_top_ngram": top, "max_duplicate_ngrams": again})
    is_long = len(words(text)) >= 30
    is_top = is_long and any(plain_top(text, n) > most for n, most in top.items())
    is_again = is_long and any(plain_repeated(text, n) > most for n, most in again.items())
    assert found == ["a phrase repeated too often"] * is_top + ["runs of words repeated too often"] * is_again


@settings(deadline=None, max_examples=60)
@given(TEXTS)
def test_repeated_lines_are_those_of_a_plain_loop(texts):
    block = Block(texts)
    lines = block.full_lines
    again = repeats(block.lines.hashes[lines.at], lines.bounds)
    for i, text in enumerate(texts):
        full = [line for line in text.split("\n") if line.strip()]
        expected = [line in full[:place] for place, line in enumerate(full)]
        assert again[lines.bounds[i] : lines.bounds[i + 1]].tolist() == expected
        visible = [len("".join(line.split())) for line in full]
        share = sum(n for n, is_again in zip(visible, expected, strict=True) if is_again) / max(1, sum(visible))
        assert lines.share_of_characters(again)[i] == pytest.approx(share)
        assert [chr(code) for code in lines.last[lines.bounds[i] : lines.bounds[i + 1]]] == [
            line.rstrip()[-1] for line in full
        ]


@settings(deadline=None, max_examples=60)
@given(TEXTS)
def test_paragraphs_are_what_blank_lines_part(texts):
    block = Block(texts)
    spans = block.paragraphs
    for i, text in enumerate(texts):
        expected, held = [], []
        for line in [*text.split("\n"), ""]:
            if line.strip():
                held.append(line)
            elif held:
                expected.append("\n".join(held))
                held = []
        here = range(spans.bounds[i], spans.bounds[i + 1])
        codes = block.codes
        assert ["".join(map(chr, codes[spans.starts[j] : spans.ends[j]])) for j in here] == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Buy it now.\n" * 40, "a line repeated too often"),
        ("今天就来买吧。\n" * 40, "a line repeated too often"),
        ("اشتر الآن.\n" * 40, "a line repeated too often"),
        ("One line\nand another one.\n\n" * 20, "a paragraph repeated too often"),
        ("buy shoes " * 40 + PROSE, "a phrase repeated too often"),
        (
            "\n".join(f"Call the number 555 from the list {i} of today now!" for i in range(30)),
            "runs of words repeated",
        ),
        ("\n".join(f"今天就来打这个电话号码吧{i}" for i in range(30)), "runs of words repeated too often"),
    ],
)
def test_what_repeats_itself_is_dropped(text, reason):
    assert any(found.startswith(reason) for found in reasons(text, repetition={}))


def test_the_published_limits_can_be_set():
    code = "\n".join(f"    if name == 'option{i}':\n        return values[{i}]" for i in range(20))
    assert reasons(code, repetition={}) == []
    assert reasons(PROSE, repetition={"max_duplicate_ngrams": {5: 0.0}, "max_top_ngram": {2: 0.0}}) == []
