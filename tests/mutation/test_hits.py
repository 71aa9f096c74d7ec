"""Instrumented code does what the source does, and notes each statement that ran."""

import builtins

from mutation.hits import Instrumentation, Spans, instrumented
from mutation.hook import COUNTER
from mutation.scope import Source
from mutation.sites import mutations

TEXT = b'''"""A module."""

from __future__ import annotations

LIMIT = 3


def f(a, b=2):
    """A docstring."""
    if a > 1:
        x = a
    elif a == 1:
        x = b
    else:
        x = 0
    match x:
        case 0:
            x = -1
    try:
        y = 1 / x
    except ZeroDivisionError:
        y = 0
    return y


class A:
    size = 1

    def g(self):
        return [self.size for _ in range(2)]
'''


def ran(monkeypatch, call) -> set[str]:
    """The first lines of the statements that a call runs."""
    buffer = bytearray(100)
    monkeypatch.setattr(builtins, COUNTER, buffer, raising=False)
    space: dict = {}
    exec(instrumented(TEXT, "module.py", 10), space)
    assert {place for place, byte in enumerate(buffer) if byte} == {10}
    buffer[:] = bytes(100)
    call(space)
    spans = Spans.of(TEXT).spans
    return {TEXT[slice(*spans[n - 11])].decode().partition("\n")[0] for n, byte in enumerate(buffer) if byte}


def test_the_statements_that_ran_are_noted(monkeypatch):
    assert ran(monkeypatch, lambda space: space["f"](1)) == {
        "if a > 1:",
        "elif a == 1:",
        "x = b",
        "match x:",
        "try:",
        "y = 1 / x",
        "return y",
    }
    assert ran(monkeypatch, lambda space: space["A"]().g()) == {"return [self.size for _ in range(2)]"}


def test_a_mutation_belongs_to_the_innermost_statement_or_to_none_at_import():
    spans = Spans.of(TEXT)
    held = {m.text: spans.around(m) for m in mutations(TEXT) if m.old in (">", "1 / x", "/", "3", "2")}
    assert TEXT[slice(*spans.spans[held["if a > 1:"]])].startswith(b"if a > 1:")
    assert TEXT[slice(*spans.spans[held["y = 1 / x"]])] == b"y = 1 / x"
    assert held["LIMIT = 3"] is None
    assert held["def f(a, b=2):"] is None


def test_masks_are_by_file(tmp_path):
    files = []
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_bytes(TEXT)
        files.append(Source(name, tmp_path / name))
    instrumentation = Instrumentation(files, tmp_path / "map")
    count = len(Spans.of(TEXT).spans) + 1
    assert instrumentation.size == 2 * count
    assert instrumentation.by_file([0, 2, count + 1]) == {"a.py": "5", "b.py": "2"}
