"""What sections of Markdown and reStructuredText have in common: which of them are documentation, as items."""

import re
from collections.abc import Iterator

from burnish.data.synthesize.docs.extractors import docstrings
from burnish.data.synthesize.docs.extractors.grammar import is_code
from burnish.data.synthesize.docs.extractors.python_names import is_code as is_python
from burnish.data.synthesize.docs.items import Example, Item, first_sentence
from burnish.data.synthesize.docs.project import Project, UnreadableError

_CHANGES = re.compile(r"(?:change(?:s|log)|history|news|releases?|release[-_]notes)\b.*", re.IGNORECASE)
_LEGAL = re.compile(
    r"(?:licen[cs]e|copying|notice|code[-_]of[-_]conduct|authors|contribut(?:ors|ing)|security|governance|.*[-_]policy)\b.*",
    re.IGNORECASE,
)
_VERSION = re.compile(r"\[?v?\d+\.\d+[\w.\-]*\]?(?: |$|\s*\()|unreleased\b", re.IGNORECASE)
_FEWEST_WORDS = 12
_GRAMMARS = {
    "go": "go",
    "js": "javascript",
    "javascript": "javascript",
    "jsx": "javascript",
    "ts": "typescript",
    "typescript": "typescript",
    "tsx": "tsx",
    "rust": "rust",
    "rs": "rust",
}


def refuse_other_documents(file: str) -> None:
    """UnreadableError for changelogs, licences and other documents that are not about the code."""
    stem = file.rpartition("/")[2].rpartition(".")[0]
    if _CHANGES.fullmatch(stem):
        raise UnreadableError("a changelog")
    if _LEGAL.fullmatch(stem):
        raise UnreadableError("a licence, a list of people or a policy")


def section(
    path: list[str], text: str, file: str, line: int, first: int, language: str, project: Project
) -> Iterator[Item]:
    """The section with these headings as an item, if it is prose. `first` is the line that its text starts on."""
    if any(_VERSION.match(title) for title in path):
        project.left_out["section of a changelog"] += 1
        return
    found = docstrings.blocks(text)
    doc = _without_badges(text) if language == "markdown" else docstrings.markdown(found)
    prose = re.sub(r"\[[^\]]*\]\([^)]*\)|https?://\S+|[`*_#>|-]", " ", re.sub(r"```[\s\S]*?```", " ", doc))
    if len(prose.split()) < _FEWEST_WORDS:
        project.left_out["section with hardly any prose"] += 1
        return
    examples = [
        Example(block.text, file, first + block.line)
        for block in found
        if block.kind == "code" and _parses(block.text, block.language)
    ]
    yield Item(
        name=" > ".join(path),
        kind="section",
        language=language,
        file=file,
        line=line,
        doc=doc,
        summary=first_sentence(doc),
        examples=tuple(examples),
    )


def _parses(code: str, language: str) -> bool:
    if language in ("python", "py", "python3"):
        return is_python(code)
    return language in _GRAMMARS and is_code(code, _GRAMMARS[language])


def _without_badges(text: str) -> str:
    """Markdown without images, comments and links to places of the same repository."""
    parts = re.split(r"(```[\s\S]*?```)", text)
    for number in range(0, len(parts), 2):
        part = re.sub(r"<!--[\s\S]*?-->", "", parts[number])
        part = re.sub(r"\[!\[[^\]]*\]\([^)]*\)\]\([^)]*\)|!\[[^\]]*\]\([^)]*\)", "", part)
        part = re.sub(r"(?m)^\[[^\]]+\]:\s+\S+.*$", "", part)
        part = re.sub(r"\[([^\]\[]+)\]\((?!https?://)[^)\s]*\)", r"\1", part)
        parts[number] = re.sub(r"\[([^\]\[]+)\]\[[^\]]*\]", r"\1", part)
    return re.sub(r"\n{3,}", "\n\n", "".join(parts)).strip()
