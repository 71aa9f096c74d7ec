"""Escape control characters in untrusted text (rows, models, libraries, paths) before it is printed."""

import re

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, delete, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, overrides and isolates of writing direction
    "\u2028\u2029\ufff9-\ufffb"  # line and paragraph separators, interlinear marks
    "\ud800-\udfff]"  # halves of surrogate pairs, which no stream can encode
)


def printable(text: str) -> str:
    r"""Escape control characters: `\x1b`, `\u202e`. Tab and line feed are kept."""
    return _CONTROLS.sub(lambda found: _escape(found[0]), text)


def printable_json(text: str) -> str:
    r"""Escape the same characters in JSON as `\u001b`, which keeps its values."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
