"""A tokenizer from the keys of a GGUF file: the rules of llama.cpp as a fast tokenizer, which also gives offsets.

It is proved against llama.cpp before it is used (`stages.models.tokenizers`). A file says nothing of Unicode
normalisation, and llama.cpp applies none: neither does this tokenizer.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from burnish.core.errors import ModelError
from burnish.core.inputs.gguf import CHAT_TEMPLATE
from burnish.tokens.cuts import DIGITS, EXPRESSIONS, WORDS

UNKNOWN, UNUSED, NORMAL, CONTROL, USER_DEFINED, BYTE, STRIPS_LEFT, STRIPS_RIGHT = 1, 2, 4, 8, 16, 32, 128, 256
"""Bits of a token's attributes in llama.cpp (llama.h)."""
_FIRST = "tokenizer.ggml."
_ALIASES = {
    **dict.fromkeys(("llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"), "llama-bpe"),
    **dict.fromkeys(("deepseek-r1-qwen", "kormo", "f2llmv2"), "qwen2"),
    **dict.fromkeys(("phi-2", "gigachat", "mellum", "a.x-4.0"), "gpt-2"),
    **dict.fromkeys(("llama4", "kanana2"), "gpt-4o"),
    "smaug-bpe": "dbrx",
}
"""Other names of the same cuts in llama.cpp (src/llama-vocab.cpp)."""
_MARK = "▁"
_FILLING = re.compile(r"\[(PAD|UNUSED)\d+\]")


def tokenizer_from_keys(keys: Mapping[str, Any], attributes: Sequence[int]) -> PreTrainedTokenizerFast:
    """The tokenizer of a file; `attributes` are those that llama.cpp gives each token.

    Errors: ModelError `model.unsupported` for a kind of tokenizer, or a way to cut texts, that is not known here.
    """
    kind, tokens = str(keys.get(f"{_FIRST}model")), [str(token) for token in keys.get(f"{_FIRST}tokens", ())]
    if kind == "gpt2":
        made = _byte_level(keys, _vocabulary(tokens, attributes))
    elif kind == "llama":
        made = _sentencepiece(keys, tokens, _vocabulary(tokens, attributes), attributes)
    else:
        raise _unsupported(f"its kind is '{kind}', and gpt2 (byte-level BPE) and llama (SentencePiece) are known")
    taken: set[str] = set()
    for token, attribute in zip(tokens, attributes, strict=True):
        if attribute & (CONTROL | USER_DEFINED | UNKNOWN) and token and token not in taken:
            strips = {"lstrip": bool(attribute & STRIPS_LEFT), "rstrip": bool(attribute & STRIPS_RIGHT)}
            is_special = not attribute & USER_DEFINED
            added = [AddedToken(token, normalized=False, special=is_special, **strips)]
            (made.add_special_tokens if is_special else made.add_tokens)(added)
            taken.add(token)
    named = {name: _token_of(keys, key, tokens) for name, key in _SPECIAL.items()}
    before = [token for token in [named["bos_token"]] if token and _adds(keys, "bos", default=kind == "llama")]
    after = [token for token in [named["eos_token"]] if token and _adds(keys, "eos", default=False)]
    if around := [*before, *after]:
        # a template separates its parts by spaces, which a token may have: parts are named by number
        parts = [f"<{number}>" for number in range(len(around))]
        pieces = [*parts[: len(before)], "$A", *parts[len(before) :]]
        ends: Any = [
            {"id": part, "ids": [made.token_to_id(token)], "tokens": [token]}
            for part, token in zip(parts, around, strict=True)
        ]
        made.post_processor = processors.TemplateProcessing(pieces, None, ends)
    given = {name: token for name, token in named.items() if token is not None}
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        chat_template=template_in(keys),
        clean_up_tokenization_spaces=False,
        **given,
    )


def template_in(keys: Mapping[str, Any], key: str = CHAT_TEMPLATE) -> str | None:
    """A chat template of a file; None if it has none. Errors: ModelError `model.broken` if the key is no text."""
    found = keys.get(key)
    if found is None or isinstance(found, str):
        return found
    what = f"{key} of the GGUF file is {type(found).__name__}, and a text is expected"
    raise ModelError("model.broken", what, "make or download the file again")


_SPECIAL = {
    "bos_token": "bos_token_id",
    "eos_token": "eos_token_id",
    "unk_token": "unknown_token_id",
    "pad_token": "padding_token_id",
}


def _token_of(keys: Mapping[str, Any], key: str, tokens: Sequence[str]) -> str | None:
    number = keys.get(f"{_FIRST}{key}")
    return tokens[number] if isinstance(number, int) and 0 <= number < len(tokens) else None


def _adds(keys: Mapping[str, Any], name: str, *, default: bool) -> bool:
    return bool(keys.get(f"{_FIRST}add_{name}_token", default))


def _vocabulary(tokens: Sequence[str], attributes: Sequence[int]) -> dict[str, int]:
    """Ids by text, without the rows that a converter added to fill the embedding; the first of equal texts counts."""
    pairs = [*zip(tokens, attributes, strict=True)]
    return {
        token: number
        for number, (token, attribute) in reversed([*enumerate(pairs)])
        if not (attribute & UNUSED and _FILLING.fullmatch(token))
    }


def _byte_level(keys: Mapping[str, Any], vocabulary: dict[str, int]) -> Tokenizer:
    name = str(keys.get(f"{_FIRST}pre", "default"))
    expression = EXPRESSIONS.get(_ALIASES.get(name, name))
    if expression is None:
        known = ", ".join(sorted({*EXPRESSIONS, *_ALIASES}))
        raise _unsupported(f"it cuts texts as '{name}', and known are {known}")
    pattern, ignores_merges = expression
    pairs = [tuple(str(merge).split(" ", 1)) for merge in keys.get(f"{_FIRST}merges", ())]
    merges: Any = [pair for pair in pairs if len(pair) == 2 and {*pair, "".join(pair)} <= vocabulary.keys()]
    made = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=ignores_merges))
    steps: list[Any] = []
    for part in pattern.split(", ") if pattern.startswith((WORDS, DIGITS)) else [pattern]:
        if part == DIGITS:
            steps.append(pre_tokenizers.Digits(individual_digits=True))
        elif part != WORDS:
            steps.append(pre_tokenizers.Split(Regex(part), "isolated"))
    uses_words = pattern.endswith(WORDS) and pattern.startswith((WORDS, DIGITS))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=uses_words))
    made.pre_tokenizer = pre_tokenizers.Sequence(steps)
    made.decoder = decoders.ByteLevel()
    return made


def _sentencepiece(
    keys: Mapping[str, Any], tokens: Sequence[str], vocabulary: dict[str, int], attributes: Sequence[int]
) -> Tokenizer:
    """llama.cpp joins the neighbours whose joined token has the highest score: merges in the order of scores."""
    if missing := [number for number in range(256) if f"<0x{number:02X}>" not in vocabulary]:
        raise _unsupported(f"it is of SentencePiece, and lacks tokens of {len(missing)} bytes")
    scores = keys.get(f"{_FIRST}scores", ())
    found: list[tuple[float, int, str, str]] = []
    for token, number in vocabulary.items():
        if not attributes[number] & (NORMAL | USER_DEFINED | UNUSED | CONTROL) or len(token) < 2:
            continue
        for place in range(1, len(token)):
            if token[:place] in vocabulary and token[place:] in vocabulary:
                found.append((-scores[number], number, token[:place], token[place:]))
    found.sort(key=lambda one: one[:2])
    named = _token_of(keys, "unknown_token_id", tokens) or "<unk>"
    unknown = named if named in vocabulary else None
    pairs: Any = [pair[2:] for pair in found]
    made = Tokenizer(models.BPE(vocabulary, pairs, byte_fallback=True, unk_token=unknown, fuse_unk=True))
    starts = bool(keys.get(f"{_FIRST}add_space_prefix", True))
    steps: list[Any] = [normalizers.Prepend(_MARK)] if starts else []
    made.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", _MARK)])
    undo: list[Any] = [decoders.Replace(_MARK, " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence([*undo, *([decoders.Strip(" ", 1, 0)] if starts else [])])
    return made


def _unsupported(why: str) -> ModelError:
    return ModelError(
        "model.unsupported",
        f"the tokenizer of the GGUF file cannot be made: {why}",
        "use the artifact of the gguf step, whose model has the tokenizer, or the model that the file was made from",
    )
