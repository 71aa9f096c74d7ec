"""Draws of tokens: their distribution, and that each setting acts."""

import numpy as np
import pytest

from burnish.serve.engines.drawing import Drawing, log_probs
from burnish.serve.engines.protocol import Draw

SCORES = np.log(np.array([0.4, 0.3, 0.2, 0.06, 0.04], np.float32)) + 3


def drawn(draw, count=4000, scores=SCORES, allowed=None):
    drawing = Drawing(draw)
    return np.bincount([drawing.next(scores, allowed) for _ in range(count)], minlength=len(scores)) / count


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [0.4, 0.3, 0.2, 0.06, 0.04]),
        ({"temperature": 0}, [1, 0, 0, 0, 0]),
        ({"temperature": 0.5}, [0.16, 0.09, 0.04, 0.0036, 0.0016]),
        ({"top_k": 2}, [4, 3, 0, 0, 0]),
        ({"top_k": 1, "temperature": 5.0}, [1, 0, 0, 0, 0]),
        ({"top_p": 0.65}, [4, 3, 0, 0, 0]),
        ({"top_p": 0.75}, [4, 3, 2, 0, 0]),
        ({"top_p": 1e-6}, [1, 0, 0, 0, 0]),
        ({"min_p": 0.45}, [4, 3, 2, 0, 0]),
        ({"top_k": 3, "top_p": 0.7}, [4, 3, 0, 0, 0]),
        ({"logit_bias": {0: -100.0, 4: 0.0}}, [0, 30, 20, 6, 4]),
    ],
    ids=str,
)
def test_the_draws_have_the_distribution_of_the_settings(settings, expected):
    found = drawn(Draw(seed=1, **settings))
    assert found == pytest.approx(np.array(expected) / sum(expected), abs=0.03)
    assert (found > 0).tolist() == [value > 0 for value in expected]


@pytest.mark.parametrize("settings", [{}, {"top_p": 0.9}, {"top_k": 40, "top_p": 0.8}, {"min_p": 0.1}], ids=str)
def test_a_large_vocabulary_is_cut_as_a_full_sort_cuts_it(settings):
    scores = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    draw = Draw(seed=2, **settings)
    weights = np.exp(scores.astype(np.float64))
    order = np.argsort(-weights, kind="stable")[: draw.top_k]
    sums = np.cumsum(weights[order]) / weights[order].sum()
    kept = order[: np.searchsorted(sums, draw.top_p) + 1]
    kept = set(kept[weights[kept] >= draw.min_p * weights.max()].tolist())
    found = {Drawing(Draw(**{**settings, "seed": seed})).next(scores) for seed in range(300)}
    assert found <= kept
    if len(kept) < 50:
        assert len(found) > len(kept) / 3


@pytest.mark.parametrize("penalty", [0.7, 1.3, 2.0])
def test_repetition_is_penalised_as_in_transformers(penalty):
    import torch
    from transformers import RepetitionPenaltyLogitsProcessor

    process = RepetitionPenaltyLogitsProcessor(penalty)
    chosen = np.random.default_rng(3)
    prompt = [5, 7, 7, 200]
    drawing, text = Drawing(Draw(temperature=0, repetition_penalty=penalty), prompt), list(prompt)
    for _ in range(50):
        scores = chosen.normal(size=300).astype(np.float32)
        expected = process(torch.tensor([text]), torch.from_numpy(scores.copy())[None])[0]
        token = drawing.next(scores)
        assert token == int(expected.argmax())
        drawing.count(token)
        text.append(token)


def test_the_same_seed_draws_the_same_tokens():
    first, second, other = (Drawing(Draw(seed=seed)) for seed in (5, 5, 6))
    drawn = [[drawing.next(SCORES) for _ in range(30)] for drawing in (first, second, other)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_penalties_count_the_tokens_of_the_answer():
    presence, frequency = (
        Drawing(Draw(temperature=0, **{f"{kind}_penalty": 0.2})) for kind in ("presence", "frequency")
    )
    for drawing, expected in ((presence, [0, 0, 0]), (frequency, [0, 0, 1])):
        found = []
        for _ in range(3):
            found.append(drawing.next(SCORES))
            drawing.count(found[-1])
        assert found == expected


def test_only_allowed_tokens_are_drawn_and_none_if_none_is_allowed():
    allowed = np.array([False, False, True, False, True])
    found = drawn(Draw(seed=1), allowed=allowed)
    assert found == pytest.approx([0, 0, 5 / 6, 0, 1 / 6], abs=0.03)
    assert Drawing(Draw()).next(SCORES, np.zeros(5, bool)) == -1


def test_log_probabilities_are_those_of_the_scores_alone():
    own, top = log_probs(SCORES, 2, 2)
    assert own == pytest.approx(np.log(0.2), abs=1e-5)
    assert [token for token, _ in top] == [0, 1]
    assert [value for _, value in top] == pytest.approx([np.log(0.4), np.log(0.3)], abs=1e-5)
    assert log_probs(SCORES, 2, 0)[1] == []
    assert len(log_probs(SCORES, 2, 20)[1]) == 5
