"""Masters, hooks and state of an optimizer one by one, and which weights Muon takes as stacks."""

import copy
import itertools

import pytest
import torch
from torch import nn

from burnish.specs.train import AdamWSpec, MuonSpec
from burnish.train.optim import muon
from burnish.train.optim.muon import StackedMuon, _orthogonalised, is_bias, stacks_of
from burnish.train.optim.optimizers import Optimizer


def linear(dtype=torch.float32, inputs=3, outputs=2) -> nn.Module:
    torch.manual_seed(0)
    return nn.ModuleDict({"a|b": nn.Linear(inputs, outputs), "frozen": nn.Linear(2, 2).requires_grad_(False)}).to(dtype)


NAMES = ["a|b.weight", "a|b.bias"]


def stepped(optimizer: Optimizer, rate: float = 0.1) -> None:
    for number, master in enumerate(optimizer.masters.values()):
        master.grad = torch.full_like(master, number + 1.0)
    optimizer.step(rate)
    optimizer.zero_grad()


def test_masters_are_the_exact_values_and_the_model_gets_them_rounded():
    model = linear(torch.bfloat16)
    exact = {"a|b.weight": torch.full((2, 3), 1 + 2**-7 + 2**-12)}
    bias = model["a|b"].bias.detach().clone()
    optimizer = Optimizer(model, AdamWSpec(), exact)
    assert list(optimizer.masters) == NAMES
    assert torch.equal(optimizer.masters["a|b.weight"], exact["a|b.weight"])
    assert model["a|b"].weight.dtype == torch.bfloat16
    assert model["a|b"].weight.unique().tolist() == [1 + 2**-7]
    assert torch.equal(optimizer.masters["a|b.bias"], bias.float())
    assert {master.dtype for master in optimizer.masters.values()} == {torch.float32}
    assert all(master.requires_grad and master.is_leaf for master in optimizer.masters.values())
    assert not exact["a|b.weight"].requires_grad


def test_a_float32_weight_is_its_own_master_and_takes_the_exact_value():
    model = linear()
    exact = {"a|b.weight": torch.full((2, 3), 0.1)}
    optimizer = Optimizer(model, AdamWSpec(), exact)
    assert optimizer.masters["a|b.weight"] is model["a|b"].weight
    assert optimizer.masters["a|b.bias"] is model["a|b"].bias
    assert torch.equal(model["a|b"].weight, exact["a|b.weight"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_saved_has_no_gradient_and_what_is_loaded_reaches_the_model(dtype):
    model = linear(dtype)
    optimizer = Optimizer(model, AdamWSpec())
    saved = optimizer.weights()
    assert list(saved) == NAMES
    assert not any(weight.requires_grad for weight in saved.values())
    new = {name: torch.full_like(weight, 0.3) for name, weight in saved.items()}
    optimizer.load_weights(new)
    assert all(torch.equal(optimizer.masters[name], weight) for name, weight in new.items())
    assert torch.equal(model["a|b"].weight, new["a|b.weight"].to(dtype))


@pytest.mark.parametrize("spec", [AdamWSpec(), MuonSpec()], ids=["adamw", "muon"])
def test_state_that_is_loaded_replaces_all_of_the_old_and_is_a_copy(spec):
    optimizer, other = Optimizer(linear(), spec), Optimizer(linear(), spec)
    assert optimizer.state() == {}
    stepped(optimizer)
    keys = set(optimizer.state())
    adam = {f"{name}|{key}" for name in NAMES for key in ("step", "exp_avg", "exp_avg_sq")}
    of_muon = {address for address in adam if "bias" in address} | {"a|b.weight|momentum_buffer"}
    assert keys == (of_muon if isinstance(spec, MuonSpec) else adam)
    saved = {name: value.clone() for name, value in optimizer.state().items()}
    given = copy.deepcopy(saved)
    other.load_state(given)
    stepped(other)
    assert all(torch.equal(given[name], value) for name, value in saved.items())
    other.load_state({})
    assert other.state() == {}


def test_a_model_whose_training_has_ended_keeps_the_gradients_of_large_weights():
    model = nn.Sequential(nn.Linear(1024, 1024, bias=False)).bfloat16()
    optimizer = Optimizer(model, AdamWSpec())
    states = torch.ones(1, 1024, dtype=torch.bfloat16)
    model(states).sum().backward()
    assert model[0].weight.grad is None
    assert optimizer.masters["0.weight"].grad.dtype == torch.float32
    with torch.no_grad():
        optimizer.masters["0.weight"].fill_(0.1)
    optimizer.give_masters({"0.weight": torch.bfloat16})
    assert model[0].weight.dtype == torch.bfloat16
    optimizer.give_masters()
    assert model[0].weight.dtype == torch.float32
    assert torch.equal(model[0].weight, optimizer.masters["0.weight"])
    model.zero_grad()
    model(states.float()).sum().backward()
    assert model[0].weight.grad is not None


def test_a_weight_without_a_gradient_waits_for_none():
    model = linear(torch.bfloat16)
    optimizer = Optimizer(model, AdamWSpec())
    optimizer.gather()
    assert all(master.grad is None for master in optimizer.masters.values())
    for value in (1.0, 2.0):
        model["a|b"].bias.grad = torch.full_like(model["a|b"].bias, value)
        optimizer.gather()
        assert model["a|b"].bias.grad is None
    model["a|b"].weight.grad = torch.full_like(model["a|b"].weight, 5.0)
    model["a|b"].bias.grad = torch.full_like(model["a|b"].bias, 4.0)
    optimizer.gather()
    assert optimizer.masters["a|b.bias"].grad.tolist() == [7.0, 7.0]
    assert optimizer.masters["a|b.weight"].grad.unique().tolist() == [5.0]
    optimizer.zero_grad()
    assert all(master.grad is None for master in optimizer.masters.values())


def test_a_weight_that_is_not_finite_is_found_wherever_it_is():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].bias = nn.Parameter(torch.zeros(0))
    optimizer = Optimizer(model, AdamWSpec())
    assert optimizer.is_finite()
    for value in (float("nan"), float("inf"), float("-inf")):
        with torch.no_grad():
            model[0].bias[1] = value
            assert not optimizer.is_finite()
            model[0].bias[1] = 0.0
            model[1].weight[1, 1] = value
            assert not optimizer.is_finite()
            model[1].weight[1, 1] = 0.0


@pytest.mark.parametrize("spec", [AdamWSpec(weight_decay=0.5), MuonSpec(weight_decay=0.5)], ids=["adamw", "muon"])
@pytest.mark.parametrize("kind", ["matrices alone", "vectors alone"])
def test_a_model_with_weights_of_one_kind_is_trained(spec, kind):
    model = nn.Linear(4, 4, bias=False) if kind == "matrices alone" else nn.LayerNorm(4)
    optimizer = Optimizer(model, spec)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    stepped(optimizer)
    assert all(not torch.equal(weight, before[name]) for name, weight in model.named_parameters())


def test_clipping_leaves_a_small_gradient_alone():
    optimizer = Optimizer(linear(), AdamWSpec())
    for master in optimizer.masters.values():
        master.grad = torch.ones_like(master)
    assert float(optimizer.clip(100.0)) == pytest.approx(8**0.5)
    assert optimizer.masters["a|b.bias"].grad.tolist() == [1.0, 1.0]
    assert float(optimizer.clip(1.0)) == pytest.approx(8**0.5)
    assert optimizer.masters["a|b.bias"].grad.tolist() == pytest.approx([8**-0.5] * 2)


class Adapted(nn.Module):
    """As PEFT lays out the adapters of a layer of experts."""

    def __init__(self, experts, parts=("lora_A", "lora_B")):
        super().__init__()
        self.num_experts = experts
        for part in parts:
            shape = (6, 2 * 3) if part == "lora_A" else (2 * 3, 4)
            self.add_module(part, nn.ModuleDict({"default": nn.Linear(*shape)}))


SHAPES = [(3, 2, 2), (3, 2, 1), (3, 1, 2), (1, 2, 5), (4, 4), (4,), (2, 2, 2, 2)]


def test_stacks_are_weights_of_three_dimensions_that_hold_matrices():
    model = nn.Module()
    for number, shape in enumerate(SHAPES):
        model.register_parameter(f"w{number}", nn.Parameter(torch.zeros(shape)))
    model.register_parameter("bias", nn.Parameter(torch.zeros(3, 4, 4)))
    model.register_parameter("frozen", nn.Parameter(torch.zeros(3, 4, 4), requires_grad=False))
    model.inner, model.conv = nn.Module(), nn.Conv1d(3, 3, 3)
    model.inner.experts = nn.Parameter(torch.zeros(2, 3, 4))
    found = stacks_of(model)
    assert set(found) == {"w0", "w3", "inner.experts"}
    tensor = torch.rand(3, 2, 2)
    assert all(stack(tensor) is tensor for stack in found.values())


@pytest.mark.parametrize("path", ["", "layer"])
def test_the_adapters_of_experts_are_one_matrix_for_each_expert(path):
    model = Adapted(3) if not path else nn.ModuleDict({path: Adapted(3)})
    prefix = f"{path}." if path else ""
    found = stacks_of(model)
    a, b = f"{prefix}lora_A.default.weight", f"{prefix}lora_B.default.weight"
    assert set(found) == {a, b}
    of_a, of_b = torch.arange(36.0).view(6, 6), torch.arange(24.0).view(4, 6)
    for expert in range(3):
        assert torch.equal(found[a](of_a)[expert], of_a[2 * expert : 2 * expert + 2])
        assert torch.equal(found[b](of_b)[expert], of_b[:, expert::3])


@pytest.mark.parametrize("module", [Adapted(1), Adapted("3"), Adapted(3, ["lora_A"]), Adapted(3, ["lora_B"])])
def test_other_adapters_are_no_stacks(module):
    assert stacks_of(module) == {}
    assert len(stacks_of(Adapted(2))) == 2
    without = Adapted(2)
    del without.num_experts
    assert stacks_of(without) == {}


def test_a_bias_is_known_by_the_end_of_its_name():
    biases = ["bias", "layer.bias", "gate_up_proj_bias", "a.b.down_bias"]
    others = ["weight", "bias.weight", "layer.bias_scale", "bias.x"]
    assert [is_bias(name) for name in biases + others] == [True] * 4 + [False] * 4


@pytest.mark.parametrize("shape", [(3, 8, 12), (3, 12, 8), (2, 8, 8), (1, 2, 9)])
@pytest.mark.parametrize("size", [1.0, 1e-9])
def test_each_update_is_that_of_torchs_muon_even_where_the_gradient_is_tiny(shape, size):
    torch.manual_seed(0)
    gradient = torch.randn(shape) * size
    for number, matrix in enumerate(gradient):
        weight = nn.Parameter(torch.zeros_like(matrix))
        weight.grad = matrix.clone()
        theirs = torch.optim.Muon([weight], lr=1.0, momentum=0.0, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
        theirs.step()
        ours = -0.2 * max(shape[1:]) ** 0.5 * _orthogonalised(gradient)[number]
        assert (ours - weight).norm() < 0.01 * weight.norm()
        assert ours.dtype == torch.float32


@pytest.mark.parametrize("at_once", [1, 96, 97, 191, 192, 1000])
def test_how_many_matrices_are_updated_at_once_changes_nothing(monkeypatch, at_once):
    def moved():
        torch.manual_seed(0)
        stack, still = nn.Parameter(torch.randn(5, 8, 12)), nn.Parameter(torch.randn(2, 4, 4))
        optimizer = StackedMuon({still: lambda it: it, stack: lambda it: it}, momentum=0.9, weight_decay=0.1)
        before = still.detach().clone()
        for _ in range(2):
            stack.grad = torch.randn(5, 8, 12)
            optimizer.param_groups[0]["lr"] = 0.1
            optimizer.step()
        assert torch.equal(still, before)  # it has no gradient, and the weight after it is updated
        assert list(optimizer.state) == [stack]
        return stack.detach()

    whole = moved()
    monkeypatch.setattr(muon, "_AT_ONCE", at_once)
    assert torch.equal(moved(), whole)


def test_a_matrix_without_a_gradient_stays_where_it_is():
    stack = torch.randn(3, 4, 4)
    stack[1] = 0.0
    found = _orthogonalised(stack)
    assert [bool(matrix.any()) for matrix in found] == [True, False, True]
    assert found.isfinite().all()


def test_weights_of_experts_and_of_ends_are_told_apart_by_muon():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head, self.inner = nn.Embedding(5, 4), nn.Module(), nn.Linear(4, 4)
            self.head.stack = nn.Parameter(torch.randn(2, 4, 4))
            self.head.matrix = nn.Parameter(torch.randn(4, 4))
            self.stack = nn.Parameter(torch.randn(2, 4, 4))

        def get_input_embeddings(self):
            return self.embed

        def get_output_embeddings(self):
            return self.head

    optimizer = Optimizer(Model(), MuonSpec())
    stepped(optimizer)
    taken = {address.split("|")[0] for address in optimizer.state() if address.endswith("momentum_buffer")}
    assert taken == {"inner.weight", "stack"}


def test_the_first_step_of_muon_begins_with_a_momentum_of_zero():
    for momentum, decay in itertools.product((0.0, 0.9), (0.0, 0.5)):
        stack = nn.Parameter(torch.ones(2, 4, 4))
        stack.grad = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0))
        optimizer = StackedMuon({stack: lambda it: it}, momentum=momentum, weight_decay=decay)
        optimizer.param_groups[0]["lr"] = 0.1
        optimizer.step()
        torch.testing.assert_close(optimizer.state[stack]["momentum_buffer"], (1 - momentum) * stack.grad)
        expected = 1 - 0.1 * decay - 0.1 * 0.2 * 2.0 * _orthogonalised(stack.grad)
        torch.testing.assert_close(stack.detach(), expected, rtol=0.01, atol=0.001)
