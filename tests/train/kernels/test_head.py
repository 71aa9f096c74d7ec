"""The chunked heads against their plain twin: full logits and torch's own cross-entropy."""

import pytest
import torch
from torch import nn

from burnish.train.kernels.head import linear_cross_entropy, module_cross_entropy

TOKENS, WIDTH, VOCABULARY = 37, 16, 50
pytestmark = pytest.mark.usefixtures("small_chunks")


def plain_twin(logits, targets, shares):
    losses = nn.functional.cross_entropy(logits.float(), targets, reduction="none")
    return (losses * shares).sum(), losses


def gradients(loss, tensors):
    return torch.autograd.grad(3.0 * loss, tensors)  # an outer factor must pass through


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("scale", [1.0, 0.0625])
def test_a_plain_head_gives_the_loss_and_gradients_of_full_logits(problem, bias, scale):
    hidden, layer, targets, shares = problem(bias=bias)
    tensors = [hidden, *layer.parameters()]
    expected, expected_losses = plain_twin(layer(hidden) * scale, targets, shares)
    loss, losses = linear_cross_entropy(hidden, layer.weight, layer.bias, targets, shares, scale)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(losses, expected_losses)
    for ours, theirs in zip(gradients(loss, tensors), gradients(expected, tensors), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_a_frozen_head_gets_no_gradient_and_its_hidden_states_do(problem):
    hidden, layer, targets, shares = problem()
    layer.requires_grad_(False)
    loss, _ = linear_cross_entropy(hidden, layer.weight, layer.bias, targets, shares)
    loss.backward()
    assert layer.weight.grad is None
    expected, _ = plain_twin(layer(hidden), targets, shares)
    torch.testing.assert_close(hidden.grad, torch.autograd.grad(expected, hidden)[0], rtol=1e-4, atol=1e-6)


def test_a_head_with_a_soft_cap_and_an_adapter_goes_through_autograd(problem):
    hidden, layer, targets, shares = problem()
    layer.requires_grad_(False)
    adapter = nn.Linear(layer.in_features, layer.out_features, bias=False)

    def score(states):
        return 5.0 * torch.tanh((layer(states) + adapter(states)) / 5.0)

    tensors = [hidden, adapter.weight]
    expected, expected_losses = plain_twin(score(hidden), targets, shares)
    loss, losses = module_cross_entropy(hidden, score, [adapter.weight], targets, shares)
    torch.testing.assert_close(losses, expected_losses)
    for ours, theirs in zip(gradients(loss, tensors), gradients(expected, tensors), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_in_bfloat16_the_loss_is_reduced_in_float32(problem):
    hidden, layer, targets, shares = problem(torch.bfloat16)
    loss, losses = linear_cross_entropy(hidden, layer.weight, layer.bias, targets, shares)
    assert loss.dtype == losses.dtype == torch.float32
    _, expected = plain_twin(layer(hidden), targets, shares)
    torch.testing.assert_close(losses, expected)
    loss.backward()
    exact, _ = plain_twin(layer.float()(hidden.float()), targets, shares)
    expected_gradient = torch.autograd.grad(exact, hidden)[0]
    assert (hidden.grad - expected_gradient).norm() / expected_gradient.norm() < 1e-2


def test_without_gradients_nothing_is_kept_for_a_backward_pass(problem):
    hidden, layer, targets, shares = problem()
    with torch.no_grad():
        loss, _ = linear_cross_entropy(hidden, layer.weight, layer.bias, targets, shares)
        other, _ = module_cross_entropy(hidden, layer, list(layer.parameters()), targets, shares)
    assert not loss.requires_grad
    torch.testing.assert_close(loss, other)


def test_no_learned_token_gives_a_loss_of_zero_and_no_gradient(problem):
    hidden, layer, targets, shares = problem()
    loss, _ = linear_cross_entropy(hidden[:0], layer.weight, layer.bias, targets[:0], shares[:0])
    loss.backward()
    assert loss.item() == 0.0
    assert not layer.weight.grad.any()


def test_a_token_that_is_nearly_certain_keeps_its_small_gradient_in_bfloat16():
    """softmax - onehot cancels there: it must be taken before it is rounded."""
    torch.manual_seed(0)
    weight = torch.randn(VOCABULARY, WIDTH).bfloat16()
    targets = torch.arange(TOKENS) % VOCABULARY
    hidden = (weight[targets].float() * 1.2).bfloat16().requires_grad_()
    loss, losses = linear_cross_entropy(hidden, weight, None, targets, torch.ones(TOKENS))
    rounded = (hidden.float() @ weight.float().T).bfloat16().float().requires_grad_()  # as the product gives them
    expected, expected_losses = plain_twin(rounded, targets, torch.ones(TOKENS))
    assert expected_losses.median() < 0.01
    torch.testing.assert_close(losses, expected_losses, rtol=1e-4, atol=1e-6)
    ours, theirs = gradients(loss, [hidden])[0], gradients(expected, [rounded])[0] @ weight.float()
    certain = expected_losses < 0.01
    assert ((ours - theirs)[certain].norm() / theirs[certain].norm()) < 1e-2


def test_the_loss_of_an_impossible_token_is_a_number():
    hidden = torch.full((1, WIDTH), 100.0, requires_grad=True)
    weight = torch.linspace(-1, 1, VOCABULARY)[:, None].repeat(1, WIDTH)
    loss, losses = linear_cross_entropy(hidden, weight, None, torch.tensor([0]), torch.ones(1))
    _, expected = plain_twin(hidden @ weight.T, torch.tensor([0]), torch.ones(1))
    torch.testing.assert_close(losses, expected)
    assert expected > 3000
    assert gradients(loss, [hidden])[0].isfinite().all()
