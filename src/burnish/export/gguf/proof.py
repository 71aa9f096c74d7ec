"""Proves the tokenizer of a GGUF file: llama.cpp must give the tokens that transformers gives, on many strings."""

import random
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from burnish.core.errors import ModelError
from burnish.evals.certificates.golden import GOLDEN
from burnish.evals.certificates.tokens import rendering
from burnish.models.engines.llama.model import LlamaModel
from burnish.tokens.normalization import normalization, normalized

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PIECES = (
    *(" ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", " \n", "\u00a0", "\u3000", "\u200b", "\u200d"),
    *("'s", "'RE", "'ll", "’s", "don't", "I'm", "x'y", "''"),
    *("0", "12", "345", "6789", "1,000.50", "3e-7", "２３", "½", "٣٤"),
    *("the", " The", "hello", "World", " naïve", "Zürich", "STRASSE", "ß", "İ", "e\u0301", "é"),
    *("天气很好", "長江", "こんにちは", "한국어", "привет", "مرحبا", "नमस्ते", "สวัสดี", "ไทย"),
    *("🙂", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "☃", "𝔘", "𐍈", "\ufeff", "\ufffd"),
    *("(", ")", "{}", "[1]", "<", ">", "<|", "|>", "</s>", "<s>", "<0x41>", "▁", "▁▁a", "Ġ", "..", "...", "—", "$x^2$"),
    *("def f(x):", "    return", "https://a.b/c?d=e", "#", "//", "/*", "==", "!=", "+-", "\\n", '"', "`"),
)

_SPACES = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""White space of Unicode, as a tokenizer strips it."""


@dataclass(frozen=True)
class TokenizerProof:
    """What was compared."""

    strings: int
    tokens: int
    conversations: int
    normalization: str
    """Of the tokenizer, which llama.cpp does not apply: the strings were compared in that form. "" if it has none."""
    differ_unnormalized: int
    """Of the strings as they were made, how many get other tokens from llama.cpp for lack of it."""
    other_spaces: int
    """Strings from which white space beyond ASCII was removed: after a token that strips it, llama.cpp keeps it."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def prove_tokenizer(
    model: LlamaModel, tokenizer: "PreTrainedTokenizerBase", *, strings: int = 10_000, seed: int = 0
) -> TokenizerProof:
    """Compare the tokens of fuzzed strings, and those of the golden conversations in the chat template.

    Errors: ModelError `model.unsupported` with the first string that differs.
    """
    form = normalization(tokenizer)
    fuzzed = fuzzed_strings(tokenizer, strings, seed, rows=model.vocabulary)
    made = _without_other_spaces(tokenizer, fuzzed)
    texts = [normalized(text, form) for text in made]
    count = _compare(model, tokenizer, texts, special=False)
    _compare(model, tokenizer, texts[: max(1, strings // 20)], special=True)
    conversations = [
        text for golden in GOLDEN for prompt in (False, True) if (text := _shown(tokenizer, golden, prompt))
    ]
    count += _compare(model, tokenizer, [normalized(text, form) for text in conversations], special=False)
    other = [text for text, compared in zip(made, texts, strict=True) if text != compared]
    expected = tokenizer(other, add_special_tokens=False)["input_ids"] if other else []
    differ = sum(list(ids) != model.tokenize(text) for text, ids in zip(other, expected, strict=True))
    others = sum(one != two for one, two in zip(fuzzed, made, strict=True))
    return TokenizerProof(len(texts), count, len(conversations), form, differ, others)


def _without_other_spaces(tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str]) -> list[str]:
    """The texts without white space beyond ASCII after tokens that strip what follows them."""
    strips = [re.escape(str(token)) for token in tokenizer.added_tokens_decoder.values() if token.rstrip]
    if not strips:
        return list(texts)
    found = re.compile(rf"({'|'.join(sorted(strips, key=len, reverse=True))})([{_SPACES}]+)")
    return [found.sub(lambda match: match[1] + match[2].encode("ascii", "ignore").decode(), text) for text in texts]


def fuzzed_strings(
    tokenizer: "PreTrainedTokenizerBase", count: int, seed: int = 0, rows: int | None = None
) -> list[str]:
    """Strings of pieces that tokenizers get wrong, of the vocabulary's own tokens, and of any characters.

    Tokens without one of the model's `rows` embeddings, such as placeholders of images, are left out.
    """
    chosen = random.Random(seed)
    ids = [number for number in sorted(tokenizer.get_vocab().values()) if rows is None or number < rows]
    vocabulary = [str(text) for text in tokenizer.batch_decode([[number] for number in ids])]
    added = [str(token) for number, token in tokenizer.added_tokens_decoder.items() if rows is None or number < rows]
    found: list[str] = []
    while len(found) < count:
        pieces: list[str] = []
        for _ in range(chosen.randint(1, 12)):
            kind = chosen.random()
            if kind < 0.45:
                pieces.append(chosen.choice(_PIECES))
            elif kind < 0.75:
                pieces.append(chosen.choice(vocabulary))
            elif kind < 0.8 and added:
                pieces.append(chosen.choice(added))
            else:
                pieces.append("".join(_character(chosen) for _ in range(chosen.randint(1, 4))))
        text = "".join(pieces)
        if text and "\ufffd" not in text.replace("\ufffd", "", 1):
            found.append(text)
    return found


def _character(chosen: random.Random) -> str:
    """One of any plane, more often of the first ones; no surrogates, no zero byte."""
    last = chosen.choice((0x7F, 0x7F, 0x24F, 0x2FFF, 0xFFFD, 0x1FAFF))
    while True:
        number = chosen.randint(1, last)
        if unicodedata.category(chr(number)) not in ("Cs", "Cn", "Co"):
            return chr(number)


def _shown(tokenizer: "PreTrainedTokenizerBase", golden: Any, prompt: bool) -> str:
    text, ids = rendering(tokenizer, golden, prompt)
    return text if ids else ""


def _compare(model: LlamaModel, tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str], *, special: bool) -> int:
    count = 0
    if not texts:  # such as the conversations of a template that renders none
        return count
    expected = tokenizer(list(texts), add_special_tokens=special)["input_ids"]
    for text, ids in zip(texts, expected, strict=True):
        found = model.tokenize(text, special=special)
        count += len(found)
        if list(ids) != found:
            place = next(
                (n for n, (a, b) in enumerate(zip(ids, found, strict=False)) if a != b), min(len(ids), len(found))
            )
            raise ModelError(
                "model.unsupported",
                f"llama.cpp cuts {text!r} into other tokens than the tokenizer: from token {place + 1} on "
                f"{found[place : place + 4]}, not {list(ids)[place : place + 4]}",
                "serve the safetensors model with another engine: answers to such texts would differ",
            )
    return count
