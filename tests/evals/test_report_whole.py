"""A whole evaluation counted by hand: every key of the metrics, every cell of the tables, every line of the items."""

import math
from typing import Any

import pytest

from burnish.evals.measure import Item
from burnish.evals.perplexity import Likelihood
from burnish.evals.report import Sample, item_lines, measures, metrics, table, tag_table, unpaired, unscored
from burnish.evals.scoring.scorers import Score, Unscored

LN2 = math.log(2)
NO_NUMBER = Unscored("the reference has no number")
ROWS: list[dict[str, Any]] = [
    {"id": "a", "source": "x:1", "tag": "one"},
    {"id": "b", "source": "x:2", "tag": "two"},
    {"id": "c", "source": "x:3"},
    {"id": "d", "source": "x:4", "tag": "one"},
]


def item(value: float | None, likelihood: Likelihood | None, *, too_long: bool = False, **scores: Any) -> Item:
    score = NO_NUMBER if value is None else Score(value, f"scored {value}")
    return Item("ask", "wanted", "said", "stop", {"number": score, **scores}, likelihood, too_long)


MODEL = [
    item(1.0, Likelihood(8 * LN2, 4, 8)),
    item(1.0, Likelihood(2 * LN2, 2, 4)),
    item(None, None, too_long=True),
    item(0.0, Likelihood(2 * LN2, 2, 4)),
]
BASE = [
    item(0.0, Likelihood(16 * LN2, 4, 8)),
    item(1.0, Likelihood(4 * LN2, 2, 4)),
    item(0.0, Likelihood(9 * LN2, 9, 9)),
    item(0.0, None),
]


def wilson(right: int, n: int) -> tuple[Any, Any]:
    """Its two ends at 80 %, as the roots of (share - p)² = z²·p(1 - p)/n."""
    z = 1.2815515655446004
    a, b, c = 1 + z * z / n, -(2 * right / n + z * z / n), (right / n) ** 2
    root = math.sqrt(b * b - 4 * a * c)
    return pytest.approx((-b - root) / (2 * a), abs=1e-12), pytest.approx((-b + root) / (2 * a), abs=1e-12)


def ends(low: Any, high: Any, method: str, prefix: str = "") -> dict[str, Any]:
    return {f"{prefix}low": low, f"{prefix}high": high, f"{prefix}method": method}


def without(entry: dict[str, Any], *parts: str) -> dict[str, Any]:
    """The entry without the ends of its bootstrap intervals, which `test_intervals` pins."""
    return {key: value for key, value in entry.items() if key not in parts}


def test_the_metrics_of_one_model_are_these() -> None:
    found = metrics(Sample(ROWS, MODEL, None, 0.8, 3))
    low, high = wilson(2, 3)
    number = {"n": 3, "unscored": 1, "value": pytest.approx(2 / 3), **ends(low, high, "Wilson")}
    likelihood = found.pop("likelihood")
    by_tag = found.pop("by_tag")
    assert found == {"rows": 4, "confidence": 0.8, "scores": {"number": {"model": number}}}

    perplexity, bits = likelihood["perplexity"]["model"], likelihood["bits_per_byte"]["model"]
    assert without(perplexity, "low", "high") == {
        "n": 3,
        "too_long": 1,
        "tokens": 8,
        "value": pytest.approx(2 ** (12 / 8)),
        "method": "BCa bootstrap",
    }
    assert without(bits, "low", "high") == {
        "n": 3,
        "too_long": 1,
        "bytes": 16,
        "value": pytest.approx(12 / 16),
        "method": "BCa bootstrap",
    }
    assert 2 <= perplexity["low"] <= perplexity["value"] <= perplexity["high"] <= 4
    assert 0.5 <= bits["low"] <= bits["value"] <= bits["high"] <= 1
    assert likelihood.keys() == {"perplexity", "bits_per_byte"}

    assert list(by_tag) == ["one", "two"]
    two = by_tag["two"]
    low, high = wilson(1, 1)
    assert two == {
        "rows": 1,
        "scores": {"number": {"model": {"n": 1, "unscored": 0, "value": 1.0, **ends(low, high, "Wilson")}}},
        "likelihood": {
            "perplexity": {"model": {"n": 1, "too_long": 0, "tokens": 2, "value": pytest.approx(2)}},
            "bits_per_byte": {"model": {"n": 1, "too_long": 0, "bytes": 4, "value": pytest.approx(0.5)}},
        },
    }


def test_the_metrics_of_two_models_are_these() -> None:
    """Rows a, b and d are scored for both; a and b are measured for both."""
    found = metrics(Sample(ROWS, MODEL, BASE, 0.8, 3))
    assert (found["rows"], found["confidence"], list(found["scores"])) == (4, 0.8, ["number"])
    entry = found["scores"]["number"]
    low, high = wilson(2, 3)
    ours = {"n": 3, "unscored": 1, "value": pytest.approx(2 / 3), "unpaired": 0, **ends(low, high, "Wilson")}
    low, high = wilson(1, 3)
    theirs = {"n": 3, "unscored": 0, "value": pytest.approx(1 / 3), "unpaired": 1, **ends(low, high, "Wilson")}
    up, down = 2 / 5, 1 / 5  # gained 1, lost 0 of 3 rows, and a row more of each kind
    half = 1.2815515655446004 * math.sqrt((up + down - (up - down) ** 2) / 5)
    assert entry == {
        "model": ours,
        "base": theirs,
        "delta": pytest.approx(1 / 3),
        "paired_rows": 3,
        **ends(pytest.approx(up - down - half), pytest.approx(up - down + half), "Bonett-Price", "delta_"),
        "test": "exact McNemar",
        "p_value": 1.0,
        "p_corrected": 1.0,
        "verdict": "too few rows",
        "higher_is_better": True,
    }

    perplexity, bits = found["likelihood"]["perplexity"], found["likelihood"]["bits_per_byte"]
    for side, nats, others in (("model", 10, (1, 1)), ("base", 20, (1, 0))):
        unpaired_rows, too_long = others
        assert without(perplexity[side], "low", "high", "method") == {
            "n": 2,
            "too_long": too_long,
            "unpaired": unpaired_rows,
            "tokens": 6,
            "value": pytest.approx(2 ** (nats / 6)),
        }
        assert without(bits[side], "low", "high", "method") == {
            "n": 2,
            "too_long": too_long,
            "unpaired": unpaired_rows,
            "bytes": 12,
            "value": pytest.approx(nats / 12),
        }
    assert perplexity.keys() == {"model", "base"}
    assert without(bits, "model", "base", "delta_low", "delta_high") == {
        "delta": pytest.approx(-10 / 12),
        "paired_rows": 2,
        "delta_method": "BCa bootstrap",
        "test": "sign-flip permutation",
        "p_value": 0.5,
        "p_corrected": 1.0,
        "verdict": "too few rows",
        "higher_is_better": False,
    }
    assert unpaired(found) == {"number": 1, "perplexity": 2, "bits_per_byte": 2}
    tagged = found["by_tag"]["two"]["likelihood"]["bits_per_byte"]
    assert without(tagged, "model", "base") == {"delta": pytest.approx(-0.5), "paired_rows": 1}


def test_the_flat_measures_of_both_are_these() -> None:
    alone = measures(metrics(Sample(ROWS, MODEL, None, 0.8, 3)))
    numbers = {"number": 2 / 3, "perplexity": 2 ** (12 / 8), "bits_per_byte": 0.75}
    assert unpaired(metrics(Sample(ROWS, MODEL, None, 0.8, 3))) == {}
    assert alone == {"rows": 4} | {name: pytest.approx(value) for name, value in numbers.items()}
    found = metrics(Sample(ROWS, MODEL, BASE, 0.8, 3))
    number, bits = found["scores"]["number"], found["likelihood"]["bits_per_byte"]
    assert measures(found) == {
        "rows": 4,
        "number": pytest.approx(2 / 3),
        "number_base": pytest.approx(1 / 3),
        "number_rows": 3,
        "number_delta": pytest.approx(1 / 3),
        "number_verdict": "too few rows",
        "number_delta_low": number["delta_low"],
        "number_delta_high": number["delta_high"],
        "perplexity": pytest.approx(2 ** (10 / 6)),
        "perplexity_base": pytest.approx(2 ** (20 / 6)),
        "perplexity_rows": 2,
        "bits_per_byte": pytest.approx(10 / 12),
        "bits_per_byte_base": pytest.approx(20 / 12),
        "bits_per_byte_rows": 2,
        "bits_per_byte_delta": pytest.approx(-10 / 12),
        "bits_per_byte_verdict": "too few rows",
        "bits_per_byte_delta_low": bits["delta_low"],
        "bits_per_byte_delta_high": bits["delta_high"],
    }


def test_nothing_that_is_measured_gives_no_entry_and_no_number() -> None:
    rows, nothing = ROWS[:2], [item(None, None), item(None, None)]
    found = metrics(Sample(rows, nothing, None, 0.8, 3))
    assert found["scores"] == {"number": {"model": {"n": 0, "unscored": 2, "value": None}}}
    assert (found["likelihood"], measures(found)) == ({}, {"rows": 2})
    compared = metrics(Sample(rows, nothing, nothing, 0.8, 3))
    side = {"n": 0, "unscored": 2, "value": None, "unpaired": 0}
    assert compared["scores"] == {"number": {"model": side, "base": side}}
    assert measures(compared) == {"rows": 2, "number_rows": 0}
    assert unpaired(compared) == {}
    assert unscored(Sample(rows, nothing, None, 0.8, 3), "number") == {"the reference has no number": 2}


def test_rows_measured_for_one_model_only_are_counted_for_neither() -> None:
    sides = [item(1.0, Likelihood(LN2, 1, 1)), item(1.0, None)], [item(1.0, None), item(1.0, Likelihood(LN2, 1, 1))]
    assert metrics(Sample(ROWS[:2], *sides, 0.8, 3))["likelihood"] == {}
    only_ours = metrics(Sample(ROWS[:1], sides[0][:1], sides[1][:1], 0.8, 3))
    assert only_ours["likelihood"] == {}


def test_tags_are_in_alphabetical_order() -> None:
    tags = ["h", "c", "a", "g", "b", "f", "e", "d", "", None]
    rows = [{"id": str(place), "source": "x", "tag": tag} for place, tag in enumerate(tags)]
    found = metrics(Sample(rows, [item(1.0, None)] * len(rows), None, 0.8, 3))
    assert "".join(found["by_tag"]) == "abcdefgh"
    assert {section["rows"] for section in found["by_tag"].values()} == {1}


def test_a_perplexity_too_large_for_a_float_has_finite_ends() -> None:
    endless = [item(None, Likelihood(nats, 1, 1)) for nats in (701.0, 800.0, 1e6)]
    entry = metrics(Sample(ROWS[:3], endless, None, 0.8, 3))["likelihood"]["perplexity"]["model"]
    assert entry["value"] == math.inf
    assert (entry["low"], entry["high"]) == (math.exp(700), math.exp(700))
    assert Likelihood(700.0, 1, 1).perplexity == Likelihood(701.0, 1, 1).perplexity == math.inf
    assert Likelihood(699.5, 1, 1).perplexity == pytest.approx(math.exp(699.5))


def test_the_tables_show_each_number_in_its_column() -> None:
    found: dict[str, Any] = {
        "scores": {"number": {"model": {"n": 3, "value": 0.6666, "low": 0.25, "high": 0.75}}},
        "likelihood": {"perplexity": {"model": {"n": 2, "value": 12345.678}}},
        "by_tag": {},
    }
    assert table(found) == (
        ["score", "rows", "model", "interval"],
        [["number", "3", "0.667", "0.250 … 0.750"], ["perplexity", "2", "1.235e+04", ""]],
    )
    nothing = {"scores": {"number": {"model": {"n": 0, "value": None}}}, "likelihood": {}}
    assert table(nothing) == (["score", "rows", "model", "interval"], [["number", "0", "–", ""]])
    for value, shown in ((99.9, "99.900"), (100.0, "100"), (-100.0, "-100"), (-99.9, "-99.900"), (0.0, "0.000")):
        entry = {"model": {"n": 1, "value": value}}
        assert table({"scores": {"x": entry}, "likelihood": {}})[1] == [["x", "1", shown, ""]]


def test_the_tables_of_two_models_have_the_difference_and_its_interval() -> None:
    side, other = {"n": 3, "value": 0.5}, {"n": 3, "value": 0.75}
    compared = {"model": side, "base": other, "delta": -0.25, "delta_low": -0.5, "delta_high": 0.125}
    found: dict[str, Any] = {
        "scores": {"number": {**compared, "verdict": "worse"}, "json": {"model": side, "base": other, "delta": 0.25}},
        "likelihood": {"perplexity": {"model": side, "base": other}},
        "by_tag": {
            "one": {"scores": {"number": compared}},
            "two": {"scores": {"number": {"model": side, "base": other}}},
        },
    }
    assert table(found, "small") == (
        ["score", "rows", "model", "small", "difference", "verdict"],
        [
            ["number", "3", "0.500", "0.750", "-0.250 (-0.500 … 0.125)", "worse"],
            ["json", "3", "0.500", "0.750", "+0.250", ""],
            ["perplexity", "3", "0.500", "0.750", "", ""],
        ],
    )
    assert table(found)[0][3] == "base"
    assert tag_table(found, "small") == (
        ["tag", "score", "rows", "model", "small", "difference"],
        [
            ["one", "number", "3", "0.500", "0.750", "-0.250 (-0.500 … 0.125)"],
            ["two", "number", "3", "0.500", "0.750", ""],
        ],
    )
    assert tag_table(found)[0][4] == "base"
    for tags in ({}, {"one": found["by_tag"]["one"]}):
        assert tag_table({**found, "by_tag": tags}) == ([], [])
    mixed = {"scores": {"a": {"model": side}, "b": {"model": side, "base": other}}, "likelihood": {}}
    assert table(mixed)[0] == ["score", "rows", "model", "base", "difference", "verdict"]


def test_the_lines_of_the_items_are_these() -> None:
    lines = list(item_lines(Sample(ROWS[1:3], MODEL[1:3], BASE[1:3], 0.8, 3)))
    said = {"prompt": "ask", "reference": "wanted", "answer": "said", "finish_reason": "stop"}
    right = {"number": {"value": 1.0, "why": "scored 1.0"}}
    assert lines == [
        {
            "id": "b",
            "source": "x:2",
            "tag": "two",
            **said,
            "scores": right,
            "too_long": False,
            "nll": 2 * LN2,
            "tokens": 2,
            "bytes": 4,
            "base": {**said, "scores": right, "too_long": False, "nll": 4 * LN2, "tokens": 2, "bytes": 4},
        },
        {
            "id": "c",
            "source": "x:3",
            "tag": None,
            **said,
            "scores": {"number": {"value": None, "why": "the reference has no number"}},
            "too_long": True,
            "base": {
                **said,
                "scores": {"number": {"value": 0.0, "why": "scored 0.0"}},
                "too_long": False,
                "nll": 9 * LN2,
                "tokens": 9,
                "bytes": 9,
            },
        },
    ]
    assert [line.keys() & {"base"} for line in item_lines(Sample(ROWS, MODEL, None, 0.8, 3))] == [set()] * 4


def test_an_item_begins_without_an_answer() -> None:
    assert Item() == Item("", None, None, "", {}, None, False)
    assert Item().scores is not Item().scores
    assert Likelihood() == Likelihood(0, 0, 0)
