"""The next token against plain Python: top-k before top-p, and draws that belong to the prompt."""

import math

import pytest
import torch

from burnish.models.engines.sampling import Sampling, next_tokens
from burnish.specs.evals import GenerationSpec

LOGITS = [2.0, -1.0, 0.5, 1.0, 0.0]
PINNED = [0.06177658129347763, 0.13587454228406892]
AGAIN = [0.2166143131691568, 0.09466617874786354]


def plain(temperature: float, top_p: float, top_k: int | None, draw: float) -> int:
    """The token for a draw in [0, 1)."""
    order = sorted(range(len(LOGITS)), key=lambda token: -LOGITS[token])[:top_k]
    shares = [math.exp(LOGITS[token] / temperature) for token in order]
    shares = [share / sum(shares) for share in shares]
    kept, before = [], 0.0
    for token, share in zip(order, shares, strict=True):
        if before < top_p:
            kept.append((token, share))
        before += share
    point = draw * sum(share for _, share in kept)
    for token, share in kept:
        if point < share:
            return token
        point -= share
    return kept[-1][0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("top_p", [0.01, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("top_k", [None, 1, 3, 5, 9])
def test_a_draw_gives_the_token_of_plain_python(temperature, top_p, top_k):
    draws = torch.arange(0, 1, 0.01, dtype=torch.float64)
    logits = torch.tensor([LOGITS] * len(draws))
    found = next_tokens(logits, Sampling(temperature, top_p, top_k, 0), draws)
    assert found.tolist() == [plain(temperature, top_p, top_k, draw) for draw in draws.tolist()]


def test_without_sampling_or_draws_the_likeliest_is_taken():
    logits = torch.tensor([LOGITS, LOGITS[::-1]])
    assert next_tokens(logits, None, torch.tensor([0.9, 0.9])).tolist() == [0, 4]
    assert next_tokens(logits, Sampling(1.0, 1.0, None, 0), None).tolist() == [0, 4]


def test_a_draw_belongs_to_seed_prompt_and_how_often_it_came():
    one, other = Sampling(1.0, 1.0, None, 0), Sampling(1.0, 1.0, None, 1)
    draws = one.draws([[1, 2], [3], [1, 2]], 4)
    assert draws.shape == (3, 4)
    assert draws.dtype == torch.float64
    assert bool(((draws >= 0) & (draws < 1)).all())
    assert len({tuple(row.tolist()) for row in draws}) == 3
    assert torch.equal(one.draws([[3]], 4)[0], draws[1])
    assert torch.equal(one.draws([[1, 2], [1, 2]], 4), draws[[0, 2]])
    assert torch.equal(one.draws([[3]], 2)[0], draws[1, :2])
    assert not torch.equal(other.draws([[3]], 4)[0], draws[1])


def test_the_draws_are_those_of_earlier_versions():
    """Others would change what a seed answers."""
    found = Sampling(1.0, 1.0, None, 7).draws([[1, 2, 3]] * 2, 2)
    assert found.flatten().tolist() == pytest.approx(PINNED + AGAIN, abs=1e-12)


def test_a_temperature_of_zero_is_no_sampling():
    assert Sampling.of(GenerationSpec(temperature=0.0, top_p=0.5)) is None
    found = Sampling.of(GenerationSpec(temperature=0.5, top_p=0.25, top_k=3, seed=9))
    assert found == Sampling(0.5, 0.25, 3, 9)


HALVES = [math.log(4), math.log(2), math.log(1), math.log(1)]
"""Shares of a half, a quarter and twice an eighth."""


@pytest.mark.parametrize(
    ("draw", "token"), [(0.0, 0), (0.4999, 0), (0.5, 1), (0.7499, 1), (0.75, 2), (0.875, 3), (0.999, 3), (1.0, 3)]
)
def test_a_draw_on_a_border_belongs_to_the_next_token(draw, token):
    logits, draws = torch.tensor([HALVES], dtype=torch.float64), torch.tensor([draw], dtype=torch.float64)
    assert next_tokens(logits, Sampling(1.0, 1.0, None, 0), draws).tolist() == [token]


@pytest.mark.parametrize(("top_p", "kept"), [(0.5, {0}), (0.5001, {0, 1}), (0.75, {0, 1}), (0.76, {0, 1, 2})])
def test_a_token_is_kept_when_likelier_ones_do_not_yet_reach_top_p(top_p, kept):
    draws = torch.arange(0, 1, 0.01, dtype=torch.float64)
    logits = torch.tensor([HALVES], dtype=torch.float64).expand(len(draws), -1)
    assert set(next_tokens(logits, Sampling(1.0, top_p, None, 0), draws).tolist()) == kept


def test_each_row_is_sampled_by_its_own_draw():
    """As many rows as tokens, and fewer: rows are never taken for tokens."""
    for count in (1, 2, 4, 7):
        logits = torch.tensor([HALVES] * count)
        draws = torch.linspace(0, 0.99, count, dtype=torch.float64)
        for top_k in (None, 1, 4):
            sampling = Sampling(1.0, 1.0, top_k, 0)
            expected = [next_tokens(logits[:1], sampling, draw[None]).item() for draw in draws]
            assert next_tokens(logits, sampling, draws).tolist() == expected
            assert next_tokens(logits, sampling, draws).shape == (count,)


def test_the_seed_of_a_draw_is_the_start_of_a_digest():
    """The rule written out: the first eight bytes, little-endian, with their sign."""
    import hashlib

    for seed in range(4):
        digest = hashlib.sha256(repr((seed, 0, (5, 6))).encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))
        expected = torch.rand(3, generator=generator, dtype=torch.float64)
        assert torch.equal(Sampling(1.0, 1.0, None, seed).draws([[5, 6]], 3)[0], expected)
