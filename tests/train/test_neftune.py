"""Noise on the embeddings: uniform, as large as the row's own length says, and the same for every split of a step."""

import numpy as np
import pytest
import torch

from burnish.core.errors import ModelError, RunError
from burnish.models.load import load_model
from burnish.specs.train import PretrainSpec, SftSpec
from burnish.testing import tiny_model
from burnish.train.batches import make_batch
from burnish.train.dropout import TokenDropout
from burnish.train.neftune import EmbeddingNoise

ALPHA = 5.0


def noises(model, random_rows, rows, *, seed=0, step=0, alpha=ALPHA):
    """For each row the noise [T, d] on its embeddings."""
    tokens = TokenDropout(model, seed)
    noise, data = EmbeddingNoise(model, tokens, alpha), random_rows(30)
    batch, embedding = make_batch(data, np.array(rows)), model.get_input_embeddings()
    tokens.begin(step, batch)
    noisy = embedding.train()(batch.input_ids)
    plain = embedding.eval()(batch.input_ids)
    noise.remove()
    tokens.remove()
    assert torch.equal(embedding.train()(batch.input_ids), plain)
    found = (noisy - plain)[0].detach()
    return dict(zip(rows, found.split(data.lengths[rows].tolist()), strict=True))


@pytest.mark.parametrize("family", ["qwen3", "gemma3_text", "gpt2"])
def test_the_noise_is_uniform_within_the_bound_of_the_rows_own_length(tmp_path, random_rows, family):
    model, every = load_model(tiny_model(tmp_path, family)), list(range(30))
    parts = []
    for noise in noises(model, random_rows, every).values():
        parts.append((noise * noise.numel() ** 0.5 / ALPHA).flatten())  # uniform in ±1
    shares = torch.cat(parts)
    assert float(shares.abs().max()) <= 1 + 1e-4
    assert float(shares.mean()) == pytest.approx(0, abs=5 / len(shares) ** 0.5)
    for quantile in (0.1, 0.5, 0.9):
        assert float(shares.abs().quantile(quantile)) == pytest.approx(quantile, abs=0.02)


def test_a_token_has_its_noise_in_every_batch_and_another_in_every_other_place(base, random_rows):
    model = load_model(base)
    alone, together = noises(model, random_rows, [4]), noises(model, random_rows, [9, 4, 2])
    torch.testing.assert_close(alone[4], together[4], rtol=0, atol=1e-6)
    found = alone[4]
    others = [noises(model, random_rows, [4], seed=1)[4], noises(model, random_rows, [4], step=1)[4], found.flip(0)]
    for other in [*others, found.flip(1)]:
        assert abs(float(torch.corrcoef(torch.stack([found.flatten(), other.flatten()]))[0, 1])) < 0.15


@pytest.mark.parametrize("method", [{"kind": "lora", "rank": 4}, {"kind": "full"}])
def test_the_gradient_does_not_depend_on_how_a_step_is_split(run_fit, method):
    settings = {"method": method, "max_steps": 3, "neftune_alpha": ALPHA}
    whole = run_fit("whole", micro_batch_tokens=10_000, **settings)
    split = run_fit("split", micro_batch_tokens=30, **settings)
    assert split.metrics("grad_norm") == pytest.approx(whole.metrics("grad_norm"), rel=1e-4)
    plain = run_fit("plain", micro_batch_tokens=10_000, **(settings | {"neftune_alpha": None}))
    assert plain.metrics("loss") != pytest.approx(whole.metrics("loss"), rel=1e-4)


def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_bits(run_fit):
    settings = {"max_steps": 6, "neftune_alpha": ALPHA, "method": {"kind": "lora", "rank": 4, "dropout": 0.1}}
    whole = run_fit("whole", **settings)
    with pytest.raises(RunError, match="was stopped"):
        run_fit("parts", stop_before=3, **settings)
    parts = run_fit("parts", **settings)
    assert all(torch.equal(parts.weights[name], whole.weights[name]) for name in whole.weights)


def test_there_is_no_noise_in_an_evaluation(run_fit, random_rows):
    settings = {"max_steps": 1, "learning_rate": 1e-12, "held_out": random_rows(8, seed=3), "eval_every": 1}
    noisy, plain = (run_fit(str(alpha), neftune_alpha=alpha, **settings) for alpha in (ALPHA, None))
    assert noisy.metrics("eval_loss") == pytest.approx(plain.metrics("eval_loss"), rel=1e-6)
    assert noisy.metrics("loss") != pytest.approx(plain.metrics("loss"), rel=1e-4)


def test_an_embedding_of_another_shape_is_refused(base, random_rows):
    model = load_model(base)
    tokens = TokenDropout(model, 0)
    EmbeddingNoise(model, tokens, ALPHA)
    tokens.begin(0, make_batch(random_rows(), np.array([1, 2])))
    with pytest.raises(
        ModelError, match="neftune_alpha: this qwen3 model embeds its tokens in another shape"
    ) as caught:
        model.get_input_embeddings().train()(torch.arange(3)[None])
    assert caught.value.code == "model.unsupported"


@pytest.mark.parametrize("stage", [SftSpec, PretrainSpec])
@pytest.mark.parametrize("alpha", [0, -1])
def test_the_noise_is_larger_than_zero(stage, alpha):
    with pytest.raises(ValueError, match="greater than 0"):
        stage(data="file:d", base="file:b", neftune_alpha=alpha)
