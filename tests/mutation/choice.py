"""Which mutants are tried, and which tests run for each."""

import ast
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mutation.coverage import Coverage
from mutation.hits import Spans
from mutation.scope import ROOT, Source
from mutation.sites import Mutation, is_another_program, mutations

SECONDS, COUNT = 20.0, 200
"""The tests of one mutant: as many as usually take SECONDS, at most COUNT."""


@dataclass(frozen=True)
class Mutant:
    """A mutation of a file of the package."""

    source: Source
    mutation: Mutation

    @property
    def name(self) -> str:
        return f"{self.source.name}:{self.mutation.line}"

    @property
    def identity(self) -> tuple[str, str, str, str, str]:
        """What stays the same when lines move."""
        m = self.mutation
        return (self.source.name, m.function, m.text, m.old, m.new)


def all_mutants(files: list[Source]) -> list[Mutant]:
    return [Mutant(source, mutation) for source in files for mutation in mutations(source.read())]


def sampled(mutants: list[Mutant], size: int, seed: int) -> list[Mutant]:
    """A sample stratified by room, in proportion to the mutants of each but at least a twelfth of it for any room."""
    rooms: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        rooms.setdefault(mutant.source.room, []).append(mutant)
    chosen = []
    for room, those in rooms.items():
        share = max(size * len(those) / len(mutants), size / 12 if len(rooms) > 1 else 0)
        order = those[:]
        random.Random(f"{seed} {room}").shuffle(order)
        valid = (m for m in order if is_another_program(m.source.read(), m.mutation))
        chosen += [mutant for mutant, _ in zip(valid, range(round(share)), strict=False)]
    random.Random(seed).shuffle(chosen)
    return chosen


class Chooser:
    """Finds the tests of a mutant in the coverage."""

    def __init__(self, coverage: Coverage, files: list[Source], seconds: float = SECONDS):
        self._coverage, self._allowed = coverage, seconds
        self._spans = {source.name: Spans.of(source.read()) for source in files}
        self._by_file: dict[str, list[str]] = {}
        self._with_name: dict[str, list[str]] = {}
        for test in coverage.seconds:
            self._by_file.setdefault(test.partition("::")[0], []).append(test)
        paths = {file: ROOT / file for file in self._by_file}
        self._texts = {file: path.read_text(encoding="utf-8") for file, path in paths.items() if path.exists()}

    def covering(self, mutant: Mutant) -> set[str]:
        """The tests that run the mutated statement.

        A statement that runs at import has those that run a statement with the name it defines (a default: those that
        run its function), in its own file, else in any, and those of test files with that name; else those that run
        anything of its file.
        """
        name, spans = mutant.source.name, self._spans[mutant.source.name]
        statement = spans.around(mutant.mutation)
        if statement is not None:
            return self._coverage.tests_of(name, [statement])
        for tests in self._at_import(mutant):
            if tests:
                return tests
        return set()

    def _at_import(self, mutant: Mutant) -> Iterator[set[str]]:
        name, spans = mutant.source.name, self._spans[mutant.source.name]
        start, end, defined = definition(mutant.source.read(), mutant.mutation.start)
        yield self._coverage.tests_of(name, spans.within(start, end))
        named = self._in_tests(defined)
        if here := self._coverage.tests_of(name, _naming(spans, defined)):
            yield here | named
        elsewhere = set()
        for other, those in self._spans.items():
            elsewhere |= self._coverage.tests_of(other, _naming(those, defined))
        yield elsewhere & set(self._coverage.ran.get(name, {})) | named
        yield self._coverage.tests_of(name, list(range(len(spans.spans))))

    def _in_tests(self, names: set[str]) -> set[str]:
        """The tests of files in which one of these names is a word."""
        return {test for name in names for file in self._files_with(name) for test in self._by_file[file]}

    def _files_with(self, name: str) -> list[str]:
        if name in self._with_name:
            return self._with_name[name]
        pattern = re.compile(rf"\b{re.escape(name)}\b")
        self._with_name[name] = [file for file, text in self._texts.items() if pattern.search(text)]
        return self._with_name[name]

    def tests(self, mutant: Mutant) -> tuple[dict[str, float], int]:
        """The tests to run with their usual seconds, in order, and how many more run the statement."""
        seconds = self._coverage.seconds
        found = self.covering(mutant)
        functions: dict[str, list[str]] = {}
        for test in sorted(found, key=lambda test: (seconds[test], test)):
            functions.setdefault(test.partition("[")[0], []).append(test)
        naming = self._naming_files(mutant)
        near = sorted(
            functions, key=lambda name: (_distance(name, mutant.source.name, naming), seconds[functions[name][0]])
        )
        picked: list[str] = []
        total = 0.0
        for turn in range(max((len(tests) for tests in functions.values()), default=0)):
            for name in near:
                if turn < len(functions[name]) and len(picked) < COUNT:
                    test = functions[name][turn]
                    if not picked or total + seconds[test] <= self._allowed:
                        picked.append(test)
                        total += seconds[test]
        files = list(dict.fromkeys(test.partition("::")[0] for test in picked))
        picked.sort(key=lambda test: files.index(test.partition("::")[0]))
        return {test: seconds[test] for test in picked}, len(found) - len(picked)

    def _naming_files(self, mutant: Mutant) -> set[str]:
        """The test files with the name that the mutant defines at import."""
        if self._spans[mutant.source.name].around(mutant.mutation) is not None:
            return set()
        _, _, defined = definition(mutant.source.read(), mutant.mutation.start)
        return {file for name in defined for file in self._files_with(name)}


def _distance(test: str, source: str, naming: set[str]) -> int:
    """0 for the test file of that name and those that name what is changed, 1 for its room, 2 for others."""
    file = test.partition("::")[0]
    if file in naming or file.endswith(f"/test_{source.rpartition('/')[2].removesuffix('.py')}.py"):
        return 0
    return 1 if file.split("/")[1] == source.partition("/")[0] else 2


def _naming(spans: Spans, names: set[str]) -> list[int]:
    return [place for place, identifiers in enumerate(spans.identifiers) if identifiers & names]


def definition(source: bytes, at: int) -> tuple[int, int, set[str]]:
    """The innermost definition, or statement of a module or class, around a place: its span and the names it gives."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found: tuple[int, int, set[str]] = (0, 0, set())
    body: list[ast.stmt] = ast.parse(source).body
    while body:
        inner: list[ast.stmt] = []
        for node in body:
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0)
            if start <= at < end:
                if isinstance(node, ast.ClassDef | ast.If | ast.Try | ast.With | ast.For):
                    inner = node.body
                    if isinstance(node, ast.ClassDef):
                        found = (start, end, {node.name})
                elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    found = (start, end, set())
                else:
                    stored = (n for n in ast.walk(node) if isinstance(getattr(n, "ctx", None), ast.Store))
                    found = (start, end, {getattr(n, "id", "") or getattr(n, "attr", "") for n in stored})
        body = inner
    return found
