"""The minimum detectable effect: published numbers, limits, and the same answer from both sides."""

import math
from dataclasses import replace

import numpy as np
import pytest

from burnish.evals.comparison.detectable import Assumed, measured_effect
from burnish.evals.statistics.paired import compare_scores
from burnish.evals.statistics.power import Design


def test_487_rows_see_4_points():
    """The example of the documentation: candidates that differ on 10 % of the rows."""
    assert Design(487, 0.05).detectable() == pytest.approx(0.04, abs=0.002)


@pytest.mark.parametrize("variance", [0.1, 0.3])
@pytest.mark.parametrize("effect", [0.02, 0.05])
def test_the_rows_that_an_effect_needs_are_those_that_see_it(variance, effect):
    for is_binary in (True, False):
        design = Design(1, 0.05, variance=variance, is_binary=is_binary)
        rows = design.rows_for(effect)
        assert rows is not None
        seen = Design(rows, 0.05, variance=variance, is_binary=is_binary).detectable()
        assert seen == pytest.approx(effect, rel=0.02)


def test_connors_formula_is_met_for_many_rows():
    """n = (z √ψ + z' √(ψ - δ²))² / δ²  (Connor 1987, eq. 1)."""
    psi, delta = 0.2, 0.01
    expected = (1.959964 * math.sqrt(psi) + 0.841621 * math.sqrt(psi - delta**2)) ** 2 / delta**2
    assert Design(1, 0.05, variance=psi).rows_for(delta) == pytest.approx(expected, rel=2e-3)


def test_exact_and_approximate_power_meet():
    small, large = (Design(rows, 0.05, variance=0.5).detectable() for rows in (598, 602))
    assert small == pytest.approx(large, rel=0.04)


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_few_rows_see_nothing(rows):
    assert Design(rows, 0.05).detectable() is None
    assert Design(rows, 0.05).rows_for(0.2) is None  # larger than the discordance


def test_more_comparisons_and_clusters_see_less():
    def effect(**changed):
        settings = {"rows": 600, "comparisons": 1, "confidence": 0.95, "power": 0.8, "discordance": 0.1}
        return Assumed(**{**settings, "detect": None, "labels": None, **changed}).as_dict()["effect"]

    assert effect() < effect(comparisons=6)
    assert effect() < effect(labels=np.repeat(np.arange(200), 3))
    assert effect(labels=np.repeat(np.arange(200), 3)) == pytest.approx(effect(rows=200))
    assert effect() < effect(power=0.95)


def test_what_is_told_names_rows_power_and_assumption():
    told = Assumed(487, 1, 0.95, 0.8, 0.1, 0.02, None).sentences()
    assert "with 487 rows you can detect a difference of 0.04" in told[0]
    assert "80% power" in told[0]
    assert "differ on 10% of the rows" in told[0]
    assert told[1].startswith("a difference of 0.02 needs 2,0")


def test_after_the_run_the_measured_variance_counts():
    random = np.random.default_rng(0)
    base = random.beta(2, 1, 400)
    found = compare_scores("s", base, base + random.normal(0, 0.2, 400), confidence=0.95, seed=0)
    assert measured_effect(found, 0.95, 0.8, 1) == pytest.approx(2.8 * 0.2 / 20, rel=0.08)
    assert measured_effect(found, 0.95, 0.8, 5) == pytest.approx(measured_effect(found, 0.99, 0.8, 1))
    few = measured_effect(replace(found, n=5), 0.95, 0.8, 1)
    assert measured_effect(replace(found, clusters=5), 0.95, 0.8, 1) == pytest.approx(few)
    same = compare_scores("s", base, base, confidence=0.95, seed=0)
    assert measured_effect(same, 0.95, 0.8, 1) is None
