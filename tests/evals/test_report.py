"""The numbers of an evaluation, from made-up items, compared with explicit sums."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from burnish.evals.measure import Item
from burnish.evals.perplexity import Likelihood
from burnish.evals.report import Sample, item_lines, measures, metrics, unpaired, unscored
from burnish.evals.scoring.scorers import Score, Unscored
from burnish.evals.statistics.intervals import mean_interval
from burnish.evals.statistics.paired import compare_ratios, compare_scores

RANDOM = np.random.default_rng(0)


def items(quality: float, missing: tuple[int, ...], unread: tuple[int, ...]) -> list[Item]:
    """Forty items; those of `missing` are unscored, those of `unread` have no likelihood."""
    made = []
    for number in range(40):
        tokens = float(RANDOM.integers(1, 30)) / 4  # weights are fractions
        likelihood = Likelihood(tokens * (3 - quality) * float(RANDOM.uniform(0.5, 1.5)), tokens, tokens * 3)
        graded: Score | Unscored = Score(float(np.clip(RANDOM.normal(quality, 0.1), 0, 1)), "so")
        right: Score | Unscored = Score(float(RANDOM.random() < quality), "right or wrong")
        if number in missing:
            graded = right = Unscored("no reference")
        scores = {"graded": graded, "right": right}
        made.append(Item("p", "r", "a", "stop", scores, None if number in unread else likelihood))
    return made


ROWS = [{"id": f"{i:016x}", "source": f"x:{i}", "tag": ("one", "two", None)[i % 3]} for i in range(40)]
OURS, THEIRS = items(0.8, (0, 1), (5,)), items(0.4, (1, 2, 3), (6, 7))
SAMPLE = Sample(ROWS, OURS, THEIRS, 0.9, 7)


def scores(made: list[Item], name: str, places: Any) -> np.ndarray:
    return np.array([made[i].scores[name].value for i in places])


@pytest.mark.parametrize("name", ["graded", "right"])
def test_scores_are_means_over_the_rows_that_count_under_both_models(name: str) -> None:
    entry, places = metrics(SAMPLE)["scores"][name], range(4, 40)
    for side, made, left in (("model", OURS, 2), ("base", THEIRS, 3)):
        values = scores(made, name, places)
        assert (entry[side]["n"], entry[side]["unscored"]) == (36, left)
        assert entry[side]["value"] == pytest.approx(values.mean())
        interval = mean_interval(values, 0.9, 7)
        assert interval is not None
        assert (entry[side]["low"], entry[side]["high"]) == (interval.low, interval.high)
    assert (entry["model"]["unpaired"], entry["base"]["unpaired"]) == (2, 1)
    assert entry["delta"] == pytest.approx(entry["model"]["value"] - entry["base"]["value"])
    assert entry["verdict"] == "better"
    alone = compare_scores(name, scores(THEIRS, name, places), scores(OURS, name, places), confidence=0.9, seed=7)
    assert alone.interval is not None
    assert (entry["delta_low"], entry["delta_high"]) == (alone.interval.low, alone.interval.high)
    assert (entry["p_value"], entry["paired_rows"]) == (alone.p_value, 36)


def test_likelihoods_are_summed_before_they_are_divided_over_the_rows_of_both() -> None:
    found, places = metrics(SAMPLE)["likelihood"], [i for i in range(40) if i not in (5, 6, 7)]
    bits = {}
    for side, made in (("model", OURS), ("base", THEIRS)):
        rows = [made[i].likelihood for i in places]
        nats, tokens, size = (np.array([getattr(row, name) for row in rows]) for name in ("nats", "tokens", "bytes"))
        perplexity, per_byte = found["perplexity"][side], found["bits_per_byte"][side]
        assert perplexity["n"] == per_byte["n"] == 37
        assert perplexity["value"] == pytest.approx(math.exp(nats.sum() / tokens.sum()))
        assert per_byte["value"] == pytest.approx(nats.sum() / math.log(2) / size.sum())
        assert (perplexity["tokens"], per_byte["bytes"]) == pytest.approx((tokens.sum(), size.sum()))
        for entry in (perplexity, per_byte):
            assert entry["low"] < entry["value"] < entry["high"]
        assert perplexity["unpaired"] == {"model": 2, "base": 1}[side]
        bits[side] = nats / math.log(2), size
    entry = found["bits_per_byte"]
    alone = compare_ratios("", bits["base"], bits["model"], confidence=0.9, seed=7, higher_is_better=False)
    assert alone.interval is not None
    assert (entry["delta"], entry["delta_low"]) == pytest.approx((alone.delta, alone.interval.low))
    assert (entry["verdict"], entry["higher_is_better"]) == ("better", False)
    assert "delta" not in found["perplexity"]


def test_rows_without_text_count_for_perplexity_but_not_for_bits_per_byte() -> None:
    def end_alone(item: Item) -> Item:
        return replace(item, likelihood=Likelihood(9.0, 1.0, 0.0))

    ours, theirs = [end_alone(OURS[0]), *OURS[1:]], [end_alone(THEIRS[0]), end_alone(THEIRS[1]), *THEIRS[2:]]
    found = metrics(Sample(ROWS, ours, theirs, 0.9, 7))["likelihood"]
    assert found["perplexity"]["model"]["n"] == 37
    entry = found["bits_per_byte"]
    assert (entry["model"]["n"], entry["base"]["n"], entry["paired_rows"]) == (35, 35, 35)
    assert entry["delta"] == pytest.approx(entry["model"]["value"] - entry["base"]["value"])
    assert entry["model"]["unpaired"] == 2 + 1


def test_the_models_the_other_way_round_have_the_opposite_verdicts() -> None:
    found = metrics(Sample(ROWS, THEIRS, OURS, 0.9, 7))
    entries = [found["scores"]["graded"], found["scores"]["right"], found["likelihood"]["bits_per_byte"]]
    assert [entry["verdict"] for entry in entries] == ["worse"] * 3


def test_a_tag_has_the_numbers_of_its_rows_alone() -> None:
    found = metrics(SAMPLE)["by_tag"]
    assert found.keys() == {"one", "two"}
    for tag, section in found.items():
        places = [i for i, row in enumerate(ROWS) if row["tag"] == tag]
        assert section["rows"] == len(places)
        scored = [i for i in places if i > 3]
        for side, made in (("model", OURS), ("base", THEIRS)):
            entry = section["scores"]["graded"][side]
            assert (entry["n"], entry["value"]) == (len(scored), pytest.approx(scores(made, "graded", scored).mean()))
        assert "verdict" not in section["scores"]["graded"]


def test_one_model_alone_counts_every_row_that_it_can() -> None:
    found = metrics(Sample(ROWS, OURS, None, 0.9, 7))
    assert found["scores"]["graded"]["model"]["n"] == 38
    assert found["likelihood"]["perplexity"]["model"]["n"] == 39
    assert "unpaired" not in found["scores"]["graded"]["model"]
    assert measures(found).keys() == {"rows", "graded", "right", "perplexity", "bits_per_byte"}


def test_excluded_rows_are_counted_by_reason() -> None:
    assert unpaired(metrics(SAMPLE)) == {"graded": 3, "right": 3, "perplexity": 3, "bits_per_byte": 3}
    assert unscored(SAMPLE, "graded") == {"no reference": 2}


def test_the_flat_measures_are_those_of_the_metrics() -> None:
    found = metrics(SAMPLE)
    flat = measures(found)
    entry = found["scores"]["graded"]
    for end in ("", "_low", "_high"):
        assert flat[f"graded_delta{end}"] == entry[f"delta{end}"]
    assert (flat["graded"], flat["graded_base"]) == (entry["model"]["value"], entry["base"]["value"])
    assert (flat["graded_rows"], flat["rows"]) == (36, 40)


def test_every_item_is_a_line_with_both_models_side_by_side() -> None:
    lines = list(item_lines(SAMPLE))
    assert [line["id"] for line in lines] == [row["id"] for row in ROWS]
    assert lines[4]["scores"]["graded"] == {"value": OURS[4].scores["graded"].value, "why": "so"}
    assert lines[4]["base"]["scores"]["graded"]["value"] == THEIRS[4].scores["graded"].value
    assert lines[1]["scores"]["right"] == {"value": None, "why": "no reference"}
    assert "nll" not in lines[5]
    assert lines[5]["base"]["nll"] == THEIRS[5].likelihood.nats


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_model_with_a_row_that_is_not_finite_is_not_better(broken: float) -> None:
    ours = [replace(item, likelihood=replace(item.likelihood, nats=1.0)) for item in THEIRS if item.likelihood]
    theirs = [item for item in THEIRS if item.likelihood]
    assert (
        metrics(Sample(ROWS[: len(ours)], ours, theirs, 0.9, 7))["likelihood"]["bits_per_byte"]["verdict"] == "better"
    )
    ours[3] = replace(ours[3], likelihood=replace(ours[3].likelihood, nats=broken))
    found = metrics(Sample(ROWS[: len(ours)], ours, theirs, 0.9, 7))
    assert measures(found)["bits_per_byte_verdict"] == "not enough evidence"
    assert "low" not in found["likelihood"]["bits_per_byte"]["model"]
