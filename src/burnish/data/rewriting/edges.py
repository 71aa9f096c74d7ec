"""Lines of boilerplate at the start and the end of a web document: menus, cookie notices, footers."""

from dataclasses import dataclass

from burnish.data.filters.junk.boilerplate import boilerplate_lines
from burnish.data.texts.block import Block


@dataclass(frozen=True)
class BoilerplateLines:
    """Remove them, up to the first and down to the last line that is something else. Lines between stay.

    A text that is boilerplate as a whole stays as it is: a filter drops it, with its reason.
    """

    max_words: int
    name: str = "boilerplate lines removed"

    def __call__(self, text: str) -> str:
        if "\n" not in text:
            return text
        block = Block([text])
        lines = text.split("\n")
        words = block.words.starts.searchsorted(block.lines.ends) - block.words.starts.searchsorted(block.lines.starts)
        goes = boilerplate_lines(block) & (words <= self.max_words)
        start, end = 0, len(lines)
        while start < end and (goes[start] or not lines[start].strip()):
            start += 1
        while end > start and (goes[end - 1] or not lines[end - 1].strip()):
            end -= 1
        is_any = goes[:start].any() or goes[end:].any()
        return "\n".join(lines[start:end]) if is_any and start < end else text
