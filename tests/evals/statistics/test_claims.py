"""Claims with a margin and clustered rows: known values, plain twins and verdicts."""

import itertools
import math

import numpy as np
import pytest

from burnish.evals.statistics.clusters import effective_rows, labels_of, summed
from burnish.evals.statistics.holm import corrected
from burnish.evals.statistics.intervals import NORMAL, Interval
from burnish.evals.statistics.noninferiority import tango
from burnish.evals.statistics.paired import Comparison, compare_ratios, compare_scores


def score_statistic(gained, lost, n, margin):
    """Tango's statistic from the restricted maximum likelihood, found by a search."""
    delta = -margin

    def likelihood(q):  # q: the share of losses; gains are q + delta
        both = 1 - 2 * q - delta
        if q < 0 or q + delta < 0 or both <= 0:
            return -math.inf
        parts = [(gained, q + delta), (lost, q), (n - gained - lost, both)]
        return sum(count * math.log(share) for count, share in parts if count and share > 0) + sum(
            -math.inf for count, share in parts if count and share <= 0
        )

    best = max(np.linspace(0, 1, 200_001), key=likelihood)
    return (gained - lost - n * delta) / math.sqrt(n * (2 * best + delta * (1 - delta)))


@pytest.mark.parametrize(("gained", "lost", "n", "margin"), [(3, 9, 50, 0.1), (10, 12, 44, 0.2), (0, 4, 30, 0.05)])
def test_the_p_value_is_that_of_tangos_score_test(gained, lost, n, margin):
    expected = 2 * NORMAL.cdf(-score_statistic(gained, lost, n, margin))
    assert tango(gained, lost, n, margin) == pytest.approx(min(1.0, expected), rel=1e-3)


def test_models_that_never_differ_are_not_worse_on_enough_rows():
    same = np.array([1.0, 0.0] * 200)
    found = corrected([compare_scores("s", same, same, confidence=0.95, seed=0, margin=0.02)], 0.95)[0]
    assert (found.verdict, found.claim, found.margin) == ("not worse", "non-inferiority", 0.02)
    few = compare_scores("s", same[:20], same[:20], confidence=0.95, seed=0, margin=0.02)
    assert corrected([few], 0.95)[0].verdict == "not enough evidence"


@pytest.mark.parametrize("higher_is_better", [True, False])
@pytest.mark.parametrize(
    ("low", "high", "p", "verdict"),
    [
        (-0.01, 0.03, 0.01, "not worse"),
        (-0.03, 0.01, 0.01, "not enough evidence"),
        (-0.01, 0.03, 0.06, "not enough evidence"),
        (-0.02, 0.03, 0.01, "not enough evidence"),
        (0.01, 0.03, 0.001, "not worse"),
    ],
)
def test_a_margin_needs_the_p_value_and_the_interval(low, high, p, verdict, higher_is_better):
    ends = (low, high) if higher_is_better else (-high, -low)
    found = Comparison("s", 99, 0.5, 0.5, Interval(*ends, ""), "", p, higher_is_better, margin=0.02)
    assert corrected([found], 0.95)[0].verdict == verdict


def test_a_lower_value_may_be_higher_by_less_than_the_margin():
    random, length = np.random.default_rng(0), np.full(80, 50.0)
    base = length * random.normal(1.5, 0.05, 80)
    settings = {"confidence": 0.95, "seed": 0, "higher_is_better": False, "margin": 0.05}
    near, far = (
        corrected([compare_ratios("b", (base, length), (base * share, length), **settings)], 0.95)[0]
        for share in (1.005, 1.1)
    )
    assert (near.verdict, far.verdict) == ("not worse", "not enough evidence")


def test_rows_of_a_cluster_are_swapped_together():
    """Every way to swap three documents, counted one by one."""
    owner = np.array([0, 0, 1, 2, 2, 2])
    base, ours = np.array([0.1, 0.2, 0.5, 0.3, 0.3, 0.9]), np.array([0.3, 0.4, 0.8, 0.2, 0.6, 1.0])
    change = ours - base
    values = [
        sum(sign * change[owner == document].sum() for document, sign in enumerate(signs)) / 6
        for signs in itertools.product((1, -1), repeat=3)
    ]
    found = compare_scores("s", base, ours, confidence=0.95, seed=0, clusters=owner)
    assert found.p_value == pytest.approx(np.mean(np.abs(values) >= abs(change.mean()) - 1e-12))
    assert (found.n, found.clusters, found.delta) == (6, 3, pytest.approx(change.mean()))
    assert corrected([found], 0.95)[0].verdict == "too few clusters"


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_margin_is_a_one_sided_question_whose_p_value_is_doubled(higher_is_better):
    """Every way to swap six rows, counted one by one, once the loss of the margin is given back."""
    base, ours = np.array([0.1, 0.2, 0.5, 0.3, 0.3, 0.9]), np.array([0.2, 0.1, 0.5, 0.2, 0.4, 0.9])
    change = ours - base if higher_is_better else base - ours
    values = [np.mean(signs * (change + 0.08)) for signs in itertools.product((1, -1), repeat=6)]
    settings = {"confidence": 0.95, "seed": 0, "margin": 0.08, "higher_is_better": higher_is_better}
    found = compare_ratios("s", (base, np.ones(6)), (ours, np.ones(6)), **settings)
    assert found.p_value == pytest.approx(2 * np.mean(np.array(values) >= change.mean() + 0.08 - 1e-12))


@pytest.mark.parametrize(
    ("units", "rows", "width", "is_shown"),
    [
        (182, 1, 1, False),
        (183, 1, 1, True),  # 2·0.98^183 is below 5 %
        (182, 2, 1, False),
        (183, 2, 1, True),
        (367, 1, 2, False),
        (368, 1, 2, True),  # scores from -1 to 1: half as many losses reach the margin
    ],
)
def test_equal_scores_of_many_rows_or_clusters_are_not_worse(units, rows, width, is_shown):
    equal = np.linspace(1 - width, 1, units * rows)
    clusters = np.repeat(np.arange(units), rows) if rows > 1 else None
    found = compare_scores("s", equal, equal, confidence=0.95, seed=0, margin=0.02, clusters=clusters)
    assert corrected([found], 0.95)[0].verdict == ("not worse" if is_shown else "not enough evidence")


def test_clusters_are_those_of_their_names_and_a_row_without_one_stands_alone():
    labels = labels_of(["a", None, "b", "a", None])
    assert labels is not None
    assert labels.tolist() == [0, 1, 2, 0, 3]
    assert labels_of([None, None]) is labels_of(["a", "b"]) is None
    assert summed(np.arange(10.0).reshape(5, 2), labels).tolist() == [[6, 8], [2, 3], [4, 5], [8, 9]]
    assert effective_rows(np.array([0, 0, 1, 1])) == 2.0
    assert effective_rows(np.array([0, 1, 2, 3])) == 4.0


def test_right_and_wrong_answers_in_clusters_have_no_mcnemar_test():
    right = np.array([1.0, 0.0, 1.0, 1.0])
    assert compare_scores("s", right, right, confidence=0.95, seed=0).test == "exact McNemar"
    clustered = compare_scores("s", right, right, confidence=0.95, seed=0, clusters=np.array([0, 0, 1, 1]))
    assert clustered.test == "clustered sign-flip permutation"
