"""The advantages of ppo: rewards, values and returns of tokens are those of the definitions, token by token."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from burnish.core.errors import ModelError
from burnish.models.adapters.attach import attach_lora
from burnish.models.engines.protocol import Answer
from burnish.models.load import load_model
from burnish.models.probing import causal_model
from burnish.models.value_head import add_value_head
from burnish.specs.rl import PpoSpec
from burnish.specs.train import LoraSpec
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.checkpoints.state import TrainState
from burnish.train.objectives.ppo import OLD_VALUE, RETURN
from burnish.train.objectives.surrogate import ADVANTAGE, OLD, REWARD
from burnish.train.passes import ForwardPasses
from burnish.train.rewards.reward import Rewards
from burnish.train.rollout.critic import TokenAdvantages
from burnish.train.rollout.judged import Sampled
from burnish.train.rollout.per_token import log_probs
from burnish.train.rollout.prompts import Prompt
from burnish.train.scoring import Scorer

LENGTHS = [[3, 1], [5, 0], [4, 7]]
"""Learned tokens of two completions of three prompts; the one without is left out."""
TRUNCATED = (0, 1), (2, 1)
REWARDS = np.array([[1.0, -0.5], [0.25, np.nan], [2.0, 0.0]])


class Made:
    """A rollout by hand, and the passes of a model with values that differ."""

    def __init__(self, base):
        random = np.random.default_rng(2)
        torch.manual_seed(6)
        self.model = attach_lora(load_model(base), LoraSpec(rank=4))
        causal = causal_model(self.model)
        add_value_head(causal)
        with torch.no_grad():
            for weight in self.model.parameters():
                if weight.requires_grad:
                    weight += 0.1 * torch.randn_like(weight)
        self.prompts = [random.integers(3, 260, size) for size in (4, 2, 6)]
        self.said = [[random.integers(3, 260, length) for length in lengths] for lengths in LENGTHS]
        groups = []
        for prompt, answers in zip(self.prompts, self.said, strict=True):
            group = []
            for said in answers:
                ids = np.concatenate([prompt, said]).astype(np.int32)
                group.append((ids, (np.arange(len(ids)) >= len(prompt)).astype(np.float32)))
            groups.append((str(len(groups)), group))
        self.rows = TokenisedRows.of_groups(groups, 2)
        scorer = Scorer(self.model, width=2)
        assert scorer.shares_prompts
        state = TrainState(micro_batch_tokens=30)
        self.passes = ForwardPasses(scorer, state, emit=lambda _: None, is_stopping=lambda: False)

    @property
    def found(self):
        answers = []
        for group, lengths in enumerate(LENGTHS):
            for copy, length in enumerate(lengths):
                is_cut = (group, copy) in TRUNCATED
                answers.append(Answer([5] * length, "", "length" if is_cut else "stop", None if is_cut else 2))
        prompts = [Prompt({"id": str(place)}, ids.tolist(), None) for place, ids in enumerate(self.prompts)]
        totals = [None if np.isnan(value) else float(value) for value in REWARDS.flatten()]
        return Sampled(prompts, answers, Rewards(totals, {}))

    def reference(self, rows):
        with self.model.disable_adapter():
            return log_probs(self.passes, rows, 1.0)

    def estimated(self, **settings):
        spec = PpoSpec(data="file:d", base="file:b", rewards=[{"kind": "number"}], group_size=2, **settings)
        reference = self.reference if spec.kl_coefficient else None
        return TokenAdvantages(spec, self.passes, reference, 4)(self.rows, self.found, np.array(LENGTHS) == 0)

    @torch.no_grad()
    def by_hand(self, group, copy):
        """(log π, log π_ref, V) of the tokens of a completion, by the model's own forward of it alone."""
        prompt, said = self.prompts[group], self.said[group][copy]
        ids = torch.from_numpy(np.concatenate([prompt, said]))[None]

        def of(output):
            scores = output.logits[0].log_softmax(-1)[len(prompt) - 1 : -1]
            return scores.gather(-1, ids[0, len(prompt) :, None]).squeeze(-1).numpy()

        with self.passes.scorer.plain():
            output = self.model(ids, output_hidden_states=True)
            with self.model.disable_adapter():
                reference = of(self.model(ids))
        head = causal_model(self.model).value_head
        values = output.hidden_states[-1][0, len(prompt) - 1 : -1] @ head.weight[0] + head.bias
        return of(output), reference, values.numpy()


@pytest.fixture(scope="module")
def made(base):
    return Made(base)


def of_completions(rows, name):
    """The values of the learned tokens of each completion; those of other tokens are 0."""
    numbers = rows.token_values[name]
    assert not numbers[rows.weights == 0].any()
    spans = [slice(start, end) for start, end in pairwise(rows.offsets)]
    return [numbers[span][rows.weights[span] > 0] for span in spans]


@pytest.mark.parametrize("whiten", [False, True], ids=["plain", "whitened"])
def test_advantages_and_returns_are_those_of_the_definitions(made, whiten):
    estimated = made.estimated(
        kl_coefficient=0.3, gamma=0.9, gae_lambda=0.8, missing_end_penalty=1.5, whiten_advantages=whiten
    )
    advantages, returns, sums = [], [], {}
    for group, lengths in enumerate(LENGTHS):
        for copy, length in enumerate(lengths):
            if not length:
                continue
            old, reference, values = made.by_hand(group, copy)
            rewards = [-0.3 * (old[t] - reference[t]) for t in range(length)]
            rewards[-1] += REWARDS[group, copy] - (1.5 if (group, copy) in TRUNCATED else 0.0)
            sums[group, copy] = sum(rewards)
            deltas = [rewards[t] + (0.9 * values[t + 1] if t + 1 < length else 0.0) - values[t] for t in range(length)]
            mine = [
                sum((0.9 * 0.8) ** (later - t) * deltas[later] for later in range(t, length)) for t in range(length)
            ]
            advantages += mine
            returns += [advantage + value for advantage, value in zip(mine, values, strict=True)]
            place = 2 * group + copy
            np.testing.assert_allclose(of_completions(estimated.rows, OLD)[place], old, atol=1e-5)
            np.testing.assert_allclose(of_completions(estimated.rows, OLD_VALUE)[place], values, atol=1e-5)
            assert estimated.completions["value"][group, copy] == pytest.approx(values[0], abs=1e-5)
            assert estimated.completions["kl"][group, copy] == pytest.approx(sum(old - reference), abs=1e-4)
            assert estimated.rows.values[REWARD][group, copy] == np.float32(REWARDS[group, copy])
    if whiten:
        advantages = (np.array(advantages) - np.mean(advantages)) / np.std(advantages, ddof=1)
    np.testing.assert_allclose(np.concatenate(of_completions(estimated.rows, ADVANTAGE)), advantages, atol=1e-4)
    np.testing.assert_allclose(np.concatenate(of_completions(estimated.rows, RETURN)), returns, atol=1e-4)
    assert np.isnan(estimated.completions["value"][1, 1])
    assert estimated.completions["advantage"][1, 1] == 0
    assert estimated.metrics["reward_with_kl"] == pytest.approx(np.mean(list(sums.values())), abs=1e-4)
    assert estimated.used.all()


def test_whitened_rewards_keep_their_mean(made):
    plain, whitened = (
        made.estimated(whiten_rewards=on, gae_lambda=0.0, gamma=1.0, whiten_advantages=False) for on in (False, True)
    )

    def rewards(estimated):
        """With λ = 0, A_t = r_t + V_{t+1} - V_t."""
        advantages, values = (of_completions(estimated.rows, name) for name in (ADVANTAGE, OLD_VALUE))
        return np.concatenate(
            [a - np.append(v[1:], [0.0] * bool(len(v))) + v for a, v in zip(advantages, values, strict=True)]
        )

    before, after = rewards(plain), rewards(whitened)
    assert after.mean() == pytest.approx(before.mean(), abs=1e-5)
    np.testing.assert_allclose(after - after.mean(), (before - before.mean()) / before.std(ddof=1), atol=1e-4)


def test_without_a_coefficient_no_reference_is_needed(made):
    estimated = made.estimated(kl_coefficient=0.0, gae_lambda=1.0)
    assert "kl" not in estimated.metrics
    assert "kl" not in estimated.completions
    for place, found in enumerate(of_completions(estimated.rows, RETURN)):
        np.testing.assert_allclose(found, np.full(len(found), REWARDS.flatten()[place]), atol=1e-5)


def test_a_model_whose_hidden_states_cannot_be_read_is_refused(made, monkeypatch):
    monkeypatch.setattr(made.passes.scorer, "_trunk", None)
    with pytest.raises(ModelError, match="reads values from the last hidden states") as caught:
        made.estimated()
    assert "grpo" in caught.value.fix
