"""Small parts of a step by hand: the losses of rows, the balance of experts, metrics, the state that is saved."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from burnish.core.errors import AskError, RunError
from burnish.train.batches import Cursor, StepPlan, TokenisedRows, make_batch
from burnish.train.checkpoints.state import LoopSettings, TrainState
from burnish.train.objectives.balance import Balance, balance_of
from burnish.train.objectives.causal import Causal
from burnish.train.objectives.objective import Whole
from burnish.train.reporting import metrics
from burnish.train.reporting.metrics import Reporter


def test_the_loss_of_a_row_is_the_weighted_mean_of_its_learned_tokens():
    rows = TokenisedRows.of(
        (name, np.arange(3, 3 + len(weights), dtype=np.int32), np.array(weights, np.float32))
        for name, weights in (("a", [0, 0.5, 2]), ("b", [0, 0, 4]), ("c", [0, 3, 0, 1]))
    )
    batch = make_batch(rows, np.array([2, 0, 1]))
    losses = torch.tensor([1.0, 5.0, 2.0, 7.0, 11.0])
    asked = []

    def scorer(given, normaliser):
        asked.append((given, normaliser))
        return torch.tensor(9.5), losses

    found = Causal().score(scorer, batch, Whole(10.5, (5,)))
    assert asked == [(batch, 10.5)]
    assert float(found.loss) == 9.5
    assert found.row_losses.tolist() == pytest.approx([(3 * 1 + 5) / 4, (0.5 * 2 + 2 * 7) / 2.5, 11.0])


def test_row_losses_are_where_the_losses_are():
    rows = TokenisedRows.of((name, np.arange(3, dtype=np.int32), np.ones(3, np.float32)) for name in "ab")
    batch = make_batch(rows, np.arange(2), "meta")
    losses = torch.ones(4, device="meta")
    found = Causal().score(lambda *_: (losses.sum(), losses), batch, Whole(1.0, (2,)))
    assert (found.row_losses.device.type, found.row_losses.shape) == ("meta", (2,))
    assert (found.metrics.device.type, found.row_values.device.type) == ("meta", "meta")


LAYERS = [[[0.0, 3.0, 1.0], [2.0, 0.0, 1.0]], [[0.0, 1.0, 2.0], [5.0, 1.0, 0.0]]]


def test_experts_are_counted_over_all_layers():
    counts = Balance(3, 2, 0.1).counts([torch.tensor(layer) for layer in LAYERS])
    assert counts.tolist() == [2, 3, 3]
    assert counts.dtype == torch.float32
    assert Balance(4, 1, 0.1).counts([torch.tensor(layer) for layer in LAYERS]).tolist() == [2, 1, 1, 0]
    assert Balance(3, 2, 0.1).counts([torch.zeros(2, 3, device="meta")]).device.type == "meta"


def test_the_load_balancing_loss_is_that_of_its_formula():
    counts, tokens = [2.0, 3.0, 3.0], 5  # the step has more tokens than this micro-batch
    expected = 0.0
    for expert in range(3):
        share = sum(np.exp(row[expert]) / np.exp(row).sum() for layer in LAYERS for row in layer) / (tokens * 2)
        expected += 3 * counts[expert] / (tokens * 2) * share
    layers = [torch.tensor(layer) for layer in LAYERS]
    assert float(Balance(3, 2, 0.1).part_of_loss(layers, torch.tensor(counts), tokens)) == pytest.approx(expected)


def test_the_probabilities_of_many_tokens_are_added_up_in_float32():
    logits = torch.randn(3000, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    shares = logits.softmax(-1).double().mean(0)
    found = Balance(4, 1, 0.1).part_of_loss([logits], torch.tensor([300.0, 600, 900, 1200]), 3000)
    expected = float(4 * (torch.tensor([0.1, 0.2, 0.3, 0.4]) * shares).sum())
    assert float(found) == pytest.approx(expected, rel=1e-5)


def load_balancing_loss_func():
    """Stands for transformers' own: a model of this module has such a loss."""


class Mixture:
    """A causal model that answers with given logits of its router and a given loss."""

    def __init__(self, answer, *, training=False, names=("layer.weight",), num_experts_per_tok=1, **settings):
        config = SimpleNamespace(vocab_size=5, model_type="mixture", **settings)
        config.get_text_config = lambda: config
        self.config, self.device, self.training = config, torch.device("cpu"), training
        self.num_experts_per_tok, self._answer, self._names = num_experts_per_tok, answer, names
        self.calls = []

    def named_parameters(self):
        return [(name, None) for name in self._names]

    def eval(self):
        self.training = False

    def train(self, mode):
        self.training = mode

    def __call__(self, *, input_ids, output_router_logits, use_cache):
        assert not self.training
        assert input_ids.shape[0] == 1
        assert int(input_ids.max()) < 5
        assert output_router_logits
        self.calls.append(input_ids.shape[1])
        answer = self._answer(input_ids.shape[1])
        if isinstance(answer, Exception):
            raise answer
        return answer


def routed(share=1.0, layers=1, **others):
    """All tokens go to the second of 4 experts with certainty: the loss is 4."""

    def answer(tokens):
        logits = torch.full((tokens, 4), -100.0)
        logits[:, 1] = 100.0
        return {"aux_loss": torch.tensor(4.0) * share, "router_logits": (logits,) * layers} | others

    return answer


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("share", [1.0, 1.0009, 0.9991, 1.0011, 0.9989])
def test_a_loss_is_the_models_own_up_to_a_thousandth(share, training):
    model = Mixture(routed(share), training=training, router_aux_loss_coef=0.25)
    found, told = balance_of(model, "auto")
    is_own = abs(share - 1) < 1e-3
    assert found == (Balance(4, 1, 0.25) if is_own else None)
    assert (told.value if is_own else told) == (0.25 if is_own else None)
    assert model.training is training
    assert len(model.calls) == 1


@pytest.mark.parametrize(
    ("settings", "attribute", "coefficient"),
    [
        ({"router_aux_loss_coef": 0.25}, None, 0.25),
        ({"aux_loss_coef": 0.5}, None, 0.5),
        ({"aux_loss_coef": 0.5, "router_aux_loss_coef": 0.25}, None, 0.25),
        ({"router_aux_loss_coef": None, "aux_loss_coef": 0.5}, None, 0.5),
        ({"router_aux_loss_coef": 0.25}, 0.75, 0.75),
        ({"router_aux_loss_coef": 0}, None, 0.0),
    ],
)
def test_the_coefficient_is_that_of_the_model_or_its_config(settings, attribute, coefficient):
    model = Mixture(routed(layers=3), **settings)
    if attribute is not None:
        model.router_aux_loss_coef = attribute
    found, told = balance_of(model, "auto")
    assert found == (Balance(4, 1, coefficient) if coefficient else None)
    assert (told.field, told.value) == ("router_aux_loss_coef", coefficient)
    assert told.reason
    assert balance_of(model, 0.125) == (Balance(4, 1, 0.125), None)
    assert balance_of(model, 1) == (Balance(4, 1, 1.0), None)
    assert balance_of(model, 0) == (None, None)


NONE = {
    "routes no token in this configuration": [routed(router_logits=()), routed(router_logits=None), routed(aux_loss=0)],
    "does not compute its load-balancing loss": [lambda _: ValueError("no"), lambda _: TypeError("")],
    "has an unknown kind of load-balancing loss": [routed(0.5), routed(float("nan")), routed(-1.0), routed(0.0)],
}


@pytest.mark.parametrize("why", NONE)
def test_why_a_model_has_no_such_loss_is_reported_where_it_has_experts(why):
    for answer in NONE[why]:
        settings = {"router_aux_loss_coef": 0.25}
        for names in (("a.experts.w", "norm"), ("norm", "mlp.router.w")):
            found, told = balance_of(Mixture(answer, names=names, **settings), "auto")
            assert found is None
            assert f"this mixture model {why}" in told.text
        assert balance_of(Mixture(answer, names=("norm",), **settings), "auto") == (None, None)
        assert balance_of(Mixture(answer, names=("a.experts.w",), **settings), 0) == (None, None)
        for asked in (1, 0.5):
            with pytest.raises(
                AskError, match=f"router_aux_loss_coef is {asked}, but this mixture model {why}"
            ) as caught:
                balance_of(Mixture(answer, names=("a.experts.w",), **settings), asked)
            assert caught.value.code == "ask.wrong-value"


def test_metrics_are_the_speed_since_the_last_ones_and_what_is_left(monkeypatch):
    clock = iter([100.0, 104.0, 110.0, 110.0])
    monkeypatch.setattr(metrics, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    plan, events = StepPlan(np.full(10, 4), seed=0, batch_size=4), []
    state = TrainState(step=2, tokens=50, learned_tokens=7, cursor=Cursor(1, 1))
    reporter = Reporter(plan, SimpleNamespace(total_steps=12), state, events.append)
    found = []
    for step, tokens in ((4, 70), (6, 100), (6, 103)):
        state.step, state.tokens = step, tokens
        reporter.step({"loss": 1.5})
        metric, progress = events[-2:]
        found.append(metric.values)
        assert metric.step == progress.done == step
        assert (progress.phase, progress.total, progress.unit) == ("train", 12, "steps")
    common = {"loss": 1.5, "learned_tokens": 7.0, "epoch": pytest.approx(4 / 3)}
    assert found == [
        common | {"tokens_per_second": 20 / 4, "eta_seconds": 4 / 2 * 8},
        common | {"tokens_per_second": 30 / 6, "eta_seconds": 10 / 4 * 6},
        common | {"tokens_per_second": pytest.approx(3e9), "eta_seconds": 10 / 4 * 6},
    ]
    assert len(events) == 6


def test_the_time_that_is_left_is_known_only_after_a_step(monkeypatch):
    monkeypatch.setattr(metrics, "time", SimpleNamespace(monotonic=iter([0.0, 3.0]).__next__))
    events = []
    plan, state = StepPlan(np.full(10, 4), seed=0, batch_size=4), TrainState()
    Reporter(plan, SimpleNamespace(total_steps=5), state, events.append).step({})
    assert events[0].values["eta_seconds"] == 3.0 * 5


def test_a_run_begins_with_nothing_done_and_its_state_survives_json():
    none = ("first_loss", "last_loss", "best_score", "best_step", "score_to_beat")
    zero = ("step", "micro_batch_tokens", "tokens", "learned_tokens", "evaluations_without_gain", "seconds")
    expected = dict.fromkeys(none) | dict.fromkeys(zero, 0)
    expected |= {"cursor": {"epoch": 0, "step": 0}, "evaluations": [], "stopped_early": False, "last_metrics": {}}
    expected |= {"sequences_apart": False, "completions_at_once": None}
    assert TrainState().as_json() == expected
    state = TrainState(step=3, cursor=Cursor(1, 2), evaluations=[(3, 0.5)], stopped_early=True, best_score=0.5)
    again = TrainState.from_json(json.loads(json.dumps(state.as_json())))
    assert again.cursor == Cursor(1, 2)
    assert again.as_json() == state.as_json() | {"evaluations": [[3, 0.5]]}
    with pytest.raises(RunError, match="another version of burnish: best_loss is unknown"):
        TrainState.from_json(state.as_json() | {"best_loss": 0.5})
    settings = LoopSettings(1, 0.1, float, None, 1, 1, None, False)
    assert (settings.patience, settings.min_delta, settings.log_every) == (None, 0.0, 1)
