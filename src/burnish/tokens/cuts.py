"""How byte-level tokenizers cut texts into words, by llama.cpp's names: it has an expression for each."""

from collections.abc import Mapping

_CUTS = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_START = r"[^\r\n\p{L}\p{N}]?"
_SLASH = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3 = rf"{_ENDINGS}|{_START}\p{{L}}+|\p{{N}}{{1,3}}|{_CUTS}"

WORDS, DIGITS = "words", "digits"
"""In place of an expression: that of GPT-2, which the library has; and digits one by one."""
NAMES: Mapping[tuple[str, bool], str] = {
    (_LLAMA3, True): "llama-bpe",
    (_LLAMA3, False): "dbrx",
    (rf"{_ENDINGS}|{_START}\p{{L}}+|\p{{N}}|{_CUTS}", False): "qwen2",
    (
        rf"{_ENDINGS}|{_START}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        False,
    ): ("qwen35"),
    (rf"{_START}{_UPPER}*{_LOWER}+|{_START}{_UPPER}+{_LOWER}*|\p{{N}}|{_SLASH}", True): "tekken",
    (
        rf"{_START}{_UPPER}*{_LOWER}+{_ENDINGS}?|{_START}{_UPPER}+{_LOWER}*{_ENDINGS}?|\p{{N}}{{1,3}}|{_SLASH}",
        False,
    ): "gpt-4o",
    (WORDS, False): "gpt-2",
    (f"{DIGITS}, {WORDS}", False): "smollm",
}
"""llama.cpp's name by the expression, and whether whole words are tokens."""
EXPRESSIONS: Mapping[str, tuple[str, bool]] = {name: cut for cut, name in NAMES.items()}
"""The inverse."""
