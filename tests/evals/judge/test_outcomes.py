"""From verdicts by judge and repeat to scores: a missing one changes no other, and is never 0."""

import pytest

from burnish.evals.judge.criteria import Criterion, Scale
from burnish.evals.judge.outcomes import Ratings, combined, scores_of
from burnish.evals.judge.summary import agreement_of
from burnish.evals.scoring.scorers import Score, Unscored

SCALE = Scale({}, 1, 5, True, {}, "ordinal")


def agreement(scale, ours, theirs):
    ratings = [Ratings(Criterion("a", "", scale), {"one": ours, "other": theirs})]
    return agreement_of(ratings, {}, "mean", None, 0.95, 0)["a"]["judges"]


def test_judges_are_compared_by_the_mean_of_their_repeats():
    found = agreement(SCALE, [[1, 5], [2, 2], [5, 5]], [[3, 3], [1, 3], [5, None]])
    assert (found["value"], found["rows"]) == (1.0, 3)


def test_judges_that_name_kinds_are_compared_by_the_majority_of_their_repeats_where_there_is_one():
    kinds = Scale({"x": 0.0, "y": 1.0}, 0, 1, False, {}, "nominal")
    found = agreement(kinds, [[*"xyx"], [*"yyx"], [*"xy"]], [[*"x"], [*"y"], [*"x"]])
    assert (found["value"], found["rows"]) == (1.0, 2)


COMBINED = {
    "judges count alike, however many of their repeats are there": ([[5, 1], [5, None]], 0.75, 1.0),
    "a judge without a verdict does not count": ([[None, None], [5, 5]], 1.0, 1.0),
    "of several that are as frequent, the mean": ([[1, 5], [3, 3, 5]], (0.5 + 2 / 3) / 2, 0.75),
    "nothing is known": ([[None], []], None, None),
}


@pytest.mark.parametrize("case", COMBINED)
def test_verdicts_are_combined(case):
    verdicts, mean, majority = COMBINED[case]
    assert combined(verdicts, SCALE, "mean") == (mean if mean is None else pytest.approx(mean))
    assert combined(verdicts, SCALE, "majority") == (majority if majority is None else pytest.approx(majority))


def scores(verdicts, threshold):
    """Of criteria with the weights 3 and 1."""
    ratings = [
        Ratings(Criterion(name, "", SCALE, weight), {"judge": [[verdict]]})
        for name, verdict, weight in zip("ab", verdicts, (3, 1), strict=True)
    ]
    return scores_of(ratings, 0, "mean", threshold, "cut off")


def test_the_mean_is_weighted_and_passes_at_the_threshold():
    assert scores([4, 1], 0.5625) == {"a": Score(0.75), "b": Score(0.0), "overall": Score(0.5625), "pass": Score(1.0)}
    assert scores([4, 1], 0.5626)["pass"] == Score(0.0)
    assert scores([3.4, 3.4], 0.6)["pass"] == Score(1.0), "0.6 is not exact"


def test_without_one_of_the_criteria_there_is_no_mean_and_no_pass():
    why = Unscored("cut off")
    assert scores([5, None], 0.1) == {"a": Score(1.0), "b": why, "overall": why, "pass": why}
