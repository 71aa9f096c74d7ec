"""Deep models in bfloat16: right ones are packed however much they round, a leak in one layer of many is found."""

from functools import wraps
from types import SimpleNamespace

import pytest
import torch

from burnish.train.kernels import attention
from burnish.train.scoring import Scorer
from families import build
from flash_stand_in import FlashStandIn, use_flash

DEPTHS = [2, 64]


def deep(layers, std, seed=0, family="qwen3", **config):
    name = "n_layer" if family == "gpt2" else "num_hidden_layers"
    kinds = {"layer_types": ["full_attention"] * layers} if family == "qwen3" else {}
    return build(family, seed=seed, initializer_range=std, **{name: layers}, **kinds, **config).bfloat16()


@pytest.mark.some
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("std", [0.02, 0.2])
@pytest.mark.parametrize("layers", DEPTHS)
def test_a_deep_model_in_bfloat16_is_packed_however_much_it_rounds(layers, std, seed):
    scorer = Scorer(deep(layers, std, seed).requires_grad_(True))
    assert scorer.reason == ""
    assert scorer.packs
    assert not scorer.uses_own_head


@pytest.mark.some(every=2)
@pytest.mark.parametrize("family", ["gpt2", "mixtral", "qwen3_moe", "olmoe"])
def test_deep_models_of_other_families_are_packed_too(family):
    assert Scorer(deep(32, 0.05, family=family).requires_grad_(True)).packs


def planted(monkeypatch, layer, change):
    """One layer gets other bounds than it should have."""
    attend = attention.attend

    def wrong(module, *states, sequence_bounds, **others):
        *tensors, sight = states
        if getattr(module, "layer_idx", None) == layer:
            kind = sight.kind(sequence_bounds)
            sight, sequence_bounds = SimpleNamespace(kind=lambda bounds: kind), change(sequence_bounds)
        return attend(module, *tensors, sight, sequence_bounds=sequence_bounds, **others)

    monkeypatch.setattr(attention, "attend", wrong)


LEAKS = {
    "it sees all sequences before": lambda bounds: (0, bounds[-1]),
    "its bounds are one token early": lambda bounds: (0, *(bound - 1 for bound in bounds[1:-1]), bounds[-1]),
    "it sees the sequence before the last": lambda bounds: (*bounds[:-2], bounds[-1]),
}


@pytest.mark.some
@pytest.mark.parametrize("std", [0.02, 0.2])
@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("layers", DEPTHS)
def test_a_leak_in_one_layer_of_many_is_found_in_bfloat16(monkeypatch, layers, leak, std):
    planted(monkeypatch, layers - 1, LEAKS[leak])
    assert Scorer(deep(layers, std)).reason == "layers of this model read across packed sequences"


@pytest.mark.parametrize("layers", DEPTHS)
def test_learned_positions_that_are_off_by_one_are_found_in_bfloat16(monkeypatch, layers):
    inputs = Scorer._inputs

    def shifted(self, batch):
        found = inputs(self, batch)
        if self.packs:
            later = torch.arange(batch.tokens) >= batch.bounds[1]
            found["position_ids"] = batch.position_ids + later.long()[None]
        return found

    monkeypatch.setattr(Scorer, "_inputs", shifted)
    assert Scorer(deep(layers, 0.2, family="gpt2")).one_by_one


def test_the_kernel_of_a_gpu_is_used_where_it_serves_and_reported_where_it_does_not(monkeypatch):
    stand_in = use_flash(monkeypatch)
    scorer = Scorer(build("llama").bfloat16().requires_grad_(True))
    assert scorer.packs
    assert scorer.kernel_reason == ""
    assert stand_in.calls > 2
    scorer = Scorer(build("llama", head_dim=12).bfloat16().requires_grad_(True))
    assert scorer.packs
    assert scorer.kernel_reason == "a head size of 12 is not a multiple of 8 up to 256"
    assert "it has no dropout" in Scorer(build("llama", attention_dropout=0.1).bfloat16()).kernel_reason
    assert Scorer(build("llama")).kernel_reason == "it supports float16 or bfloat16, not float32"


@pytest.mark.parametrize("fails", ["forward", "backward"])
def test_a_kernel_that_fails_in_the_model_only_is_not_used_and_packing_goes_on_without_it(monkeypatch, fails):
    """As a kernel may that has no code for this GPU, or cannot read what a layer gives to it."""

    class Fails(FlashStandIn):
        @wraps(FlashStandIn.__call__)
        def __call__(self, query, *others, **options):
            if query.shape[0] == 51:  # the kernel's own test
                return super().__call__(query, *others, **options)
            if fails == "forward":
                raise RuntimeError("CUDA error: invalid configuration argument")
            return super().__call__(query.detach(), *others, **options)

    use_flash(monkeypatch, Fails())
    scorer = Scorer(build("llama").bfloat16().requires_grad_(True))
    assert scorer.packs
    expected = {
        "forward": "with it RuntimeError: CUDA error: invalid",
        "backward": "with it a packed batch has another",
    }
    assert scorer.kernel_reason.startswith(expected[fails])
