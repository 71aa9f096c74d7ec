"""The calls that a text of tests leaves to whoever runs it: pytest, HumanEval, or Python's `__main__`."""

import ast
from collections.abc import Iterator
from typing import Any

from burnish.train.rewards.sandbox.statements import Called, checking, functions_of, is_lazy


class UncallableError(ValueError):
    """Tests that cannot be called; the message names them."""


def with_calls(text: str, tree: ast.Module, entry_point: Any) -> str:
    """A text with calls of its functions `test…` and `check` that it does not call, and with what `__main__` runs.

    `tree` is the text's syntax.
    Errors: UncallableError for tests with arguments or decorators, coroutines, generators and classes of tests, and
    for `check(candidate)` without an entry point.
    """
    body = [inner for node in tree.body for inner in _unguarded(node)]
    if body != tree.body:
        tree = ast.Module(body, [])
        try:
            text = ast.unparse(tree)
        except RecursionError:
            raise UncallableError("an expression beside `if __name__ == '__main__'` is nested too deeply") from None
    called, checks = set(_called(tree)), checking(tree)
    calls = list[str]()
    for node in body:
        if isinstance(node, ast.ClassDef):
            _refuse_methods(node, called)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name not in called:
            if node.name.startswith("test"):
                calls.append(_call_of_test(node))
            elif node.name == "check" and "check" in checks.now:
                calls.append(_call_of_check(node, entry_point))
    return "\n".join([text, "", *dict.fromkeys(calls), ""]) if calls else text  # the last of equal names runs


def _called(tree: ast.Module) -> Iterator[str]:
    """The functions and classes that the text calls itself: from the top level, or from functions that are called."""
    bodies = functions_of(tree)
    waiting: list[list[ast.stmt]] = [tree.body]
    known = set[str]()
    while waiting:
        nodes = waiting.pop()
        for name, function in [*bodies, *((node.name, None) for node in tree.body if isinstance(node, ast.ClassDef))]:
            later = function is not None and is_lazy(function)
            one = Called(set() if later else {name}, {name} if later else set())
            if name not in known and any(one.runs(node) for node in nodes):
                known.add(name)
                yield name
                waiting += [body.body for other, body in bodies if other == name]


def _unguarded(node: ast.stmt) -> list[ast.stmt]:
    """A statement; of `if __name__ == "__main__"` the statements in it."""
    match node:
        case ast.If(
            test=ast.Compare(
                left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]
            ),
            body=body,
        ):
            return body
        case _:
            return [node]


def _call_of_test(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    needed = ", ".join(_required(node))
    for why, holds in (
        ("has a decorator", node.decorator_list),
        (f"has arguments: {needed}", needed),
        ("is a coroutine", isinstance(node, ast.AsyncFunctionDef)),
        ("is a generator", is_lazy(node)),
    ):
        if holds:
            raise UncallableError(f"the test '{node.name}' {why}; only functions without are called")
    return f"{node.name}()"


def _call_of_check(node: ast.FunctionDef | ast.AsyncFunctionDef, entry_point: Any) -> str:
    if len(_required(node)) != 1:
        raise UncallableError(f"check takes {len(_required(node))} arguments, and nothing calls it")
    if not isinstance(entry_point, str) or not entry_point.isidentifier():
        raise UncallableError("the tests define check(candidate), and the row has no `entry_point`")
    return f"check({entry_point})"


def _required(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The arguments without a default."""
    given = node.args
    places = [*given.posonlyargs, *given.args]
    named = [one for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is None]
    return [one.arg for one in [*places[: len(places) - len(given.defaults)], *named]]


def _refuse_methods(node: ast.ClassDef, called: set[str]) -> None:
    parts = [part for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
    if any(part.name.startswith("test") and part.name not in called for part in parts):
        raise UncallableError(f"the tests of the class '{node.name}' are not called; only functions are")
