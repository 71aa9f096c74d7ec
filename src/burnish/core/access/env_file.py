"""The file `.env` of a workspace: read as docker compose reads it, and rewritten with all that it does not change."""

import re
from collections.abc import Mapping
from pathlib import Path

_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w.-]*)[ \t]*[=:][ \t]*
    (?: '(?P<literal>[^']*)' | "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<plain>[^\r\n]*?) )
    [ \t]*(?:[ \t]\#[^\r\n]*)?\r?$""",
    re.MULTILINE | re.VERBOSE,
)
_VARIABLE = re.compile(r"\\\$|\$(?P<name>\w+)|\$\{(?P<braced>\w+)(?:(?P<sign>:?-)(?P<default>[^${}]*))?\}")
_PLAIN = re.compile(r"[\w./:@%+,=~-]+", re.ASCII)
"""A value that shells, compose and python-dotenv read alike without quotes."""
_ESCAPES = {r"\n": "\n", r"\r": "\r", r"\t": "\t", r"\"": '"', r"\\": "\\"}


def read_env_file(path: Path, environment: Mapping[str, str]) -> dict[str, str | None]:
    """The variables of a file; none if there is no file. `$NAME` is one of `environment`, or of a line above.

    None: a value that burnish cannot read, such as `${NAME:?text}`.
    """
    if not path.is_file():
        return {}
    return variables_of(path.read_text(encoding="utf-8-sig", errors="replace"), environment)


def variables_of(text: str, environment: Mapping[str, str]) -> dict[str, str | None]:
    """The variables of a file's text, as `read_env_file` gives them."""
    found: dict[str, str | None] = {}
    for line in _LINE.finditer(text.removeprefix("\ufeff")):
        literal, quoted, plain = line["literal"], line["quoted"], line["plain"]
        known = {**found, **environment}
        if literal is not None:
            found[line["name"]] = literal
        elif quoted is not None:
            value = _expanded(quoted, known)
            escaped = None if value is None else re.sub(r"\\.", lambda one: _ESCAPES.get(one[0], one[0]), value)
            found[line["name"]] = escaped
        else:
            found[line["name"]] = _expanded(plain, known)
    return found


def _expanded(text: str, known: Mapping[str, str | None]) -> str | None:
    """A value with its variables; None if there is another `$` in it, or a variable that cannot be read."""
    if "$" in _VARIABLE.sub("", text):
        return None
    parts: list[str] = []
    end = 0
    for one in _VARIABLE.finditer(text):
        value = "$" if one[0] == r"\$" else known.get(one["name"] or one["braced"], one["default"] or "")
        if value is None:
            return None
        if not value and one["sign"] == ":-":
            value = one["default"]
        parts += [text[end : one.start()], value]
        end = one.end()
    return "".join([*parts, text[end:]])


def with_variables(text: str, changes: Mapping[str, str | None]) -> str:
    """The text of a file with variables set, or removed where None. All other lines stay as they are.

    A variable that is there keeps its place, its quotes where they can hold the value, and the comment behind it; of
    several lines with its name the last one stays, which is the one that counts. A new one follows its commented-out
    line, such as `#HF_TOKEN=`, else the last line. Values hold no line breaks.
    """
    for name, value in changes.items():
        text = _with_variable(text, name, value)
    return text


def _with_variable(text: str, name: str, value: str | None) -> str:
    start = "\ufeff" if text.startswith("\ufeff") else ""
    text = text.removeprefix("\ufeff")
    lines = [line for line in _LINE.finditer(text) if line["name"] == name]
    kept = lines[-1] if lines and value is not None else None
    for line in reversed(lines):
        if line is kept and value is not None:
            text = f"{text[: line.start()]}{_rewritten(line, value)}{text[line.end() :]}"
        else:
            text = text[: line.start()] + text[_next_line(text, line.end()) :]
    if value is not None and kept is None:
        text = _added(text, f"{name}={_quoted(value)}")
    return start + text


def _rewritten(line: "re.Match[str]", value: str) -> str:
    """A line with another value, in its quotes where they can hold it."""
    group = next(name for name in ("literal", "quoted", "plain") if line[name] is not None)
    begin, end = line.start(group) - line.start(), line.end(group) - line.start()
    if group != "plain":
        begin, end = begin - 1, end + 1
    return line[0][:begin] + _quoted(value, group) + line[0][end:]


def _quoted(value: str, form: str = "plain") -> str:
    """A value as it is written: plain, else 'literal', else "quoted" with escapes."""
    if form == "plain" and _PLAIN.fullmatch(value):
        return value
    if form != "quoted" and "'" not in value and "\\" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("$", r"\$")
    return f'"{escaped}"'


def _added(text: str, line: str) -> str:
    """A text with a further line, in the form of its line ends."""
    end = "\r\n" if "\r\n" in text else "\n"
    name = line.partition("=")[0]
    if (example := re.search(rf"^#[ \t]*{re.escape(name)}[ \t]*=[^\r\n]*", text, re.MULTILINE)) is not None:
        return f"{text[: example.end()]}{end}{line}{text[example.end() :]}"
    return f"{text}{'' if not text or text.endswith(end) else end}{line}{end}"


def _next_line(text: str, place: int) -> int:
    """The start of the line after a place."""
    found = text.find("\n", place)
    return len(text) if found < 0 else found + 1
