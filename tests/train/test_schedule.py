"""The shapes of the learning rate, as numbers."""

import pytest

from burnish.specs.train import ScheduleSpec
from burnish.train.schedule import Schedule


def factors(total: int, **settings) -> list[float]:
    schedule = Schedule(ScheduleSpec(**settings), total)
    return [schedule(step) for step in range(total)]


def test_warm_up_rises_in_even_steps_and_its_first_step_already_moves():
    assert factors(10, kind="constant", warmup=4) == pytest.approx([0.25, 0.5, 0.75] + [1.0] * 7)
    assert factors(10, kind="constant", warmup=0.2)[:3] == pytest.approx([0.5, 1.0, 1.0])


def test_linear_falls_evenly_to_its_final_share_in_the_last_step():
    assert factors(5, kind="linear", warmup=0, final=0.2) == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])


def test_cosine_is_half_way_down_in_the_middle_and_ends_at_its_final_share():
    values = factors(11, kind="cosine", warmup=0, final=0.1)
    assert (values[0], values[5], values[10]) == pytest.approx((1.0, 0.55, 0.1))


def test_wsd_is_stable_until_its_decay_begins():
    assert factors(10, kind="wsd", warmup=0, decay=0.4) == pytest.approx([1.0] * 6 + [0.75, 0.5, 0.25, 0.0])
    assert factors(10, kind="wsd", warmup=0)[7:] == pytest.approx([1.0, 0.5, 0.0])


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant", "wsd"])
def test_a_run_of_one_step_moves(kind):
    assert factors(1, kind=kind, warmup=0.03, final=0.5)[0] > 0
