"""Read YAML that a stranger may have written: capped in size and depth, no tags, no aliases, no doubled keys.

Each value's line is remembered, so that an error can name it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from burnish.core.errors import AskError

MAX_BYTES, MAX_DEPTH = 1 << 20, 32
Where = tuple[str | int, ...]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Document:
    """A parsed file: its value, and the line (from 1) on which each dotted path stands."""

    value: Any
    name: str
    lines: dict[Where, int] = field(default_factory=dict[Where, int])

    def where(self, path: Where) -> str:
        """`file:line` of a path or of its nearest parent that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines[path]}" if path in self.lines else self.name


def read_yaml(path: Path) -> Document:
    """Parse a file. Errors name file, line and the fix."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AskError(
            "ask.recipe-unreadable", f"{path}: {error.strerror or error}", "check the path of the recipe"
        ) from error
    return parse_yaml(data, str(path))


def parse_yaml(data: bytes, name: str) -> Document:
    if len(data) > MAX_BYTES:
        raise _unreadable(
            name, f"{len(data):,} bytes is more than a recipe may have ({MAX_BYTES:,})", "make it smaller"
        )
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
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).splitlines()[0]
        raise _unreadable(
            place, f"not readable as YAML: {problem}", "mend the line; check indentation and quotes"
        ) from error
    except ValueError as error:  # a scalar that looks like a date or number and is none, such as 2024-13-45
        raise _unreadable(name, f"not readable as YAML: {error}", "put the value in quotes") from error
    finally:
        if loader is not None:
            loader.dispose()
    return document


def _check_shape(text: str, name: str) -> None:
    depth = 0
    parse: Any = vars(yaml)["parse"]  # untyped
    for event in parse(text, _Loader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise _unreadable(f"{name}:{line}", "aliases (*name) are not allowed", "write the value out")
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
            if not isinstance(key_node, yaml.ScalarNode):
                raise _unreadable(f"{document.name}:{line}", "a key is no plain word", "use plain words as keys")
            key = str(key_node.value)
            key_line = key_node.start_mark.line + 1
            if key in value:
                raise _unreadable(f"{document.name}:{key_line}", f"the key '{key}' stands twice", "remove one of them")
            document.lines[(*path, key)] = key_line
            value[key] = _construct(loader, child, (*path, key), document)
        return value
    if isinstance(node, yaml.SequenceNode):
        return [_construct(loader, child, (*path, index), document) for index, child in enumerate(node.value)]
    return loader.construct_object(node)


def _unreadable(place: str, what: str, fix: str) -> AskError:
    return AskError("ask.recipe-unreadable", f"{place}: {what}", fix)
