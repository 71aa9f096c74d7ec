"""Shares of a mixture sum to one, budgets sum to the total, and both are what a calculator gives."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.data.mixture.shares import budgets, largest_budgets, shares_of


def test_weights_alone_give_the_shares():
    assert shares_of([3, 1], [10, 10_000], None) == [Fraction(3, 4), Fraction(1, 4)]
    assert shares_of([1, 1, 1], [0, 0, 0], None) == [Fraction(1, 3)] * 3


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [(1, [0.8, 0.2]), (2, [2 / 3, 1 / 3]), (1e9, [0.5, 0.5]), (0.5, [16 / 17, 1 / 17])],
)
def test_a_temperature_weighs_sources_by_a_power_of_their_size(temperature, expected):
    shares = shares_of([1, 1], [400, 100], temperature)
    assert [float(share) for share in shares] == pytest.approx(expected, abs=1e-6)
    doubled = shares_of([1, 2], [400, 100], temperature)
    assert float(doubled[1] / doubled[0]) == pytest.approx(2 * expected[1] / expected[0], rel=1e-6)


def test_a_small_temperature_overflows_nothing_and_an_empty_source_has_no_share():
    assert shares_of([1, 1], [10**9, 10**8], 0.001) == [1, 0]
    assert shares_of([1, 1], [5, 0], 2) == [1, 0]
    assert shares_of([1, 1], [0, 0], 2) == [Fraction(1, 2), Fraction(1, 2)]


def test_the_largest_remainders_are_rounded_up_and_equal_ones_in_order():
    assert budgets(10, [Fraction(1, 3)] * 3) == [4, 3, 3]
    assert budgets(10, [Fraction(1, 6), Fraction(1, 6), Fraction(2, 3)]) == [2, 2, 6]
    assert budgets(2, [Fraction(1, 4)] * 4) == [1, 1, 0, 0]


@given(st.integers(1, 10**9), st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=9))
def test_budgets_sum_to_the_total_and_are_near_the_shares(total, weights):
    shares = shares_of(weights, [1] * len(weights), None)
    whole = budgets(total, shares)
    assert sum(whole) == total
    assert all(abs(amount - total * share) < 1 for amount, share in zip(whole, shares, strict=True))


@given(st.lists(st.tuples(st.floats(0.01, 100), st.integers(0, 10**6)), min_size=1, max_size=6))
def test_the_largest_budgets_exceed_no_source_and_exhaust_one(sources):
    weights, sizes = zip(*sources, strict=True)
    shares = shares_of(weights, sizes, None)
    asked = largest_budgets(sizes, shares)
    assert all(amount <= size for amount, size in zip(asked, sizes, strict=True))
    assert any(amount == size for amount, size in zip(asked, sizes, strict=True))
