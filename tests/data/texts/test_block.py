"""Words, lines and shingles of a block are those of a plain loop over each text."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.texts import characters
from burnish.data.texts.block import Block, blocks

TEXTS = [
    "",
    "\n\n",
    "Hello wörld_1, it's 42°!",
    "你好，世界 abc漢字def",
    "สวัสดีครับ โลก",
    "한국어 문장 입니다",
    "naïve cafe\u0301 हिन्दी",
    "a\nb\r\nc\n",
    "𝔘𝔫𝔦 🎉🎉 x\u200by",
    "one two three four five six",
]
TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from("ab \n你好。Ä1_"), max_size=60)


def is_word(character):
    return unicodedata.category(character)[0] in "LMN" or unicodedata.category(character) == "Pc"


def is_solo(character):
    return bool(characters.properties()[ord(character)] & characters.SOLO)


def plain_words(text):
    words, run = [], ""
    for character in text:
        if is_word(character) and not is_solo(character):
            run += character
            continue
        words += [run] if run else []
        run = ""
        if is_solo(character):
            words.append(character)
    return [*words, run] if run else words


def spans(block, name):
    found = getattr(block, name)
    text = block.codes.tobytes().decode("utf-32-le", "surrogatepass")
    return [
        [text[a:b] for a, b in zip(found.starts[i:j], found.ends[i:j], strict=True)]
        for i, j in zip(found.bounds[:-1], found.bounds[1:], strict=True)
    ]


def test_every_letter_has_its_lower_case_if_that_is_one_character():
    letters = np.flatnonzero(characters.properties() & characters.LETTER)
    small = [chr(code).lower() for code in letters.tolist()]
    expected = [ord(small) if len(small) == 1 else code for small, code in zip(small, letters.tolist(), strict=True)]
    assert characters.lower()[letters].tolist() == expected


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=6))
def test_words_are_those_of_a_plain_loop(texts):
    assert spans(Block(texts), "words") == [plain_words(text) for text in texts]


def test_words_of_many_scripts():
    assert spans(Block(TEXTS), "words")[2:7] == [
        ["Hello", "wörld_1", "it", "s", "42"],
        [*"你好世界", "abc", *"漢字", "def"],
        [*"สวัสดีครับโลก"],
        ["한국어", "문장", "입니다"],
        ["naïve", "cafe\u0301", "हिन्दी"],
    ]


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=6))
def test_lines_are_what_line_feeds_separate(texts):
    assert spans(Block(texts), "lines") == [text.split("\n") for text in texts]


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=6), st.integers(0, 5))
def test_a_hash_depends_on_the_word_alone_wherever_it_stands(texts, shift):
    known = {}
    for block in (Block(texts), Block(["x" * shift, *texts[::-1]])):
        words = [word for found in spans(block, "words") for word in found]
        for word, value in zip(words, block.words.hashes.tolist(), strict=True):
            lowered = "".join(small if len(small := c.lower()) == 1 else c for c in word)
            assert known.setdefault(lowered, value) == value
    assert len(set(known.values())) == len(known)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_text_has_a_shingle_for_every_run_of_words_and_a_short_one_has_one(size):
    block = Block(TEXTS)
    hashes, bounds = block.shingles(size)
    for text, i, j in zip(TEXTS, bounds[:-1], bounds[1:], strict=True):
        words = plain_words(text)
        assert j - i == (max(1, len(words) - size + 1) if words else 0)
        alone, _ = Block([text]).shingles(size)
        assert np.array_equal(hashes[i:j], alone)


def test_the_order_of_words_in_a_shingle_counts():
    one, other = Block(["a b c d e", "b a c d e"]).shingles(5)[0]
    assert one != other


@pytest.mark.parametrize("size", [1, 3])
def test_a_text_has_a_shingle_for_every_run_of_characters(size):
    block = Block(TEXTS)
    _, bounds = block.character_shingles(size)
    assert np.diff(bounds).tolist() == [max(1, len(text) - size + 1) if text else 0 for text in TEXTS]
    same = Block(["ABcabd"]).character_shingles(2)[0]
    assert same[0] == same[3]
    assert same[1] != same[4]


@settings(deadline=None)
@given(st.lists(TEXT, max_size=8), st.integers(1, 100))
def test_blocks_are_the_texts_in_order(texts, size):
    cut = list(blocks(texts, size))
    assert [length for block in cut for length in block.lengths.tolist()] == [len(text) for text in texts]
    assert all(len(block) == 1 or block.lengths.sum() <= size for block in cut)


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=6))
def test_characters_of_each_text_are_counted_without_the_added_line_feeds(texts):
    block = Block(texts)
    assert block.count(block.properties & characters.SPACE).tolist() == [
        sum(c.isspace() for c in text) for text in texts
    ]


def test_half_a_surrogate_pair_is_a_character_like_others():
    assert Block(["a\ud800b"]).lengths.tolist() == [3]
