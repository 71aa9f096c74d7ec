"""Penalties for length and repetition, against their papers."""

import pytest
from pydantic import TypeAdapter, ValidationError

from burnish.specs.rewards import Reward
from burnish.train.rewards.reward import total
from completions import completion


def dapo(length, longest, cache):
    """Equation 13 of arXiv 2503.14476."""
    if length <= longest - cache:
        return 0.0
    return ((longest - cache) - length) / cache if length <= longest else -1.0


@pytest.mark.parametrize(("longest", "cache"), [(20, 5), (20, 20), (7, 1), (4, 3)])
def test_the_overlong_penalty_is_that_of_dapo(build, longest, cache):
    (reward,) = build({"kind": "length", "max": longest, "margin": cache})
    for length in range(30):
        found = total([reward], [completion("x", ids=range(length))]).totals[0]
        assert found == pytest.approx(dapo(length, longest, cache)), length


@pytest.mark.parametrize(
    ("setting", "penalties"),
    [
        ({"max": 2}, [0, 0, 0, -1, -1]),
        ({"min": 2}, [-1, -1, 0, 0, 0]),
        ({"min": 1, "max": 3}, [-1, 0, 0, 0, -1]),
        ({"min": 1, "margin": 2}, [-1, -1, -0.5, 0, 0]),
        ({"min": 1, "max": 3, "margin": 1}, [-1, -1, 0, -1, -1]),
        ({"target": 2, "margin": 2}, [-1, -0.5, 0, -0.5, -1]),
        ({"target": 4, "margin": 1}, [-1, -1, -1, -1, 0]),
    ],
)
@pytest.mark.parametrize("unit", ["tokens", "characters"])
def test_penalties_of_zero_to_four_units(build, setting, penalties, unit):
    (reward,) = build({"kind": "length", "unit": unit, **setting})
    found = total([reward], [completion("é" * size, ids=[1] * size) for size in range(5)])
    assert found.totals == penalties
    assert found.values["length"][3].why == f"3 {unit}"
    assert str(found.totals[2]) != "-0.0"


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({}, "set max, min or target"),
        ({"target": 5}, "target needs a margin"),
        ({"target": 5, "margin": 1, "max": 9}, "target excludes min and max"),
        ({"min": 5, "max": 4}, "min 5 is above max 4"),
        ({"max": 4, "margin": 5}, "margin 5 is above max 4"),
        ({"min": 10, "max": 20, "margin": 15}, "no length without a penalty between min 10 and max 20: use at most 5"),
        ({"min": 10, "max": 20, "margin": 6}, "use at most 5"),
    ],
)
def test_limits_that_do_not_belong_together_are_refused(setting, problem):
    with pytest.raises(ValidationError, match=problem):
        TypeAdapter(Reward).validate_python({"kind": "length", **setting})


@pytest.mark.parametrize(
    ("text", "setting", "penalty"),
    [
        ("a b c d", {"ngram": 2}, 0.0),
        ("go go go go go", {"ngram": 2}, -3 / 4),
        ("Go go, GO. go! go?", {"ngram": 2}, -3 / 4),
        ("a b a b c", {"ngram": 2}, -1 / 4),
        ("a b", {"ngram": 3}, 0.0),
        ("", {"ngram": 1}, 0.0),
        ("猫猫猫", {"ngram": 1}, -2 / 3),
    ],
)
def test_the_repetition_penalty_is_the_share_of_repeated_ngrams(value, text, setting, penalty):
    assert value({"kind": "repetition", "unit": "words", **setting}, completion(text)) == pytest.approx(penalty)


def test_repetition_of_tokens(value):
    assert value({"kind": "repetition", "ngram": 2}, completion("", ids=[1, 2, 1, 2])) == pytest.approx(-1 / 3)
