"""Sections of Markdown, each with the headings above it."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from burnish.data.synthesize.docs.extractors.grammar import line_of, text_of, tree
from burnish.data.synthesize.docs.extractors.sections import refuse_other_documents, section
from burnish.data.synthesize.docs.items import Item
from burnish.data.synthesize.docs.project import Project

_HEADINGS = ("atx_heading", "setext_heading")


def extract(text: str, file: str, project: Project) -> Iterator[Item]:
    """The sections with a heading and prose. UnreadableError for a changelog or a licence."""
    refuse_other_documents(file)
    lines = text.split("\n")
    headings = list(_headings(tree(text, "markdown")))
    ends = [heading.start_point.row for heading in headings[1:]] + [len(lines)]
    path: list[tuple[int, str]] = []
    for heading, end in zip(headings, ends, strict=False):
        level = _level(heading)
        path = [*(above for above in path if above[0] < level), (level, _title(heading))]
        first = heading.end_point.row + (heading.end_point.column > 0)
        titles = [title for _, title in path]
        yield from section(titles, "\n".join(lines[first:end]), file, line_of(heading), first + 1, "markdown", project)


def _headings(root: Node) -> Iterator[Node]:
    """The headings in their order, without those in quotes and lists."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type in _HEADINGS:
            yield node
        elif node.type in ("document", "section"):
            waiting += reversed(node.named_children)


def _level(heading: Node) -> int:
    marks = (re.search(r"_h([1-6])_(?:marker|underline)", child.type) for child in heading.named_children)
    return next((int(mark[1]) for mark in marks if mark), 1)


def _title(heading: Node) -> str:
    """The words of a heading, without markup and anchors."""
    text = text_of(heading).strip().split("\n")[0]
    text = re.sub(r"^#+\s*|\s+#+\s*$|\s*\{[#:.][^}]*\}\s*$", "", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return " ".join(re.sub(r"<[^>]+>|[*`]", "", text).split())
