"""Sections of reStructuredText, each with the titles above it."""

import re
from collections.abc import Iterator

from burnish.data.synthesize.docs.extractors.docstrings import inline
from burnish.data.synthesize.docs.extractors.sections import refuse_other_documents, section
from burnish.data.synthesize.docs.items import Item
from burnish.data.synthesize.docs.project import Project

_LINE = re.compile(r"([^\w\s])\1*\s*$")


def extract(text: str, file: str, project: Project) -> Iterator[Item]:
    """The sections with a title and prose. UnreadableError for a changelog or a licence."""
    refuse_other_documents(file)
    lines = text.split("\n")
    titles = list(_titles(lines))
    styles: list[str] = []
    path: list[str] = []
    ends = [start for start, _, _, _ in titles[1:]] + [len(lines)]
    for (_, at, end, style), following in zip(titles, ends, strict=False):
        if style not in styles:
            styles.append(style)
        path = [*path[: styles.index(style)], inline(lines[at].strip()).replace("`", "")]
        body = "\n".join(lines[end:following])
        yield from section(path, body, file, at + 1, end + 1, "restructuredtext", project)


def _titles(lines: list[str]) -> Iterator[tuple[int, int, int, str]]:
    """(first line, line of the title, line after it, style) of each title: underlined text, perhaps overlined."""
    for at in range(len(lines) - 1):
        title, under = lines[at], lines[at + 1]
        is_text = bool(title.strip()) and not _LINE.fullmatch(title)
        if not is_text or not _LINE.fullmatch(under) or len(under.rstrip()) < max(3, len(title.strip())):
            continue
        over = lines[at - 1].rstrip() if at else ""
        if over and over == under.rstrip():
            yield at - 1, at, at + 2, f"{under[0]}over"
        elif not title.startswith((" ", "\t")) and not over:
            yield at, at, at + 2, under[0]
