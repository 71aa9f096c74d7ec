"""Agreement, against published examples and plain loops."""

import itertools
import tracemalloc

import numpy as np
import pytest

from burnish.evals.judge.agreement import alpha, kappa

N = None
FOUR_OBSERVERS = list(
    zip(  # Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C
        [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
        [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
        strict=True,
    )
)


def of(ratings, level):
    return alpha(ratings, level, 0.95, 0)


@pytest.mark.parametrize(("level", "value"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_four_observers_with_missing_values_is_krippendorffs(level, value):
    found = of(FOUR_OBSERVERS, level)
    assert found.value == pytest.approx(value, abs=5e-4)
    assert found.low < found.value < found.high <= 1
    assert found.rows == 11  # one unit has a single value


def test_alpha_of_two_observers_is_krippendorffs():
    meg, owen = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]  # section A
    assert of(list(zip(meg, owen, strict=True)), "nominal").value == pytest.approx(0.095, abs=5e-4)
    ben, gerry = "aabbdcccedda", "babbbccceddd"  # section B
    pairs = [(ord(one), ord(other)) for one, other in zip(ben, gerry, strict=True)]
    assert of(pairs, "nominal").value == pytest.approx(0.692, abs=5e-4)


def test_kappa_is_cohens_and_weighted_kappa_that_of_plain_loops():
    cells = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]  # Cohen 1960, table 1, of 200: kappa is .492
    points = [0.0, 1.0, 2.0]
    pairs = [(points[i], points[j]) for i, j in itertools.product(range(3), repeat=2) for _ in range(cells[i][j])]
    plain = kappa(pairs, points, 0.95, 0, weighted=False)
    assert plain.value == pytest.approx(0.492, abs=5e-4)
    assert plain.low < plain.value < plain.high
    rows, columns = np.sum(cells, axis=1), np.sum(cells, axis=0)
    seen = sum(cells[i][j] * (i - j) ** 2 for i in range(3) for j in range(3))
    by_chance = sum(rows[i] * columns[j] / 200 * (i - j) ** 2 for i in range(3) for j in range(3))
    assert kappa(pairs, points, 0.95, 0, weighted=True).value == pytest.approx(1 - seen / by_chance)


def test_perfect_agreement_is_1_and_a_single_verdict_is_undefined():
    same = [(value, value) for value in (1, 2, 3, 3)]
    for level in ("nominal", "ordinal", "interval"):
        assert (of(same, level).value, of(same, level).high) == (1.0, 1.0)
        assert of([(3, 3)] * 5, level).value is None
        assert of([(3, None), (None, 2)], level).value is None
    assert kappa([(1.0, 1.0)] * 5, [1.0, 2.0], 0.95, 0, weighted=False).value is None
    assert kappa([], [1.0, 2.0], 0.95, 0, weighted=True).rows == 0


def plain_alpha(rows, level):
    """Krippendorff's definition, by loops over all pairs of values."""
    flat = np.array(sorted(value for row in rows for value in row))
    rank = {value: (flat < value).sum() + (flat == value).sum() / 2 for value in flat}
    at = {"nominal": None, "ordinal": rank.get, "interval": lambda value: value}[level]

    def disagreement(values):
        if at is None:
            return (np.array(values)[:, None] != np.array(values)).sum()
        points = np.array([at(value) for value in values])
        return ((points[:, None] - points) ** 2).sum()

    observed = sum(disagreement(row) / (len(row) - 1) for row in rows)
    return 1 - observed / (disagreement(flat) / (len(flat) - 1))


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
@pytest.mark.parametrize("values", [5, 1000])
def test_alpha_of_any_scale_is_that_of_plain_loops(level, values):
    chance = np.random.default_rng(1)
    rows = []
    for truth in chance.random(60):
        raters = np.clip(truth + chance.normal(0, 0.1, chance.integers(2, 5)), 0, 1)
        rows.append([float(round(value * values) / 7 + 1e4) for value in raters])
    found = of(rows, level)
    assert found.value == pytest.approx(plain_alpha(rows, level), abs=1e-9)
    assert found.low < found.value < found.high


@pytest.mark.timeout(60)
@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_fractional_verdicts_of_many_rows_need_little_memory(level):
    """A table of the pairs of values would have 200 rows × 400² cells: 256 MB."""
    chance = np.random.default_rng(0)
    truth = chance.random(200)
    rows = [tuple(row) for row in (truth[:, None] + chance.normal(0, 0.1, (200, 2))).tolist()]
    tracemalloc.start()
    found = of(rows, level)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    assert level == "nominal" or found.low < found.value < found.high


def test_kappa_of_a_long_scale_needs_little_memory():
    points = [float(point) for point in range(301)]
    pairs = [(point, min(300.0, point + 1)) for point in points]
    tracemalloc.start()
    weighted, plain = (kappa(pairs, points, 0.95, 0, weighted=weighted) for weighted in (True, False))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert weighted.value > 0.99 > plain.value
    assert peak < 100e6


def test_intervals_cover_the_true_agreement():
    """Two raters who copy a truth of five values with probability 0.7: alpha is 0.49 in the limit."""
    chance, inside = np.random.default_rng(0), 0
    for _ in range(100):
        truth = chance.integers(5, size=60)
        raters = [np.where(chance.random(60) < 0.7, truth, chance.integers(5, size=60)) for _ in range(2)]
        found = of(list(zip(*(rater.tolist() for rater in raters), strict=True)), "nominal")
        inside += found.low <= 0.49 <= found.high
    assert inside >= 89  # of 100 at 95 %: fewer have a chance of 0.4 %


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_rows_of_a_cluster_are_resampled_as_one(level):
    """Ten documents of six equal rows: the interval is that of ten rows; a row with one verdict does not count."""
    chance = np.random.default_rng(3)
    ten = chance.integers(3, size=(10, 2)).tolist()
    rows = [tuple(ten[document]) for document in range(10) for _ in range(6)]
    labels = np.repeat(np.arange(10), 6)
    rows.insert(0, (1, None))
    found = alpha(rows, level, 0.95, 0, np.insert(labels, 0, 4))
    plain = of(rows, level)
    assert found.value == plain.value
    assert found.high - found.low > 1.8 * (plain.high - plain.low)


def test_kappa_resamples_clusters_as_one():
    chance = np.random.default_rng(3)
    ten = chance.integers(3, size=(10, 2)).astype(float).tolist()
    pairs = [tuple(ten[document]) for document in range(10) for _ in range(6)]
    plain, found = (
        kappa(pairs, [0.0, 1.0, 2.0], 0.95, 0, labels, weighted=True) for labels in (None, np.repeat(np.arange(10), 6))
    )
    assert found.value == plain.value
    assert found.high - found.low > 1.8 * (plain.high - plain.low)
