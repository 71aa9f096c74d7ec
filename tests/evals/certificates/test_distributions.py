"""The divergence against its formula, and each check of distributions by numbers that only it can see."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from burnish.evals.certificates.distributions import Compared, distribution_checks
from burnish.evals.certificates.divergence import differences, tail
from burnish.evals.certificates.limits import LIMITS, limits_of
from burnish.models.engines.protocol import Forced

V = 50


def log_softmax(scores):
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def distributions(rng, count, spread=2.0):
    return log_softmax(rng.normal(size=(count, V)) * spread)


def forced(log_probs, row, ids):
    places = np.arange(len(log_probs))
    return Forced(
        chosen=log_probs[places, row[1:]].astype(np.float32),
        ids=ids,
        log_probs=np.take_along_axis(log_probs, ids, 1).astype(np.float32),
        top=log_probs.argmax(axis=1),
        vocabulary=V,
    )


def pair(p, q, row, top=V):
    ids = np.argsort(-p, axis=1)[:, :top]
    return forced(p, row, ids), forced(q, row, ids)


def true_kl(p, q):
    return (np.exp(p) * (p - q)).sum(axis=1)


@pytest.mark.parametrize("change", [1.0, 1e-2, 1e-4, 1e-6])
def test_the_divergence_of_whole_distributions_is_that_of_the_formula(change):
    rng = np.random.default_rng(0)
    p = distributions(rng, 40)
    q = log_softmax(p + rng.normal(size=p.shape) * change)
    row = rng.integers(V, size=41).tolist()
    [found] = differences(*([side] for side in pair(p, q, row)))
    np.testing.assert_allclose(found.kl, true_kl(p, q), rtol=0.2 if change < 1e-5 else 1e-2, atol=1e-15)
    assert (found.rest == 0).all()


@pytest.mark.parametrize("top", [1, 3, 10, 49])
def test_the_rest_as_one_category_never_exaggerates_and_sees_what_moves_there(top):
    rng = np.random.default_rng(1)
    p, row = distributions(rng, 200), rng.integers(V, size=201).tolist()
    q = log_softmax(p + rng.normal(size=p.shape) * 0.3)
    [found] = differences(*([side] for side in pair(p, q, row, top)))
    assert (found.kl <= true_kl(p, q) * (1 + 1e-4) + 1e-7).all()
    assert (found.kl >= 0).all()
    np.testing.assert_allclose(found.rest, 1 - np.exp(np.sort(p, axis=1)[:, ::-1][:, :top]).sum(axis=1), atol=1e-6)
    moved = p.copy()
    moved[:, 7] += 4.0  # what the child expects and the parent does not
    [seen] = differences(*([side] for side in pair(p, log_softmax(moved), row, 1)))
    assert seen.kl.mean() > 0.05


def test_tokens_that_an_endpoint_does_not_list_go_to_the_rest():
    rng = np.random.default_rng(2)
    p, row = distributions(rng, 30), rng.integers(V, size=31).tolist()
    ours, theirs = pair(p, p, row)
    theirs.log_probs[:, 5:] = np.nan
    [found] = differences([ours], [theirs])
    assert (found.kl < 1e-10).all()
    assert (found.rest > 0).all()


def test_an_impossible_token_is_an_infinite_divergence():
    rng = np.random.default_rng(3)
    p, row = distributions(rng, 5), rng.integers(V, size=6).tolist()
    ours, theirs = pair(p, p, row)
    theirs.log_probs[2, 0] = -np.inf
    [found] = differences([ours], [theirs])
    assert np.isinf(found.kl).tolist() == [False, False, True, False, False]


def test_the_tail_is_the_largest_of_few_and_the_percentile_of_many():
    assert tail([0.0] * 98 + [1.0]) == 1.0
    assert tail([0.0] * 99_990 + [1.0] * 10) == 0.0
    assert tail([0.0] * 9_900 + [1.0] * 100) == 1.0


def verdicts(p, q, row, limits, kinds=("golden",)):
    ours, theirs = pair(p, q, row)
    compared = Compared([row] * len(kinds), [0] * len(kinds), kinds, [ours] * len(kinds), [theirs] * len(kinds))
    checks, _ = distribution_checks(compared, limits, 0)
    return {check.name for check in checks if check.verdict == "does not hold"}


@pytest.fixture
def sharp():
    """Confident distributions, the row of their likeliest tokens, and limits that nothing reaches yet."""
    rng = np.random.default_rng(4)
    p = distributions(rng, 400, spread=1.0)
    likeliest = p.argmax(axis=1)
    p[np.arange(400), likeliest] += 6.0
    p = log_softmax(p)
    return p, [0, *likeliest.tolist()], limits_of("merge bf16")[1]


def test_one_position_that_is_far_off_is_in_the_tail_alone(sharp):
    p, row, limits = sharp
    q = p.copy()
    other = (p[3].argmax() + 1) % V
    q[3, other] = p[3].max() - 2.0
    assert verdicts(p, log_softmax(q), row, limits) == {"kl tail"}


def test_tokens_that_change_places_are_in_top_1_alone(sharp):
    p, row, limits = sharp
    order = np.argsort(-p, axis=1)
    places = np.arange(len(p))
    p = p.copy()
    p[places, order[:, 1]] = p[places, order[:, 0]] - 1e-3
    p = log_softmax(p)
    q = p.copy()
    q[places[:40], order[:40, 1]] += 2e-3
    assert verdicts(p, log_softmax(q), row, limits) == {"top-1"}


def test_a_shift_of_what_is_written_is_in_perplexity_alone(sharp):
    p, _, limits = sharp
    unlikely = p.argmin(axis=1)
    q = p.copy()
    q[np.arange(len(p)), unlikely] -= 0.5
    row = [0, *unlikely.tolist()]
    assert verdicts(p, log_softmax(q), row, limits, ("golden", "golden")) == {"perplexity"}
    assert verdicts(log_softmax(q), p, row, limits, ("golden", "golden")) == {"perplexity"}, "a lower one, too"


def test_changes_of_perplexity_that_cancel_are_not_within_the_limit(sharp):
    """The interval decides: one row becomes more likely, the other less so."""
    p, _, limits = sharp
    unlikely = p.argmin(axis=1)
    more, less = p.copy(), p.copy()
    more[np.arange(len(p)), unlikely] += 0.5
    less[np.arange(len(p)), unlikely] -= 0.5
    row = [0, *unlikely.tolist()]
    sides = [pair(p, log_softmax(q), row) for q in (more, less)]
    compared = Compared([row] * 2, [0] * 2, ["golden"] * 2, *map(list, zip(*sides, strict=True)))
    checks, numbers = distribution_checks(compared, limits, 0)
    assert abs(numbers["perplexity_change"]) < limits.perplexity
    assert [check.name for check in checks if check.verdict == "does not hold"] == ["perplexity"]


def test_the_prompt_of_an_answer_is_not_compared(sharp):
    p, row, _ = sharp
    q = p.copy()
    q[:12] = q[:12, ::-1]
    ours, theirs = pair(p, log_softmax(q), row)
    for start, failing in ((0, {"kl", "kl tail", "top-1", "greedy"}), (12, set())):
        compared = Compared([row], [start], ["answer"], [ours], [theirs])
        checks, _ = distribution_checks(compared, limits_of("F16")[1], 0)
        assert {check.name for check in checks if check.verdict == "does not hold"} >= failing
        assert len(compared.kl) == len(compared.same_top) == 400 - start
        if not failing:
            assert all(check.verdict != "does not hold" for check in checks)


def test_a_greedy_answer_that_parts_beyond_a_near_tie_is_in_greedy_alone(sharp):
    p, row, limits = sharp
    q, places = p.copy(), np.arange(len(p))
    second = np.argsort(-p, axis=1)[:, 1]
    ours = p.copy()
    ours[7, second[7]] = p[7].max() - 0.22  # the parent is sure by 0.22 nats
    q = ours.copy()
    q[7, second[7]] = p[7].max() + 0.01
    assert places.size == 400
    found = verdicts(log_softmax(ours), log_softmax(q), row, limits, kinds=("golden", "answer"))
    assert found == {"greedy"}
    far = q.copy()
    far[7, 0] = q[7].max() + 0.01  # a token that is not among the three likeliest of the parent
    sides = pair(log_softmax(ours), log_softmax(far), row, 3)
    compared = Compared([row], [0], ["answer"], *([side] for side in sides))
    [greedy] = [check for check in distribution_checks(compared, limits, 0)[0] if check.name == "greedy"]
    assert greedy.verdict == "does not hold"
    near = ours.copy()
    near[7, second[7]] = p[7].max() - 0.05
    assert verdicts(log_softmax(near), log_softmax(q), row, limits, kinds=("golden", "answer")) == set()


def test_every_kind_of_change_is_found_by_its_name_in_any_case():
    for name in LIMITS:
        assert limits_of(name.lower()) == (name, LIMITS[name])
    assert limits_of("bfloat16")[0] == "BF16"


def test_limits_grow_with_what_a_change_loses():
    order = ("same", "merge fp16", "merge bf16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0")
    for one, other in pairwise(order):
        assert LIMITS[one].kl <= LIMITS[other].kl
        assert LIMITS[one].kl_tail <= LIMITS[other].kl_tail


def test_a_token_that_only_the_child_has_is_in_the_divergence():
    rng = np.random.default_rng(0)
    p, row = distributions(rng, 10), rng.integers(V, size=11).tolist()
    q = p + np.log(0.9)  # the other tenth is on a token that the parent lacks
    parent, child = pair(p, q, row)
    [found] = differences([parent], [replace(child, vocabulary=V + 1)])
    assert (found.kl > 0.1).all()


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        (["held out"], "fewer than two rows"),
        (["held out", "golden"], "fewer than two rows"),
        (["held out", "golden", "golden"], "on all tokens of 2 golden conversations"),
        (["held out", "held out", "golden"], "on all tokens of 2 held-out rows"),
        (["training", "training", "golden"], "on all tokens of 2 training rows"),
    ],
)
def test_perplexity_needs_two_rows(kinds, found):
    rng = np.random.default_rng(0)
    p, row = distributions(rng, 10), rng.integers(V, size=11).tolist()
    parent, child = pair(p, p, row)
    n = len(kinds)
    compared = Compared([row] * n, [0] * n, kinds, [parent] * n, [child] * n)
    checks, _ = distribution_checks(compared, limits_of("same")[1], 0)
    [check] = [check for check in checks if check.name == "perplexity"]
    assert found in check.found
    assert check.verdict == ("does not apply" if "fewer" in found else "holds")
