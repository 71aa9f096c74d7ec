"""Rewritings of texts: each gives the text that stands in place of the old one, and has a name to count changes by."""

from typing import Protocol


class Rewrite(Protocol):
    """Called with a text, gives the new one: the same object where nothing changes."""

    @property
    def name(self) -> str:
        """What it does, as the report counts it."""
        ...

    def __call__(self, text: str) -> str: ...
