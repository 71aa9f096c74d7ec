"""The loss and the gradient of grpo are those of TRL on the same completions, in every variant."""

import warnings

import numpy as np
import pytest
import torch

from burnish.models.load import load_model
from burnish.specs.rl import GrpoSpec
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.batches import make_batch
from burnish.train.objectives.grpo import Grpo, kl_loss
from burnish.train.objectives.objective import Whole
from burnish.train.objectives.surrogate import ADVANTAGE, ENGINE, OLD, REFERENCE, REWARD, clipped, kl
from burnish.train.scoring import Scorer

pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "DeprecationWarning")]

PROMPTS, GROUP, LONGEST = 3, 4, 9
TRUNCATED = 5
"""The completion that is left out of the loss, where one is."""


def spec(**settings):
    return GrpoSpec(
        data="file:rows",
        base="file:base",
        rewards=[{"kind": "number"}],
        **{"generation": {"max_new_tokens": LONGEST}, "max_engine_ratio": None} | settings,
    )


class Sample:
    """Prompts with completions of random tokens, and log-probabilities near those of the model."""

    def __init__(self, model, temperature=1.0, width=GROUP):
        random = np.random.default_rng(3)
        prompts = [random.integers(3, 260, random.integers(3, 8)) for _ in range(PROMPTS)]
        self.completions = [random.integers(3, 260, random.integers(2, LONGEST + 1)) for _ in range(PROMPTS * GROUP)]
        self.prompts = [prompts[place // GROUP] for place in range(PROMPTS * GROUP)]
        self.advantages = random.normal(size=(PROMPTS, GROUP)).astype(np.float32)
        self.left_out = set()
        self.width, self.temperature = width, temperature
        log_probs = [self._log_probs(model, place) for place in range(PROMPTS * GROUP)]
        drift = {OLD: 0.3, REFERENCE: 0.5, ENGINE: 0.35}
        self.values = {
            name: [(p + random.normal(size=len(p)) * scale).astype(np.float32) for p in log_probs]
            for name, scale in drift.items()
        }

    @torch.no_grad()
    def _log_probs(self, model, place):
        prompt, said = self.prompts[place], self.completions[place]
        ids = torch.from_numpy(np.concatenate([prompt, said]))[None]
        scores = (model(ids).logits[0] / self.temperature).log_softmax(-1)[len(prompt) - 1 : -1]
        return scores.gather(-1, torch.from_numpy(said)[:, None]).squeeze(-1).numpy()

    def rows(self, *names):
        groups, values = [], {name: [] for name in names}
        for place, (prompt, said) in enumerate(zip(self.prompts, self.completions, strict=True)):
            said = said[:0] if place in self.left_out else said
            ids = np.concatenate([prompt, said]).astype(np.int32)
            groups.append((ids, (np.arange(len(ids)) >= len(prompt)).astype(np.float32)))
            for name in names:
                values[name] += [np.zeros(len(prompt), np.float32), self.values[name][place][: len(said)]]
        rows = TokenisedRows.of_groups(
            ((str(start), groups[start : start + self.width]) for start in range(0, PROMPTS * GROUP, self.width)),
            self.width,
            {
                ADVANTAGE: self.advantages.reshape(-1, self.width),
                REWARD: np.zeros((PROMPTS * GROUP // self.width, self.width), np.float32),
            },
        )
        return rows.with_token_values(**{name: np.concatenate(parts) for name, parts in values.items()})

    def padded(self):
        """The inputs of TRL's loss."""
        longest = max(map(len, self.prompts))
        prompts = torch.zeros(len(self.prompts), longest, dtype=torch.long)
        mask = torch.zeros_like(prompts)
        completions = torch.zeros(len(self.prompts), LONGEST, dtype=torch.long)
        said = torch.zeros_like(completions)
        values = {name: torch.zeros(len(self.prompts), LONGEST) for name in self.values}
        for place, (prompt, completion) in enumerate(zip(self.prompts, self.completions, strict=True)):
            prompts[place, longest - len(prompt) :] = torch.from_numpy(prompt)
            mask[place, longest - len(prompt) :] = 1
            completions[place, : len(completion)] = torch.from_numpy(completion)
            said[place, : len(completion)] = place not in self.left_out
            for name, numbers in self.values.items():
                values[name][place, : len(completion)] = torch.from_numpy(numbers[place])
        return {
            "prompt_ids": prompts,
            "prompt_mask": mask,
            "completion_ids": completions,
            "completion_mask": said,
            "advantages": torch.from_numpy(self.advantages).flatten(),
            "num_items_in_batch": said.sum(),
        }, values


@pytest.fixture
def model(base):
    return load_model(base).requires_grad_(True)


def ours(model, sample, spec, *names, parts=1):
    """(loss, gradients, results), of a step in so many micro-batches."""
    model.zero_grad()
    objective, scorer, rows = Grpo(spec), Scorer(model, width=sample.width), sample.rows(*names)
    every = np.arange(len(rows))
    whole = Whole(float(objective.row_weights(rows, every).sum()), tuple(rows.learned_of(every).sum(0).tolist()))
    scored = []
    for part in np.array_split(every, parts):
        batch = make_batch(rows, part, share_prompts=scorer.shares_prompts)
        scored.append(objective.score(scorer, batch, whole))
        scored[-1].loss.backward()
    scorer.restore_attention()
    gradients = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    return sum(part.loss.item() for part in scored), gradients, scored


def theirs(model, sample, folder, **settings):
    """The loss and the gradients of TRL for the same completions."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    names, unbiased = settings.pop("names", ()), settings.pop("use_bias_correction_kl", True)
    arguments = GRPOConfig(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        report_to=[],
        per_device_train_batch_size=PROMPTS * GROUP,
        num_generations=GROUP,
        max_completion_length=LONGEST,
        gradient_checkpointing=False,
        temperature=sample.temperature,
        **settings,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=lambda **_: [0.0],
            args=arguments,
            train_dataset=Dataset.from_dict({"prompt": ["a"] * 12}),
            processing_class=AutoTokenizer.from_pretrained(model.config._name_or_path),
        )
    inputs, values = sample.padded()
    trainer.args.use_bias_correction_kl = unbiased
    keys = {OLD: "old_per_token_logps", REFERENCE: "ref_per_token_logps"}
    inputs |= {keys[name]: values[name] for name in names if name in keys}
    if ENGINE in names:
        trainer.use_vllm = True
        ratio = (values[OLD] - values[ENGINE]).exp()
        inputs["importance_sampling_ratio"] = ratio.clamp(max=1.1)
    trainer.current_gradient_accumulation_steps = 1
    model.zero_grad()
    model.train()
    loss = trainer._compute_loss(model, inputs)
    loss.backward()
    return loss.item(), {name: weight.grad.clone() for name, weight in model.named_parameters()}


VARIANTS = {
    "token": ({"normalisation": "token"}, {"loss_type": "dapo"}, (OLD,)),
    "token of one micro-batch": ({"normalisation": "token"}, {"loss_type": "bnpo"}, (OLD,)),
    "sequence": ({"normalisation": "sequence"}, {"loss_type": "grpo"}, (OLD,)),
    "constant": ({"normalisation": "constant"}, {"loss_type": "dr_grpo"}, (OLD,)),
    "one step a rollout": ({"normalisation": "sequence"}, {"loss_type": "grpo"}, ()),
    "clip-higher": (
        {"clip_high": 0.5, "clip_low": 0.1},
        {"loss_type": "dapo", "epsilon_high": 0.5, "epsilon": 0.1},
        (OLD,),
    ),
    "KL": ({"kl_coefficient": 0.7}, {"loss_type": "dapo", "beta": 0.7}, (OLD, REFERENCE)),
    "KL, biased": (
        {"kl_coefficient": 0.7, "unbiased_kl": False},
        {"loss_type": "dapo", "beta": 0.7, "use_bias_correction_kl": False},
        (OLD, REFERENCE),
    ),
    "KL per completion": (
        {"kl_coefficient": 0.7, "normalisation": "sequence"},
        {"loss_type": "grpo", "beta": 0.7},
        (OLD, REFERENCE),
    ),
    "GSPO": (
        {"importance": "sequence", "normalisation": "sequence"},
        {"loss_type": "grpo", "importance_sampling_level": "sequence"},
        (OLD,),
    ),
    "GSPO over tokens": (
        {"importance": "sequence"},
        {"importance_sampling_level": "sequence", "loss_type": "dapo"},
        (OLD,),
    ),
    "engine": ({"max_engine_ratio": 1.1}, {"loss_type": "dapo"}, (OLD, ENGINE)),
    "engine and KL": (
        {"max_engine_ratio": 1.1, "kl_coefficient": 0.2},
        {"loss_type": "dapo", "beta": 0.2},
        (OLD, ENGINE, REFERENCE),
    ),
}


@pytest.mark.some
@pytest.mark.parametrize("left_out", [(), (TRUNCATED,)], ids=["all", "one truncated"])
@pytest.mark.parametrize("name", VARIANTS)
def test_loss_and_gradient_are_those_of_trl(model, base, tmp_path, name, left_out):
    settings, arguments, names = VARIANTS[name]
    sample = Sample(model)
    sample.left_out = set(left_out)
    expected, gradients = theirs(model, sample, tmp_path, names=names, **{"beta": 0.0, "epsilon": 0.2} | arguments)
    loss, found, _ = ours(load_model(base).requires_grad_(True), sample, spec(**settings), *names)
    assert loss == pytest.approx(expected, abs=1e-5)
    for weight, gradient in gradients.items():
        torch.testing.assert_close(found[weight], gradient, atol=1e-5, rtol=1e-4)
    assert max(float(gradient.abs().max()) for gradient in gradients.values()) > 1e-2


def test_the_temperature_is_that_of_trl(model, base, tmp_path):
    sample = Sample(model, temperature=0.6)
    expected, gradients = theirs(model, sample, tmp_path, names=(OLD,), loss_type="dapo")
    fresh = load_model(base).requires_grad_(True)  # TRL changes the forward of a model
    loss, found, _ = ours(fresh, sample, spec(generation={"max_new_tokens": LONGEST, "temperature": 0.6}), OLD)
    assert loss == pytest.approx(expected, abs=1e-5)
    for weight, gradient in gradients.items():
        torch.testing.assert_close(found[weight], gradient, atol=1e-5, rtol=1e-4)


@pytest.mark.some
@pytest.mark.parametrize("normalisation", ["token", "sequence", "constant"])
@pytest.mark.parametrize(("width", "parts"), [(1, 1), (1, 5), (2, 3), (GROUP, 3)])
def test_the_split_of_a_step_changes_nothing(model, normalisation, width, parts):
    given = spec(normalisation=normalisation, kl_coefficient=0.3)
    loss, gradients, _ = ours(model, Sample(model), given, OLD, REFERENCE)
    other, found, scored = ours(model, Sample(model, width=width), given, OLD, REFERENCE, parts=parts)
    assert other == pytest.approx(loss, abs=1e-6)
    for weight, gradient in gradients.items():
        torch.testing.assert_close(found[weight], gradient, atol=1e-5, rtol=1e-4)
    weights = torch.cat([part.row_values[0] for part in scored])
    losses = torch.cat([part.row_losses for part in scored])
    assert float((weights * losses).sum() / weights.sum()) == pytest.approx(loss, abs=1e-6)


def test_a_part_of_completions_that_are_all_left_out_adds_nothing(model):
    sample = Sample(model)
    sample.left_out = set(range(GROUP))  # the first prompt's
    loss, gradients, _ = ours(model, sample, spec(), OLD)
    other, found, scored = ours(model, sample, spec(), OLD, parts=3)
    assert other == pytest.approx(loss, abs=1e-6)
    assert scored[0].loss.item() == 0.0
    for weight, gradient in gradients.items():
        torch.testing.assert_close(found[weight], gradient, atol=1e-5, rtol=1e-4)


def test_the_clipped_surrogate_of_the_paper():
    """Equation 7 of arXiv 1707.06347, by hand, with both signs on both sides of the range."""
    ratio = torch.tensor([0.5, 0.5, 1.0, 2.0, 2.0])
    advantages = torch.tensor([1.0, -1.0, 3.0, 1.0, -1.0])
    assert clipped(ratio, advantages, 0.2, 0.3).tolist() == pytest.approx([-0.5, 0.8, -3.0, -1.3, 2.0])


def test_the_estimators_of_the_divergence():
    """Each is zero where both models agree; their means over samples of the model are the divergence."""
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.4, 0.4, 0.2])
    difference = p.log() - q.log()
    exact = float((p * difference).sum())
    for name in ("k1", "k3"):
        assert float((p * kl(difference, name)).sum()) == pytest.approx(exact, abs=1e-6)
    assert float((p * kl(difference, "k2")).sum()) == pytest.approx(exact, rel=0.1)
    assert kl(torch.zeros(1), "k3").item() == 0.0
    assert kl(torch.tensor([0.5]), "k3").item() == pytest.approx(np.exp(-0.5) + 0.5 - 1)


@pytest.mark.parametrize("drift", [0.0, 0.4])
@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_the_gradient_of_an_unbiased_estimator_is_that_of_the_divergence(estimator, drift):
    """The exact mean over a small vocabulary; k2 for samples of the model alone."""
    random = torch.Generator().manual_seed(5)
    scores = torch.randn(6, generator=random, dtype=torch.float64, requires_grad=True)
    reference = torch.randn(6, generator=random, dtype=torch.float64).log_softmax(0)
    log_probs = scores.log_softmax(0)
    noise = torch.randn(6, generator=random, dtype=torch.float64)
    old = (scores.detach() + drift * noise).log_softmax(0)
    (exact,) = torch.autograd.grad((log_probs.exp() * (log_probs - reference)).sum(), scores, retain_graph=True)
    loss = kl_loss(kl(log_probs - reference, estimator), (log_probs - old).exp(), estimator, unbiased=True)
    (found,) = torch.autograd.grad((old.exp() * loss).sum(), scores)
    is_exact = estimator != "k2" or not drift
    assert torch.allclose(found, exact, atol=1e-9) is is_exact


def test_the_divergence_is_weighted_by_token_for_ratios_of_sequences_too(model):
    sample = Sample(model)
    sample.advantages[:] = 0
    token, gradients, _ = ours(model, sample, spec(kl_coefficient=0.5), OLD, REFERENCE)
    whole, found, _ = ours(model, sample, spec(kl_coefficient=0.5, importance="sequence"), OLD, REFERENCE)
    assert whole == pytest.approx(token, abs=1e-6)
    for weight, gradient in gradients.items():
        torch.testing.assert_close(found[weight], gradient, atol=1e-5, rtol=1e-4)


def test_metrics_are_means_over_the_tokens_of_the_step(model):
    sample = Sample(model)
    _, _, (whole,) = ours(model, sample, spec(kl_coefficient=0.1, max_engine_ratio=1.1), OLD, REFERENCE, ENGINE)
    _, _, parts = ours(model, sample, spec(kl_coefficient=0.1, max_engine_ratio=1.1), OLD, REFERENCE, ENGINE, parts=3)
    torch.testing.assert_close(torch.stack([part.metrics for part in parts]).sum(0), whole.metrics)
    named = dict(zip(Grpo.metrics, whole.metrics.tolist(), strict=True))
    ratio = np.exp(np.concatenate(sample.values[OLD]) - np.concatenate(sample.values[ENGINE]))
    assert named["engine_ratio"] == pytest.approx(ratio.mean(), rel=1e-5)
    assert named["engine_ratio_clipped"] == pytest.approx((ratio > 1.1).mean(), abs=1e-6)
    assert 0 < named["clip_low"] < 1
    assert 0 < named["clip_high"] < 1
    assert named["kl"] > 0
