"""Code that notes which of its statements ran: one byte of a shared buffer for each statement inside a function.

The buffer is a file that every process maps, so that statements run by a worker process, killed or not, count too.
"""

import ast
import hashlib
from dataclasses import dataclass
from pathlib import Path

from mutation.hook import COUNTER, write
from mutation.scope import Source
from mutation.sites import Mutation, statements


@dataclass(frozen=True)
class Spans:
    """The statements inside the functions of one file, by their place in the text."""

    spans: tuple[tuple[int, int], ...]
    identifiers: tuple[frozenset[str], ...]

    @staticmethod
    def of(source: bytes) -> "Spans":
        starts = [0]
        for line in source.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        spans, names = [], []
        for node in statements(ast.parse(source)):
            end = starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0)
            spans.append((starts[node.lineno - 1] + node.col_offset, end))
            names.append(frozenset(_identifiers(node)))
        return Spans(tuple(spans), tuple(names))

    def around(self, mutation: Mutation) -> int | None:
        """The innermost statement that holds the mutation; None where it runs when the module is imported."""
        holding = [i for i, (start, end) in enumerate(self.spans) if start <= mutation.start and mutation.end <= end]
        return holding[-1] if holding else None

    def within(self, start: int, end: int) -> list[int]:
        return [i for i, span in enumerate(self.spans) if start <= span[0] and span[1] <= end]


def _identifiers(node: ast.AST) -> set[str]:
    found = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Name):
            found.add(child.id)
        elif isinstance(child, ast.Attribute):
            found.add(child.attr)
    return found


def instrumented(source: bytes, path: str, base: int):
    """The file's code, with byte `base` for its import and the following ones for its statements."""
    tree = ast.parse(source)
    numbers = {id(node): base + 1 + place for place, node in enumerate(statements(tree))}
    for node in list(ast.walk(tree)):
        for name in ("body", "orelse", "finalbody"):
            children = getattr(node, name, None)
            if isinstance(children, list) and any(id(child) in numbers for child in children):
                setattr(node, name, [new for child in children for new in _marked(child, numbers.get(id(child)))])
    place = 0
    while place < len(tree.body) and (_is_docstring(tree.body[place]) or _is_future(tree.body[place])):
        place += 1
    tree.body[place:place] = _marker(base, tree.body[min(place, len(tree.body) - 1)])
    return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


def _marked(node: ast.stmt, number: int | None) -> list[ast.stmt]:
    return [node] if number is None else [*_marker(number, node), node]


def _marker(number: int, beside: ast.stmt) -> list[ast.stmt]:
    marker = ast.parse(f"{COUNTER}[{number}] = 1").body[0]
    for node in ast.walk(marker):
        ast.copy_location(node, beside)
    return [marker]


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


class Instrumentation:
    """The instrumented code of the whole package, in a folder, and the names of its bytes."""

    def __init__(self, files: list[Source], folder: Path, package: str = "burnish"):
        self.bases: dict[str, int] = {}
        self.shas: dict[str, str] = {}
        self.size = 0
        codes = {}
        for source in files:
            text = source.read()
            self.bases[source.name] = self.size
            self.shas[source.name] = hashlib.sha256(text).hexdigest()[:24]
            codes[str(source.path)] = instrumented(text, str(source.path), self.size)
            self.size += 1 + len(Spans.of(text).spans)
        self._codes, self._package = codes, package
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def plan(self, name: str) -> Path:
        """A file for the hook, with a buffer of its own."""
        hits = self._folder / f"{name}.hits"
        hits.write_bytes(bytes(self.size))
        path = self._folder / f"{name}.plan"
        return write(path, self._codes, hits, self._package)

    def by_file(self, numbers: list[int]) -> dict[str, str]:
        """What ran, as a hexadecimal bit mask for each file; bit 0 is its import."""
        masks: dict[str, int] = {}
        names = list(self.bases)
        limits = [*list(self.bases.values())[1:], self.size]
        at = 0
        for number in numbers:
            while number >= limits[at]:
                at += 1
            masks[names[at]] = masks.get(names[at], 0) | 1 << (number - self.bases[names[at]])
        return {name: f"{mask:x}" for name, mask in masks.items()}
