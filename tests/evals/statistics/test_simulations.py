"""1,000 simulated comparisons of each kind: errors stay within the stated ones, planted effects are found, intervals
cover. The numbers of flips and resamples are lowered; p-values and intervals of fewer ones are valid too.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest

from burnish.evals.statistics import intervals, permutation
from burnish.evals.statistics.holm import corrected
from burnish.evals.statistics.paired import (
    Comparison,
    _difference_of_ratios,
    compare_ratios,
    compare_scores,
    mcnemar,
)
from burnish.evals.statistics.power import Design
from burnish.evals.statistics.sequential import levels, sequential_p

RUNS, ERROR = 1000, 0.05


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(permutation, "FLIPS", 300)
    monkeypatch.setattr(intervals, "RESAMPLES", 300)


def most(share: float, runs: int = RUNS) -> int:
    """The count that a binomial of this share exceeds once in a thousand."""
    log = [
        math.lgamma(runs + 1)
        - math.lgamma(k + 1)
        - math.lgamma(runs - k + 1)
        + k * math.log(share)
        + (runs - k) * math.log(1 - share)
        for k in range(runs + 1)
    ]
    above = 1.0
    for count, value in enumerate(log):
        above -= math.exp(value)
        if above <= 0.001:
            return count
    return runs


def assert_at_most(count: int, share: float, runs: int = RUNS) -> None:
    bound = most(share, runs)
    assert count <= bound, f"{count} of {runs}, where {share:.1%} and chance allow {bound} (binomial, 99.9 %)"


def assert_at_least(count: int, share: float, runs: int = RUNS) -> None:
    bound = runs - most(1 - share, runs)
    assert count >= bound, f"{count} of {runs}, where {share:.1%} and chance ask for {bound} (binomial, 99.9 %)"


def verdict(comparison: Comparison) -> str:
    return corrected([comparison], 1 - ERROR)[0].verdict


def scores(random, n, gained, lost, share=0.6):
    """Answers of two models, right or wrong: the second gains and loses rows with these chances."""
    turned = random.random(n)
    kind = np.where(turned < gained, 1, np.where(turned < gained + lost, -1, 0))
    base = np.where(kind == 1, 0.0, np.where(kind == -1, 1.0, (random.random(n) < share).astype(float)))
    return base, base + kind


def binary(random, seed, n=80):
    return compare_scores("score", *scores(random, n, 0.15, 0.15), confidence=1 - ERROR, seed=seed)


def graded(random, seed, n=30):
    base = random.beta(2, 1, n)
    return compare_scores("score", base, base + random.normal(0, 0.1, n), confidence=1 - ERROR, seed=seed)


def skewed(random, seed, n=40):
    base = random.beta(2, 1, n)
    both = base + random.exponential(0.1, n), base + random.exponential(0.1, n)
    return compare_scores("score", *both, confidence=1 - ERROR, seed=seed)


def bits(random, seed, n=30):
    """Bits per byte of rows of unequal length, of two models of the same quality."""
    length = random.integers(20, 200, n).astype(float)
    base, other = (length * random.normal(1.5, 0.2, n) for _ in range(2))
    return compare_ratios(
        "bits", (base, length), (other, length), confidence=1 - ERROR, seed=seed, higher_is_better=False
    )


def clustered(random, seed, clusters=25, labels=True):
    """Three to eight rows of each document, whose difference between the models is mostly that of the document."""
    owner = np.repeat(np.arange(clusters), random.integers(3, 9, clusters))
    base = random.beta(2, 1, len(owner))
    other = base + random.normal(0, 0.1, clusters)[owner] + random.normal(0, 0.03, len(owner))
    return compare_scores("score", base, other, confidence=1 - ERROR, seed=seed, clusters=owner if labels else None)


def clustered_binary(random, seed, clusters=30):
    owner = np.repeat(np.arange(clusters), 4)
    turned = np.sign(random.normal(0, 1, clusters))[owner] * (random.random(len(owner)) < 0.3)
    base = np.where(turned > 0, 0.0, np.where(turned < 0, 1.0, (random.random(len(owner)) < 0.6).astype(float)))
    return compare_scores("score", base, base + turned, confidence=1 - ERROR, seed=seed, clusters=owner)


KINDS = [binary, graded, skewed, bits, clustered, clustered_binary]


@pytest.mark.some(every=2)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_equal_models_get_a_verdict_as_rarely_as_stated(kind: Callable[..., Comparison]) -> None:
    random = np.random.default_rng(1)
    wrong = sum(verdict(kind(random, seed)) != "not enough evidence" for seed in range(RUNS))
    assert_at_most(wrong, ERROR)


def test_rows_of_documents_that_count_as_independent_give_false_verdicts() -> None:
    """What the clusters are for."""
    random = np.random.default_rng(1)
    wrong = sum(verdict(clustered(random, seed, labels=False)) != "not enough evidence" for seed in range(200))
    assert wrong > 2 * most(ERROR, 200)


def at_the_margin_binary(random, seed, n=120, margin=0.1):
    return compare_scores("s", *scores(random, n, 0.05, 0.15), confidence=1 - ERROR, seed=seed, margin=margin)


def at_the_margin_graded(random, seed, n=30, margin=0.1):
    base = random.beta(2, 1, n)
    other = base - margin + random.normal(0, 0.15, n)
    return compare_scores("s", base, other, confidence=1 - ERROR, seed=seed, margin=margin)


def at_the_margin_skewed(random, seed, n=60, margin=0.1):
    base = random.beta(2, 1, n)
    other = base - margin + random.exponential(0.15, n) - 0.15
    return compare_scores("s", base, other, confidence=1 - ERROR, seed=seed, margin=margin)


def at_the_margin_bits(random, seed, n=40, margin=0.1):
    length = random.integers(50, 150, n).astype(float)
    base, other = length * random.normal(1.5, 0.1, n), length * random.normal(1.6, 0.1, n)
    pair = (base, length), (other, length)
    return compare_ratios("b", *pair, confidence=1 - ERROR, seed=seed, higher_is_better=False, margin=margin)


def at_the_margin_clustered(random, seed, clusters=30, margin=0.1):
    owner = np.repeat(np.arange(clusters), 4)
    base = random.beta(2, 1, len(owner))
    other = base - margin + random.normal(0, 0.15, clusters)[owner]
    return compare_scores("s", base, other, confidence=1 - ERROR, seed=seed, margin=margin, clusters=owner)


MARGINS = [at_the_margin_binary, at_the_margin_graded, at_the_margin_bits, at_the_margin_clustered]


def rare_losses(random, seed, n, loss, size=1.0, rows=1):
    """The candidate loses `size` on a share of the rows: the margin is the mean loss. Most rows are equal."""
    base = np.ones(n * rows)
    other = base - size * (random.random(n * rows) < loss)
    clusters = np.repeat(np.arange(n), rows) if rows > 1 else None
    base[0], other[0] = (0.9, 0.9) if rows == 1 else (base[0], other[0])  # not binary
    return compare_scores("s", base, other, confidence=1 - ERROR, seed=seed, margin=loss * size, clusters=clusters)


RARE = {
    "binary rows in 20 clusters of 2": {"n": 20, "loss": 0.05, "rows": 2},
    "binary rows in 30 clusters of 3": {"n": 30, "loss": 0.02, "rows": 3},
    "binary rows in 60 clusters of 3": {"n": 60, "loss": 0.02, "rows": 3},
    "a step of a judge's scale, 100 rows": {"n": 100, "loss": 0.02, "size": 0.2},
    "a step of a judge's scale, 50 rows": {"n": 50, "loss": 0.05, "size": 0.2},
    "all of a score, 200 rows": {"n": 200, "loss": 0.02},
    "all of a score, 400 rows": {"n": 400, "loss": 0.01},
}


@pytest.mark.some(every=2)
@pytest.mark.parametrize("case", RARE)
def test_a_model_whose_rare_losses_are_the_margin_passes_as_rarely_as_stated(case: str) -> None:
    random = np.random.default_rng(4)
    wrong = sum(verdict(rare_losses(random, seed, **RARE[case])) == "not worse" for seed in range(RUNS // 4))
    assert_at_most(wrong, ERROR / 2, RUNS // 4)


@pytest.mark.some(every=2)
@pytest.mark.parametrize("kind", [*MARGINS, at_the_margin_skewed], ids=lambda kind: kind.__name__)
def test_a_model_that_is_worse_by_the_margin_passes_as_rarely_as_stated(kind: Callable[..., Comparison]) -> None:
    random = np.random.default_rng(2)
    wrong = sum(verdict(kind(random, seed)) == "not worse" for seed in range(RUNS))
    assert_at_most(wrong, ERROR / 2)


def test_of_many_candidates_and_scores_one_false_verdict_is_as_rare_as_stated() -> None:
    """Four candidates without a difference on two scores, all against the same baseline."""
    random, wrong = np.random.default_rng(3), 0
    for seed in range(RUNS):
        found = []
        for _ in range(2):
            right = (random.random(60) < 0.6).astype(float)
            noisy = [np.abs(right - (random.random(60) < 0.2)) for _ in range(5)]
            found += [compare_scores("s", noisy[0], other, confidence=1 - ERROR, seed=seed) for other in noisy[1:]]
        wrong += any(one.verdict != "not enough evidence" for one in corrected(found, 1 - ERROR))
    assert_at_most(wrong, ERROR)


LOOKS = (0.2, 0.4, 0.6, 0.8, 1.0)


def looked(random, seed, gained, lost, n=150, graded=False):
    """The sequential p-value after each look."""
    if graded:
        base = random.beta(2, 1, n)
        pair = base, base + random.normal(gained, 0.1, n)
    else:
        pair = scores(random, n, gained, lost)
    found, values = [], []
    for number, share in enumerate(LOOKS, 1):
        change = (pair[1] - pair[0])[: round(n * share)]
        if graded:
            columns = np.stack([np.zeros_like(change), np.ones_like(change), change, np.ones_like(change)], axis=1)
            values.append(permutation.sign_flip(columns, _difference_of_ratios, seed))
        else:
            values.append(mcnemar(int((change > 0).sum()), int((change < 0).sum())))
        found.append(sequential_p(values, LOOKS[:number]))
    return found


@pytest.mark.parametrize("is_graded", [False, True], ids=["binary", "graded"])
def test_looks_at_equal_models_end_with_a_verdict_as_rarely_as_stated(is_graded: bool) -> None:
    random = np.random.default_rng(4)
    chance = 0.0 if is_graded else 0.15
    rows = 60 if is_graded else 150
    wrong = sum(min(looked(random, seed, chance, chance, rows, is_graded)) <= ERROR for seed in range(RUNS))
    assert_at_most(wrong, ERROR)


def test_looks_without_control_would_give_false_verdicts() -> None:
    """What the spending is for: five looks at a level of 5 % each are wrong more than twice as often."""
    random = np.random.default_rng(4)
    steps = random.normal(size=(20_000, 5)).cumsum(axis=1) / np.sqrt(np.arange(1, 6))
    assert (np.abs(steps) > 1.96).any(axis=1).mean() > 0.13
    bounds = [intervals.NORMAL.inv_cdf(1 - level / 2) for level in levels(LOOKS, ERROR)]
    assert_at_most(int((np.abs(steps) > bounds).any(axis=1).sum()), ERROR, 20_000)


def test_the_intervals_of_all_looks_together_contain_the_truth() -> None:
    random, held, shares = np.random.default_rng(5), 0, levels(LOOKS, ERROR)
    for seed in range(RUNS):
        base, other = scores(random, 200, 0.2, 0.1)
        found = [
            compare_scores("s", base[:rows], other[:rows], confidence=1 - level, seed=seed).interval
            for rows, level in zip((40, 80, 120, 160, 200), shares, strict=True)
        ]
        held += all(one is not None and one.low <= 0.1 <= one.high for one in found)
    assert_at_least(held, 1 - ERROR)


@pytest.mark.some(every=2)
@pytest.mark.parametrize(
    ("n", "kind"), [(200, "binary"), (60, "graded"), (40, "clustered")], ids=["binary", "graded", "clustered"]
)
def test_the_minimum_detectable_effect_is_found_at_the_stated_power(n: int, kind: str) -> None:
    random, variance = np.random.default_rng(6), 0.3 if kind == "binary" else 0.04
    effect = Design(n, ERROR, variance=variance, is_binary=kind == "binary").detectable()
    assert effect is not None
    found = 0
    for seed in range(RUNS):
        owner = None
        if kind == "binary":
            pair = scores(random, n, (variance + effect) / 2, (variance - effect) / 2)
        elif kind == "graded":
            base = random.beta(2, 1, n)
            pair = base, base + random.normal(effect, variance**0.5, n)
        else:  # the rows of a document are equal: as many as documents count
            owner = np.repeat(np.arange(n), 3)
            base = random.beta(2, 1, 3 * n)
            pair = base, base + random.normal(effect, variance**0.5, n)[owner]
        found += verdict(compare_scores("s", *pair, confidence=1 - ERROR, seed=seed, clusters=owner)) == "better"
    assert_at_least(found, 0.78)
    assert_at_most(found, 0.84)


def test_equal_models_are_shown_to_be_within_the_told_margin_at_the_stated_power() -> None:
    random, margin = np.random.default_rng(7), Design(300, ERROR, variance=0.2).shown_margin()
    found = sum(
        verdict(compare_scores("s", *scores(random, 300, 0.1, 0.1), confidence=0.95, seed=0, margin=margin))
        == "not worse"
        for _ in range(RUNS)
    )
    assert_at_least(found, 0.78)
    assert_at_most(found, 0.86)


def test_looks_find_an_effect_almost_as_often_as_one_test_and_sooner() -> None:
    random, effect = np.random.default_rng(8), Design(200, ERROR, variance=0.3).detectable()
    found = [looked(random, seed, (0.3 + effect) / 2, (0.3 - effect) / 2, n=200) for seed in range(RUNS)]
    assert_at_least(sum(values[-1] <= ERROR for values in found), 0.75)
    assert sum(values[3] <= ERROR for values in found) > 0.5 * RUNS  # after 80 % of the rows


@pytest.mark.some(every=2)
@pytest.mark.parametrize("kind", ["graded", "clustered", "bits"])
def test_intervals_contain_the_truth_as_often_as_stated(kind: str) -> None:
    random, held = np.random.default_rng(9), 0
    for seed in range(RUNS):
        if kind == "graded":
            base = random.beta(2, 1, 60)
            found = compare_scores("s", base, base + random.normal(0.05, 0.1, 60), confidence=0.95, seed=seed)
        elif kind == "clustered":
            owner = np.repeat(np.arange(40), 3)
            base = random.beta(2, 1, 120)
            other = base + 0.05 + random.normal(0, 0.1, 40)[owner]
            found = compare_scores("s", base, other, confidence=0.95, seed=seed, clusters=owner)
        else:
            length = random.integers(50, 150, 60).astype(float)
            base, other = length * random.normal(1.5, 0.1, 60), length * random.normal(1.55, 0.1, 60)
            found = compare_ratios("b", (base, length), (other, length), confidence=0.95, seed=seed)
        assert found.interval is not None
        held += found.interval.low <= 0.05 <= found.interval.high
    assert_at_least(held, 0.94)  # the bootstrap's intervals are a little narrow: Hesterberg 2015
