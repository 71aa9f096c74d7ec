"""Packed batches against their plain twin, one forward of transformers for each row, over families of models."""

import numpy as np
import pytest
import torch
from torch import nn

from burnish.core.errors import AskError
from burnish.models.adapters import attach_lora
from burnish.models.load import load_model
from burnish.specs.train import LoraSpec
from burnish.testing import tiny_model
from burnish.train.batches import make_batch
from burnish.train.kernels import attention
from burnish.train.scoring import Scorer

FAMILIES = {
    "qwen3": {"tie_word_embeddings": True},
    "llama": {},
    "mistral": {"sliding_window": 8},
    "gemma2": {"sliding_window": 8, "query_pre_attn_scalar": 24, "attn_logit_softcapping": 1.0},
    "gemma3_text": {"sliding_window": 8, "query_pre_attn_scalar": 24},
    "granite": {"logits_scaling": 4.0},
    "cohere": {"logit_scale": 0.25},
    "gpt2": {},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    return {family: tiny_model(folder / family, family, **config) for family, config in FAMILIES.items()}


def plain_twin(model, rows, normaliser):
    """Σ weight·ce / normaliser with transformers' own forward and full logits, row by row."""
    total, losses = 0.0, []
    for row in range(len(rows)):
        batch = make_batch(rows, np.array([row]))
        logits = model(input_ids=batch.input_ids).logits[0, batch.positions].float()
        ce = nn.functional.cross_entropy(logits, batch.targets, reduction="none")
        total = total + (ce * batch.weights).sum() / normaliser
        losses.append(ce.detach())
    return total, torch.cat(losses)


def trained_gradients(model, loss):
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    return dict(zip(trained, torch.autograd.grad(loss, list(trained.values()), allow_unused=True), strict=True))


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_packed_batch_gives_the_losses_and_gradients_of_its_rows_alone(models, random_rows, family, method):
    rows = random_rows(5)

    def model():
        torch.manual_seed(0)
        loaded = load_model(models[family])
        if method == "full":
            return loaded.requires_grad_(True)
        adapted = attach_lora(loaded, LoraSpec(rank=2)).eval()  # GPT-2 has dropout
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(weight, std=0.1)  # at its start an adapter's A gets no gradient
        return adapted

    plain, packed = model(), model()
    scorer = Scorer(packed)
    assert scorer.packs
    assert not scorer.uses_own_head
    loss, losses = scorer(make_batch(rows, np.arange(5)), 7.0)
    expected, expected_losses = plain_twin(plain, rows, 7.0)
    torch.testing.assert_close(losses, expected_losses, rtol=1e-4, atol=1e-5)
    ours, theirs = trained_gradients(packed, loss), trained_gradients(plain, expected)
    for name, gradient in theirs.items():
        torch.testing.assert_close(
            ours[name], gradient, rtol=1e-3, atol=2e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_a_trained_head_and_an_adapted_head_get_their_gradients(models, random_rows):
    rows, batch = random_rows(4), None
    for spec in (LoraSpec(rank=2, train_fully=["lm_head"]), LoraSpec(rank=2, targets=["q_proj", "lm_head"])):
        torch.manual_seed(0)
        packed = attach_lora(load_model(models["llama"]), spec)
        torch.manual_seed(0)
        plain = attach_lora(load_model(models["llama"]), spec)
        batch = make_batch(rows, np.arange(4))
        ours = trained_gradients(packed, Scorer(packed)(batch, 3.0)[0])
        theirs = trained_gradients(plain, plain_twin(plain, rows, 3.0)[0])
        assert any("lm_head" in name and gradient.abs().max() > 0 for name, gradient in ours.items())
        for name, gradient in theirs.items():
            torch.testing.assert_close(ours[name], gradient, rtol=1e-3, atol=2e-6)


def test_a_model_that_reads_across_sequences_is_run_one_row_at_a_time(models, monkeypatch):
    def leaks(module, query, key, value, mask, *, sequence_bounds=None, **others):
        everything = (0, sequence_bounds[-1])
        return attention.attend(module, query, key, value, mask, sequence_bounds=everything, **others)

    from transformers import AttentionInterface

    monkeypatch.setattr(attention, "register", lambda: AttentionInterface.register("leaky", leaks) or "leaky")
    monkeypatch.setattr(attention, "NAME", "leaky")
    from transformers.masking_utils import AttentionMaskInterface

    AttentionMaskInterface.register("leaky", lambda **_: None)
    assert Scorer(load_model(models["llama"])).one_by_one


RECURRENT = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
HYBRIDS = {
    "mamba": {},
    "qwen3_next": {
        **RECURRENT,
        **EXPERTS,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "shared_expert_intermediate_size": 16,
    },
    "gpt_oss": {"num_local_experts": 4, "layer_types": ["sliding_attention", "full_attention"]},
    "llama4_text": {"num_local_experts": 2, "intermediate_size_mlp": 64, "attention_chunk_size": 16},
}


@pytest.mark.parametrize("family", HYBRIDS)
def test_recurrent_layers_attention_sinks_and_chunks_are_found_and_run_one_row_at_a_time(tmp_path, random_rows, family):
    from burnish.models.load import quiet_transformers

    with quiet_transformers():
        model = load_model(tiny_model(tmp_path, family, **HYBRIDS[family])).requires_grad_(True)
        scorer = Scorer(model)
        assert scorer.one_by_one
        rows = random_rows(1)
        loss, losses = scorer(make_batch(rows, np.arange(1)), 2.0)
        expected, expected_losses = plain_twin(model, rows, 2.0)
    torch.testing.assert_close(losses, expected_losses, rtol=1e-3, atol=1e-4)
    assert torch.isfinite(next(iter(trained_gradients(model, loss).values()))).all()
    torch.testing.assert_close(loss, expected, rtol=1e-3, atol=1e-4)


def test_attention_sinks_make_a_model_run_one_row_at_a_time(models, monkeypatch):
    model = load_model(models["llama"])
    layer = model.model.layers[1].self_attn
    forward = layer.forward
    monkeypatch.setattr(layer, "forward", lambda *args, **kwargs: forward(*args, **kwargs, s_aux=torch.zeros(4)))
    assert Scorer(model).one_by_one


def test_a_head_that_is_not_known_goes_through_the_models_own_forward(models, random_rows, monkeypatch):
    model = load_model(models["llama"]).requires_grad_(True)
    own = type(model).forward

    def doubled(self, *args, **kwargs):
        output = own(self, *args, **kwargs)
        output.logits = output.logits * 2
        return output

    monkeypatch.setattr(type(model), "forward", doubled)
    scorer = Scorer(model)
    assert scorer.uses_own_head
    rows = random_rows(3)
    loss, losses = scorer(make_batch(rows, np.arange(3)), 2.0)
    expected, expected_losses = plain_twin(load_model(models["llama"]), rows, 2.0)
    torch.testing.assert_close(losses, expected_losses, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("asked", ["sdpa", "eager"])
def test_other_attention_is_taken_when_asked_for_and_given_back_afterwards(models, random_rows, asked):
    model = load_model(models["qwen3"])
    before = model.config._attn_implementation
    scorer = Scorer(model, asked)
    assert scorer.one_by_one
    assert model.config._attn_implementation == asked
    scorer.restore_attention()
    assert model.config._attn_implementation == before


def test_attention_that_a_model_lacks_is_refused_with_a_way_out(models):
    with pytest.raises(AskError) as caught:
        Scorer(load_model(models["gemma2"]), "sdpa")
    assert caught.value.fix == "set attention: auto"


def test_asking_the_model_draws_no_random_number(models):
    model = load_model(models["qwen3"]).train()
    before = torch.get_rng_state()
    Scorer(model)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
