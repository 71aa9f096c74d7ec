"""Advantages of tokens are those of the definition in the paper, for completions of any length."""

import numpy as np
import pytest

from burnish.train.rollout.gae import explained_variance, generalized_advantages, whiten


def by_definition(rewards, values, gamma, gae_lambda):
    """Equation 16 of arXiv 1506.02438 for one completion: two loops over its own tokens, V = 0 after the last."""
    known = [*values, 0.0]
    deltas = [reward + gamma * known[t + 1] - known[t] for t, reward in enumerate(rewards)]
    return [
        sum((gamma * gae_lambda) ** step * delta for step, delta in enumerate(deltas[t:])) for t in range(len(deltas))
    ]


@pytest.mark.parametrize("gamma", [1.0, 0.9])
@pytest.mark.parametrize("gae_lambda", [0.0, 0.95, 1.0])
def test_advantages_are_those_of_the_paper(gamma, gae_lambda):
    random = np.random.default_rng(0)
    lengths = {0: 3, 2: 7, 3: 1, 5: 4}  # completions 1 and 4 are left out: they have no tokens
    sequences = np.repeat(list(lengths), list(lengths.values()))
    rewards, values = random.normal(size=(2, len(sequences)))
    advantages, returns = generalized_advantages(rewards, values, sequences, gamma, gae_lambda)
    for number in lengths:
        mine = sequences == number
        expected = by_definition(rewards[mine], values[mine], gamma, gae_lambda)
        np.testing.assert_allclose(advantages[mine], expected, atol=1e-12)
        np.testing.assert_allclose(returns[mine], expected + values[mine], atol=1e-12)


def test_with_exact_sums_a_return_is_the_sum_of_the_rewards_that_follow():
    """γ = λ = 1: whatever the values are."""
    rewards, values = np.array([0.0, 0.0, 2.0, -1.0, 5.0]), np.array([9.0, -4.0, 3.0, 7.0, 1.0])
    _, returns = generalized_advantages(rewards, values, np.array([0, 0, 0, 1, 1]), 1.0, 1.0)
    assert returns.tolist() == pytest.approx([2.0, 2.0, 2.0, 4.0, 5.0])


def test_without_tokens_there_are_no_advantages():
    none = np.array([])
    advantages, returns = generalized_advantages(none, none, np.array([], np.int64), 1.0, 0.95)
    assert (len(advantages), len(returns), len(whiten(none))) == (0, 0, 0)


def test_whitened_numbers_have_mean_0_and_variance_1():
    numbers = np.random.default_rng(1).normal(3.0, 0.2, 50)
    found, kept = whiten(numbers), whiten(numbers, shift=False)
    assert (found.mean(), found.var(ddof=1)) == pytest.approx((0.0, 1.0), abs=1e-5)
    assert (kept.mean(), kept.var(ddof=1)) == pytest.approx((numbers.mean(), 1.0), abs=1e-5)
    assert whiten(np.array([2.0, 2.0])).tolist() == [0.0, 0.0]
    assert whiten(np.array([2.0])).tolist() == [0.0]
    assert whiten(np.array([2.0]), shift=False).tolist() == [2.0]


def test_explained_variance_compares_values_with_returns():
    returns = np.array([0.0, 1.0, 2.0])
    assert explained_variance(returns, returns) == 1.0
    assert explained_variance(returns, np.full(3, 5.0)) == pytest.approx(0.0)
    assert explained_variance(returns, -returns) == pytest.approx(-3.0)
    assert explained_variance(np.ones(3), returns) is None
