"""The language of a text: keep texts of some languages, and count the languages of a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import AskError
from burnish.core.naming import nearest
from burnish.data.document import Row, every_message
from burnish.data.filters.detectors import WIDESPREAD, Detector, detector, identifier
from burnish.data.texts.block import Block

_CHARACTERS = 2000


@dataclass(frozen=True)
class Language:
    """Keep texts of some languages (ISO 639-1), as detected in their first 2,000 characters."""

    keep: tuple[str, ...]
    min_probability: float
    detector: Detector = "py3langid"

    def __post_init__(self) -> None:
        known = set(identifier(()).nb_classes)
        for code in self.keep:
            if code not in known:
                raise AskError("ask.wrong-value", f"languages.keep: unknown language '{code}'", nearest(code, known))
        detector(self.detector, self.keep)

    def reason(self, text: str) -> str:
        """Why a text is dropped; "" if it is kept."""
        language, probability = detector(self.detector, self.keep)(text[:_CHARACTERS])
        if probability < self.min_probability:
            return "language uncertain"  # first, since a text without letters has no language
        return "" if language in self.keep else f"language {language}"

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        reasons = np.array([self.reason(text) for text in block.texts], object)
        return {reason: reasons == reason for reason in sorted(set(reasons) - {""})}


class LanguageFilter:
    """Keep rows of some languages, as detected in what their people say."""

    def __init__(self, keep: Sequence[str], min_probability: float, detector: Detector = "py3langid"):
        self._language = Language(tuple(keep), min_probability, detector)

    def __call__(self, row: Row) -> str:
        return self._language.reason(spoken_text(row))


def spoken_text(row: Row) -> str:
    """Texts of the user and the assistant in a row, cut; system prompts and tool results are often English."""
    if row["kind"] == "text":
        return row["text"][:_CHARACTERS]
    texts = [m["content"] for m in every_message(row) if m["role"] in ("user", "assistant") and m["content"]]
    share = max(100, _CHARACTERS // max(1, len(texts)))
    return "\n".join(text[:share] for text in texts)[:_CHARACTERS]


def language_of(text: str) -> str:
    """The most likely language of a text, ISO 639-1."""
    return identifier(WIDESPREAD).classify(text)[0]
