"""Text that comes token by token is the text of all tokens, also where SentencePiece spells characters by bytes."""

import itertools

import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from burnish.models.engines.detokenize import Detokenizer, decode


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """A word and four bytes: F, the two of Ф, and one that begins a longer character."""
    tokens = ["in", "<0x46>", "<0xD0>", "<0xA4>", "<0xE5>"]
    made = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, [], byte_fallback=True))
    made.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=made)


def test_pieces_of_bytes_add_up_to_the_whole(tokenizer):
    for ids in itertools.product(range(5), repeat=4):
        written = Detokenizer(tokenizer)
        assert "".join([*map(written.add, ids), written.end()]) == decode(tokenizer, list(ids)), ids


def test_words_are_not_held_back(tokenizer):
    written = Detokenizer(tokenizer)
    assert [written.add(token) for token in (0, 2, 3, 0, 1)] == ["in", "", "", "Фin", ""]
    assert written.end() == "F"


class Letters:
    """Token n is the n-th of these; � is an incomplete character, and ¤ stands for nothing."""

    texts = ("a", "b", "\N{REPLACEMENT CHARACTER}", "\N{REPLACEMENT CHARACTER}x", " ,")

    def decode(self, ids, skip_special_tokens, clean_up_tokenization_spaces):
        assert (skip_special_tokens, clean_up_tokenization_spaces) == (False, False)
        return "".join(self.texts[token] for token in ids)

    def convert_ids_to_tokens(self, token):
        return f"<{token}>"


def test_special_tokens_and_blanks_are_kept():
    assert decode(Letters(), [0, 4, 1]) == "a ,b"


def test_only_the_end_of_a_text_can_be_incomplete():
    written = Detokenizer(Letters())
    assert [written.add(token) for token in (0, 3, 1)] == ["a", "\N{REPLACEMENT CHARACTER}x", "b"]


def test_after_eight_tokens_a_character_is_taken_for_invalid_bytes():
    written = Detokenizer(Letters())
    invalid = "\N{REPLACEMENT CHARACTER}"
    for start in range(3):  # again later in the text
        assert [written.add(token) for token in (0, *[2] * 8)] == ["a", *[""] * 7, invalid * 8]
        assert written.add(1) == "b", start
    assert [written.add(2) for _ in range(7)] == [""] * 7
    assert written.end() == invalid * 7
    assert written.end() == ""
