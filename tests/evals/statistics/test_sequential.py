"""Levels of looks are those of the published boundaries."""

import math

import pytest

from burnish.evals.statistics.intervals import NORMAL
from burnish.evals.statistics.sequential import levels, sequential_p, spent

FIVE = (0.2, 0.4, 0.6, 0.8, 1.0)


def bounds(fractions, alpha):
    return [NORMAL.inv_cdf(1 - level / 2) for level in levels(fractions, alpha)]


def test_the_boundaries_are_those_of_lan_and_demets():
    """The O'Brien-Fleming-type boundaries of five equal looks at 5 %, as tables and `ldbounds` have them."""
    assert bounds(FIVE, 0.05) == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4)


def test_two_looks_share_the_error_of_the_spending_function():
    first, second = bounds((0.5, 1.0), 0.05)
    assert 2 * (1 - NORMAL.cdf(first)) == pytest.approx(spent(0.05, 0.5), rel=1e-6)
    assert (first, second) == (pytest.approx(2.9626, abs=1e-3), pytest.approx(1.9686, abs=1e-3))


def test_one_look_at_all_rows_is_the_plain_test():
    assert levels((1.0,), 0.05) == pytest.approx((0.05,), rel=1e-6)
    assert sequential_p([0.013], [1.0]) == 0.013


def test_error_is_spent_slowly_at_first_and_all_at_the_end():
    assert spent(0.05, 1.0) == 0.05
    shares = [spent(0.05, share) for share in FIVE]
    assert shares == sorted(shares)
    assert shares[0] < 1e-5


@pytest.mark.parametrize("alpha", [0.001, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("looks", [1, 2, 3, 5])
def test_a_p_value_at_the_level_of_a_look_is_the_error_itself(alpha, looks):
    found = levels(FIVE, alpha)
    p_values = [1.0] * (looks - 1) + [found[looks - 1]]
    if found[looks - 1] > 1e-9:
        assert sequential_p(p_values, FIVE[:looks]) == pytest.approx(alpha, rel=0.02)
    assert sequential_p([1.0] * looks, FIVE[:looks]) == pytest.approx(1.0)


def test_a_later_look_never_takes_evidence_back():
    first = sequential_p([0.9, 0.0001], FIVE[:2])
    assert sequential_p([0.9, 0.0001, 0.8], FIVE[:3]) == pytest.approx(first)
    assert math.isclose(sequential_p([0.9, 0.9, 1e-5], FIVE[:3]), sequential_p([1.0, 1.0, 1e-5], FIVE[:3]))
