"""Intervals and comparisons against known values and simulations."""

import math

import numpy as np
import pytest

from burnish.evals.statistics import permutation
from burnish.evals.statistics.holm import corrected, holm
from burnish.evals.statistics.intervals import Interval, bootstrap, mean_interval, ratio, wilson
from burnish.evals.statistics.paired import (
    Comparison,
    _difference_of_ratios,
    bonett_price,
    compare_ratios,
    compare_scores,
    mcnemar,
)
from burnish.evals.statistics.permutation import _signs, sign_flip


def test_wilson_returns_the_textbook_values() -> None:
    ten_of_ten = wilson(10, 10, 0.95)
    assert ten_of_ten.low == pytest.approx(0.7225, abs=1e-4)
    assert ten_of_ten.high == 1.0
    assert wilson(81, 263, 0.95).low == pytest.approx(0.2553, abs=1e-4)  # Newcombe 1998, table I
    assert wilson(81, 263, 0.95).high == pytest.approx(0.3662, abs=1e-4)


def test_mcnemar_is_the_doubled_tail_of_a_fair_coin() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 6) == pytest.approx(2 / 64)
    assert mcnemar(8, 1) == pytest.approx(2 * (1 + 9) / 512)
    assert mcnemar(40_000, 41_000) < 1e-3


def test_bonett_price_adds_a_row_to_each_disagreement() -> None:
    interval = bonett_price(gained=8, lost=1, n=50, confidence=0.95)
    up, down = 9 / 52, 2 / 52
    half = 1.959964 * math.sqrt((up + down - (up - down) ** 2) / 52)
    assert (interval.low, interval.high) == pytest.approx((up - down - half, up - down + half))


def test_models_that_never_differ_have_an_interval_of_positive_width() -> None:
    same = np.array([1.0, 0.0] * 10)
    comparison = corrected([compare_scores("exact_match", same, same, confidence=0.95, seed=0)], 0.95)[0]
    assert comparison.interval is not None
    assert comparison.interval.low < -0.1 < 0.1 < comparison.interval.high
    assert comparison.verdict == "not enough evidence"


def test_a_bootstrap_interval_is_the_same_for_the_same_seed_and_near_the_normal_one() -> None:
    values = np.random.default_rng(1).normal(0.5, 0.1, 400)
    interval = mean_interval(values, 0.95, seed=3)
    assert interval == mean_interval(values, 0.95, seed=3)
    assert interval is not None
    half = 1.96 * values.std() / 20
    assert (interval.low, interval.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.002)


def test_the_interval_of_a_ratio_weighs_rows_by_their_length() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(1, 100, 200).astype(float)
    columns = np.stack([lengths * random.normal(2.0, 0.2, 200), lengths], axis=1)
    interval = bootstrap(columns, ratio, 0.95, seed=0)
    assert interval is not None
    assert interval.low < columns[:, 0].sum() / lengths.sum() < interval.high
    assert 0.01 < interval.high - interval.low < 0.1


def test_one_row_has_no_interval_and_no_verdict() -> None:
    comparison = compare_ratios(
        "bits_per_byte", (np.array([8.0]), np.array([4.0])), (np.array([4.0]), np.array([4.0])), confidence=0.95, seed=0
    )
    assert (comparison.base, comparison.candidate, comparison.delta) == (2.0, 1.0, -1.0)
    assert comparison.interval is None
    assert corrected([comparison], 0.95)[0].verdict == "too few rows"
    assert mean_interval(np.array([0.5]), 0.95, 0) is None


def test_sign_flip_counts_every_flip_of_few_rows() -> None:
    differences = np.array([1.0, 2.0, 3.0])  # only all plus and all minus reach a mean of 2
    columns = np.stack([np.zeros(3), np.ones(3), differences, np.ones(3)], axis=1)
    assert sign_flip(columns, lambda s: s[..., 2] / s[..., 3] - s[..., 0] / s[..., 1], 0) == pytest.approx(2 / 8)


def test_a_lower_value_is_better_if_specified() -> None:
    random = np.random.default_rng(0)
    base, lengths = random.normal(100, 5, 60), np.full(60, 50.0)
    comparison = compare_ratios(
        "bits_per_byte", (base, lengths), (base - 10, lengths), confidence=0.95, seed=0, higher_is_better=False
    )
    assert comparison.delta == pytest.approx(-0.2)
    assert corrected([comparison], 0.95)[0].verdict == "better"


def test_holm_multiplies_the_smallest_p_value_most() -> None:
    away = Interval(0.1, 0.2, "")
    p_values = {"a": 0.03, "b": 0.01, "c": 0.04}
    comparisons = [Comparison(name, 10, 0.0, 0.1, away, "", p) for name, p in p_values.items()]
    found = {comparison.name: comparison for comparison in corrected(comparisons, 0.95)}
    assert {name: found[name].p_corrected for name in found} == pytest.approx({"a": 0.06, "b": 0.03, "c": 0.06})
    assert [found[name].verdict for name in "abc"] == ["not enough evidence", "better", "not enough evidence"]


@pytest.mark.parametrize("higher_is_better", [True, False])
@pytest.mark.parametrize(
    ("low", "high", "p", "verdict"),
    [
        (0.1, 0.3, 0.001, "higher"),
        (-0.3, -0.1, 0.001, "lower"),
        (0.1, 0.3, 0.05, "higher"),
        (0.1, 0.3, 0.0501, "not enough evidence"),
        (-0.1, 0.3, 0.001, "not enough evidence"),
        (-0.3, 0.1, 0.001, "not enough evidence"),
        (0.0, 0.3, 0.001, "not enough evidence"),
        (-0.3, 0.0, 0.001, "not enough evidence"),
    ],
)
def test_a_verdict_needs_a_small_p_value_and_an_interval_on_one_side_of_0(
    low: float, high: float, p: float, verdict: str, higher_is_better: bool
) -> None:
    delta = (low + high) / 2
    comparison = Comparison("score", 50, 0.5, 0.5 + delta, Interval(low, high, ""), "", p, higher_is_better)
    if verdict in ("higher", "lower"):
        verdict = "better" if (verdict == "higher") == higher_is_better else "worse"
    assert corrected([comparison], 0.95)[0].verdict == verdict


def test_a_verdict_without_an_interval_is_none() -> None:
    comparison = Comparison("score", 50, 0.5, 0.9, None, "", 1e-6)
    assert corrected([comparison], 0.95)[0].verdict == "not enough evidence"


@pytest.mark.parametrize("is_binary", [True, False])
@pytest.mark.parametrize(
    ("rows", "confidence", "scores", "verdict"),
    [
        (5, 0.95, 1, "too few rows"),
        (6, 0.95, 1, "better"),
        (6, 0.95, 2, "too few rows"),
        (7, 0.95, 2, "better"),
        (6, 0.99, 1, "too few rows"),
    ],
)
def test_too_few_rows_for_any_verdict_are_reported(
    rows: int, confidence: float, scores: int, verdict: str, is_binary: bool
) -> None:
    wins = np.ones(rows) if is_binary else np.linspace(0.8, 0.9, rows)
    comparison = compare_scores("score", np.zeros(rows), wins, confidence=confidence, seed=0)
    assert comparison.interval is not None
    assert comparison.interval.low > 0
    found = corrected([comparison] * scores, confidence)
    assert {one.verdict for one in found} == {verdict}


def _binary_pair(
    random: np.random.Generator, n: int, base: float, gain: float, loss: float
) -> tuple[np.ndarray, np.ndarray]:
    first = (random.random(n) < base).astype(float)
    turned = random.random(n)
    second = np.where(first == 1, (turned >= loss).astype(float), (turned < gain).astype(float))
    return first, second


def test_the_interval_of_proportions_contains_the_truth_about_95_times_in_100() -> None:
    random, held, truth = np.random.default_rng(7), 0, 0.4 * 0.2 - 0.6 * 0.1
    for seed in range(300):
        pair = _binary_pair(random, 80, 0.6, gain=0.2, loss=0.1)
        interval = compare_scores("score", *pair, confidence=0.95, seed=seed).interval
        assert interval is not None
        held += interval.low <= truth <= interval.high
    assert 0.92 <= held / 300 <= 0.985


@pytest.mark.parametrize("skew", [False, True])
def test_the_bootstrap_interval_contains_the_truth_about_95_times_in_100(skew: bool) -> None:
    random, held = np.random.default_rng(7), 0
    for seed in range(300):
        differences = random.exponential(0.1, 60) - 0.05 if skew else random.normal(0.05, 0.1, 60)
        columns = np.stack([differences, np.ones(60)], axis=1)
        interval = bootstrap(columns, ratio, 0.95, seed, resamples=2000)
        assert interval is not None
        held += interval.low <= 0.05 <= interval.high
    assert 0.915 <= held / 300 <= 0.985


def test_an_outlier_does_not_break_the_interval() -> None:
    values = np.full(100, 0.5)
    values[0] = 0.0
    interval = mean_interval(values, 0.95, seed=0)
    assert interval is not None
    assert interval.low < 0.495 < interval.high <= 0.5


@pytest.mark.parametrize("kind", ["binary", "graded"])
def test_models_without_a_difference_seldom_get_a_verdict(kind: str) -> None:
    random, wrong, simulations = np.random.default_rng(8), 0, 200
    for seed in range(simulations):
        if kind == "binary":
            pair = _binary_pair(random, 80, 0.5, gain=0.2, loss=0.2)
        else:
            first, noise = random.beta(2, 1, 40), random.normal(0, 0.1, 40)
            pair = first, first + noise
        comparison = compare_scores("score", *pair, confidence=0.95, seed=seed)
        wrong += corrected([comparison], 0.95)[0].verdict != "not enough evidence"
    assert wrong / simulations <= 0.07


def test_a_real_difference_is_found() -> None:
    random, found = np.random.default_rng(9), 0
    for seed in range(20):
        pair = _binary_pair(random, 200, 0.5, gain=0.4, loss=0.1)
        found += corrected([compare_scores("score", *pair, confidence=0.95, seed=seed)], 0.95)[0].verdict == "better"
    assert found >= 18


@pytest.mark.parametrize(("n", "flips"), [(13, 100), (40, 37)])
def test_of_many_rows_random_flips_are_drawn_and_the_measured_one_counts(monkeypatch, n, flips) -> None:
    monkeypatch.setattr(permutation, "FLIPS", flips)
    monkeypatch.setattr(permutation, "_CHUNK", 200)
    signs = list(_signs(n, 0))
    assert sum(map(len, signs)) == flips
    assert set(np.unique(np.concatenate(signs)).tolist()) == {-1.0, 1.0}
    columns = np.stack([np.zeros(n), np.ones(n), np.full(n, 1.0), np.ones(n)], axis=1)
    assert sign_flip(columns, _difference_of_ratios, 0) == pytest.approx(1 / (flips + 1))
    assert len(next(_signs(12, 0))) == 4096


def test_every_flip_of_few_rows_is_there_once() -> None:
    (signs,) = _signs(3, 0)
    assert sorted(map(tuple, signs.tolist())) == sorted(
        (a, b, c) for a in (-1.0, 1.0) for b in (-1.0, 1.0) for c in (-1.0, 1.0)
    )


def test_holm_is_that_of_the_textbook() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([0.5]) == [0.5]
    assert holm([]) == []


def test_a_proportion_ends_at_minus_one_and_one() -> None:
    assert bonett_price(0, 1, 1, 0.95).low == -1.0
    assert bonett_price(1, 0, 1, 0.95).high == 1.0


@pytest.mark.parametrize("sides", ["binary and graded", "graded and binary"])
def test_one_graded_score_makes_both_graded(sides: str) -> None:
    binary, graded = np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.5, 0.75, 0.25, 1.0])
    pair = (binary, graded) if sides == "binary and graded" else (graded, binary)
    found = compare_scores("score", *pair, confidence=0.9, seed=0)
    assert (found.test, found.n, found.higher_is_better) == ("sign-flip permutation", 4, True)
    assert (found.base, found.candidate) == pytest.approx((pair[0].mean(), pair[1].mean()))


@pytest.mark.parametrize(("n", "p"), [(11, 2 / 2**11), (12, 2 / 2**12), (13, None), (14, None)])
def test_up_to_twelve_rows_have_the_exact_p_value(n: int, p: float | None) -> None:
    columns = np.stack([np.zeros(n), np.ones(n), np.ones(n), np.ones(n)], axis=1)
    found = sign_flip(columns, _difference_of_ratios, 0)
    if p is None:  # the measured signs count once more, and chance finds them again a few times
        assert found in [(extreme + 1) / 10_001 for extreme in range(10)]
    else:
        assert found == pytest.approx(p, rel=1e-12)


def test_a_permutation_test_of_ratios_is_that_of_plain_python() -> None:
    """Rows of unequal lengths: every way to swap the models of some rows, counted one by one."""
    base = [(3.0, 2.0), (1.0, 5.0), (4.0, 1.0), (2.0, 2.0), (6.0, 3.0)]
    ours = [(2.0, 2.5), (2.0, 4.0), (5.0, 1.0), (1.0, 2.0), (2.0, 3.0)]

    def delta(swapped: int) -> float:
        left = [ours[i] if swapped >> i & 1 else base[i] for i in range(5)]
        right = [base[i] if swapped >> i & 1 else ours[i] for i in range(5)]
        return sum(a for a, _ in right) / sum(b for _, b in right) - sum(a for a, _ in left) / sum(b for _, b in left)

    extreme = sum(abs(delta(swapped)) >= abs(delta(0)) - 1e-12 for swapped in range(32))
    found = compare_ratios(
        "x",
        (np.array(base)[:, 0], np.array(base)[:, 1]),
        (np.array(ours)[:, 0], np.array(ours)[:, 1]),
        confidence=0.9,
        seed=0,
    )
    assert found.p_value == pytest.approx(extreme / 32)
    assert 2 < extreme < 30
    assert (found.base, found.candidate) == (pytest.approx(16 / 13), pytest.approx(12 / 12.5))


def test_graded_models_that_never_differ_have_a_p_value_of_one() -> None:
    same = np.array([0.5, 0.25, 0.75])
    assert compare_scores("score", same, same, confidence=0.95, seed=0).p_value == 1.0


@pytest.mark.parametrize(("n", "least"), [(0, 1.0), (1, 1.0), (2, 0.5), (3, 0.25), (7, 1 / 64)])
def test_no_result_on_few_rows_is_rarer_than_two_of_all_sign_patterns(n: int, least: float) -> None:
    assert Comparison("score", n, 0.0, 1.0, None, "", 1.0).min_p == least


def test_a_p_value_that_is_exactly_the_allowed_one_is_significant() -> None:
    found = Comparison("score", 3, 0.5, 0.65, Interval(0.1, 0.2, ""), "", 0.25)
    assert corrected([found], 0.75)[0].verdict == "better"
    assert corrected([Comparison("score", 2, 0.5, 0.65, Interval(0.1, 0.2, ""), "", 0.25)], 0.75)[0].verdict == (
        "too few rows"
    )


def test_a_comparison_is_undecided_until_it_is_corrected() -> None:
    found = Comparison("score", 9, 0.25, 0.5, None, "", 0.001)
    assert (found.delta, found.p_corrected, found.verdict, found.higher_is_better) == (
        0.25,
        1.0,
        "not enough evidence",
        True,
    )


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("higher", [True, False])
@pytest.mark.parametrize("margin", [None, 0.1])
@pytest.mark.parametrize("side", [0, 1])
def test_a_value_that_is_not_finite_is_no_evidence(
    broken: float, higher: bool, margin: float | None, side: int
) -> None:
    values = np.random.default_rng(0).random((2, 30)) + np.array([[0.0], [2.0 if higher else -2.0]])
    values[side, 7] = broken
    base, candidate = ((row, np.ones(30)) for row in values)
    settings = {"confidence": 0.95, "seed": 0, "higher_is_better": higher, "margin": margin}
    for clusters in (None, np.arange(30) // 2):
        made = compare_ratios("bits_per_byte", base, candidate, clusters=clusters, **settings)
        found = corrected([made], 0.95)[0]
        assert (found.verdict, found.p_value, found.interval) == ("not enough evidence", 1.0, None)


@pytest.mark.parametrize("ends", [(math.nan, math.nan), (0.1, math.inf), (-math.inf, -0.1)])
def test_an_interval_without_an_end_has_no_verdict(ends: tuple[float, float]) -> None:
    for margin in (None, 0.5):
        found = Comparison("score", 9, 0.25, 0.5, Interval(*ends, ""), "", 0.001, margin=margin)
        assert corrected([found], 0.95)[0].verdict == "not enough evidence"
