"""Intervals are those of their papers: pinned numbers, plain twins, and limits."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from burnish.evals.statistics import intervals
from burnish.evals.statistics.intervals import (
    _acceleration,
    _corrected,
    _expanded,
    bootstrap,
    is_binary,
    mean_interval,
    ratio,
    wilson,
)

VALUES = np.array([0.1, 0.4, 0.2, 0.9, 0.7, 0.3, 0.05, 0.6])


def test_wilson_is_that_of_the_textbook():
    found = wilson(9, 10, 0.95)
    assert (found.low, found.high, found.method) == (
        pytest.approx(0.5958, abs=1e-4),
        pytest.approx(0.9821, abs=1e-4),
        "Wilson",
    )
    assert wilson(0, 10, 0.95).low == 0.0
    assert wilson(0, 10, 0.95).high == pytest.approx(0.2775, abs=1e-4)
    assert wilson(10, 10, 0.95).high == 1.0
    assert wilson(10, 10, 0.95).low == pytest.approx(0.7225, abs=1e-4)
    assert wilson(5, 10, 0.9).low == pytest.approx(0.2693, abs=1e-4)


@pytest.mark.parametrize(("n", "quantile"), [(16, 2.13145), (31, 2.04227), (1001, 1.962339)])
def test_the_widening_is_students_t_and_the_sample_standard_deviation(n, quantile):
    assert _expanded(0.95, n) == pytest.approx(math.sqrt(n / (n - 1)) * quantile, rel=5e-4)


def test_the_acceleration_is_the_skewness_of_the_jackknife_over_six():
    columns = np.stack([VALUES, np.ones_like(VALUES)], axis=1)
    means = [(sum(VALUES) - value) / (len(VALUES) - 1) for value in VALUES]
    pulls = [sum(means) / len(means) - mean for mean in means]
    expected = sum(p**3 for p in pulls) / (6 * sum(p**2 for p in pulls) ** 1.5)
    assert _acceleration(columns, ratio) == pytest.approx(expected)
    assert expected > 0.01
    assert _acceleration(np.ones((4, 2)), ratio) == 0.0


def test_the_correction_is_efrons_and_ends_at_the_last_resample():
    normal = NormalDist()
    assert _corrected(-1.96, 0.0, 0.0) == pytest.approx(0.025, abs=1e-4)
    assert _corrected(1.5, 0.2, 0.05) == pytest.approx(normal.cdf(0.2 + 1.7 / (1 - 0.05 * 1.7)))
    assert _corrected(4.0, 0.0, 0.25) == 1.0
    assert _corrected(-4.0, 0.0, -0.25) == 0.0
    assert _corrected(0.5, 0.0, 2.0) == 1.0


def farthest(sums):
    """The largest possible value is the measured one: no resample lies above it."""
    return -((sums[..., 0] / sums[..., 1] - VALUES.mean()) ** 2)


@pytest.mark.parametrize("statistic", [ratio, farthest])
@pytest.mark.parametrize("resamples", [7, 500])
def test_a_bootstrap_is_that_of_plain_python(statistic, resamples):
    columns = np.stack([VALUES, np.ones_like(VALUES)], axis=1)
    found = bootstrap(columns, statistic, 0.9, seed=3, resamples=resamples)
    chosen = np.random.default_rng(3).integers(len(VALUES), size=(resamples, len(VALUES)))
    drawn = sorted(float(statistic(columns[rows].sum(axis=0))) for rows in chosen)
    measured = float(statistic(columns.sum(axis=0)))
    below = sum((value < measured) + (value <= measured) for value in drawn) / 2 / resamples
    below = min(max(below, 1 / (2 * resamples)), 1 - 1 / (2 * resamples))
    bias, z = NormalDist().inv_cdf(below), _expanded(0.9, len(VALUES))
    acceleration = _acceleration(columns, statistic)
    for given, sign in ((found.low, -1), (found.high, 1)):
        share = _corrected(sign * z, bias, acceleration)
        assert given == pytest.approx(np.quantile(drawn, share), rel=0.02, abs=1e-9)
    assert found == bootstrap(columns, statistic, 0.9, seed=3, resamples=resamples)
    assert found != bootstrap(columns, statistic, 0.9, seed=4, resamples=resamples)
    assert found.method == "BCa bootstrap"


def nearest(sums):
    """The smallest possible value is the measured one."""
    return -farthest(sums)


def quantile(ordered, share):
    """Linear between the two values around the place."""
    place = share * (len(ordered) - 1)
    first = min(int(place), len(ordered) - 2) if len(ordered) > 1 else 0
    after = ordered[min(first + 1, len(ordered) - 1)]
    return ordered[first] + (place - first) * (after - ordered[first])


@pytest.mark.parametrize("statistic", [ratio, farthest, nearest])
@pytest.mark.parametrize("resamples", [1, 2, 3, 5, 40])
def test_a_bootstrap_of_few_resamples_is_efrons(statistic, resamples):
    """The definition: bias from the share of resamples below, acceleration from the jackknife, Student's t."""
    normal, n = NormalDist(), len(VALUES)
    measured = float(statistic(np.array([sum(VALUES), n])))
    left_out = [float(statistic(np.array([sum(VALUES) - value, n - 1]))) for value in VALUES]
    pulls = [sum(left_out) / n - value for value in left_out]
    acceleration = sum(p**3 for p in pulls) / (6 * sum(p**2 for p in pulls) ** 1.5)
    z, v = normal.inv_cdf(0.95), n - 1
    t = z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
    for seed in range(20):
        chosen = np.random.default_rng(seed).integers(n, size=(resamples, n))
        drawn = sorted(float(statistic(np.array([sum(VALUES[rows]), n]))) for rows in chosen)
        columns = np.stack([VALUES, np.ones(n)], axis=1)
        found = bootstrap(columns, statistic, 0.9, seed, resamples)
        if drawn[0] == drawn[-1]:
            assert (found.low, found.high) == (pytest.approx(measured), pytest.approx(measured))
            continue
        below = sum((value < measured) + (value <= measured) for value in drawn) / (2 * resamples)
        bias = normal.inv_cdf(min(max(below, 0.5 / resamples), 1 - 0.5 / resamples))
        for given, sign in ((found.low, -1), (found.high, 1)):
            moved = bias + sign * (n / v) ** 0.5 * t
            slope = 1 - acceleration * moved
            share = normal.cdf(bias + moved / slope) if slope > 0 else float(moved > 0)
            assert given == pytest.approx(quantile(drawn, share), abs=1e-9)


def test_a_bootstrap_draws_4000_resamples_unless_said(monkeypatch):
    counts = []
    columns = np.stack([VALUES, np.ones_like(VALUES)], axis=1)
    bootstrap(columns, lambda sums: counts.append(len(np.atleast_2d(sums))) or ratio(sums), 0.9, 0)
    assert max(counts) == 4000


def test_the_widening_is_the_printed_expansion():
    """Abramowitz 26.7.5 with two terms: coefficients 1, 1 over 4 and 5, 16, 3 over 96."""
    assert _expanded(0.95, 11) == pytest.approx(2.3340360899614536, rel=1e-12)
    assert _expanded(0.95, 5) == pytest.approx(3.0516044045430593, rel=1e-12)


@pytest.mark.parametrize("chunk", [1, 100, 1 << 30])
def test_the_number_of_resamples_does_not_depend_on_the_batch(monkeypatch, chunk):
    monkeypatch.setattr(intervals, "_CHUNK", chunk)
    columns = np.stack([VALUES, np.ones_like(VALUES)], axis=1)
    assert sum(map(len, intervals._resampled(columns, ratio, 0, 37))) == 37


def test_values_without_spread_have_an_interval_without_width_and_one_value_has_none():
    found = bootstrap(np.full((5, 2), 3.0), ratio, 0.95, 0)
    assert (found.low, found.high) == (1.0, 1.0)
    assert bootstrap(np.ones((1, 2)), ratio, 0.95, 0) is None
    assert bootstrap(np.array([[1.0, 1.0], [2.0, 1.0]]), ratio, 0.95, 0) is not None


def test_right_and_wrong_answers_have_wilsons_interval_and_all_others_the_bootstrap():
    assert is_binary(np.array([0.0, 1.0]))
    assert not is_binary(np.array([0.0, 0.5]))
    assert mean_interval(np.array([1.0, 0.0, 1.0]), 0.95, 0) == wilson(2, 3, 0.95)
    assert mean_interval(np.array([1.0]), 0.95, 0) == wilson(1, 1, 0.95)
    assert mean_interval(VALUES, 0.95, 0).method == "BCa bootstrap"
    assert mean_interval(np.array([0.5]), 0.95, 0) is None
    assert mean_interval(np.array([]), 0.95, 0) is None
