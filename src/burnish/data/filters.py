"""Filters: each is called with a row and gives nothing (keep it) or the reason to drop it, which is the statistic."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from burnish.core.errors import AskError
from burnish.core.naming import nearest
from burnish.data.document import Row, canonical_json, every_message
from burnish.data.hashset import HashSet

Filter = Callable[[Row], str]

WIDESPREAD = (
    *("ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "gu", "he", "hi", "hr"),
    *("hu", "id", "it", "ja", "ka", "kk", "kn", "ko", "lt", "lv", "ml", "mr", "ms", "nl", "no", "pa", "pl", "pt"),
    *("ro", "ru", "sk", "sl", "sr", "sv", "sw", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi", "zh"),
)
"""The languages a text is told from, besides those to keep: rare ones draw short texts to themselves."""
_CHARACTERS = 2000
_COLUMNS_COUNTED = 20


class LanguageFilter:
    """Keep rows of some languages (ISO 639-1), told by py3langid from the first 2,000 characters that people say."""

    def __init__(self, keep: Sequence[str], min_probability: float):
        known = set(_identifier(()).nb_classes)
        for code in keep:
            if code not in known:
                raise AskError(
                    "ask.wrong-value", f"languages.keep: there is no language '{code}'", nearest(code, known)
                )
        self._keep, self._min_probability = frozenset(keep), min_probability
        self._tell = _identifier(tuple(sorted({*WIDESPREAD, *keep} & known)))

    def __call__(self, row: Row) -> str:
        language, probability = self._tell.classify(spoken_text(row))
        if probability < self._min_probability:
            return "language uncertain"  # said first: of a text without letters the language is any
        return "" if language in self._keep else f"language {language}"


class Duplicates:
    """Drop a row that is equal to an earlier one in all columns that are kept, or in what a model sees of it.

    A row's source and tag are not compared.
    """

    def __init__(self, content_only: bool = False) -> None:
        self._content_only = content_only
        self._seen = HashSet()
        self.differing: Counter[str] = Counter()
        """Columns of rows that an earlier one equals in content, but not in these; "" counts the rows."""

    def __call__(self, row: Row) -> str:
        content, extra = int(row["id"], 16), row.get("extra", {})
        spelled = f"whole:{row['id']}:".encode() + canonical_json(extra)
        is_new = self._seen.add(int.from_bytes(hashlib.sha256(spelled).digest()[:8], "big"))
        is_new_content = self._seen.add(content)
        if not is_new:
            return "duplicate"
        if is_new_content:
            return ""
        self.differing.update(["", *list(extra)[:_COLUMNS_COUNTED]])
        return "duplicate but for columns that are not mapped" if self._content_only else ""

    def told(self) -> str:
        """What of equal content was kept or dropped, in a sentence; empty where there is nothing to say."""
        columns = ", ".join(name for name, _ in self.differing.most_common(5) if name)
        if not self.differing:
            return ""
        rows = f"{self.differing['']:,} rows equal an earlier one but for columns that are not mapped ({columns})"
        if self._content_only:
            return f"{rows}: dropped, as deduplicate: content asks"
        return f"{rows}: they are kept; deduplicate: content drops them"


def spoken_text(row: Row) -> str:
    """What a person or the model says in a row, cut short; system prompts and tool results are often English anyway."""
    if row["kind"] == "text":
        return row["text"][:_CHARACTERS]
    said = [m["content"] for m in every_message(row) if m["role"] in ("user", "assistant") and m["content"]]
    share = max(100, _CHARACTERS // max(1, len(said)))
    return "\n".join(text[:share] for text in said)[:_CHARACTERS]


def language_of(text: str) -> str:
    """The likeliest language of a text, ISO 639-1."""
    return _identifier(WIDESPREAD).classify(text)[0]


@cache
def _identifier(languages: tuple[str, ...]) -> Any:
    """py3langid's model, restricted to these languages (to none: whole)."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if languages:
        identifier.set_languages(list(languages))
    return identifier
