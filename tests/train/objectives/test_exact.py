"""Every objective: neither loss, gradient nor metrics depend on how a step is split, packed or repeated."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from burnish.models.probing import causal_model
from burnish.models.reward import add_score_head
from burnish.models.value_head import add_value_head
from burnish.specs.preferences import DpoSpec, KtoSpec, OrpoSpec, RewardSpec, SimpoSpec
from burnish.specs.rl import PpoSpec
from burnish.train.objectives.causal import Causal
from burnish.train.objectives.dpo import Dpo
from burnish.train.objectives.kto import Kto
from burnish.train.objectives.orpo import Orpo
from burnish.train.objectives.ppo import OLD_VALUE, RETURN, Ppo
from burnish.train.objectives.reward import Reward
from burnish.train.objectives.simpo import Simpo
from burnish.train.objectives.surrogate import ADVANTAGE, ENGINE, OLD, REWARD
from burnish.train.passes import Passes
from train.ranked import in_ranks

NAMES = {"data": "file:d", "base": "file:b"}
CASES = {
    "sft": (lambda: Causal(), 1),
    "dpo": (lambda: Dpo(DpoSpec(**NAMES, sft_weight=0.5)), 2),
    "dpo-each-step": (lambda: Dpo(DpoSpec(**NAMES, reference_log_probs="each_step")), 2),
    "ipo": (lambda: Dpo(DpoSpec(**NAMES, loss="ipo")), 2),
    "kto": (lambda: Kto(KtoSpec(**NAMES, undesirable_weight=0.5)), 1),
    "kto-each-step": (lambda: Kto(KtoSpec(**NAMES, reference_log_probs="each_step")), 1),
    "orpo": (lambda: Orpo(OrpoSpec(**NAMES)), 2),
    "simpo": (lambda: Simpo(SimpoSpec(**NAMES, sft_weight=0.5)), 2),
    "reward": (lambda: Reward(RewardSpec(**NAMES, center_coefficient=0.1)), 2),
    "ppo": (lambda: Ppo(PpoSpec(**NAMES, rewards=[{"kind": "number"}], value_coefficient=0.5)), 2),
}
CLOSE = {"rtol": 2e-4, "atol": 2e-6}


@pytest.fixture(scope="module")
def rows_of(judged, with_base):
    """`rows_of(width, steps)`: rows with the reference's log-probabilities for such steps, computed once."""
    found = {}

    def rows(width, steps):
        key = width, str(steps)
        if key not in found:
            found[key] = with_base(judged(width, 8), steps)
        return found[key]

    return rows


@pytest.fixture(scope="module")
def made(policy, rows_of, judged):
    """`made(name, dropout, steps)`: objective, model and rows; the reference's log-probabilities are for such steps."""

    def make(name, dropout=0.0, steps=None):
        objective, width = CASES[name]
        model = policy("lora", dropout)
        if name == "reward":
            torch.manual_seed(1)
            add_score_head(causal_model(model))
        if name == "ppo":
            return objective(), with_values(model), rolled_out(judged(width, 8))
        return objective(), model, rows_of(width, steps)

    return make


def with_values(model):
    torch.manual_seed(2)
    add_value_head(causal_model(model))
    torch.nn.init.normal_(causal_model(model).value_head.weight, std=0.2)
    return model


def rolled_out(rows):
    """Numbers of tokens as of a rollout, some of them far enough to be clipped."""
    random = np.random.default_rng(4)
    scales = {OLD: 0.5, ENGINE: 0.5, ADVANTAGE: 1.0, OLD_VALUE: 0.5, RETURN: 1.0}
    numbers = {name: random.normal(size=len(rows.ids)) * scale for name, scale in scales.items()}
    numbers |= {name: numbers[name] - 5.0 for name in (OLD, ENGINE)}
    rows = rows.with_token_values(**{name: some.astype(np.float32) for name, some in numbers.items()})
    return rows.with_values(**{REWARD: random.normal(size=(len(rows), rows.width)).astype(np.float32)})


@pytest.fixture(scope="module")
def whole(made, step):
    """`whole(name, dropout)`: the step of a case in one part, computed once."""
    found = {}

    def run(name, dropout):
        if (name, dropout) not in found:
            found[name, dropout] = step(*made(name, dropout), tokens=10_000, dropout=True)
        return found[name, dropout]

    return run


def assert_same(one, other):
    assert one.loss == pytest.approx(other.loss, rel=1e-5)
    assert one.metrics == pytest.approx(other.metrics, rel=1e-4, abs=1e-6, nan_ok=True)
    for name, values in other.rows.items():
        assert one.rows[name] == pytest.approx(values, rel=1e-4, abs=1e-5)
    assert one.gradient.keys() == other.gradient.keys()
    for name, gradient in other.gradient.items():
        torch.testing.assert_close(one.gradient[name], gradient, msg=lambda text, n=name: f"{n}: {text}", **CLOSE)


@pytest.mark.parametrize(
    ("name", "dropout", "tokens"),
    [
        pytest.param(name, *split, marks=pytest.mark.torture if split == (0.0, 50) and place % 2 else ())
        for place, name in enumerate(CASES)
        for split in ((0.0, 50), (0.3, 1), (0.3, 50))
    ],
)
def test_a_step_is_the_same_however_it_is_split(made, step, whole, name, dropout, tokens):
    expected = whole(name, dropout)
    assert abs(expected.loss) > 1e-3
    assert_same(step(*made(name, dropout), tokens=tokens, dropout=True), expected)


@pytest.mark.some(every=2)
@pytest.mark.parametrize("name", CASES)
def test_a_step_is_the_same_in_two_processes(made, step, whole, name, tmp_path):
    expected = whole(name, 0.3)

    def work(ranks):
        found = step(*made(name, 0.3), dropout=True, change=lambda passes: setattr(passes, "ranks", ranks))
        return {kind: getattr(found, kind) for kind in ("loss", "gradient", "metrics", "rows")}

    for found in in_ranks(2, work, tmp_path):
        assert_same(SimpleNamespace(**found), expected)


@pytest.mark.some(every=2)
@pytest.mark.parametrize("name", CASES)
def test_a_step_is_the_same_packed_and_one_sequence_at_a_time(made, step, name):
    packed = step(*made(name))
    alone = step(*made(name), attention="sdpa")
    assert (packed.passes.scorer.one_by_one, alone.passes.scorer.one_by_one) == (False, True)
    assert_same(alone, packed)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if place % 2 else pytest.mark.torture) for place, name in enumerate(CASES)]
)
def test_a_step_that_runs_out_of_memory_is_repeated_with_the_same_gradient(made, step, whole, name):
    sizes = []

    def little_memory(passes: Passes) -> None:
        forward = passes.scorer.hidden

        def hidden(batch):
            sizes.append(batch.tokens)
            if batch.tokens > 60:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return forward(batch)

        passes.scorer.hidden = hidden

    halved = step(*made(name, 0.3), tokens=10_000, dropout=True, change=little_memory)
    assert max(sizes) > 60
    assert [event.level for event in halved.events].count("warning") >= 1
    assert_same(halved, whole(name, 0.3))


@pytest.mark.some(every=2)
@pytest.mark.parametrize("name", CASES)
def test_the_losses_of_the_rows_are_that_of_the_step(made, step, name):
    order = np.array([5, 1, 7, 2])
    objective, model, rows = made(name, steps=[order])
    found = step(objective, model, rows, rows=order)
    weights = dict(zip(order.tolist(), objective.row_weights(rows, order).tolist(), strict=True))
    total = sum(found.rows["loss"][row] * weight for row, weight in weights.items())
    assert total / sum(weights.values()) == pytest.approx(found.loss, rel=1e-5)


def test_a_reference_at_each_step_is_the_cached_one(made, step):
    for name in ("dpo-each-step", "kto-each-step"):
        objective, model, rows = made(name)
        cached = {"dpo-each-step": Dpo(DpoSpec(**NAMES)), "kto-each-step": Kto(KtoSpec(**NAMES))}[name]
        assert_same(step(objective, model, rows), step(cached, made(name)[1], rows))


def test_the_divergence_of_kto_has_the_pairs_of_the_step_in_its_order(policy, judged, with_base, step):
    rows, order = judged(1, 8), np.array([6, 2, 5])
    objective = Kto(KtoSpec(**NAMES))
    found = step(objective, policy(), with_base(rows, [order]), rows=order)
    pairs, which = objective.survey_rows(rows, order)
    assert pairs.row_ids == ("row6+row5", "row2+row6", "row5+row2")
    assert which.tolist() == [0, 1, 2]
    assert found.metrics["kl"] >= 0.0
    alone = step(Kto(KtoSpec(**NAMES)), policy(), with_base(rows, [order[[1, 2, 0]]]), rows=order[[1, 2, 0]])
    assert alone.metrics["kl"] == pytest.approx(found.metrics["kl"], abs=1e-6)  # a rotation keeps the pairs
