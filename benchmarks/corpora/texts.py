"""Plain texts of what lies on a machine: man pages, HTML and text documentation, docstrings, source code."""

import ast
import gzip
import html
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LARGEST = 8_000_000
CODE = (".py", ".c", ".h", ".sh", ".rs", ".js", ".go", ".pl")
PROSE = (".html", ".htm", ".txt", ".md", ".rst", ".u8")
_MANUAL = re.compile(r"/man\d/[^/]+\.\d\w*(\.gz)?$")
_LANGUAGE = re.compile(r"(?:/man/|/help/|/FAQ/|/html/[a-z-]+/|-|\.|/)([a-z]{2})(?:[_-](?:[A-Z]{2}|cn|tw|br))?(?=[/.])")
_LANGUAGES = frozenset(
    (
        *("cs", "da", "de", "el", "es", "fi", "fr", "hr", "hu", "id", "it", "ja", "ko"),
        *("nb", "nl", "pl", "pt", "ro", "ru", "sl", "sr", "sv", "tr", "uk", "vi", "zh"),
    )
)
_INVISIBLE = re.compile(r"<(script|style|head|nav|svg|button)\b.*?</\1\s*>|<!--.*?-->", re.S | re.I)
_BLOCK = re.compile(r"</?(?:p|div|h\d|li|ul|ol|tr|table|pre|dd|dt|dl|br|section|article|blockquote)\b[^>]*>", re.I)
_TAG = re.compile(r"<[^>]+>")


@dataclass(frozen=True)
class Text:
    path: str
    kind: str
    """manual | page | plain | docstring | code"""
    language: str
    """ISO 639-1, as the path says; `en` where it says nothing; `code` for source code."""
    text: str


def files(folders: Sequence[Path]) -> list[str]:
    """Paths of every file in the folders that `read` may give a text of, sorted within each folder."""
    found: list[str] = []
    for folder in folders:
        here = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]
        found += sorted(path for path in here if kind_of(path))
    return found


def read(path: str) -> Text | None:
    """The text of one file; None for a link, and for a file that is too large, not UTF-8, or without text."""
    kind = kind_of(path)
    try:
        if not kind or os.path.islink(path) or os.path.getsize(path) > LARGEST:
            return None
        data = Path(path).read_bytes()
        text = (gzip.decompress(data) if path.endswith(".gz") else data).decode("utf-8").replace("\r", "")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        return None
    if "\0" in text:
        return None
    text = _tidy({"manual": manual, "page": page}.get(kind, str)(text)) if kind != "code" else text
    return Text(path, kind, "code" if kind == "code" else language_of(path), text) if len(text) > 200 else None


def docstrings(path: str) -> Iterator[Text]:
    """The docstrings of a module, its classes and functions, each of 200 characters or more."""
    try:
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            said = ast.get_docstring(node)
            if said and len(said) >= 200:
                yield Text(path, "docstring", "en", said)


def manual(roff: str) -> str:
    """The text of a man page, near what `man` shows: macros and fonts are gone, paragraphs are apart."""
    lines: list[str] = []
    in_macro = False
    for line in roff.split("\n"):
        if in_macro or line.startswith((".de", ".ig")):
            in_macro = line.rstrip() != ".."
            continue
        if line.startswith((".", "'")):
            name, _, rest = line[1:].lstrip().partition(" ")
            if name in ("SH", "SS", "Sh", "Ss"):
                lines += ["", rest.strip('" ')]
            elif name in ("PP", "P", "LP", "TP", "IP", "HP", "Pp", "sp", "It", "br", "TQ"):
                lines += ["", rest.split(" ")[0].strip('"') if name in ("IP", "It") else ""]
            elif name in ("B", "I", "SM", "BI", "IB", "BR", "RB", "IR", "RI", "SB", "Nm", "Fl", "Ar", "Nd"):
                lines.append(rest.replace('"', "") if name in "BISM" else rest.replace('"', "").replace(" ", ""))
        elif line.strip() != "..":
            lines.append(line)
    text = "\n".join(lines)
    for pattern, by in ((r"\\f(\[[^]]*\]|\(..|.)", ""), (r"\\(aq|\(aq|\*\(Aq)", "'"), (r"\\\(em|\\\(en", "–")):
        text = re.sub(pattern, by, text)
    text = re.sub(r"\\s[+-]?\d+|\\[&%|^,/c:]|\\m\[[^]]*\]|\\\*?\[[^]]*\]|\\\*?\(..", "", text)
    return re.sub(r"\\(.)", r"\1", text)


def page(markup: str) -> str:
    """The text of an HTML page without scripts, styles and `<nav>`; blocks are apart."""
    return html.unescape(_TAG.sub("", _BLOCK.sub("\n\n", _INVISIBLE.sub(" ", markup))))


def pieces(text: str, lengths: Iterator[int]) -> Iterator[str]:
    """The text in pieces of whole paragraphs, each about as long as the next of `lengths` (characters)."""
    held: list[str] = []
    size, target = 0, next(lengths)
    for paragraph in text.split("\n\n"):
        held.append(paragraph)
        size += len(paragraph) + 2
        if size >= target:
            yield "\n\n".join(held)
            held, size, target = [], 0, next(lengths)
    if size:
        yield "\n\n".join(held)


def kind_of(path: str) -> str:
    """The kind of text that a file of this name has, "" if none."""
    if _MANUAL.search(path):
        return "manual"
    plain = path.removesuffix(".gz")
    if plain.endswith((".html", ".htm")):
        return "page"
    if plain.endswith(PROSE) or path.endswith("/METADATA"):
        return "plain"
    return "code" if plain.endswith(CODE) else ""


def language_of(path: str) -> str:
    """ISO 639-1 as the folders or the end of the name say, `en` where they say nothing."""
    named = [found for found in _LANGUAGE.findall(path) if found in _LANGUAGES]
    return named[-1] if named else "en"


def _tidy(text: str) -> str:
    text = "\n".join(re.sub(r"[ \t\xa0]+", " ", line).strip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip()
