"""8-bit AdamW is bitsandbytes' own, and its states go through a checkpoint bit for bit."""

import copy

import bitsandbytes
import pytest
import torch
from torch import nn

from burnish.core.errors import RunError
from burnish.models.tensors import write_tensors
from burnish.specs.train import AdamW8bitSpec, AdamWSpec
from burnish.train.forecast.footprint import STATES_IN_8_BITS
from burnish.train.optim.optimizers import Optimizer

SPEC = AdamW8bitSpec(beta1=0.8, beta2=0.9, eps=1e-6, weight_decay=0.1)


def layers() -> nn.Module:
    """A weight of 8,192 elements, whose states are held in 8 bits, a small one and vectors, whose are not."""
    torch.manual_seed(0)
    return nn.ModuleDict({"wide": nn.Linear(64, 128), "narrow": nn.Linear(128, 4)})


def give_gradients(model: nn.Module, seed: int) -> None:
    torch.manual_seed(seed)
    for weight in model.parameters():
        weight.grad = torch.randn_like(weight)


def take_steps(model: nn.Module, optimizer: Optimizer, seeds: range) -> None:
    for seed in seeds:
        give_gradients(model, seed)
        optimizer.gather()
        optimizer.step(1e-2)
        optimizer.zero_grad()


def test_steps_are_those_of_bitsandbytes():
    ours, theirs = layers(), layers()
    take_steps(ours, Optimizer(ours, SPEC), range(5))
    decayed = [weight for weight in theirs.parameters() if weight.ndim > 1]
    vectors = [weight for weight in theirs.parameters() if weight.ndim == 1]
    own = bitsandbytes.optim.AdamW8bit(
        [{"params": decayed, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=1e-2,
        betas=(0.8, 0.9),
        eps=1e-6,
    )
    for seed in range(5):
        give_gradients(theirs, seed)
        own.step()
    for name, weight in ours.named_parameters():
        assert torch.equal(weight, theirs.get_parameter(name)), name


def test_the_first_step_is_near_that_of_adamw():
    ours, exact = layers(), layers()
    before = copy.deepcopy(ours)
    take_steps(ours, Optimizer(ours, SPEC), range(1))
    values = {name: value for name, value in SPEC.model_dump().items() if name != "kind"}
    take_steps(exact, Optimizer(exact, AdamWSpec(**values)), range(1))
    for name, weight in ours.named_parameters():
        moved = (exact.get_parameter(name) - before.get_parameter(name)).norm()
        assert (weight - exact.get_parameter(name)).norm() < 0.02 * moved


def test_small_weights_keep_states_of_32_bits():
    model = layers()
    optimizer = Optimizer(model, SPEC)
    take_steps(model, optimizer, range(1))
    dtypes = {name: tensor.dtype for name, tensor in optimizer.state().items() if "|state" in name}
    assert {dtypes["wide.weight|state1"], dtypes["wide.weight|state2"]} == {torch.uint8}
    assert {dtype for name, dtype in dtypes.items() if not name.startswith("wide.weight")} == {torch.float32}
    held = sum(
        tensor.numel() * tensor.element_size()
        for name, tensor in optimizer.state().items()
        if name.startswith("wide.weight|") and "qmap" not in name and "step" not in name
    )
    assert held <= STATES_IN_8_BITS * model["wide"].weight.numel()


def test_states_go_through_a_file_bit_for_bit(tmp_path):
    from safetensors.torch import load_file

    whole, parts = layers(), layers()
    take_steps(whole, Optimizer(whole, SPEC), range(6))
    first = Optimizer(parts, SPEC)
    take_steps(parts, first, range(3))
    state = first.state()
    write_tensors(tmp_path / "state.safetensors", state)
    found = load_file(tmp_path / "state.safetensors")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in state.items())
    again = Optimizer(parts, SPEC)
    again.load_state(found)
    take_steps(parts, again, range(3, 6))
    for name, weight in whole.named_parameters():
        assert torch.equal(weight, parts.get_parameter(name)), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_stopped_run_resumes_to_the_same_bits(run_fit, dtype):
    settings = {"optimizer": {"kind": "adamw8bit"}, "method": {"kind": "full"}, "dtype": dtype}
    whole = run_fit("whole", **settings)
    with pytest.raises(RunError):
        run_fit("parts", stop_before=4, **settings)
    resumed = run_fit("parts", **settings)
    assert resumed.measures["resumed_from"] == 4
    assert all(torch.equal(weight, whole.weights[name]) for name, weight in resumed.weights.items())
    assert whole.measures["last_loss"] < whole.measures["first_loss"]
