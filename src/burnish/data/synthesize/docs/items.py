"""What the extractors give: definitions and sections of documents, with their place, documentation and examples."""

import re
from dataclasses import dataclass

CALLABLES = ("function", "method", "class")
_SENTENCE = re.compile(r"(?<!e\.g)(?<!\beg)(?<!\bcf)(?<!i\.e)(?<!\bvs)(?<!\betc)[.!?](?=\s|$)")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a signature. `default` is its source text, "" where there is none."""

    name: str
    is_required: bool
    is_keyword: bool
    """Whether it can be given by its name."""
    is_positional: bool
    """Whether it can be given by its place."""
    annotation: str = ""
    default: str = ""
    doc: str = ""
    stars: str = ""
    """`*` or `**` of a parameter that takes the rest."""


@dataclass(frozen=True)
class Example:
    """Code of the documentation that parses. `line` is that of its first line, in `file`."""

    code: str
    file: str
    line: int


@dataclass(frozen=True)
class Item:
    """A definition with its documentation, or a section of a document."""

    name: str
    """As a user writes it: `json.dumps`, `Client.Do`; of a section its headings, from the outermost on."""
    kind: str
    """function, method, class, property, type, constant, module or section."""
    language: str
    """python, go, javascript, typescript, rust, markdown or restructuredtext."""
    file: str
    """Relative to the source, with forward slashes."""
    line: int
    """The line of the definition or heading, from 1 on."""
    doc: str
    """Markdown."""
    summary: str
    """The first sentence of the documentation."""
    signature: str = ""
    body: str = ""
    """The whole definition, with its documentation; "" where it is no block of code."""
    head: str = ""
    """The lines of `body` up to the end of signature and documentation: what a completion starts from."""
    module: str = ""
    """What it is imported from, such as `json`."""
    examples: tuple[Example, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    returns: str = ""
    has_exact_signature: bool = False
    """Whether a call is checked against `parameters` and nothing else: no decorator, metaclass or base intervenes."""

    @property
    def short(self) -> str:
        """The last part of the name."""
        return re.split(r"\.|::", self.name)[-1].rstrip("!")


def first_sentence(text: str) -> str:
    """The first sentence of the first paragraph, on one line."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    end = _SENTENCE.search(paragraph)
    return paragraph[: end.start() + 1] if end else paragraph
