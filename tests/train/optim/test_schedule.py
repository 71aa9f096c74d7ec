"""The shapes of the learning rate, as numbers."""

import math

import pytest
import torch
from transformers import get_wsd_schedule

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
    assert factors(10, kind="wsd", warmup=0, decay=0.4) == pytest.approx([1.0] * 7 + [0.75, 0.5, 0.25])
    assert factors(10, kind="wsd", warmup=0)[7:] == pytest.approx([1.0, 1.0, 0.5])
    assert factors(4, kind="wsd", warmup=0, decay=1.0) == pytest.approx([1.0, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("total", [1, 2, 3, 10])
@pytest.mark.parametrize("kind", ["cosine", "linear", "wsd"])
def test_no_step_is_wasted_on_a_rate_of_nothing(kind, total):
    assert min(factors(total, kind=kind, final=0.0)) > 0


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant", "wsd"])
def test_a_run_of_one_step_moves(kind):
    assert factors(1, kind=kind, warmup=0.03, final=0.5)[0] > 0


def by_the_words(total, step, kind, warmup, final, decay):
    """The factor as its documentation says it: `warmup` and `decay` in steps."""
    if step < warmup:
        return (step + 1) / warmup
    last_at_peak = max(warmup - 1, 0) if kind != "wsd" else max(warmup - 1, total - decay, 0)
    if kind == "constant" or step <= last_at_peak:
        return 1.0
    share = (step - last_at_peak) / (total - last_at_peak)  # 1 would be reached one step after the last
    fallen = share if kind != "cosine" else math.sin(math.pi * share / 2) ** 2
    return 1.0 + (final - 1.0) * fallen


@pytest.mark.parametrize("final", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["cosine", "linear", "constant", "wsd"])
def test_every_step_of_every_shape_has_the_factor_of_its_definition(kind, final):
    for total in (1, 2, 7, 20):
        for warmup, steps in ((0, 0), (1, 1), (3, 3), (0.5, -(-total // 2)), (0.999, total), (25, 25)):
            shares = (
                [(None, round(0.2 * total)), (0.5, round(0.5 * total)), (1.0, total)] if kind == "wsd" else [(None, 0)]
            )
            for decay, falling in shares:
                found = factors(total, kind=kind, warmup=warmup, final=final, decay=decay)
                falling = max(1, falling)
                expected = [by_the_words(total, step, kind, steps, final, falling) for step in range(total)]
                assert found == pytest.approx(expected), (total, warmup, decay)


def test_the_warm_up_of_a_run_is_a_whole_number_of_steps():
    for warmup, total, steps in (
        (0.1, 10, 1),
        (0.1, 11, 2),
        (0.3, 10, 3),
        (0.07, 100, 7),
        (0.0, 9, 0),
        (1, 9, 1),
        (5, 9, 5),
    ):
        schedule = Schedule(ScheduleSpec(kind="linear", warmup=warmup), total)
        assert (schedule.warmup, type(schedule.warmup)) == (steps, int)
        assert schedule.peak == max(0, steps - 1)


@pytest.mark.parametrize(("total", "decay", "peak"), [(10, 0.25, 8), (10, 0.35, 6), (9, 0.1, 8), (100, None, 80)])
def test_the_decay_of_wsd_is_rounded_to_steps(total, decay, peak):
    assert Schedule(ScheduleSpec(kind="wsd", warmup=0, decay=decay), total).peak == peak


@pytest.mark.parametrize(("total", "decay", "final"), [(10, 0.4, 0.0), (50, 0.2, 0.1), (20, 0.05, 0.0), (4, 1.0, 0.0)])
def test_wsd_decays_as_in_transformers(total, decay, final):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    falling = round(decay * total)
    theirs = get_wsd_schedule(
        optimizer,
        num_warmup_steps=0,
        num_stable_steps=total - falling,
        num_decay_steps=falling,
        decay_type="linear",
        min_lr_ratio=final,
    )
    rates = []
    for _ in range(total):
        rates.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    assert factors(total, kind="wsd", warmup=0, decay=decay, final=final) == pytest.approx(rates)
