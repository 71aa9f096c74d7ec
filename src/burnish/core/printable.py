"""Untrusted text (rows, models, plugins, endpoints, paths) made safe to print and to store."""

import re

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, delete, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, overrides and isolates of writing direction
    "\u2028\u2029\ufff9-\ufffb"  # line and paragraph separators, interlinear marks
    "\ud800-\udfff]"  # halves of surrogate pairs, which no stream can encode
)


_SURROGATES = re.compile("[\ud800-\udfff]")


def encodable(text: str) -> str:
    """Join the halves of surrogate pairs, and replace single ones by U+FFFD: UTF-8 cannot encode them."""
    if text.isascii() or not _SURROGATES.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def printable(text: str) -> str:
    r"""Escape control characters: `\x1b`, `\u202e`. Tab and line feed are kept."""
    return _CONTROLS.sub(lambda found: _escape(found[0]), text)


def one_line(text: str) -> str:
    r"""Escape line feeds and tabs too (`\n`, `\t`), in text that stands in a line with other text."""
    return printable(text.replace("\n", "\\n").replace("\t", "\\t"))


def printable_json(text: str) -> str:
    r"""Escape the same characters in JSON as `\u001b`, which keeps its values."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
