"""Which prompts form which rollout, and which of them a step uses."""

import time

import numpy as np
import pytest

from burnish.train.batches import Cursor
from burnish.train.rollout.plan import RolloutPlan


def plan(prompts=7, **settings):
    return RolloutPlan(np.ones(prompts, np.int64), **{"seed": 3, "shuffle": True, "batch_size": 3} | settings)


def walk(plan, steps):
    cursor = Cursor()
    for step in range(steps):
        assert plan.cursor(step) == cursor
        yield plan.update(cursor)
        cursor = plan.after(cursor)


@pytest.mark.parametrize("settings", [{}, {"passes": 2}, {"mini_batches": 2}, {"mini_batches": 3, "passes": 2}])
def test_every_prompt_is_used_once_in_a_pass(settings):
    made = plan(**settings)
    steps = made.total_steps(2)
    used = np.concatenate([update.prompts[update.part] for update in walk(made, steps)])
    assert np.bincount(used).tolist() == [2 * settings.get("passes", 1)] * 7
    assert steps == 2 * len(made.epoch(0))


def test_the_steps_of_a_rollout_follow_each_other():
    made = plan(mini_batches=2, passes=2)
    found = list(walk(made, 20))
    # two rollouts of three prompts with four steps each, and one of one prompt with two
    assert [update.rollout for update in found] == [0] * 4 + [1] * 4 + [2] * 2 + [3] * 4 + [4] * 4 + [5] * 2
    assert [update.number for update in found[:10]] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert [made.step(update) for update in found[:11]] == [1] * 4 + [5] * 4 + [9] * 2 + [11]
    assert [len(update.part) for update in found[:4]] == [2, 1, 2, 1]
    assert made.updates == 4


def test_the_rows_of_a_step_are_its_prompts():
    made = plan(mini_batches=2)
    for step, update in enumerate(walk(made, 5)):
        assert made.rows(made.cursor(step)).tolist() == update.prompts[update.part].tolist()


def test_prompts_that_are_left_out_leave_the_steps_as_they_are():
    """A step may be empty; the prompts of the other steps are the same."""
    whole, made = plan(mini_batches=3, passes=2), plan(mini_batches=3, passes=2, without=np.array([2, 5]))
    assert made.total_steps(2) == whole.total_steps(2)
    empty = 0
    for one, other in zip(walk(whole, 20), walk(made, 20), strict=True):
        assert (one.rollout, one.number) == (other.rollout, other.number)
        before = one.prompts[one.part]
        assert other.prompts[other.part].tolist() == before[~np.isin(before, [2, 5])].tolist()
        empty += not len(other.part)
    assert empty > 0


@pytest.mark.parametrize("without", [[], [2, 5], list(range(6)), [0, 1, 2, 3, 4, 5, 6]])
def test_the_rollouts_that_are_made_are_those_of_the_steps_that_are_not_empty(without):
    made = plan(mini_batches=3, passes=2, without=np.array(without, np.int64))
    updates = list(walk(made, 2 * len(made.epoch(0))))
    for step in range(len(updates) + 1):
        assert made.made(step) == sorted({one.rollout for one in updates[:step] if len(one.part)})


def test_a_step_is_looked_up_without_a_walk_over_the_epoch():
    made = plan(100_000, batch_size=1, passes=2, without=np.array([5]))
    made.update(made.cursor(0))  # orders the epoch
    began = time.process_time()
    for step in range(199_000, 199_100):
        assert made.update(made.cursor(step)).rollout == made.rollout(step) == step // 2
    assert time.process_time() - began < 0.5
