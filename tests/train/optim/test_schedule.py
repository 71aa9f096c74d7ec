"""The shapes of the learning rate, as numbers."""

import pytest

from burnish.specs.train import ScheduleSpec
from burnish.train.optim.schedule import Schedule


def factors(total: int, **settings) -> list[float]:
    schedule = Schedule(ScheduleSpec(**settings), total)
    return [schedule(step) for step in range(total)]


def test_warm_up_rises_in_even_steps_and_its_first_step_already_moves():
    assert factors(10, kind="constant", warmup=4) == pytest.approx([0.25, 0.5, 0.75] + [1.0] * 7)
    assert factors(10, kind="constant", warmup=0.2)[:3] == pytest.approx([0.5, 1.0, 1.0])
    assert factors(16, kind="constant", warmup=0.1)[:3] == pytest.approx([0.5, 1.0, 1.0]), "a share is rounded up"
    assert factors(100, kind="constant", warmup=0.07)[6] == pytest.approx(1.0)


def test_linear_falls_evenly_and_would_reach_its_final_share_one_step_after_the_last():
    assert factors(4, kind="linear", warmup=0, final=0.2) == pytest.approx([1.0, 0.8, 0.6, 0.4])
    assert factors(5, kind="linear", warmup=2) == pytest.approx([0.5, 1.0, 0.75, 0.5, 0.25])


def test_cosine_is_half_way_down_in_the_middle():
    values = factors(10, kind="cosine", warmup=0, final=0.1)
    assert (values[0], values[5]) == pytest.approx((1.0, 0.55))
    assert 0.1 < values[9] < 0.13


def test_wsd_is_stable_until_its_decay_begins():
    assert factors(10, kind="wsd", warmup=0, decay=0.4) == pytest.approx([1.0] * 6 + [0.8, 0.6, 0.4, 0.2])
    assert factors(10, kind="wsd", warmup=0)[7:] == pytest.approx([1.0, 2 / 3, 1 / 3])
    assert factors(4, kind="wsd", warmup=0, decay=1.0) == pytest.approx([1.0, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("total", [1, 2, 3, 10])
@pytest.mark.parametrize("kind", ["cosine", "linear", "wsd"])
def test_no_step_is_wasted_on_a_rate_of_nothing(kind, total):
    assert min(factors(total, kind=kind, final=0.0)) > 0


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant", "wsd"])
def test_a_run_of_one_step_moves(kind):
    assert factors(1, kind=kind, warmup=0.03, final=0.5)[0] > 0
