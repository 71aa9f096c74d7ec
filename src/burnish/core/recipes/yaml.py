"""Parse untrusted YAML: limited in size, depth and number of values, without tags, aliases or duplicate keys.

Plain scalars follow YAML 1.2: `1e-4` is a number; `no`, `1:30` and `2024-01-01` are strings.
The line of each value is recorded for error messages.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from burnish.core.errors import AskError

MAX_BYTES, MAX_DEPTH, MAX_VALUES, MAX_DIGITS = 1 << 18, 32, 10_000, 100
Where = tuple[str | int, ...]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_OF_ESCAPES = ("unknown escape", "hexdecimal", "hexadecimal")
"""Parts of messages on what follows a backslash in double quotes; libyaml spells one of them so."""
_WHOLE = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_DOTTED = re.compile(r"\.(?=[iInN])")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass
class Document:
    """A parsed file: its value, and the line (from 1) of each dotted path."""

    value: Any
    name: str
    lines: dict[Where, int] = field(default_factory=dict[Where, int])

    def where(self, path: Where) -> str:
        """`file:line` of a path or of its nearest parent in the file; the name alone without line numbers."""
        line = self.lines.get(path[: self.depth_of(path)], 0)
        return f"{self.name}:{line}" if line else self.name

    def depth_of(self, path: Where) -> int:
        """How many leading parts of a path this file contains."""
        return next((depth for depth in range(len(path), 0, -1) if path[:depth] in self.lines), 0)

    def below(self, *parents: str) -> "Document":
        """The same document nested below `parents`."""
        return Document(self.value, self.name, {(*parents, *path): line for path, line in self.lines.items()})


def place_of(path: Where, documents: Sequence[Document]) -> str:
    """The place of a path: in the last document that contains the most of it; "" without documents."""
    if not documents:
        return ""
    best = max(reversed(documents), key=lambda document: document.depth_of(path))
    return (best if best.depth_of(path) else documents[0]).where(path)


def at(place: str, what: str) -> str:
    """Prefix a message with its place, if known."""
    return f"{place}: {what}" if place else what


def read_yaml(path: Path) -> Document:
    """Parse a file. Errors name the file, the line and the fix."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise AskError(
            "ask.recipe-unreadable", f"{path}: {error.strerror or error}", "check the path of the recipe"
        ) from error
    return parse_yaml(data, str(path))


def parse_yaml(data: bytes, name: str) -> Document:
    if len(data) > MAX_BYTES:
        raise _unreadable(name, f"larger than {MAX_BYTES:,} bytes", "move rows into data files")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unreadable(f"{name}:{line}", "not UTF-8", "save the file as UTF-8") from error
    document = Document(None, name)
    loader = None
    try:
        _check_shape(text, name)
        loader = _Loader(text)
        node = loader.get_single_node()
        document.value = None if node is None else _construct(loader, node, (), document)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{name}:{mark.line + 1}" if mark else name
        problem = getattr(error, "problem", None) or getattr(error, "reason", "")  # of a character, only a reason
        fix = "fix the line; check indentation and quotes"
        if any(word in problem for word in _OF_ESCAPES):
            fix = (
                "a backslash in double quotes is an escape: write a path of Windows without quotes, or in single quotes"
            )
        raise _unreadable(place, f"invalid YAML: {problem}", fix) from error
    finally:
        if loader is not None:
            loader.dispose()
    return document


def _check_shape(text: str, name: str) -> None:
    depth = count = 0
    parse: Any = vars(yaml)["parse"]  # untyped
    for event in parse(text, _Loader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise _unreadable(f"{name}:{line}", "aliases (*name) are not allowed", "repeat the value")
        if isinstance(event, yaml.NodeEvent):
            count += 1
            if count > MAX_VALUES:
                raise _unreadable(f"{name}:{line}", f"more than {MAX_VALUES:,} values", "make it smaller")
            if getattr(event, "tag", None) is not None:
                raise _unreadable(f"{name}:{line}", "tags (!name) are not allowed", "write the plain value")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _unreadable(f"{name}:{line}", f"nested deeper than {MAX_DEPTH} levels", "flatten it")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _construct(loader: Any, node: Any, path: Where, document: Document) -> Any:
    line = node.start_mark.line + 1
    document.lines.setdefault(path, line)
    if isinstance(node, yaml.MappingNode):
        value: dict[Any, Any] = {}
        for key_node, child in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise _unreadable(f"{document.name}:{key_line}", "a key is not a string", "use strings as keys")
            key = str(key_node.value)
            if key in value:
                raise _unreadable(f"{document.name}:{key_line}", f"duplicate key '{key}'", "remove one of them")
            document.lines[(*path, key)] = key_line
            value[key] = _construct(loader, child, (*path, key), document)
        return value
    if isinstance(node, yaml.SequenceNode):
        return [_construct(loader, child, (*path, index), document) for index, child in enumerate(node.value)]
    return node.value if node.style in ("'", '"', "|", ">") else _plain_scalar(node.value, f"{document.name}:{line}")


def _plain_scalar(text: str, place: str) -> Any:
    """The value of a plain scalar in the YAML 1.2 core schema."""
    if text in _WORDS:
        return _WORDS[text]
    is_whole = _WHOLE.fullmatch(text) or _BASED.fullmatch(text)
    if not is_whole and not _FLOAT.fullmatch(text):
        return text
    if len(text) > MAX_DIGITS:
        raise _unreadable(place, f"a number of more than {MAX_DIGITS} digits", "quote it if it is a string")
    if is_whole:
        return int(text, 0 if _BASED.fullmatch(text) else 10)
    return float(_DOTTED.sub("", text))


def _unreadable(place: str, what: str, fix: str) -> AskError:
    return AskError("ask.recipe-unreadable", f"{place}: {what}", fix)
