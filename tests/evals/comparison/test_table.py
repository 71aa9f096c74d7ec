"""The columns of a comparison: which rows count, with which clusters and in which unit."""

import numpy as np
import pytest

from burnish.evals.comparison.table import Candidate, columns_of
from burnish.evals.likelihood import Likelihood
from burnish.evals.measure import Item
from burnish.evals.scoring.scorers import Score, Unscored


def candidate(name: str, scores: list[float | None]) -> Candidate:
    likelihood = Likelihood(np.log(2) * 12, 3.0, 4.0)
    items = [Item(scores={"s": Unscored("?") if s is None else Score(s)}, likelihood=likelihood) for s in scores]
    return Candidate(name, "", "model", "", items)


def test_a_row_without_a_score_counts_for_nobody_and_the_others_keep_their_clusters() -> None:
    one, other = candidate("a", [1, None, 0, 1, 0, 1]), candidate("b", [None, 1, 1, 1, 1, 0])
    column, *_ = columns_of([one, other], np.array([0, 0, 1, 1, 2, 2]))
    assert column.rows == [2, 3, 4, 5]
    assert column.labels is not None
    assert column.labels.tolist() == [1, 1, 2, 2]
    assert (column.value("a"), column.value("b"), column.unpaired) == (0.5, 0.75, {"a": 1, "b": 1})
    assert (column.units, column.higher_is_better, column.unscored["b"]) == ("clusters", True, {"?": 1})


def test_likelihoods_are_bits_per_byte_and_perplexity_of_which_less_is_better() -> None:
    score, perplexity, bits = columns_of([candidate("a", [1.0, 0.0])], None)
    assert (score.value("a"), bits.value("a"), perplexity.value("a")) == pytest.approx((0.5, 3.0, 16.0))
    assert [each.higher_is_better for each in (score, perplexity, bits)] == [True, False, False]
    assert [each.is_compared for each in (score, perplexity, bits)] == [True, False, True]


def test_the_interval_of_clustered_rows_is_that_of_clusters() -> None:
    scores = [float(value) for value in np.repeat(np.random.default_rng(0).random(30), 4)]
    rows, clusters = (columns_of([candidate("a", scores)], labels)[0] for labels in (None, np.repeat(np.arange(30), 4)))
    widths = []
    for column in (rows, clusters):
        interval = column.interval("a", 0.95, 0)
        assert interval is not None
        widths.append(interval.high - interval.low)
    assert widths[1] / widths[0] == pytest.approx(2, rel=0.15)  # 30 clusters say as much as 30 rows
