"""Every setting of an optimizer changes the step exactly as its textbook formula says, on the weights it is for."""

import math
from itertools import chain

import pytest
import torch
from torch import Tensor, nn

from burnish.specs.train import AdamWSpec, MuonSpec
from burnish.train.optim.optimizers import Optimizer

RATES = (0.03, 0.01, 0.02)


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 8, 12))
        self.gate_bias = nn.Parameter(torch.randn(3, 8))


class Small(nn.Module):
    """Weights of every kind: both ends, a wide and a tall matrix, a stack of experts, a kernel, vectors."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.wide, self.tall = nn.Embedding(9, 8), nn.Linear(16, 8), nn.Linear(8, 24, bias=False)
        self.conv, self.norm, self.head = nn.Conv1d(8, 8, 3, bias=False), nn.LayerNorm(8), nn.Linear(8, 9, bias=False)
        self.experts = Experts()

    def get_input_embeddings(self) -> nn.Module:
        return self.embed

    def get_output_embeddings(self) -> nn.Module:
        return self.head


MATRICES = {"wide.weight", "tall.weight", "experts.weight"}
ENDS_AND_KERNELS = {"embed.weight", "head.weight", "conv.weight"}
VECTORS = {"wide.bias", "norm.weight", "norm.bias", "experts.gate_bias"}
EVERY = MATRICES | ENDS_AND_KERNELS | VECTORS

OTHER = {
    AdamWSpec: {
        "beta1": (0.5, EVERY),
        "beta2": (0.7, EVERY),
        "eps": (0.5, EVERY),
        "weight_decay": (0.4, MATRICES | ENDS_AND_KERNELS),
    },
    MuonSpec: {
        "momentum": (0.5, MATRICES),
        "weight_decay": (0.9, MATRICES),
        "beta1": (0.5, EVERY - MATRICES),
        "beta2": (0.7, EVERY - MATRICES),
    },
}
"""For each setting another value, and the weights whose step it changes."""


def gradients(name: str) -> list[Tensor]:
    random = torch.Generator().manual_seed(len(name))
    shape = dict(Small().named_parameters())[name].shape
    return [torch.randn(shape, generator=random) * size for size in (1.0, 0.3, 2.0)]


def adamw(weight: Tensor, steps: list[Tensor], beta1: float, beta2: float, eps: float, decay: float) -> Tensor:
    """Algorithm 2 of arXiv 1711.05101, in float64."""
    weight, mean, square = weight.double(), 0.0, 0.0
    for number, (gradient, rate) in enumerate(zip(steps, RATES, strict=True), start=1):
        mean = beta1 * mean + (1 - beta1) * gradient.double()
        square = beta2 * square + (1 - beta2) * gradient.double() ** 2
        unbiased = mean / (1 - beta1**number), square / (1 - beta2**number)
        weight = weight - rate * decay * weight - rate * unbiased[0] / (unbiased[1].sqrt() + eps)
    return weight


def muon(weight: Tensor, steps: list[Tensor], momentum: float, decay: float) -> Tensor:
    """Jordan et al. 2024 with Nesterov momentum; the RMS of the update is AdamW's, 0.2 (arXiv 2502.16982)."""
    if weight.ndim == 3:
        each = [muon(matrix, [step[i] for step in steps], momentum, decay) for i, matrix in enumerate(weight)]
        return torch.stack(each)
    weight, mean = weight.double(), 0.0
    for gradient, rate in zip(steps, RATES, strict=True):
        mean = momentum * mean + (1 - momentum) * gradient.double()
        direction = newton_schulz(momentum * mean + (1 - momentum) * gradient.double())
        weight = weight - rate * decay * weight - rate * 0.2 * math.sqrt(max(weight.shape)) * direction
    return weight


def newton_schulz(matrix: Tensor) -> Tensor:
    """Five steps of X ← aX + (bA + cA²)X with A = XXᵀ, on the shorter side: the singular values go towards 1."""
    states = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    states = states / states.norm()
    for _ in range(5):
        gram = states @ states.T
        states = 3.4445 * states + (-4.775 * gram + 2.0315 * gram @ gram) @ states
    return states.T if matrix.shape[0] > matrix.shape[1] else states


def textbook(spec: AdamWSpec | MuonSpec) -> dict[str, Tensor]:
    found = {}
    for name, weight in Small().state_dict().items():
        if isinstance(spec, MuonSpec) and name in MATRICES:
            found[name] = muon(weight, gradients(name), spec.momentum, spec.weight_decay)
        elif isinstance(spec, MuonSpec):
            found[name] = adamw(weight, gradients(name), spec.beta1, spec.beta2, 1e-8, 0.0)
        else:
            decay = 0.0 if name in VECTORS else spec.weight_decay
            found[name] = adamw(weight, gradients(name), spec.beta1, spec.beta2, spec.eps, decay)
    return found


def stepped(spec: AdamWSpec | MuonSpec) -> dict[str, Tensor]:
    """The weights after three steps of ours."""
    model = Small()
    optimizer = Optimizer(model, spec)
    for number, rate in enumerate(RATES):
        for name, weight in model.named_parameters():
            weight.grad = gradients(name)[number].clone()
        optimizer.gather()
        optimizer.step(rate)
        optimizer.zero_grad()
    return {name: weight.detach() for name, weight in model.named_parameters()}


def apart(ours: Tensor, theirs: Tensor, start: Tensor) -> float:
    """How far two ends of a movement are apart, as a share of the movement."""
    return float((ours.double() - theirs.double()).norm() / (theirs.double() - start.double()).norm())


SPECS = [
    pytest.param(kind(**({} if name is None else {name: OTHER[kind][name][0]})), name, id=f"{kind.__name__} {name}")
    for kind in OTHER
    for name in [None, *OTHER[kind]]
]


def test_every_setting_has_another_value_here():
    for kind, others in OTHER.items():
        assert others.keys() == kind.model_fields.keys() - {"kind"}
        assert all(value != kind.model_fields[name].default for name, (value, _) in others.items())


@pytest.mark.parametrize(("spec", "name"), SPECS)
def test_three_steps_are_those_of_the_textbook(spec, name):
    start, ours, theirs = Small().state_dict(), stepped(spec), textbook(spec)
    assert ours.keys() == theirs.keys() == EVERY
    for weight, found in ours.items():
        is_rounded = isinstance(spec, MuonSpec) and weight in MATRICES  # Newton-Schulz runs in bfloat16
        assert apart(found, theirs[weight], start[weight]) < (0.04 if is_rounded else 1e-5), weight


@pytest.mark.parametrize(("spec", "name"), [param for param in SPECS if param.values[1] is not None])
def test_a_setting_changes_the_step_of_the_weights_it_is_for_and_of_no_other(spec, name):
    start, ours, usual = Small().state_dict(), stepped(spec), stepped(type(spec)())
    changed = {weight for weight in ours if apart(ours[weight], usual[weight], start[weight]) > 0.03}
    same = {weight for weight in ours if torch.equal(ours[weight], usual[weight])}
    assert changed == OTHER[type(spec)][name][1]
    assert same == EVERY - changed


@pytest.mark.parametrize("spec", [AdamWSpec(weight_decay=0.4), MuonSpec(weight_decay=0.4)], ids=["adamw", "muon"])
def test_masters_of_a_bfloat16_model_make_the_same_steps(spec):
    model = Small().bfloat16()
    start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    plain = Small()
    plain.load_state_dict({name: weight.float() for name, weight in start.items()})
    optimizers = Optimizer(model, spec), Optimizer(plain, spec)
    for number, rate in enumerate(RATES):
        for name, weight in chain(model.named_parameters(), plain.named_parameters()):
            weight.grad = gradients(name)[number].to(torch.bfloat16).to(weight.dtype)
        for optimizer in optimizers:
            optimizer.gather()
            optimizer.step(rate)
            optimizer.zero_grad()
    for name, weight in plain.named_parameters():
        assert torch.equal(optimizers[0].masters[name], weight), name
        assert torch.equal(dict(model.named_parameters())[name], weight.bfloat16()), name
