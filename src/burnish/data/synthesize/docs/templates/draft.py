"""What templates have in common: a row before its place is added, and the settings and the chance of its wording."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from burnish.data.synthesize.docs.extractors.docstrings import fenced
from burnish.data.synthesize.docs.items import Item

LANGUAGES = {
    "python": "Python",
    "go": "Go",
    "javascript": "JavaScript",
    "typescript": "TypeScript",
    "rust": "Rust",
}
_MAX_DOC = 3_000


@dataclass(frozen=True)
class Draft:
    """A row without its id and place: `messages` and `tools`, or `text`."""

    messages: list[dict[str, Any]] | None = None
    text: str | None = None
    tools: list[dict[str, Any]] | None = None
    extra: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Wording:
    """`title` is what a question calls the source; `random` chooses the words and the faults of one item."""

    title: str
    library: str
    random: Random
    completion: str = "chat"
    fim: tuple[str, str, str] | None = None
    """The tokens before prefix, suffix and middle."""

    def one_of(self, sentences: Sequence[str], item: Item) -> str:
        """One of the sentences; of a name that does not say where it is from, one that does."""
        if not item.module and any("{title}" in sentence for sentence in sentences):
            sentences = [sentence for sentence in sentences if "{title}" in sentence]
        return self.random.choice(sentences)


def asked(question: str, answer: str, /, **extra: Any) -> Draft:
    return Draft([{"role": "user", "content": question}, {"role": "assistant", "content": answer}], extra=extra)


def signature(item: Item) -> str:
    """The signature in a fence; "" without one."""
    return fenced(item.signature, item.language) if item.signature else ""


def documentation(item: Item) -> str:
    """The documentation; of a long one the first paragraphs."""
    if len(item.doc) <= _MAX_DOC:
        return item.doc
    parts, size = list[str](), 0
    for part in paragraphs(item.doc):
        if size + len(part) > _MAX_DOC:
            break
        parts.append(part)
        size += len(part)
    return "\n\n".join(parts)


def paragraphs(text: str) -> list[str]:
    """The paragraphs of Markdown; fenced code is one."""
    found: list[str] = []
    fence = ""
    for part in text.split("\n\n"):
        if fence:
            found[-1] += f"\n\n{part}"
        else:
            found.append(part)
        for marks in re.findall(r"^\s*(`{3,}|~{3,})", part, re.MULTILINE):
            if not fence:
                fence = marks
            elif marks.startswith(fence):
                fence = ""
    return found


def joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def heading(item: Item, wording: Wording) -> str:
    """The headings of a section, without a first one that only names the library."""
    first, _, rest = item.name.partition(" > ")
    return rest if rest and first.lower() in (wording.library.lower(), wording.title.strip("`").lower()) else item.name


def noun(item: Item) -> str:
    """`the Python class`, for a question."""
    language = LANGUAGES.get(item.language, "")
    return f"the {language} {item.kind}" if language else f"the {item.kind}"
