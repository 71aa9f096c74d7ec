"""The language of a row, by py3langid: keep rows of some languages, and count the languages of a dataset."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from burnish.core.errors import AskError
from burnish.core.naming import nearest
from burnish.data.document import Row, every_message

WIDESPREAD = (
    *("ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "gu", "he", "hi", "hr"),
    *("hu", "id", "it", "ja", "ka", "kk", "kn", "ko", "lt", "lv", "ml", "mr", "ms", "nl", "no", "pa", "pl", "pt"),
    *("ro", "ru", "sk", "sl", "sr", "sv", "sw", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi", "zh"),
)
"""The candidates besides the languages to keep: with more, short texts are often taken for a rare language."""
_CHARACTERS = 2000


class LanguageFilter:
    """Keep rows of some languages (ISO 639-1), as py3langid detects in the first 2,000 characters of a row."""

    def __init__(self, keep: Sequence[str], min_probability: float):
        known = set(_identifier(()).nb_classes)
        for code in keep:
            if code not in known:
                raise AskError("ask.wrong-value", f"languages.keep: unknown language '{code}'", nearest(code, known))
        self._keep, self._min_probability = frozenset(keep), min_probability
        self._tell = _identifier(tuple(sorted({*WIDESPREAD, *keep})))

    def __call__(self, row: Row) -> str:
        language, probability = self._tell.classify(spoken_text(row))
        if probability < self._min_probability:
            return "language uncertain"  # first, since a text without letters has no language
        return "" if language in self._keep else f"language {language}"


def spoken_text(row: Row) -> str:
    """Texts of the user and the assistant in a row, cut; system prompts and tool results are often English."""
    if row["kind"] == "text":
        return row["text"][:_CHARACTERS]
    texts = [m["content"] for m in every_message(row) if m["role"] in ("user", "assistant") and m["content"]]
    share = max(100, _CHARACTERS // max(1, len(texts)))
    return "\n".join(text[:share] for text in texts)[:_CHARACTERS]


def language_of(text: str) -> str:
    """The most likely language of a text, ISO 639-1."""
    return _identifier(WIDESPREAD).classify(text)[0]


@cache
def _identifier(languages: tuple[str, ...]) -> Any:
    """py3langid's model, restricted to these languages (to none: whole)."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if languages:
        identifier.set_languages(list(languages))
    return identifier
