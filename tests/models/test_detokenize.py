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
