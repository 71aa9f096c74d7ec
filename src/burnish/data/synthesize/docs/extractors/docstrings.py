"""Docstrings as blocks of prose and code: reStructuredText, Google, NumPy and Markdown styles, as people mix them."""

import doctest
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from burnish.data.synthesize.docs.items import first_sentence

_FENCE = re.compile(r"(?P<indent>\s*)(?P<marks>`{3,}|~{3,})\s*(?P<info>[^`]*)$")
_DIRECTIVE = re.compile(r"(?P<indent>\s*)\.\. (?P<name>[\w:-]+)::\s*(?P<rest>.*)$")
_HIDDEN = re.compile(
    r"\s*\.\. (?:(?:toctree|contents|index|image|figure|include|literalinclude|raw|highlight|only|module|currentmodule|"
    r"py:(?:current)?module|auto\w+|testsetup|testcleanup|plot|tabularcolumns|meta|sectionauthor|moduleauthor|"
    r"versionmodified|rst-class|default-domain|program|container)::|_|\[|\||#|(?![\w:-]+::))"
)
"""Directives, targets, notes and comments that are no text: they are left out with the block below them."""
_OBJECTS = ("function", "method", "class", "attribute", "data", "exception", "option", "describe", "property", "envvar")
_CODE = ("code-block", "code", "sourcecode", "ipython")
_VERSIONS = {
    "versionadded": "Added in version",
    "versionchanged": "Changed in version",
    "deprecated": "Deprecated since version",
}
_SECTION = re.compile(r"(?P<name>[A-Z][A-Za-z ]{2,20}):$")
_ENTRY = re.compile(r"(?P<name>\*{0,2}[\w.]+(?:, ?\*{0,2}\w+)*)(?: ?\((?P<type>[^)]*)\))?: +(?P<doc>\S.*)$")
_LISTS = ("Args", "Arguments", "Parameters", "Params", "Keyword Args", "Keyword Arguments", "Raises", "Attributes")
_OTHERS = ("Returns", "Return", "Yields", "Note", "Notes", "Example", "Examples", "Warning", "Warnings", "See Also")
_FIELD = re.compile(r":(?P<kind>param|parameter|arg|keyword|raises?|returns?|var|ivar)(?P<name>[^:`]*): *(?P<doc>.*)$")
_ADMONITION = re.compile(r'(?P<indent>\s*)(?:!!!|\?\?\?\+?) ?(?P<kind>\w+)(?: "(?P<title>[^"]*)")?\s*$')
_ROLE = re.compile(r":(?:[\w+-]+:)?[\w+-]+:`(?P<text>[^`]+)`")


@dataclass(frozen=True)
class Block:
    """A paragraph of prose, or code. `line` counts from the docstring's first line, which is 0."""

    kind: str
    """text, code, doctest or literal (an indented block after `::`, which may be anything)."""
    text: str
    line: int
    language: str = ""


def blocks(doc: str) -> list[Block]:
    """The blocks of a docstring whose indentation is removed. Nothing is left out but fences and directives."""
    lines = doc.split("\n")
    found: list[Block] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
        elif fence := _FENCE.match(line):
            end = _end_of_fence(lines, at, fence["marks"])
            info = re.split(r"[\s{,]", fence["info"].strip().lstrip("{. "))[0]
            found.append(Block("code", _dedented(lines[at + 1 : end]), at + 1, info.lower()))
            at = end + 1
        elif line.lstrip().startswith(">>>"):
            end = _end_of_paragraph(lines, at)
            found.append(Block("doctest", _dedented(lines[at:end]), at, "python"))
            at = end
        elif (directive := _DIRECTIVE.match(line)) and directive["name"] in _CODE:
            at, block = _indented_block(lines, at, "code", directive["rest"].strip().lower())
            found += [block] if block.text else []
        elif _HIDDEN.match(line):
            at, _ = _indented_block(lines, at, "hidden", "")
        else:
            end = _end_of_text(lines, at)
            text = "\n".join(lines[at:end])
            is_literal = text.rstrip().endswith("::") and not _DIRECTIVE.match(lines[end - 1])
            found.append(Block("text", _without_colon(text) if is_literal else text, at))
            at = end
            if is_literal:
                at, block = _indented_block(lines, end - 1, "literal", "")
                found += [block] if block.text else []
    return found


def _end_of_fence(lines: list[str], at: int, marks: str) -> int:
    closing = (number for number in range(at + 1, len(lines)) if lines[number].strip().startswith(marks))
    return next(closing, len(lines))


def _end_of_paragraph(lines: list[str], at: int) -> int:
    end = at
    while end < len(lines) and lines[end].strip():
        end += 1
    return end


def _end_of_text(lines: list[str], at: int) -> int:
    end = at + 1
    while end < len(lines) and lines[end].strip():
        directive = _DIRECTIVE.match(lines[end])
        is_code = directive is not None and directive["name"] in _CODE
        if is_code or _HIDDEN.match(lines[end]) or _FENCE.match(lines[end]) or lines[end].lstrip().startswith(">>>"):
            break
        end += 1
    return end


def _indented_block(lines: list[str], at: int, kind: str, language: str) -> tuple[int, Block]:
    """The block below a line that is indented more than it, without options such as `:linenos:`."""
    outer = _indent(lines[at])
    end = start = at + 1
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > outer):
        end += 1
    while start < end and (not lines[start].strip() or re.match(r"\s+:[\w-]+:", lines[start])):
        start += 1
    return end, Block(kind, _dedented(lines[start:end]), start, language)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _dedented(lines: list[str]) -> str:
    return textwrap.dedent("\n".join(lines)).strip("\n")


def _without_colon(text: str) -> str:
    kept = text.rstrip().removesuffix("::").rstrip()
    return f"{kept}:" if kept else ""


def markdown(found: list[Block]) -> str:
    """The blocks as Markdown: code is fenced, roles and fields are plain."""
    parts: list[str] = []
    for block in found:
        if block.kind == "text":
            parts += [prose(block.text)]
        else:
            language = "pycon" if block.kind == "doctest" else block.language
            parts.append(fenced(block.text, {"py": "python", "python3": "python"}.get(language, language)))
    return "\n\n".join(part for part in parts if part.strip())


def fenced(code: str, language: str) -> str:
    """Code in a fence that is longer than any in it."""
    longest = max((len(marks) for marks in re.findall(r"^\s*(`{3,})", code, re.MULTILINE)), default=2)
    marks = "`" * (longest + 1)
    return f"{marks}{language}\n{code}\n{marks}"


def prose(text: str) -> str:
    """A paragraph of a docstring as Markdown."""
    lines: list[str] = []
    for line in text.split("\n"):
        directive, admonition = _DIRECTIVE.match(line), _ADMONITION.match(line)
        section = _SECTION.match(line.strip())
        field = _FIELD.match(line.strip())
        if re.match(r"\s+:[\w-]+:(?:\s|$)", line) and lines and lines[-1].startswith(("**", "`")) and not field:
            continue  # an option of the directive
        if directive:
            lines.append(_directive(directive["name"], directive["rest"]))
        elif admonition:
            lines.append(f"**{admonition['title'] or admonition['kind'].capitalize()}:**")
        elif section and section["name"] in (*_LISTS, *_OTHERS):
            lines += ["", f"**{section['name']}:**", ""]
        elif field:
            name = field["name"].split()
            label = f"`{name[-1]}`: " if name else ""
            label = label if field["kind"].startswith(("param", "arg", "key", "var", "ivar")) else _label(field, label)
            lines.append(f"- {label}{field['doc']}")
        elif (entry := _ENTRY.match(line.strip())) and _indent(line) >= 2:
            kind = f" ({entry['type']})" if entry["type"] else ""
            lines.append(f"- `{entry['name']}`{kind}: {entry['doc']}")
        elif re.match(r"\s*([-*+]|\d+[.)]) ", line):
            lines.append(line.strip() if _indent(line) < 8 else line)
        else:
            is_continued = bool(lines) and lines[-1].startswith("- ") and _indent(line) >= 2
            lines.append(f"  {line.strip()}" if is_continued else line.strip())
    return re.sub(r"\n{3,}", "\n\n", inline("\n".join(lines))).strip("\n")


def _label(field: "re.Match[str]", name: str) -> str:
    return f"Raises {name}" if field["kind"].startswith("raise") else "Returns: "


def _directive(name: str, rest: str) -> str:
    if name in _VERSIONS:
        version, _, text = rest.partition(" ")
        return f"{_VERSIONS[name]} {version}{': ' if text else ''}{text}".rstrip()
    if name.rpartition(":")[2] in _OBJECTS:
        return f"`{rest.strip()}`:"
    return f"**{name.capitalize()}:** {rest}".rstrip()


def inline(text: str) -> str:
    """Inline markup of reStructuredText and of mkdocs as Markdown."""
    text = _ROLE.sub(lambda role: f"`{_of_role(role['text'])}`", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    text = re.sub(r"`([^`<]+?) *<(https?://[^>]+)>`__?", r"[\1](\2)", text)
    text = re.sub(r"\[([^\]\[]+)\]\[[\w.`:/-]*\]", r"\1", text)
    return re.sub(r"\[([^\]\[]+)\]\((?!https?://)[^)\s]*\)", r"\1", text)


def _of_role(text: str) -> str:
    shown = text.partition("<")[0].strip() if text.endswith(">") else text
    return shown.rpartition(".")[2] if shown.startswith("~") else shown.lstrip("!")


def summary(found: list[Block]) -> str:
    """The first sentence of the prose, on one line; "" if the docstring starts otherwise."""
    first = next((block for block in found if block.text.strip()), None)
    if first is None or first.kind != "text":
        return ""
    return first_sentence(inline(first.text))


def parameters(doc: str) -> dict[str, str]:
    """Descriptions of parameters by name: of Google's, NumPy's and Sphinx's style."""
    lines, found, at = doc.split("\n"), dict[str, str](), 0
    for name, text in _sphinx(lines):
        found.setdefault(name, text)
    while at < len(lines):
        title = lines[at].strip().rstrip(":")
        below = lines[at + 1] if at + 1 < len(lines) else ""
        if title in _LISTS and title not in ("Raises", "Attributes"):
            entries = _numpy(lines, at + 2) if re.fullmatch(r"\s*-{3,}\s*", below) else _google(lines, at)
            for name, text in entries:
                found.setdefault(name.lstrip("*"), text)
        at += 1
    return {name: inline(" ".join(text.split())) for name, text in found.items() if text.strip()}


def _sphinx(lines: list[str]) -> Iterator[tuple[str, str]]:
    for at, line in enumerate(lines):
        field = _FIELD.match(line.strip())
        if field and field["kind"] in ("param", "parameter", "arg", "keyword") and field["name"].strip():
            end = at + 1
            while end < len(lines) and lines[end].strip() and _indent(lines[end]) > _indent(line):
                end += 1
            yield field["name"].split()[-1].lstrip("*\\"), " ".join([field["doc"], *lines[at + 1 : end]])


def _google(lines: list[str], at: int) -> Iterator[tuple[str, str]]:
    outer, end = _indent(lines[at]), at + 1
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > outer):
        end += 1
    inner = min((_indent(line) for line in lines[at + 1 : end] if line.strip()), default=0)
    name, text = "", list[str]()
    for line in lines[at + 1 : end]:
        entry = _ENTRY.match(line.strip()) if _indent(line) == inner else None
        if entry:
            if name:
                yield name, " ".join(text)
            name, text = entry["name"], [entry["doc"]]
        elif name:
            text.append(line.strip())
    if name:
        yield name, " ".join(text)


def _numpy(lines: list[str], at: int) -> Iterator[tuple[str, str]]:
    outer = _indent(lines[at - 1])
    while at < len(lines) and lines[at].strip() and _indent(lines[at]) == outer:
        names = lines[at].partition(":")[0]
        end = at + 1
        while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > outer):
            end += 1
        for name in names.split(","):
            yield name.strip(), " ".join(lines[at + 1 : end])
        at = end


def script(text: str) -> str:
    """A doctest as a script: prompts are removed, outputs are comments. ValueError where it is no doctest."""
    lines: list[str] = []
    for example in doctest.DocTestParser().get_examples(text):
        lines.append(re.sub(r"\s*# ?doctest:.*$", "", example.source.rstrip("\n"), flags=re.MULTILINE))
        if example.exc_msg is not None:
            lines.append(f"# raises {example.exc_msg.strip().splitlines()[0]}")
        elif example.want.strip():
            lines += [f"# {line}".rstrip() for line in example.want.rstrip("\n").split("\n")]
    return "\n".join(lines)
