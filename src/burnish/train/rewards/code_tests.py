"""The tests of a row for the code of an answer: asserts, or inputs with their expected outputs."""

import ast
import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from burnish.core.errors import DataError
from burnish.train.rewards.calls import UncallableError, with_calls
from burnish.train.rewards.sandbox.statements import tests_in

_FORMS = 'asserts (a text or a list of texts), [{"input", "output"}], or {"inputs": […], "outputs": […]}'


@dataclass(frozen=True)
class Asserts:
    """Texts with asserts, and the number of tests in each."""

    texts: Sequence[str]
    counts: Sequence[int]
    setup: str


@dataclass(frozen=True)
class Programs:
    """Pairs of input and expected output."""

    pairs: Sequence[tuple[str, str]]


def row_tests(value: Any, setup: Any, entry_point: Any, place: str) -> Asserts | Programs:
    """The tests in a column.

    The tests of a text are its statements that run an assert (`tests_in`). Functions `test…` are called as by pytest,
    and `check(candidate)` as by HumanEval, with the entry point, unless the text calls them.
    Errors: DataError `data.unknown-format` for another form, for tests that cannot be called (`with_calls`), and for
    texts that run no assert.
    """
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        with suppress(ValueError):  # Python code may start with a bracket too
            value = json.loads(value)
    if isinstance(value, Mapping):
        return Programs(_columns(value, place))
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        return Programs([_pair(item, place) for item in value])
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise _unknown(f"the tests are {_shown(value)}", place)
    if setup is not None and not isinstance(setup, str):
        setup = "\n".join(setup) if _is_texts(setup) else None
        if setup is None:
            raise _unknown("the setup is neither a text nor a list of texts", place)
    _parsed(setup or "", "setup", place)
    texts = [_called(text, entry_point, place) for text in texts]
    return Asserts(texts, [_count(text, place) for text in texts], setup or "")


def _columns(value: Mapping[str, Any], place: str) -> list[tuple[str, str]]:
    inputs, outputs = value.get("inputs", value.get("input")), value.get("outputs", value.get("output"))
    if "fn_name" in value:
        raise _unknown("tests with `fn_name` call a function", place)
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs) or not inputs:
        raise _unknown("inputs and outputs are not two lists of the same length", place)
    return [_pair({"input": one, "output": other}, place) for one, other in zip(inputs, outputs, strict=True)]


def _pair(item: Mapping[str, Any], place: str) -> tuple[str, str]:
    given, wanted = item.get("input", item.get("stdin")), item.get("output", item.get("expected_output"))
    if item.get("testtype", "stdin") != "stdin":
        raise _unknown(f"a test has the type {item['testtype']!r}", place)
    texts = [
        part if isinstance(part, str) else "\n".join(part) if _is_texts(part) else None for part in (given, wanted)
    ]
    if texts[0] is None or texts[1] is None:
        raise _unknown("a test lacks input or output as text", place)
    return texts[0], texts[1]


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(line, str) for line in value)


def _called(text: str, entry_point: Any, place: str) -> str:
    """The text with the calls that it leaves to others (`with_calls`)."""
    try:
        return with_calls(text, _parsed(text, "tests", place), entry_point)
    except UncallableError as problem:
        raise _unknown(str(problem), place) from None


def _count(text: str, place: str) -> int:
    count = len(tests_in(_parsed(text, "tests", place)))
    if not count:
        raise _unknown("the tests have no assert, or nothing calls it", place)
    return count


def _parsed(text: str, what: str, place: str) -> ast.Module:
    try:
        with warnings.catch_warnings():  # such as for the escape in "\\d"
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _unknown(f"the {what} are not Python: {error}", place) from None


def _unknown(what: str, place: str) -> DataError:
    return DataError("data.unknown-format", f"reward code: {what}", f"give {_FORMS}", place=place)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
