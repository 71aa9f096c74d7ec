"""HTML to text, by lexbor's parser (selectolax): it reads what browsers read, and in linear time.

The parser of the standard library takes quadratic time on hostile pages, and is far slower.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

_PAGE = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.I | re.S)
_PARTS = re.compile(r"</(?:p|div|td|li|span|h[1-6]|a|section|article)\s*>", re.I)
_START = re.compile(
    r"\s*<(?:div|p|h[1-6]|table|ul|ol|section|article|main|header|nav|span|a|img|br|meta|link)\b[^<>]*>", re.I
)
_TAG = re.compile(r"<[/!]?[a-zA-Z-][^<>]*>")
_ENOUGH_PARTS = 3
_DROPPED = frozenset(
    (
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "iframe",
        "object",
        "head",
        "button",
        "select",
        "input",
        "canvas",
    )
)
_BLOCKS = frozenset(
    (
        *(
            "address",
            "article",
            "aside",
            "blockquote",
            "body",
            "center",
            "dd",
            "details",
            "div",
            "dl",
            "dt",
            "fieldset",
        ),
        *("figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "legend", "main", "nav", "ol", "section"),
        *("summary", "table", "tbody", "tfoot", "thead", "tr", "ul", "li", "caption"),
    )
)
_PARAGRAPHS = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "table", "ul", "ol", "dl", "blockquote"))
_SPACES = re.compile(r"[ \t\r\n\f]+")
_ITEM = "- "
_MOST_OPEN = 20_000
"""Elements that stay open: the parser takes quadratic time on what is nested so deep, which no real page is."""


@dataclass(frozen=True)
class Html:
    """Blocks become lines, paragraphs are apart, cells stand between bars, items after a hyphen; `pre` as it is."""

    when: Literal["auto", "always"] = "auto"
    name: str = "HTML to text"

    def __call__(self, text: str) -> str:
        if "<" not in text or ">" not in text:
            return text
        if self.when == "auto" and not is_page(text):
            return text
        if self.when == "always" and not _TAG.search(text):
            return text
        return to_text(text)


def is_page(text: str) -> bool:
    """Whether a text is a page of HTML or a part of one, not one that mentions tags."""
    if _PAGE.match(text):
        return True
    if not _START.match(text) or not text.rstrip().endswith(">"):
        return False
    return sum(1 for _ in zip(range(_ENOUGH_PARTS), _PARTS.finditer(text), strict=False)) == _ENOUGH_PARTS


def to_text(page: str) -> str:
    """The text of a page."""
    from selectolax.lexbor import LexborHTMLParser

    if page.count("<") - 2 * page.count("</") > _MOST_OPEN:
        return _TAG.sub("\n", page)
    root = LexborHTMLParser(page.encode("utf-8", "replace").decode()).body
    if root is None:
        return ""
    written = _Written()
    _walk(root, written)
    return written.text()


class _Written:
    """The lines so far."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._pending = 0  # line feeds before what is written next
        self._has_space = True
        self.in_pre = 0

    def lines(self, count: int) -> None:
        """At least so many line feeds before what follows, but not between a list item's hyphen and its text."""
        if self._parts and self._parts[-1] == _ITEM:
            return
        if self._parts and count > self._pending:
            count -= len(self._parts[-1]) - len(self._parts[-1].rstrip("\n"))
        self._pending = max(self._pending, count)
        self._has_space = True

    def add(self, text: str) -> None:
        if not self.in_pre:
            text = _SPACES.sub(" ", text)
            if self._has_space:
                text = text.lstrip(" ")
        if not text:
            return
        if self._pending and self._parts:
            while self._parts and self._parts[-1] == " ":
                self._parts.pop()
            self._parts.append("\n" * self._pending)
        self._pending = 0
        self._parts.append(text)
        self._has_space = text[-1] in " \n"

    def break_line(self) -> None:
        self._pending += 1
        self._has_space = True

    def text(self) -> str:
        lines = "".join(self._parts).split("\n")
        return "\n".join(line.rstrip(" ") for line in lines).strip("\n")


def _walk(root: Any, written: _Written) -> None:
    """Depth first, without recursion: pages may nest as deep as they like."""
    todo: list[Any] = [root]
    while todo:
        node = todo.pop()
        if callable(node):
            node()
            continue
        tag = node.tag
        if tag == "-text":
            written.add(node.text_content or "")
            continue
        if tag in _DROPPED or tag.startswith(("-", "!", "_")):
            continue
        leave = _enter(node, tag, written)
        if leave is not None:
            todo.append(leave)
        children = []
        child = node.child
        while child is not None:
            children.append(child)
            child = child.next
        todo += reversed(children)


def _enter(node: Any, tag: str, written: _Written) -> Callable[[], None] | None:
    """Write what stands before an element; returns what to do behind it."""
    if tag == "br":
        written.break_line()
        return None
    if tag in ("td", "th"):
        if _has_cell_before(node):
            written.add(" | ")
        return None
    if tag == "pre":
        written.lines(2)
        written.in_pre += 1

        def leave_pre() -> None:
            written.in_pre -= 1
            written.lines(2)

        return leave_pre
    if tag in _PARAGRAPHS or tag in _BLOCKS:
        gap = 2 if tag in _PARAGRAPHS and not _is_in_list(node) else 1
        written.lines(gap)
        if tag == "li":
            written.add(_ITEM)
        return lambda: written.lines(gap)
    return None


def _has_cell_before(node: Any) -> bool:
    before = node.prev
    while before is not None:
        if before.tag in ("td", "th"):
            return True
        before = before.prev
    return False


def _is_in_list(node: Any) -> bool:
    return node.parent is not None and node.parent.tag in ("li", "td", "th", "dd")
