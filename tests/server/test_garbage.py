"""Collections of garbage are short for the clients of a server, and still end cycles."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from burnish.server import garbage


class Cycle:
    def __init__(self) -> None:
        self.own = self


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """A process that collects briefly, on a clock that the test sets."""
    clock, before = Clock(), list(gc.callbacks)
    monkeypatch.setattr(garbage, "time", clock)
    garbage.collect_briefly()
    yield clock
    gc.callbacks[:] = before
    gc.unfreeze()


def test_what_is_in_use_is_left_out_of_the_next_collections(clock: Clock) -> None:
    kept = [Cycle() for _ in range(100)]
    gc.collect()
    assert not any(one in kept for one in gc.get_objects() if isinstance(one, Cycle))
    assert gc.get_freeze_count() > len(kept)


def test_a_cycle_that_was_never_in_a_collection_ends_with_the_next(clock: Clock) -> None:
    seen = weakref.ref(Cycle())
    gc.collect()
    assert seen() is None


def test_a_cycle_that_was_left_out_ends_when_all_is_looked_at_again(clock: Clock) -> None:
    cycle = Cycle()
    seen = weakref.ref(cycle)
    gc.collect()
    del cycle
    clock.now += 599
    gc.collect()
    assert seen() is not None
    clock.now += 1
    gc.collect()
    assert seen() is None


def test_all_is_looked_at_once_and_then_left_out_again(clock: Clock) -> None:
    clock.now += 600
    gc.collect()
    cycle = Cycle()
    seen = weakref.ref(cycle)
    gc.collect()
    del cycle
    gc.collect()
    assert seen() is not None


def test_collections_of_young_objects_leave_nothing_out(clock: Clock) -> None:
    before = gc.get_freeze_count()
    young = [Cycle() for _ in range(100)]
    gc.collect(1)
    assert gc.get_freeze_count() == before
    assert len(young) == 100
