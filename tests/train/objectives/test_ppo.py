"""The loss and the gradient of ppo are those of the formulas, written out token by token on transformers' own model."""

import numpy as np
import pytest
import torch

from burnish.models.probing import causal_model
from burnish.models.value_head import add_value_head
from burnish.specs.rl import PpoSpec
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.objectives.ppo import OLD_VALUE, RETURN, Ppo
from burnish.train.objectives.surrogate import ADVANTAGE, ENGINE, OLD, REWARD

TOKEN_VALUES = (OLD, ENGINE, ADVANTAGE, OLD_VALUE, RETURN)
VARIANTS = {
    "defaults": {},
    "no engine ratio": {"max_engine_ratio": None},
    "values are not clipped": {"clip_value": None, "value_coefficient": 1.0},
    "clip-higher": {"clip_low": 0.1, "clip_high": 0.5},
    "temperature": {"generation": {"temperature": 0.7}},
}


def spec(**settings):
    return PpoSpec(data="file:rows", base="file:base", rewards=[{"kind": "number"}], **settings)


@pytest.fixture
def valued(policy):
    """A model that has moved away from its base, with a head that gives values that differ."""
    model = policy()
    add_value_head(causal_model(model))
    torch.manual_seed(8)
    torch.nn.init.normal_(causal_model(model).value_head.weight, std=0.3)
    return model


def own_forward(model, prompt, said, temperature=1.0):
    """(log π, V) of each token of a completion [T] by the model's own forward of this sequence alone."""
    ids = torch.from_numpy(np.concatenate([prompt, said]).astype(np.int64))[None]
    output = model(ids, output_hidden_states=True)
    scores = (output.logits[0] / temperature).log_softmax(-1)[len(prompt) - 1 : -1]
    states = output.hidden_states[-1][0][len(prompt) - 1 : -1]
    head = causal_model(model).value_head
    log_probs = scores.gather(-1, torch.from_numpy(said.astype(np.int64))[:, None]).squeeze(-1)
    return log_probs, (states * head.weight[0]).sum(-1) + head.bias[0]


class Sample:
    """Completions of two prompts, three of each, with numbers near those of the model; one has no learned token."""

    def __init__(self, model, temperature):
        random = np.random.default_rng(5)
        prompts = [random.integers(3, 260, size) for size in (4, 7)]
        self.prompts = [prompts[place // 3] for place in range(6)]
        self.said = [random.integers(3, 260, size) for size in (5, 1, 0, 8, 3, 6)]
        self.numbers = []
        for prompt, said in zip(self.prompts, self.said, strict=True):
            with torch.no_grad():
                log_probs, values = own_forward(model, prompt, said, temperature)
            around = {OLD: log_probs, ENGINE: log_probs, ADVANTAGE: values * 0, OLD_VALUE: values, RETURN: values}
            scales = {OLD: 0.5, ENGINE: 0.7, ADVANTAGE: 1.0, OLD_VALUE: 0.5, RETURN: 1.0}
            self.numbers.append(
                {
                    name: (known.numpy() + random.normal(size=len(said)) * scales[name]).astype(np.float32)
                    for name, known in around.items()
                }
            )

    @property
    def rows(self):
        groups, values = [], {name: [] for name in TOKEN_VALUES}
        for prompt, said, numbers in zip(self.prompts, self.said, self.numbers, strict=True):
            ids = np.concatenate([prompt, said]).astype(np.int32)
            groups.append((ids, (np.arange(len(ids)) >= len(prompt)).astype(np.float32)))
            for name in TOKEN_VALUES:  # what a prompt token has must not be read
                values[name] += [np.full(len(prompt), 1e6, np.float32), numbers[name]]
        rewards = {REWARD: np.arange(6, dtype=np.float32).reshape(2, 3)}
        rows = TokenisedRows.of_groups([("a", groups[:3]), ("b", groups[3:])], 3, rewards)
        return rows.with_token_values(**{name: np.concatenate(parts) for name, parts in values.items()})


def by_the_formulas(model, sample, given):
    """The loss of the step, its metrics by name, and the mean squared error of the values of both rows."""
    policy, value, count, seen = [], [], 0, dict.fromkeys(Ppo.metrics, 0.0)
    for prompt, said, numbers in zip(sample.prompts, sample.said, sample.numbers, strict=True):
        log_probs, values = own_forward(model, prompt, said, given.generation.temperature)
        for t in range(len(said)):
            old, engine, advantage, was, target = (float(numbers[name][t]) for name in TOKEN_VALUES)
            ratio = torch.exp(log_probs[t] - old)
            limited = min(max(ratio, 1 - given.clip_low), 1 + given.clip_high)
            correction = np.exp(old - engine)
            loss = -min(ratio * advantage, limited * advantage)
            if given.max_engine_ratio is not None:
                loss = loss * min(correction, given.max_engine_ratio)
            error = (values[t] - target) ** 2
            if given.clip_value is not None:
                near = was + min(max(values[t] - was, -given.clip_value), given.clip_value)
                seen["value_clipped"] += float((near - target) ** 2 > error)
                error = max(error, (near - target) ** 2)
            policy.append(loss)
            value.append(error / 2)
            count += 1
            seen["clip_low"] += float(ratio < 1 - given.clip_low and advantage < 0)
            seen["clip_high"] += float(ratio > 1 + given.clip_high and advantage > 0)
            seen["approx_kl"] += (ratio - 1 - torch.log(ratio)).item()
            seen["engine_ratio"] += float(correction)
            seen["engine_ratio_clipped"] += float(correction > (given.max_engine_ratio or np.inf))
    seen["policy_loss"], seen["value_loss"] = sum(policy).item(), sum(value).item()
    loss = sum(policy) / count + given.value_coefficient * sum(value) / count
    return loss, {name: total / count for name, total in seen.items()}, [sum(value[:6]).item() / 6]


@pytest.mark.parametrize("name", VARIANTS)
def test_loss_gradient_and_metrics_are_those_of_the_formulas(valued, step, name):
    given = spec(**VARIANTS[name])
    sample = Sample(valued, given.generation.temperature)
    expected, metrics, (first_row,) = by_the_formulas(valued.eval(), sample, given)
    trained = {name: weight for name, weight in valued.named_parameters() if weight.requires_grad}
    assert any("value_head.bias" in name for name in trained)
    gradients = torch.autograd.grad(expected, list(trained.values()))
    found = step(Ppo(given), valued, sample.rows, tokens=25)
    assert found.loss == pytest.approx(expected.item(), abs=1e-5)
    assert found.metrics == pytest.approx(metrics, abs=1e-5)
    for weight, gradient in zip(trained, gradients, strict=True):
        torch.testing.assert_close(found.gradient[weight], gradient, atol=1e-5, rtol=1e-4, msg=weight)
    assert max(float(gradient.abs().max()) for gradient in gradients) > 1e-2
    assert found.rows["weight"] == {0: 6.0, 1: 17.0}
    assert found.rows["reward"] == {0: 1.0, 1: 4.0}
    assert found.rows["value_loss"][0] == pytest.approx(first_row, rel=1e-4)
    if name == "defaults":
        clipped = {name: metrics[name] for name in ("clip_low", "clip_high", "value_clipped", "engine_ratio_clipped")}
        assert 0 < min(clipped.values()) <= max(clipped.values()) < 1, clipped


def test_the_loss_of_the_values_reaches_the_trunk(valued, step):
    sample = Sample(valued, 1.0)
    for numbers in sample.numbers:
        numbers[ADVANTAGE][:] = 0.0
    found = step(Ppo(spec()), valued, sample.rows)
    assert any(".lora_" in name and bool(gradient.any()) for name, gradient in found.gradient.items())


def test_a_new_head_changes_nothing_of_the_first_gradient_of_the_policy(policy, step):
    """It is zero: values are 0, and their loss sends nothing into the trunk."""
    gradients = []
    for coefficient in (0.1, 1e-12):
        model = policy()
        add_value_head(causal_model(model))
        sample = Sample(model, 1.0)
        gradients.append(step(Ppo(spec(value_coefficient=coefficient)), model, sample.rows).gradient)
    with_values, without = gradients
    assert bool(next(with_values[name] for name in with_values if "value_head.weight" in name).any())
    for name, gradient in without.items():
        if "value_head" not in name:
            torch.testing.assert_close(with_values[name], gradient)
