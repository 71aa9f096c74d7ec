"""Train a byte-level BPE tokenizer, which encodes any text without loss.

Text is split with the pattern of Llama 3 (up to `digits` digits per token; with one digit, that of Qwen 2) and not
normalised, so that runtimes with hard-coded patterns, such as llama.cpp, support the tokenizer.
"""

from collections.abc import Iterator

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from burnish.specs.tokens import TokenizerTrainSpec


def train_bpe(texts: Iterator[str], spec: TokenizerTrainSpec, chat_template: str) -> PreTrainedTokenizerFast:
    """Train a tokenizer of at most `spec.vocabulary` tokens on `texts`.

    Ids: the special tokens in the given order, then bytes and merges, then the visible tokens. The vocabulary is
    smaller if a small corpus has too few pairs. `texts` should not contain special or visible tokens, only the text
    between them.
    """
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = Sequence(
        [
            Split(Regex(_pattern(spec.digits)), behavior="isolated"),
            ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=spec.vocabulary - len(spec.visible_tokens),
        min_frequency=spec.min_frequency,
        special_tokens=spec.special_tokens,
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in spec.visible_tokens])
    pad, end = spec.special_tokens[0], spec.end_of_turn
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        eos_token=end,
        extra_special_tokens=[token for token in spec.special_tokens if token not in (pad, end)],
        clean_up_tokenization_spaces=False,
        chat_template=chat_template,
    )


def _pattern(digits: int) -> str:
    """The pre-tokenization pattern: contractions, words with a leading symbol, digits, symbols, line breaks."""
    number = r"\p{N}" if digits == 1 else rf"\p{{N}}{{1,{digits}}}"
    return (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
        + number
        + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
