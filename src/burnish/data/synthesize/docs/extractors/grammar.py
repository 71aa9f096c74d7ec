"""Syntax trees by tree-sitter, and what its languages have in common: comments before a definition, and its text."""

import textwrap
from collections.abc import Iterator
from functools import cache
from typing import Any

from tree_sitter import Language, Node, Parser

_MAX_SIGNATURE = 1_500
_MOST_COMMENTS = 1_000
"""The step from one node to the one before takes longer the more siblings there are."""


@cache
def _parser(language: str) -> Parser:
    return Parser(Language(_grammar(language)))


def _grammar(language: str) -> Any:
    """The compiled grammar of a language, whose package is imported when a file needs it."""
    match language:
        case "go":
            import tree_sitter_go

            return tree_sitter_go.language()
        case "javascript":
            import tree_sitter_javascript

            return tree_sitter_javascript.language()
        case "markdown":
            import tree_sitter_markdown

            return tree_sitter_markdown.language()
        case "rust":
            import tree_sitter_rust

            return tree_sitter_rust.language()
        case _:
            import tree_sitter_typescript

            is_tsx = language == "tsx"
            return tree_sitter_typescript.language_tsx() if is_tsx else tree_sitter_typescript.language_typescript()


def tree(text: str, language: str) -> Node:
    """The root of the syntax tree."""
    return _parser(language).parse(text.encode("utf-8", "replace")).root_node


def is_code(text: str, language: str) -> bool:
    """Whether it parses without an error and is more than comments and single words."""
    root = tree(f"{text}\n", language)
    children = [child for child in root.named_children if "comment" not in child.type]
    words = [child for child in children if not child.named_children or _is_a_word(child)]
    return not root.has_error and len(words) < len(children)


def _is_a_word(node: Node) -> bool:
    return node.type == "expression_statement" and not any(child.named_children for child in node.named_children)


def text_of(node: Node | None) -> str:
    return (node.text or b"").decode("utf-8", "replace") if node is not None else ""


def line_of(node: Node) -> int:
    """The line of a node's beginning, from 1 on."""
    return node.start_point.row + 1


def comments_before(node: Node, passed: tuple[str, ...] = ()) -> list[Node]:
    """The comments that stand directly above a node, in their order; nodes of the types `passed` may be between."""
    found: list[Node] = []
    below, row = node.prev_sibling, node.start_point.row
    while below is not None and ("comment" in below.type or below.type in passed) and len(found) < _MOST_COMMENTS:
        end = below.end_point.row - (below.end_point.column == 0)
        if end < row - 1 or end > row:
            break
        before = below.prev_sibling  # a comment behind code on its line belongs to that
        if before is not None and before.end_point.row == below.start_point.row and before.end_point.column > 0:
            break
        row = below.start_point.row
        if "comment" in below.type:
            found.insert(0, below)
        below = below.prev_sibling
    return found


def until(node: Node, end: Node | None) -> str:
    """The text of a node before one of its children, without the indentation of its lines."""
    text = text_of(node)
    if end is not None:
        text = (node.text or b"")[: end.start_byte - node.start_byte].decode("utf-8", "replace")
    column = " " * node.start_point.column
    return textwrap.dedent(column + text).strip()


def signature(node: Node, body: Node | None) -> str:
    """The declaration before its body, or whole; "" if it is too long."""
    text = until(node, body)
    return text if len(text) <= _MAX_SIGNATURE else ""


def source_lines(lines: list[str], first: int, last: int) -> str:
    """Lines from `first` to `last`, counted from 0, without their common indentation."""
    text = (
        "\n".join(lines[first : last + 1]).expandtabs(4)
        if "\t" not in lines[first]
        else "\n".join(lines[first : last + 1])
    )
    return textwrap.dedent(text).rstrip()


def children(node: Node | None, *types: str) -> Iterator[Node]:
    for child in node.named_children if node is not None else ():
        if child.type in types:
            yield child


def field(node: Node, name: str) -> Any:
    return node.child_by_field_name(name)
