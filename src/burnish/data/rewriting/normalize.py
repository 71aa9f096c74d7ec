"""One form for what looks equal: composed Unicode, line feeds, no invisible characters, no trailing white space."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

_LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_ANSI = re.compile("\x1b\\[[0-9;?]{0,20}[A-Za-z]")
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb]")
_BREAKS = re.compile("(?<![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\u200b+")
"""Zero-width spaces, but in Thai, Lao, Burmese and Khmer, where they part words."""
_JOINERS = re.compile(
    "(?<![\u0600-\u08ff\u0900-\u109f\u1780-\u18af\u2190-\u2bff\ufb50-\ufdff\ufe0f\ufe70-\ufefc\U0001f000-\U0001faff])"
    "[\u200c\u200d]+"
)
"""Joiners that join nothing: in Arabic and Indic scripts and in emoji they change what is seen."""
_DIRECTIONS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_ANY = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
_CONTROLS = bytes(code for code in range(128) if _ANY.match(chr(code)))
_SPACES = (" ", "\t", "\u00a0", "\u3000")
_TRAILING = re.compile(f"\n(?<=[{''.join(_SPACES)}]\n)")
"""Searched from line feed to line feed, in a quarter of the time that each space takes."""


@dataclass(frozen=True)
class Normalize:
    """Indentation and the inside of lines stay as they are, but for invisible characters and the Unicode form."""

    unicode: Literal["NFC", "NFKC"] | None = "NFC"
    max_blank_lines: int | None = 2
    name: str = "normalised"

    def __call__(self, text: str) -> str:
        if _has_invisible(text):
            text = _visible(text)
        if self.unicode and not unicodedata.is_normalized(self.unicode, text):
            text = unicodedata.normalize(self.unicode, text)
        if text.endswith(_SPACES) or _TRAILING.search(text):
            text = "\n".join(line.rstrip() for line in text.split("\n"))
        if self.max_blank_lines is not None:
            most = "\n" * (self.max_blank_lines + 1)
            if most + "\n" in text:
                text = re.sub(most + "\n+", most, text)
        return text


def _has_invisible(text: str) -> bool:
    """Whether `_visible` may change a text; of ASCII in a third of the time of a search."""
    if text.isascii():
        return len(text.encode().translate(None, _CONTROLS)) < len(text)
    return _ANY.search(text) is not None


def _visible(text: str) -> str:
    text = _LINE_END.sub("\n", _ANSI.sub("", text))
    text = _BREAKS.sub("", _INVISIBLE.sub("", text))
    text = _JOINERS.sub("", text)
    return text if _RIGHT_TO_LEFT.search(text) else _DIRECTIONS.sub("", text)
