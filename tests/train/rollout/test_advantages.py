"""Advantages by hand, and those of TRL."""

import numpy as np
import pytest
import torch

from burnish.train.rollout.advantages import group_advantages

REWARDS = np.array([[1.0, 0.0, 0.0, 1.0], [2.0, 2.0, 2.0, 2.0], [3.0, np.nan, 0.0, 0.0], [np.nan, 5.0, np.nan, np.nan]])


def test_the_mean_and_the_deviation_of_a_group():
    found = group_advantages(REWARDS, "group_mean", "group")
    deviation = np.sqrt(4 * 0.25 / 3)
    assert found.values[0] == pytest.approx(np.array([0.5, -0.5, -0.5, 0.5]) / (deviation + 1e-4), rel=1e-6)
    assert found.values[1].tolist() == [0, 0, 0, 0]
    assert found.values[2] == pytest.approx(np.array([2, 0, -1, -1]) / (np.sqrt(3) + 1e-4), rel=1e-6)
    assert found.equal.tolist() == [False, True, False, True]


def test_a_completion_whose_group_has_no_other_reward_has_no_advantage():
    for baseline in ("group_mean", "leave_one_out"):
        for scale in ("group", "batch", "none"):
            assert not group_advantages(REWARDS, baseline, scale).values[3].any()


def test_the_others_of_a_group():
    """RLOO, arXiv 2402.14740: the reward less the mean of the other completions."""
    found = group_advantages(REWARDS, "leave_one_out", "none").values
    assert found[0] == pytest.approx([1 - 1 / 3, -2 / 3, -2 / 3, 1 - 1 / 3])
    assert found[2] == pytest.approx([3.0, 0.0, -1.5, -1.5])
    mean = group_advantages(REWARDS, "group_mean", "none").values
    assert found[0] == pytest.approx(mean[0] * 4 / 3)  # G / (G - 1) times the advantage over the group's mean


def test_the_deviation_of_the_rollout():
    known = REWARDS[~np.isnan(REWARDS)]
    found = group_advantages(REWARDS, "group_mean", "batch").values
    assert found[0] == pytest.approx(np.array([0.5, -0.5, -0.5, 0.5]) / (known.std(ddof=1) + 1e-4), rel=1e-6)


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_they_are_those_of_trl(scale):
    """As `_generate_and_score_completions` of TRL 1.16 has it, and its `nanstd`."""

    def nanstd(values, dim=None):
        known = (~values.isnan()).sum() if dim is None else (~values.isnan()).sum(dim)
        mean = values.nanmean() if dim is None else values.nanmean(dim, keepdim=True)
        squares = (values - mean) ** 2
        total = squares.nansum() if dim is None else squares.nansum(dim)
        return (total / (known - 1)).sqrt()

    random = np.random.default_rng(0)
    rewards = torch.from_numpy(random.normal(size=(5, 4)))
    rewards[1, 2] = torch.nan
    mean = torch.nanmean(rewards, 1, keepdim=True)
    expected = rewards - mean
    if scale == "group":
        expected = expected / (nanstd(rewards, dim=1)[:, None] + 1e-4)
    elif scale == "batch":
        expected = expected / (nanstd(rewards) + 1e-4)
    found = group_advantages(rewards.numpy(), "group_mean", scale).values
    assert found == pytest.approx(torch.nan_to_num(expected).numpy(), rel=1e-5, abs=1e-6)


def test_a_group_of_equal_fractions_is_equal():
    """A mean of equal numbers may differ from them by rounding, which a tiny deviation would blow up."""
    found = group_advantages(np.full((1, 3), 0.1), "group_mean", "group")
    assert found.equal.tolist() == [True]
    assert np.abs(found.values).max() < 1e-6
