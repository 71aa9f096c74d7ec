"""The file `.env` of a workspace, read as docker compose reads it."""

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
_ESCAPES = {r"\n": "\n", r"\r": "\r", r"\t": "\t", r"\"": '"', r"\\": "\\"}


def read_env_file(path: Path, environment: Mapping[str, str]) -> dict[str, str | None]:
    """The variables of a file; none if there is no file. `$NAME` is one of `environment`, or of a line above.

    None: a value that burnish cannot read, such as `${NAME:?text}`.
    """
    found: dict[str, str | None] = {}
    if not path.is_file():
        return found
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    for line in _LINE.finditer(text):
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
