"""The best of several checkpoints is named with what its choice on the same rows is worth."""

import math
from dataclasses import replace

import numpy as np
import pytest

from burnish.evals.evaluation.points import (
    Point,
    Points,
    best_points,
    point_measures,
    point_metrics,
    point_table,
    series,
)
from burnish.evals.likelihood import Likelihood
from burnish.evals.measure import Item
from burnish.evals.scoring.scorers import Score


def items(values, nats=None):
    found = [Item(answer="x", scores={"accuracy": Score(float(value))}) for value in values]
    for item, loss in zip(found, [] if nats is None else nats, strict=False):
        item.likelihood = Likelihood(float(loss), 5.0, 10.0)
    return found


def points(*columns, artifact=True, **more):
    count = len(columns[0])
    rows = [{"id": str(i), "source": f"d:{i}"} for i in range(count)]
    last = len(columns) - 1
    listed = [
        Point(step + 1, "artifact" if artifact and step == last else "checkpoint", f"r.t@1/step-{step + 1}", "f", one)
        for step, one in enumerate(columns)
    ]
    return Points(rows, listed, more.get("damaged", {}), 0.95, 0)


def test_the_best_is_compared_with_the_artifact_over_all_points():
    low, high = [0] * 30 + [1] * 10, [1] * 30 + [1] * 10
    (best,) = best_points(points(items(low), items(high), items(low)))
    assert (best.point.step, best.value, best.compared) == (2, 1.0, 2)
    assert best.comparison.verdict == "better"
    assert best.comparison.p_corrected == pytest.approx(2 * best.comparison.p_value)
    text = best.sentence()
    assert "beyond chance" in text
    assert "too high an estimate" in text
    assert "other rows" in text


def test_a_small_gain_is_not_enough_evidence():
    low, high = [0] * 20 + [1] * 20, [1] * 1 + [0] * 19 + [1] * 20
    (best,) = best_points(points(items(high), items(low)))
    assert best.point.step == 1
    assert "not enough evidence" in best.sentence()
    assert "too high an estimate" in best.sentence()


def test_the_artifact_or_the_newest_is_best_where_none_is_better():
    (best,) = best_points(points(items([0, 1, 0, 0]), items([0, 1, 0, 1])))
    assert best.comparison is None
    assert "the result of the training" in best.sentence()
    (best,) = best_points(points(items([0, 1, 0, 0]), items([0, 1, 0, 1]), artifact=False))
    assert "the newest" in best.sentence()


def test_the_base_is_named_beside_the_choice():
    found = points(items([0, 1, 0, 0]), items([0, 1, 0, 1]))
    base = Point(0, "base", "builtin:pocket", "b", items([1, 1, 1, 1]))
    (best,) = best_points(replace(found, points=[base, *found.points]))
    assert (best.point.step, best.base) == (2, 1.0)
    assert best.sentence().endswith("The base has 1.000.")


def test_of_equal_points_none_is_the_best():
    level = points(items([0, 1]), items([0, 1]))
    (best,) = best_points(level)
    assert "all 2 have" in best.sentence()
    found = point_metrics(level)
    assert found["best_checkpoints"]["accuracy"]["step"] is None
    assert "accuracy_best_step" not in point_measures(found)
    (best,) = best_points(points(items([0, 1])))
    assert "the only point has" in best.sentence()


def test_fewer_bits_are_better():
    worse, better = [20.0 + i % 3 for i in range(30)], [10.0 + i % 3 for i in range(30)]
    found = points(items([1] * 30, worse), items([1] * 30, better), items([1] * 30, worse))
    best = {one.measure: one for one in best_points(found)}
    assert best["bits_per_byte"].point.step == 2
    assert best["bits_per_byte"].comparison.verdict == "better"
    assert best["bits_per_byte"].value == pytest.approx(sum(better) / math.log(2) / 300)


def test_the_metrics_have_every_point_and_what_is_damaged():
    found = point_metrics(points(items([0, 1]), items([1, 1]), damaged={9: "weights.safetensors is gone"}))
    assert [entry["step"] for entry in found["checkpoints"]] == [1, 2]
    assert found["damaged_checkpoints"] == [{"step": 9, "why": "weights.safetensors is gone"}]
    assert found["checkpoints"][0]["scores"]["accuracy"]["value"] == 0.5
    assert set(series(found["checkpoints"])) == {"accuracy"}
    table = point_table(found["checkpoints"])
    assert [row[0] for row in table.rows] == ["1", "2 (artifact)"]


def test_of_equal_checkpoints_one_is_beyond_chance_in_at_most_one_of_twenty():
    """The best of eight on the same rows would be "better" more often without the correction."""
    generator, trials, found, naive = np.random.default_rng(0), 200, 0, 0
    for _ in range(trials):
        columns = [items(generator.random(60) < 0.5) for _ in range(8)]
        (best,) = best_points(points(*columns))
        if best.comparison is not None:
            found += best.comparison.verdict == "better"
            naive += best.comparison.p_value <= 0.05
    assert found <= 17  # P(X > 17) < 0.01 for X ~ B(200, 0.05)
    assert naive > 2 * found
