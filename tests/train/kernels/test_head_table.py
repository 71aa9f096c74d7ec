"""The chunked heads for every set of trained tensors, against full logits in float64."""

import itertools

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from burnish.train.kernels import head as heads
from burnish.train.kernels.head import linear_cross_entropy, module_cross_entropy

TOKENS, WIDTH, VOCABULARY = 11, 6, 9
TRAINED = [set(some) for count in range(1, 4) for some in itertools.combinations(("hidden", "weight", "bias"), count)]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(heads, "CHUNK", 4)


def close(ours, exact):
    torch.testing.assert_close(ours.double(), exact, rtol=1e-5, atol=1e-6)


def tensors(trained, dtype=torch.float32):
    random = torch.Generator().manual_seed(0)
    shapes = {"hidden": (TOKENS, WIDTH), "weight": (VOCABULARY, WIDTH), "bias": (VOCABULARY,)}
    made = {name: torch.randn(shape, generator=random).to(dtype) for name, shape in shapes.items()}
    for name in trained:
        made[name].requires_grad_()
    targets = torch.randint(VOCABULARY, (TOKENS,), generator=random)
    return made, targets, torch.rand(TOKENS, generator=random)


def in_double(made, targets, shares, scale, trained, has_bias=True):
    """Loss, losses and gradients of full logits."""
    exact = {name: tensor.detach().double().requires_grad_(name in trained) for name, tensor in made.items()}
    logits = scale * (exact["hidden"] @ exact["weight"].T + (exact["bias"] if has_bias else 0.0))
    losses = logits.logsumexp(-1) - logits[torch.arange(TOKENS), targets]
    loss = (losses * shares.double()).sum()
    names = [name for name in exact if name in trained]
    found = torch.autograd.grad(2.5 * loss, [exact[name] for name in names])
    return loss, losses, dict(zip(names, found, strict=True))


@pytest.mark.parametrize("trained", TRAINED, ids=lambda trained: " ".join(sorted(trained)))
@pytest.mark.parametrize("scale", [1.0, 2.0, 0.3])
def test_a_matrix_gives_the_gradients_that_are_needed(trained, scale):
    made, targets, shares = tensors(trained)
    loss, losses = linear_cross_entropy(made["hidden"], made["weight"], made["bias"], targets, shares, scale)
    expected, expected_losses, gradients = in_double(made, targets, shares, scale, trained)
    close(loss, expected)
    close(losses, expected_losses)
    assert not losses.requires_grad
    (2.5 * loss).backward()
    for name, tensor in made.items():
        if name in trained:
            close(tensor.grad, gradients[name])
        else:
            assert tensor.grad is None


@pytest.mark.parametrize("trained", [{"hidden"}, {"weight"}, {"hidden", "weight"}])
def test_a_matrix_without_a_bias_has_no_scale_unless_one_is_given(trained):
    made, targets, shares = tensors(trained)
    loss, _ = linear_cross_entropy(made["hidden"], made["weight"], None, targets, shares)
    expected, _, gradients = in_double(made, targets, shares, 1.0, trained, has_bias=False)
    close(loss, expected)
    (2.5 * loss).backward()
    for name, gradient in gradients.items():
        close(made[name].grad, gradient)


@pytest.mark.parametrize("trained", TRAINED, ids=lambda trained: " ".join(sorted(trained)))
def test_any_other_head_gives_the_gradients_that_are_needed(trained):
    made, targets, shares = tensors(trained)

    def score(states):
        return nn.functional.linear(states, made["weight"], made["bias"])

    parameters = [made["weight"], made["bias"]]
    loss, losses = module_cross_entropy(made["hidden"], score, parameters, targets, shares)
    expected, expected_losses, gradients = in_double(made, targets, shares, 1.0, trained)
    close(loss, expected)
    close(losses, expected_losses)
    assert not losses.requires_grad
    (2.5 * loss).backward()
    for name, tensor in made.items():
        if name in trained:
            close(tensor.grad, gradients[name])
        else:
            assert tensor.grad is None


@pytest.mark.parametrize("head", ["matrix", "module"])
def test_in_bfloat16_gradients_have_their_tensors_dtype_and_losses_are_exact(head):
    made, targets, shares = tensors({"hidden", "weight", "bias"}, torch.bfloat16)

    def score(states):
        return nn.functional.linear(states, made["weight"], made["bias"])

    if head == "matrix":
        loss, losses = linear_cross_entropy(*made.values(), targets, shares)
    else:
        loss, losses = module_cross_entropy(made["hidden"], score, [made["weight"], made["bias"]], targets, shares)
    assert loss.dtype == losses.dtype == torch.float32
    logits = score(made["hidden"]).detach().double()
    close(losses, logits.logsumexp(-1) - logits[torch.arange(TOKENS), targets])
    loss.backward()
    assert {tensor.grad.dtype for tensor in made.values()} == {torch.bfloat16}
    exact = in_double(made, targets, shares, 1.0, {"hidden", "weight", "bias"})[2]
    for name, tensor in made.items():
        assert (2.5 * tensor.grad.double() - exact[name]).norm() < 0.02 * exact[name].norm()


@pytest.mark.parametrize("head", ["matrix", "module"])
def test_the_gradients_of_many_chunks_are_added_up_in_float32(monkeypatch, head):
    """In bfloat16 the sum of so many equal parts would stop at 256 of them."""
    for name in ("CHUNK", "_CPU_CHUNK"):
        monkeypatch.setattr(heads, name, 1)
    monkeypatch.setattr(heads, "_CPU_LOGITS", 1)
    count = 600
    hidden, targets, shares = torch.ones(count, 1).bfloat16(), torch.zeros(count, dtype=torch.long), torch.ones(count)
    weight, bias = (torch.zeros(2, *shape).bfloat16().requires_grad_() for shape in ((1,), ()))
    if head == "matrix":
        loss, _ = linear_cross_entropy(hidden, weight, bias, targets, shares)
    else:
        loss, _ = module_cross_entropy(
            hidden, lambda states: nn.functional.linear(states, weight, bias), [weight, bias], targets, shares
        )
    loss.backward()
    assert weight.grad.flatten().tolist() == bias.grad.tolist() == [-300.0, 300.0]


class Operations(TorchDispatchMode):
    """The names of the operations that run."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.names.append(operation.overloadpacket.__name__)
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("trained", TRAINED, ids=lambda trained: " ".join(sorted(trained)))
def test_without_gradients_none_is_computed(trained):
    made, targets, shares = tensors(trained)
    expected = in_double(made, targets, shares, 1.0, trained)
    seen = []

    def score(states):
        seen.append((torch.is_grad_enabled(), states.requires_grad))
        return nn.functional.linear(states, made["weight"], made["bias"])

    with torch.no_grad(), Operations() as ran:
        loss, losses = linear_cross_entropy(*made.values(), targets, shares)
        other, others = module_cross_entropy(made["hidden"], score, [made["weight"], made["bias"]], targets, shares)
    for one, each in ((loss, losses), (other, others)):
        close(one, expected[0])
        close(each, expected[1])
        assert not one.requires_grad
    assert not {"scatter_add_", "zeros_like"} & set(ran.names)
    assert seen == [(False, False)] * 3


def test_without_gradients_a_matrix_without_a_bias_is_scored_too():
    made, targets, shares = tensors({"hidden", "weight"})
    with torch.no_grad():
        loss, _ = linear_cross_entropy(made["hidden"], made["weight"], None, targets, shares, 0.5)
    close(loss, in_double(made, targets, shares, 0.5, {"hidden"}, has_bias=False)[0])


def test_losses_are_float32_on_the_device_of_the_states_whatever_torchs_default():
    made, targets, shares = tensors({"hidden"})
    there = {name: tensor.detach().to("meta") for name, tensor in made.items()}
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        for one in (made, there):
            device = one["hidden"].device
            rest = targets.to(device), shares.to(device)
            found = [
                linear_cross_entropy(*one.values(), *rest)[1],
                module_cross_entropy(one["hidden"], lambda states, it=one: states @ it["weight"].T, [], *rest)[1],
            ]
            assert [(losses.dtype, losses.device.type) for losses in found] == [(torch.float32, device.type)] * 2
    finally:
        torch.set_default_dtype(default)


@pytest.mark.parametrize(
    ("vocabulary", "device", "positions"),
    [
        (1, "cpu", 1024),
        (8192, "cpu", 1024),
        (8193, "cpu", 1023),
        (16_384, "cpu", 512),
        (32_768, "cpu", 256),
        (150_000, "cpu", 256),
        (150_000, "meta", 1024),
        (1, "meta", 1024),
    ],
)
def test_a_chunk_on_a_cpu_has_8_million_logits_but_not_fewer_than_256_positions(
    monkeypatch, vocabulary, device, positions
):
    monkeypatch.setattr(heads, "CHUNK", 1024)
    assert heads._chunk(torch.empty(1, device=device), vocabulary) == positions
