"""Extractors by the ending of a file: each gives the documented definitions or sections of its text."""

from collections.abc import Callable, Iterator

from burnish.data.synthesize.docs.extractors import python
from burnish.data.synthesize.docs.items import Item
from burnish.data.synthesize.docs.project import Project

Extract = Callable[[str, str, Project], Iterator[Item]]

EXTRACTORS: dict[str, Extract] = {
    ".py": python.extract,
    ".pyw": python.extract,
}
"""Ending → extractor of (text, file, project). UnreadableError says why a file is not read."""
