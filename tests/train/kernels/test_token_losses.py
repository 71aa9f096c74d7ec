"""The loss of each token under an arbitrary function of the losses, against full logits and torch's cross-entropy."""

import pytest
import torch
from torch import nn

from burnish.train.kernels import head as heads
from burnish.train.kernels.head import linear_token_losses, module_token_losses

pytestmark = pytest.mark.usefixtures("small_chunks")


def full(logits, targets):
    return nn.functional.cross_entropy(logits.float(), targets, reduction="none")


def pair_loss(losses):
    """As of preferences: not a weighted sum of tokens, and the gradient of a token depends on the others."""
    first, second = losses[:20].sum(), losses[20:].sum()
    return nn.functional.softplus(0.1 * (first - second)) + 0.01 * (losses**2).mean() - 0.3 * losses[3]


def gradients(losses, tensors):
    return torch.autograd.grad(3.0 * pair_loss(losses), tensors)


def assert_close(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("scale", [1.0, 0.0625, 2.0])
def test_a_frozen_matrix_gives_losses_and_gradients_of_full_logits(problem, bias, scale):
    hidden, layer, targets, _ = problem(bias=bias)
    losses = linear_token_losses(hidden, layer.weight, layer.bias, targets, scale)
    expected = full(layer(hidden) * scale, targets)
    torch.testing.assert_close(losses, expected)
    assert_close(gradients(losses, [hidden]), gradients(expected, [hidden]))
    pair_loss(linear_token_losses(hidden, layer.weight, layer.bias, targets, scale)).backward()
    assert layer.weight.grad is None


@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_trained_head_gives_losses_and_gradients_of_full_logits(problem, softcap, temperature):
    hidden, layer, targets, _ = problem()
    adapter = nn.Linear(layer.in_features, layer.out_features, bias=False)

    def score(states):
        logits = layer(states) + adapter(states)
        return (logits if softcap is None else softcap * torch.tanh(logits / softcap)) / temperature

    trained = [*layer.parameters(), adapter.weight]
    losses, expected = module_token_losses(hidden, score, trained, targets), full(score(hidden), targets)
    torch.testing.assert_close(losses, expected)
    assert_close(gradients(losses, [hidden, *trained]), gradients(expected, [hidden, *trained]))


def test_a_head_that_is_frozen_in_part_gives_its_hidden_states_their_gradient(problem):
    hidden, layer, targets, _ = problem()
    layer.requires_grad_(False)
    losses = module_token_losses(hidden, layer, [], targets)
    assert_close(gradients(losses, [hidden]), gradients(full(layer(hidden), targets), [hidden]))
    still = hidden.detach()
    assert not linear_token_losses(still, layer.weight, layer.bias, targets).requires_grad
    assert not module_token_losses(still, layer, [], targets).requires_grad


@pytest.mark.parametrize("way", ["linear", "module"])
def test_in_bfloat16_losses_are_float32_and_the_gradient_is_right_to_its_rounding(problem, way):
    hidden, layer, targets, _ = problem(torch.bfloat16)
    if way == "linear":
        losses = linear_token_losses(hidden, layer.weight, layer.bias, targets)
    else:
        losses = module_token_losses(hidden, layer, list(layer.parameters()), targets)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, full(layer(hidden), targets))
    (ours,) = torch.autograd.grad(pair_loss(losses), [hidden])
    exact = hidden.detach().float().requires_grad_()
    (theirs,) = torch.autograd.grad(pair_loss(full(layer.float()(exact), targets)), [exact])
    assert ours.dtype == torch.bfloat16
    assert (ours - theirs).norm() / theirs.norm() < 1e-2


def test_without_gradients_nothing_is_kept_for_a_backward_pass(problem, monkeypatch):
    hidden, layer, targets, _ = problem()
    made = []
    minus_onehot = heads._minus_onehot
    monkeypatch.setattr(heads, "_minus_onehot", lambda *given: made.append(1) or minus_onehot(*given))
    with torch.no_grad():
        one = linear_token_losses(hidden, layer.weight, layer.bias, targets)
        other = module_token_losses(hidden, layer, list(layer.parameters()), targets)
    assert (one.requires_grad, other.requires_grad, made) == (False, False, [])
    torch.testing.assert_close(one, other)
    linear_token_losses(hidden, layer.weight, layer.bias, targets)
    assert len(made) == 5  # chunks


def test_no_learned_token_gives_no_loss_and_no_gradient(problem):
    hidden, layer, targets, _ = problem()
    for losses in (
        linear_token_losses(hidden[:0], layer.weight, layer.bias, targets[:0]),
        module_token_losses(hidden[:0], layer, list(layer.parameters()), targets[:0]),
    ):
        assert losses.shape == (0,)
        assert not torch.autograd.grad(losses.sum(), [hidden])[0].any()


def test_dropout_inside_a_head_has_the_masks_of_the_losses_in_the_backward_pass_and_draws_once(problem):
    hidden, layer, targets, _ = problem()
    dropout = nn.Dropout(0.5)

    def score(states):
        return layer(dropout(states))

    torch.manual_seed(5)
    losses = module_token_losses(hidden, score, list(layer.parameters()), targets)
    after = torch.get_rng_state()
    torch.rand(3)  # of what runs between
    between = torch.get_rng_state()
    ours = gradients(losses, [hidden, *layer.parameters()])
    assert torch.equal(torch.get_rng_state(), between)
    torch.manual_seed(5)
    expected = torch.cat(
        [full(score(states), picks) for states, picks in zip(hidden.split(8), targets.split(8), strict=True)]
    )
    assert torch.equal(torch.get_rng_state(), after)
    torch.testing.assert_close(losses, expected)
    assert_close(ours, gradients(expected, [hidden, *layer.parameters()]))
