"""One form for what looks equal: composed Unicode, line feeds, no invisible characters, no trailing white space."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f\ufeff\u00ad\u2060\u200b]")
_LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_TRAILING = re.compile(r"[^\S\n]+$", re.MULTILINE)


@dataclass(frozen=True)
class Normalize:
    """Indentation and the inside of lines stay as they are."""

    unicode: Literal["NFC", "NFKC"] | None = "NFC"
    name: str = "normalised"

    def __call__(self, text: str) -> str:
        text = _LINE_END.sub("\n", text)
        text = _TRAILING.sub("", _CONTROL.sub("", text))
        return unicodedata.normalize(self.unicode, text) if self.unicode else text
