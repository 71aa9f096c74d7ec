"""Texts outside the bounds on their length are dropped, in scripts without spaces too."""

from burnish.data.filters.length import Tokens
from burnish.data.filters.table import block_filters
from burnish.data.texts.block import Block
from burnish.specs.data import FiltersSpec


def reasons(text, kind="document", **settings):
    """Why a text is dropped."""
    block = Block([text])
    return [
        reason
        for drop in block_filters(FiltersSpec.model_validate({"length": settings, "gopher": None}), kind)
        for reason, dropped in drop(block).items()
        if dropped[0]
    ]


def test_a_text_of_few_words_is_dropped_as_a_document_and_kept_as_a_conversation():
    assert reasons("Too short.") == ["fewer than 5 words"]
    assert reasons("Too short.", "conversation") == []
    assert reasons("天气很好。", "document") == ["fewer than 5 words"]
    assert reasons("今天天气很好。", "document") == []


def test_each_bound_has_its_reason():
    assert reasons("", min_characters=3, min_words=1) == ["fewer than 3 characters", "fewer than 1 words"]
    assert reasons("a b c d", max_characters=6, max_words=3, min_words=0) == [
        "more than 6 characters",
        "more than 3 words",
    ]


def test_bounds_in_tokens_include_the_bounds_themselves():
    texts = ["a", "a b", "a b c", "a b c d"]
    dropped = Tokens(2, 3, lambda texts: [len(text.split()) for text in texts])(Block(texts))
    assert {reason: drops.tolist() for reason, drops in dropped.items()} == {
        "fewer than 2 tokens": [True, False, False, False],
        "more than 3 tokens": [False, False, False, True],
    }
