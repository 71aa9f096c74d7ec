"""Updates on float32 masters: small ones survive bfloat16, state survives a checkpoint."""

import copy

import pytest
import torch
from torch import nn

from burnish.models.adapters.attach import attach_lora
from burnish.models.load import load_model
from burnish.models.probing import causal_model
from burnish.models.reward import add_score_head
from burnish.models.value_head import add_value_head
from burnish.specs.train import AdamWSpec, LoraSpec, MuonSpec
from burnish.testing import tiny_model
from burnish.train.optim.muon import StackedMuon
from burnish.train.optim.optimizers import Optimizer
from families import build


def layers(dtype=torch.float32) -> nn.Module:
    torch.manual_seed(0)
    return nn.ModuleDict({"embed_tokens": nn.Embedding(5, 4), "up": nn.Linear(4, 6)}).to(dtype)


def backward(model: nn.Module, seed: int) -> None:
    torch.manual_seed(seed)
    states = model["up"](model["embed_tokens"](torch.randint(5, (7,))))
    states.square().mean().backward()


def test_updates_too_small_for_bfloat16_add_up_in_the_masters():
    model = layers(torch.bfloat16)
    weight = model["up"].weight
    before = weight.detach().clone()
    optimizer = Optimizer(model, AdamWSpec())
    for step in range(100):
        weight.grad = torch.ones_like(weight)
        optimizer.gather()
        optimizer.step(1e-4)
        optimizer.zero_grad()
        if step == 0:
            assert torch.equal(weight[before.abs() > 0.25], before[before.abs() > 0.25])  # one is rounded away
    torch.testing.assert_close(before.float() - weight.float(), torch.full((6, 4), 0.01), atol=2e-3, rtol=0)


def test_gradients_of_micro_batches_are_added_up_in_float32():
    model = layers(torch.bfloat16)
    weight, optimizer = model["up"].weight, Optimizer(model, AdamWSpec())
    for _ in range(300):
        weight.grad = torch.ones_like(weight)
        optimizer.gather()
    assert optimizer.masters["up.weight"].grad.unique().tolist() == [300.0]  # bfloat16 would stop at 256


def test_the_gradient_of_a_large_weight_is_freed_as_soon_as_it_is_added_to_its_masters():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1024, 1024), nn.Linear(1024, 1024), nn.Linear(1024, 4)).bfloat16()
    exact = copy.deepcopy(model)
    optimizer = Optimizer(model, AdamWSpec())
    held, sums = [], {name: torch.zeros(weight.shape) for name, weight in exact.named_parameters()}
    model[0].weight.register_post_accumulate_grad_hook(
        lambda _: held.append([w.grad is None for w in model.parameters()])
    )
    for seed in range(3):
        torch.manual_seed(seed)
        states = torch.randn(5, 1024, dtype=torch.bfloat16)
        for one in (model, exact):
            one(states).square().mean().backward()
        optimizer.gather()
        for name, weight in exact.named_parameters():
            sums[name] += weight.grad.float()
            weight.grad = None
    assert held == [[True, False, True, False, False, False]] * 3  # when the last one is there, the second is gone
    assert all(torch.equal(optimizer.masters[name].grad, total) for name, total in sums.items())


def test_clipping_scales_to_the_norm_and_tells_the_norm_before():
    model = layers()
    optimizer = Optimizer(model, AdamWSpec())
    backward(model, 1)
    before = float(optimizer.clip(None))
    assert float(optimizer.clip(before / 2)) == pytest.approx(before)
    assert float(optimizer.clip(None)) == pytest.approx(before / 2, rel=1e-4)


@pytest.mark.parametrize("spec", [AdamWSpec(), MuonSpec()], ids=["adamw", "muon"])
def test_state_and_weights_put_into_fresh_objects_go_on_the_same(spec):
    model = layers()
    optimizer = Optimizer(model, spec)
    for seed in range(3):
        backward(model, seed)
        optimizer.step(1e-2)
        optimizer.zero_grad()
    saved = {name: tensor.clone() for name, tensor in optimizer.weights().items()}
    state = {name: tensor.clone() for name, tensor in optimizer.state().items()}
    fresh = layers()
    other = Optimizer(fresh, spec)
    other.load_weights(saved)
    other.load_state(state)
    for one, its in ((model, optimizer), (fresh, other)):
        backward(one, 9)
        its.step(1e-2)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), fresh.parameters(), strict=True))


def test_muon_takes_the_matrices_and_adamw_embeddings_and_vectors():
    state = {}
    model = layers()
    optimizer = Optimizer(model, MuonSpec())
    backward(model, 0)
    optimizer.step(1e-2)
    for name in optimizer.state():
        weight, key = name.rsplit("|", 1)
        state.setdefault(weight, set()).add(key)
    assert state["up.weight"] == {"momentum_buffer"}
    assert state["embed_tokens.weight"] == state["up.bias"] == {"step", "exp_avg", "exp_avg_sq"}


def by_muon(model: nn.Module) -> set[str]:
    """Names of the weights that Muon takes."""
    optimizer = Optimizer(model, MuonSpec())
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight) if weight.requires_grad else None
    optimizer.step(1e-2)
    return {name.removesuffix("|momentum_buffer") for name in optimizer.state() if name.endswith("|momentum_buffer")}


@pytest.mark.parametrize("adapts", [False, True], ids=["whole", "adapter"])
def test_muon_takes_no_head_of_a_reward_model_or_of_values(tmp_path, adapts):
    model = load_model(tiny_model(tmp_path, "qwen3", tokenizer=False)).requires_grad_(True)
    model = attach_lora(model, LoraSpec(rank=2)) if adapts else model
    causal = causal_model(model)
    add_score_head(causal)
    add_value_head(causal)
    found = by_muon(model)
    assert found
    assert not [name for name in found if "score" in name or "value_head" in name]


def test_muon_takes_neither_the_head_nor_an_embedding_whatever_their_names(tmp_path):
    config = {"num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 32, "vocab_size": 40}
    for family in ("gpt_neox", "rwkv", "gpt2"):
        model = load_model(tiny_model(tmp_path / family, family, tokenizer=False, **config)).requires_grad_(True)
        ends = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}
        taken = by_muon(model)
        assert taken
        assert not any(id(weight) in ends for name, weight in model.named_parameters() if name in taken)
        assert not any("wpe" in name for name in taken)


def test_muon_takes_the_adapters_of_linear_layers_and_not_those_of_the_head(base):
    method = LoraSpec(rank=2, targets=["q_proj", "embed_tokens", "lm_head"])
    assert {name.split(".")[-4] for name in by_muon(attach_lora(load_model(base), method))} == {"q_proj"}
    whole = LoraSpec(rank=2, targets=["q_proj"], train_fully=["lm_head"])
    assert not any("lm_head" in name for name in by_muon(attach_lora(load_model(base), whole)))


def test_weight_decay_leaves_vectors_alone():
    model = layers()
    bias, weight = model["up"].bias.detach().clone(), model["up"].weight.detach().clone()
    optimizer = Optimizer(model, AdamWSpec(weight_decay=0.5))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(0.1)
    assert torch.equal(model["up"].bias, bias)
    torch.testing.assert_close(model["up"].weight, weight * 0.95)


def test_the_update_of_each_expert_is_that_of_torchs_muon():
    torch.manual_seed(0)
    for shape in ((3, 8, 12), (2, 12, 8), (1, 8, 8)):
        stack = nn.Parameter(torch.randn(shape))
        alone = [nn.Parameter(matrix.clone()) for matrix in stack.detach()]
        ours = StackedMuon({stack: lambda tensor: tensor}, momentum=0.9, weight_decay=0.1)
        theirs = torch.optim.Muon(alone, momentum=0.9, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
        for _ in range(3):
            stack.grad = torch.randn(shape)
            for matrix, gradient in zip(alone, stack.grad, strict=True):
                matrix.grad = gradient.clone()
            for optimizer in (ours, theirs):
                optimizer.param_groups[0]["lr"] = 1e-2
                optimizer.step()
        torch.testing.assert_close(stack.detach(), torch.stack([m.detach() for m in alone]), rtol=1e-2, atol=2e-3)


MIXTURES = ("qwen3_moe", "mixtral", "gpt_oss", "granitemoe", "llama4_text", "deepseek_v2", "olmoe", "jetmoe")


@pytest.mark.parametrize("family", MIXTURES)
def test_muon_takes_the_experts_and_neither_their_biases_nor_kernels(family):
    model = build(family).requires_grad_(True)
    taken = by_muon(model)
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            assert name not in taken, name
        elif weight.ndim == 3 and min(weight.shape[1:]) > 1:
            assert name in taken, name
    assert any(weight.ndim == 3 for name, weight in model.named_parameters() if name in taken)


def test_kernels_of_convolutions_are_left_to_adamw():
    for family in ("mamba", "lfm2"):
        model = build(family).requires_grad_(True)
        kernels = {name for name, weight in model.named_parameters() if "conv1d" in name or ".conv.conv." in name}
        assert kernels
        assert not kernels & by_muon(model)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT asks transformers by names that have gone old
def test_each_experts_lora_matrices_are_updated_alone():
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=[], target_parameters=["mlp.experts.gate_up_proj"])
    model = get_peft_model(build("mixtral"), config)
    optimizer = Optimizer(model, MuonSpec(momentum=0.0, weight_decay=0.0))
    a = next(name for name in optimizer.masters if "lora_A" in name)
    b = a.replace("lora_A", "lora_B")
    for weight in optimizer.masters.values():
        weight.grad = torch.zeros_like(weight)
    experts = 4
    before = {name: optimizer.masters[name].detach().clone() for name in (a, b)}
    optimizer.masters[a].grad.view(experts, 2, -1)[1] = torch.randn(2, optimizer.masters[a].shape[1])
    optimizer.masters[b].grad.view(-1, 2, experts)[:, :, 3] = torch.randn(optimizer.masters[b].shape[0], 2)
    optimizer.step(1e-2)
    moved = {name: optimizer.masters[name].detach() - before[name] for name in (a, b)}
    for stack, expert in ((moved[a].view(experts, 2, -1), 1), (moved[b].view(-1, 2, experts).permute(2, 0, 1), 3)):
        assert [bool(matrix.abs().sum() > 0) for matrix in stack] == [number == expert for number in range(experts)]
        strengths = torch.linalg.svdvals(stack[expert])
        assert strengths.min() > 0.4 * strengths.max()  # orthogonal within itself, up to what Newton-Schulz leaves
