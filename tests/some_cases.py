"""The mark `some`: of the cases of a long test, `make test` runs some and `make torture` the others.

`@pytest.mark.some` keeps as few as meet each value of each parameter. `@pytest.mark.some(every=3)` keeps each third. In
which order cases are kept or left is drawn from their names, so that no combination is left out by its place.
"""

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import pytest


def leave_to_torture(items: Iterable[pytest.Item]) -> None:
    """Mark the cases with `torture` that `make test` leaves out."""
    tests: dict[Any, list[pytest.Function]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and _is_some(item):
            tests.setdefault((item.parent, item.originalname), []).append(item)
    for cases in tests.values():
        mark = cases[0].get_closest_marker("some")
        assert mark is not None
        kept = set(some_of([(case.name, case.callspec._idlist) for case in cases], mark.kwargs.get("every")))
        for case in cases:
            if case.name not in kept:
                case.add_marker("torture")


def _is_some(case: pytest.Function) -> bool:
    """Whether it is one of several, and not left to `make torture` by its own parameters."""
    is_left = case.get_closest_marker("torture") is not None
    return case.get_closest_marker("some") is not None and hasattr(case, "callspec") and not is_left


def some_of(cases: Sequence[tuple[str, Sequence[str]]], every: int | None) -> list[str]:
    """The names of the cases that are kept, of (name, id of the values of each `parametrize`)."""
    drawn = sorted(cases, key=lambda case: zlib.crc32(case[0].encode()))
    if every is not None:
        return [name for name, _ in drawn[::every]]
    kept, met = list[str](), set[tuple[int, str]]()
    for name, values in drawn:
        if not met.issuperset(enumerate(values)):
            kept.append(name)
            met.update(enumerate(values))
    return kept
