"""The Unicode normalisation that a tokenizer applies to a text, which llama.cpp leaves out."""

import json
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_FORMS = ("NFC", "NFD", "NFKC", "NFKD")


def normalization(tokenizer: "PreTrainedTokenizerBase") -> str:
    """The form, such as NFC; "" for a tokenizer that applies none."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return ""
    waiting = [json.loads(backend.to_str())["normalizer"]]
    while waiting:
        step = waiting.pop(0) or {"type": ""}
        if step["type"] in _FORMS:
            return str(step["type"])
        waiting += step.get("normalizers", [])
    return ""


def normalized(text: str, form: str) -> str:
    """The text in that form; "" leaves it as it is."""
    if not form:
        return text
    named: Any = form
    return unicodedata.normalize(named, text)
