"""Packed batches against their plain twin, one forward of transformers for each row, over families of models."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from burnish.core.errors import AskError, ModelError
from burnish.models.adapters.attach import attach_lora
from burnish.models.load import load_model
from burnish.models.quiet import quiet_transformers
from burnish.specs.train import LoraSpec
from burnish.testing import tiny_model
from burnish.train import scoring
from burnish.train.batches import TokenisedRows, make_batch
from burnish.train.kernels import attention
from burnish.train.scoring import Scorer
from families import build, token_ids

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
        logits = model(input_ids=batch.input_ids, use_cache=False).logits[0, batch.positions].float()
        ce = nn.functional.cross_entropy(logits, batch.targets, reduction="none")
        total = total + (ce * batch.weights).sum() / normaliser
        losses.append(ce.detach())
    return total, torch.cat(losses)


def trained_gradients(model, loss):
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    return dict(zip(trained, torch.autograd.grad(loss, list(trained.values()), allow_unused=True), strict=True))


@pytest.mark.some
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

    AttentionMaskInterface.register("leaky", attention.Sight)
    assert Scorer(load_model(models["llama"])).one_by_one


def gradient_error(scorer, plain, lengths):
    """Relative distance of all gradients from those of transformers' own loss, row by row."""
    ids = [token_ids(1, length, seed=length)[0].numpy() for length in lengths]
    rows = TokenisedRows.of((str(number), row, row * 0 + 1) for number, row in enumerate(ids))
    batches = [np.arange(len(rows))] if scorer.packs else [np.array([row]) for row in range(len(rows))]
    loss = sum(scorer(make_batch(rows, batch), 7.0)[0] for batch in batches)
    ours, theirs = trained_gradients(scorer.model, loss), trained_gradients(plain, plain_twin(plain, rows, 7.0)[0])
    pairs = [(ours[name], theirs[name]) for name in theirs if theirs[name] is not None]
    return float(sum((a - b).norm() ** 2 for a, b in pairs) / sum(b.norm() ** 2 for _, b in pairs)) ** 0.5


def scorer_and_twin(family, longest=None, **config):
    with quiet_transformers():
        model = build(family, **config).requires_grad_(True)
        return Scorer(model, longest=longest), build(family, **config).requires_grad_(True)


@pytest.mark.some
@pytest.mark.parametrize("window", [700, 16])
@pytest.mark.parametrize("family", ["llama4_text", "gemma3_text", "phimoe", "mistral", "modernbert-decoder"])
def test_rows_longer_than_a_window_or_chunk_of_any_size_see_as_far_as_alone(family, window):
    name = "attention_chunk_size" if family == "llama4_text" else "sliding_window"
    settings = {name: window, "max_position_embeddings": 2048}
    if family == "modernbert-decoder":
        settings["local_attention"] = 2 * window
    scorer, plain = scorer_and_twin(family, **settings)
    assert scorer.packs
    assert gradient_error(scorer, plain, [5, window * 2 + 40, window + 1, 9]) < 1e-5


@pytest.mark.parametrize(
    "family", ["qwen3_next", "gpt_oss", "mamba", "bamba", "doge", "deepseek_v32", "roberta", "xlnet"]
)
def test_layers_that_cannot_be_kept_apart_are_run_one_row_at_a_time_and_exactly(family):
    scorer, plain = scorer_and_twin(family)
    assert scorer.one_by_one
    assert scorer.reason
    assert gradient_error(scorer, plain, [5, 70, 33]) < 1e-5


def test_positions_that_do_not_count_from_0_are_the_models_own():
    """RoBERTa counts from the padding id on; its loss was computed with other positions, in silence."""
    scorer, plain = scorer_and_twin("roberta")
    assert scorer.reason == "its positions do not count from 0, so sequences cannot be distinguished"
    assert gradient_error(scorer, plain, [5, 20]) < 1e-5


SPARSE = {"index_topk_blocks": 100, "index_block_size": 16, "max_position_embeddings": 32768}
ROPE = {"rope_type": "longrope", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 800}
LONGROPE = {"rope_parameters": ROPE | {"short_factor": [1.0] * 4, "long_factor": [7.0] * 4}}


@pytest.mark.parametrize(("family", "config"), [("minimax_m3_vl_text", SPARSE), ("llama", LONGROPE)])
def test_a_boundary_that_no_mask_shows_is_crossed_by_the_question_or_by_no_row(family, config):
    near, plain = scorer_and_twin(family, longest=60, **config)
    assert near.packs
    assert gradient_error(near, plain, [5, 60, 33]) < 1e-5
    far, plain = scorer_and_twin(family, **config)
    assert far.one_by_one == (family == "llama")  # these sparse layers keep packed sequences apart at any length
    assert gradient_error(far, plain, [5, 1700, 33]) < 1e-5


def test_a_boundary_too_far_away_to_test_makes_long_rows_run_alone(monkeypatch):
    monkeypatch.setattr(scoring, "_WORK", 1)
    scorer, _ = scorer_and_twin("minimax_m3_vl_text", **SPARSE)
    assert "longer than its index_topk_blocks (1600), which is too long to test" in scorer.reason
    assert scorer_and_twin("minimax_m3_vl_text", longest=1600, **SPARSE)[0].packs


def test_a_batch_longer_than_a_mask_that_layers_keep_is_not_packed():
    """GPT-Neo's layers hold a causal mask as large as its context, and a packed batch may be larger."""
    scorer, plain = scorer_and_twin("gpt_neo")
    assert "RuntimeError" in scorer.reason
    assert gradient_error(scorer, plain, [250, 260, 40]) < 1e-5
    assert scorer_and_twin("gpt_bigcode")[0].packs


@pytest.mark.parametrize("family", ["modernbert-decoder", "xlstm", "rembert"])
def test_a_head_or_a_trunk_of_another_make_does_not_crash(family):
    scorer, plain = scorer_and_twin(family)
    assert gradient_error(scorer, plain, [5, 20]) < 1e-5


def test_a_model_that_cannot_be_trained_is_refused_by_name(models, monkeypatch):
    with pytest.raises(
        ModelError, match="reformer model cannot be trained or measured here: its own forward"
    ) as caught:
        scorer_and_twin("reformer")
    assert caught.value.code == "model.unsupported"
    assert "another family" in caught.value.fix
    model = load_model(models["llama"]).requires_grad_(True)
    with torch.no_grad():
        model.model.norm.weight[3] = float("nan")
    with pytest.raises(ModelError, match="its logits are NaN or infinite"):
        Scorer(model)


def test_a_packed_gradient_that_is_wrong_where_the_states_are_right_is_found(models, monkeypatch):
    """The states of a packed batch may be exact and its gradient not: here the keys get none."""

    def careless(module, query, key, value, mask, **others):
        return attention.attend(module, query, key.detach(), value, mask, **others)

    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    monkeypatch.setattr(attention, "register", lambda: AttentionInterface.register("careless", careless) or "careless")
    for name in ("NAME", "WITHOUT_MASKS"):
        monkeypatch.setattr(attention, name, "careless")
    AttentionMaskInterface.register("careless", attention.Sight)
    assert "gradient" in Scorer(load_model(models["llama"]).requires_grad_(True)).reason


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


NO_MEMORY = "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"


@pytest.mark.parametrize("question", range(8))
def test_memory_that_runs_out_is_no_answer_of_the_model(models, monkeypatch, question):
    model, forward, calls = load_model(models["qwen3"]), nn.Module._call_impl, []

    def runs_out(module, *args, **kwargs):
        if module is model.model:
            calls.append(0)
            if len(calls) == question + 1:
                raise RuntimeError(NO_MEMORY)
        return forward(module, *args, **kwargs)

    monkeypatch.setattr(nn.Module, "_call_impl", runs_out)
    with pytest.raises(RuntimeError, match="ALLOC_FAILED"):
        Scorer(model)


def test_a_packed_row_that_differs_beyond_a_boundary_only_is_found_in_bfloat16_too(monkeypatch):
    attend = attention.attend

    def forgets(*states, **others):
        *tensors, _ = states
        return attend(*tensors, SimpleNamespace(kind=lambda bounds: ("window", 600)), **others)

    monkeypatch.setattr(attention, "attend", forgets)
    monkeypatch.setattr(scoring, "boundaries", lambda config: {"index_topk": 600})
    scorer = Scorer(build("qwen3", max_position_embeddings=2048).bfloat16())
    assert scorer.reason == "layers of this model read across packed sequences"
