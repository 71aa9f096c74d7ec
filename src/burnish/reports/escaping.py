"""Text of users made safe for the files of a report."""

import html
import re

from burnish.core.printable import encodable, printable

_NOT_XML = re.compile("[\ufffe\uffff]")
_MARKDOWN = re.compile(r"([\\`*\[\]~$|]|(?<![^\W_])_|_(?![^\W_]))")
_LINE_START = re.compile(r"^(\s*)(#|[-+=]|\d+(?=[.)]))", re.MULTILINE)


def shown(text: str) -> str:
    """Text that every file can hold: control characters and those that turn the writing direction are escaped."""
    return _NOT_XML.sub("\ufffd", printable(encodable(text.replace("\r\n", "\n"))))


def html_text(text: str) -> str:
    """Text or the value of an attribute in HTML."""
    return html.escape(shown(text))


def markdown_text(text: str) -> str:
    """A paragraph in Markdown: every character is shown as it is, and line breaks are kept."""
    safe = _line_start(_inline(shown(text).strip()))
    return re.sub(r"\n[ \t\n]*", "<br>\n", safe)


def markdown_cell(text: str) -> str:
    """A cell of a Markdown table, or a heading: one line."""
    return re.sub(r"\s*\n\s*", "<br>", _inline(shown(text).strip()))


def _inline(text: str) -> str:
    escaped = _MARKDOWN.sub(r"\\\1", text)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _line_start(text: str) -> str:
    """Escape what starts a heading, a list or a rule: a digit stays, and the mark after it is escaped."""
    return _LINE_START.sub(lambda found: _start(found[2]), text)


def _start(mark: str) -> str:
    return f"{mark}\\" if mark.isdigit() else f"\\{mark}"
