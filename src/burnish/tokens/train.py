"""Training of a tokenizer: byte-level BPE, so that every text has tokens and comes back exactly as it was.

The text is cut by the pattern of Llama 3 (runs of `digits` digits; with one digit it is Qwen 2's) and not
normalised, so that runtimes which know these patterns by heart, such as llama.cpp, read the tokenizer alike.
"""

from collections.abc import Iterator

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from burnish.specs.tokens import TokenizerTrainSpec

"""The template that `chat_template: chatml` names: generation markers around what the assistant says, tool calls."""


def train_bpe(texts: Iterator[str], spec: TokenizerTrainSpec, chat_template: str) -> PreTrainedTokenizerFast:
    """Learn merges from `texts` and give a tokenizer of at most `spec.vocabulary` tokens.

    Ids: the special tokens in their order, then bytes and merges, then the visible tokens. A small corpus may hold
    fewer pairs than asked for; the vocabulary is then smaller. Neither special nor visible tokens are learned from:
    `texts` should hold what stands between them.
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
    """How text is cut before merging: contractions, words with a sign before them, digits, signs, ends of lines."""
    number = r"\p{N}" if digits == 1 else rf"\p{{N}}{{1,{digits}}}"
    return (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
        + number
        + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
