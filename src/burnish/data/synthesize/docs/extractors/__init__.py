"""Extractors by the ending of a file: each gives the documented definitions or sections of its text."""

from collections.abc import Callable, Iterator

from burnish.data.synthesize.docs.extractors import go, javascript, markdown, python, restructuredtext, rust
from burnish.data.synthesize.docs.items import Item
from burnish.data.synthesize.docs.project import Project

Extract = Callable[[str, str, Project], Iterator[Item]]

EXTRACTORS: dict[str, Extract] = {
    ".py": python.extract,
    ".pyw": python.extract,
    ".go": go.extract,
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs"), javascript.javascript),
    **dict.fromkeys((".ts", ".mts", ".cts"), javascript.typescript),
    ".tsx": javascript.tsx,
    ".rs": rust.extract,
    **dict.fromkeys((".md", ".markdown", ".mdx"), markdown.extract),
    ".rst": restructuredtext.extract,
}
"""Ending → extractor of (text, file, project). UnreadableError says why a file is not read."""
