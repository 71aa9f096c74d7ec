"""Which LoRA layers are fused, when a fused one leaves the work to PEFT, and its gradients one by one."""

import contextlib
import itertools

import pytest
import torch
from peft import LoraConfig
from peft.tuners.lora.layer import Linear
from torch import nn

from burnish.train.kernels.lora import FusedLora, _is_bare, _is_plain, _LoraLinear


def layer(bias=True, dtype=torch.float32, **settings) -> Linear:
    torch.manual_seed(0)
    made = Linear(nn.Linear(6, 4, bias=bias), "default", LoraConfig(r=2, **settings), r=2, lora_alpha=3)
    made.base_layer.requires_grad_(False)
    nn.init.normal_(made.lora_B["default"].weight)
    return made.to(dtype).train()


class Model(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.peft_config, self.layers = {}, nn.ModuleList(layers)


def second(made) -> None:
    made.update_layer("other", 2, lora_alpha=1, config=LoraConfig(r=2))


def change(kind):
    """A layer that differs in one thing."""
    made = layer()
    if kind == "a subclass":
        made.__class__ = type("Other", (Linear,), {})
    elif kind == "two adapters":
        second(made)
        made.set_adapter(["default", "other"])
    elif kind == "no adapter":
        made._active_adapter = []
    elif kind == "an adapter of another layer":
        made._active_adapter = ["other"]
    elif kind == "transposed":
        made.fan_in_fan_out = True
    elif kind == "a variant":
        made.lora_variant["default"] = object()
    elif kind == "dropout":
        made.lora_dropout["default"] = nn.Dropout(0.1)
    elif kind == "a bias of A":
        made.lora_A["default"].bias = nn.Parameter(torch.zeros(2))
    elif kind == "a bias of B":
        made.lora_B["default"].bias = nn.Parameter(torch.zeros(4))
    elif kind == "a trained weight":
        made.base_layer.weight.requires_grad_(True)
    elif kind == "a trained bias":
        made.base_layer.bias.requires_grad_(True)
    elif kind.startswith("hooked"):
        part = {"base": made.base_layer, "A": made.lora_A["default"], "B": made.lora_B["default"]}[kind.split()[-1]]
        part.register_forward_hook(lambda *_: None)
    return made


KINDS = [
    "a subclass", "two adapters", "no adapter", "an adapter of another layer", "transposed", "a variant", "dropout",
    "a bias of A", "a bias of B", "a trained weight", "a trained bias", "hooked base", "hooked A", "hooked B",
]  # fmt: skip


def test_a_layer_of_two_matrices_beside_a_frozen_one_is_plain():
    assert _is_plain(layer()) is True
    assert _is_plain(layer(bias=False)) is True
    assert _is_plain(nn.Linear(2, 2)) is False


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_that_differs_in_one_thing_is_not_plain(kind):
    made = change(kind)
    assert _is_plain(made) is False
    fused = FusedLora(Model(made, layer()))
    assert len(fused.layers) == 1
    assert "forward" not in vars(made)


HOOKS = [
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_matrix_with_a_hook_or_a_forward_of_its_own_is_not_bare(hook):
    part = nn.Linear(2, 2)
    assert _is_bare(part) is True
    getattr(part, hook)(lambda *_: None)
    assert _is_bare(part) is False
    other = nn.Linear(2, 2)
    other.forward = lambda states: states
    assert _is_bare(other) is False
    assert _is_bare(nn.Identity()) is False
    assert _is_bare(type("Other", (nn.Linear,), {})(2, 2)) is False


def test_a_model_without_adapters_has_no_fused_layer_and_others_get_their_forward_back():
    made = layer()
    assert FusedLora(nn.ModuleList([made])).layers == []
    fused = FusedLora(Model(made, nn.Linear(2, 2)))
    assert fused.layers == [made]
    assert "forward" in vars(made)
    fused.remove()
    assert "forward" not in vars(made)


@pytest.fixture
def calls(monkeypatch):
    made, apply = [], _LoraLinear.apply
    monkeypatch.setattr(_LoraLinear, "apply", lambda *inputs: made.append(1) or apply(*inputs))
    return made


STATES = torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(3))


def ways(made):
    """What a fused layer gives, and what PEFT's own forward does."""
    FusedLora(Model(made))
    return lambda *args, **named: (made(*args, **named), Linear.forward(made, *args, **named))


def test_an_ordinary_call_is_fused(calls):
    ours, theirs = ways(layer())(STATES)
    assert calls == [1]
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("case", ["disabled", "merged", "two adapters", "another adapter", "autocast", "named"])
def test_a_fused_layer_whose_state_has_changed_leaves_the_work_to_peft(calls, case):
    made, named = layer(), {}
    second(made)
    made.set_adapter("default")
    both = ways(made)
    if case == "disabled":
        made.enable_adapters(False)
    elif case == "merged":
        made.merge()
    elif case == "two adapters":
        made.set_adapter(["default", "other"])
    elif case == "another adapter":
        made._active_adapter = ["elsewhere"]
    elif case == "named":
        made.eval()
        named = {"adapter_names": ["default", "other", "__base__"]}
    with torch.autocast("cpu", torch.bfloat16, enabled=case == "autocast"):
        ours, theirs = both(STATES, **named)
    assert calls == []
    assert ours.dtype == (torch.bfloat16 if case == "autocast" else torch.float32)
    assert torch.equal(ours, theirs)


def test_an_argument_that_a_layer_does_not_know_is_not_ignored(calls):
    both = ways(layer())
    for args, named in (((STATES, 1), {}), ((STATES,), {"unknown": 1})):
        with pytest.raises(TypeError):
            both(*args, **named)
    assert calls == []


@pytest.mark.parametrize("part", ["states", "base", "A", "B"])
def test_tensors_of_different_dtypes_are_left_to_peft(calls, part):
    made = layer()
    FusedLora(Model(made))
    states = STATES
    if part == "states":
        states = STATES.double()
        made.base_layer.double()
    elif part == "base":
        made.base_layer.double()
        states = STATES.double()
        made.lora_A.double()
        made.lora_A.float()
    else:
        {"A": made.lora_A, "B": made.lora_B}[part]["default"].to(torch.bfloat16)
        states = STATES
    with contextlib.suppress(RuntimeError):  # PEFT itself does not take every mixture
        made(states)
    assert calls == []


@pytest.mark.parametrize("shape", [(5, 6), (3, 5, 6), (2, 1, 4, 6), (6,)])
@pytest.mark.parametrize("bias", [False, True])
def test_outputs_and_each_gradient_alone_are_those_of_the_definition(shape, bias):
    made = layer(bias, torch.double)
    FusedLora(Model(made))
    states = torch.randn(shape, dtype=torch.double)
    down, up, base = made.lora_A["default"].weight, made.lora_B["default"].weight, made.base_layer
    for needs in itertools.product([False, True], repeat=3):
        tensors = [states.requires_grad_(needs[0]), down.requires_grad_(needs[1]), up.requires_grad_(needs[2])]
        ours = made(states)
        theirs = states @ base.weight.T + 1.5 * (states @ down.T) @ up.T + (base.bias if bias else 0.0)
        torch.testing.assert_close(ours, theirs)
        assert ours.shape == (*shape[:-1], 4)
        learned = [tensor for tensor, need in zip(tensors, needs, strict=True) if need]
        if not learned:
            assert not ours.requires_grad
            continue
        outer = torch.linspace(-1, 1, ours.numel(), dtype=torch.double).view_as(ours)
        found = [torch.autograd.grad((out * outer).sum(), learned) for out in (ours, theirs)]
        torch.testing.assert_close(*found)
