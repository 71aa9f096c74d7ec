"""Passes over rows with a model of one matrix: parts, memory that runs out, stops, batches made ahead."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from burnish.core.context import StopRequestedError
from burnish.core.errors import MachineError
from burnish.specs.train import AdamWSpec
from burnish.tokens.tokenised import TokenisedRows
from burnish.train import passes as module
from burnish.train.batches import make_batch, micro_batches
from burnish.train.checkpoints.checkpoint import capture_randomness
from burnish.train.checkpoints.state import TrainState
from burnish.train.objectives.balance import Balance
from burnish.train.objectives.causal import Causal
from burnish.train.optim.optimizers import Optimizer
from burnish.train.passes import Gradient, Passes

VOCABULARY = 7
EVERY = np.arange(9)


@pytest.fixture(autouse=True)
def collected(monkeypatch):
    """The times that garbage was to be collected, which takes long in a process of many tests."""
    times = []
    monkeypatch.setattr(module, "gc", SimpleNamespace(collect=lambda: times.append(1)))
    return times


class Toy:
    """A scorer of one matrix [V, V]: the logits of the next token are the row of the present one."""

    def __init__(self, one_by_one=False, noise=0.0):
        torch.manual_seed(0)
        self.model = nn.Module()
        self.model.table = nn.Parameter(torch.randn(VOCABULARY, VOCABULARY))
        self.causal, self.one_by_one, self.noise = SimpleNamespace(device=torch.device("cpu")), one_by_one, noise
        self.shares_prompts = False
        self.tokens, self.most, self.modes = [], None, []
        self.routing = None

    def __call__(self, batch, normaliser):
        self.tokens.append(batch.tokens)
        self.modes.append(self.model.training)
        if self.noise:
            torch.rand(1)
        if self.most is not None and batch.tokens > self.most:
            raise torch.OutOfMemoryError(f"CUDA out of memory with {batch.tokens} tokens\nand more")
        logits = self.model.table[batch.input_ids[0, batch.positions]]
        self.routing = (self.model.table[batch.input_ids[0]][:, :3],)
        losses = nn.functional.cross_entropy(logits, batch.targets, reduction="none")
        return (losses * batch.weights).sum() / normaliser, losses.detach()

    def routed(self):
        return self.routing

    def route(self, batch):
        torch.rand(1)  # as a model with dropout of its own
        return (self.model.table[batch.input_ids[0]][:, :3],)


def rows_of(lengths=(4, 9, 2, 6, 3, 5, 7, 2, 8)):
    random = np.random.default_rng(0)
    rows = []
    for number, length in enumerate(lengths):
        weights = random.random(length).astype(np.float32) * (random.random(length) < 0.7)
        weights[-1] = 1.5
        rows.append((f"row{number}", random.integers(0, VOCABULARY, length).astype(np.int32), weights))
    return TokenisedRows.of(rows)


def made(scorer=None, *, tokens=12, stopping=lambda: False, norm=None, balance=None, dropout=None, step=4):
    scorer, events = scorer or Toy(), []
    state = TrainState(step=step, micro_batch_tokens=tokens)
    optimizer = Optimizer(scorer.model, AdamWSpec())
    passes = Passes(
        scorer, Causal(), optimizer, state, max_grad_norm=norm, balance=balance, dropout=dropout,
        emit=events.append, is_stopping=stopping,
    )  # fmt: skip
    return passes, events


def exact(rows=EVERY, balance=None):
    """Loss, balance loss, gradient [V, V] and loss of each row, over full logits in float64."""
    table = Toy().model.table.detach().double().requires_grad_()
    data, total, weight, of_rows, router = rows_of(), 0.0, 0.0, {}, []
    for row in rows.tolist():
        span = data.span(row)
        ids, weights = torch.from_numpy(data.ids[span].astype(np.int64)), torch.from_numpy(data.weights[span]).double()
        losses = nn.functional.cross_entropy(table[ids[:-1]], ids[1:], reduction="none")
        total, weight = total + (losses * weights[1:]).sum(), weight + weights[1:].sum()
        of_rows[row] = float((losses.detach() * weights[1:]).sum() / weights[1:].sum())
        router.append(table[ids][:, :3])
    logits, loss = torch.cat(router), total / weight
    shares = torch.bincount(logits.argmax(-1), minlength=3).double() / len(logits)
    uneven = 3 * (shares * logits.softmax(-1).mean(0)).sum()
    whole = loss if balance is None else loss + balance.coefficient * uneven
    return float(loss.detach()), float(uneven.detach()), torch.autograd.grad(whole, table)[0], of_rows


def master(passes):
    return passes.optimizer.masters["table"]


@pytest.mark.parametrize("tokens", [1, 9, 10, 20, 30, 1000])
@pytest.mark.parametrize("coefficient", [None, 2.5])
@pytest.mark.parametrize("rows", [EVERY, np.array([5, 0, 8])], ids=["all", "some"])
def test_the_gradient_of_a_step_is_that_of_its_rows_however_it_is_split(tokens, coefficient, rows):
    balance = None if coefficient is None else Balance(3, 1, coefficient)
    passes, events = made(tokens=tokens, balance=balance)
    before = capture_randomness()
    found = passes.gradient(rows_of(), rows)
    (loss, aux_loss, norm), (row_losses,) = found.read()
    expected, uneven, gradient, of_rows = exact(rows, balance)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert aux_loss == pytest.approx(0.0 if balance is None else uneven, rel=1e-5)
    torch.testing.assert_close(master(passes).grad.double(), gradient, rtol=1e-4, atol=1e-6)
    assert norm == pytest.approx(float(gradient.norm()), rel=1e-5)
    parts = micro_batches(rows_of().lengths, rows, tokens)
    assert found.rows.tolist() == [row for part in parts for row in part.tolist()]
    assert dict(zip(found.rows.tolist(), row_losses.tolist(), strict=True)) == pytest.approx(of_rows, rel=1e-5)
    learned = {row: int((rows_of().weights[rows_of().span(row)][1:] > 0).sum()) for row in rows.tolist()}
    assert dict(zip(found.rows.tolist(), found.learned.tolist(), strict=True)) == learned
    assert not found.numbers.requires_grad
    assert events == []
    assert str(capture_randomness()) == str(before)
    assert len(passes.scorer.tokens) == len(parts)


def test_experts_are_counted_before_only_where_a_step_has_several_parts(monkeypatch):
    for tokens in (1000, 25, 1):
        routed, scorer = [], Toy()
        route = scorer.route
        monkeypatch.setattr(
            scorer, "route", lambda batch, it=routed, route=route: it.append(batch.tokens) or route(batch)
        )
        made(scorer, tokens=tokens, balance=Balance(3, 1, 0.5))[0].gradient(rows_of(), EVERY)
        assert routed == ([] if tokens == 1000 else scorer.tokens)


def test_a_gradient_is_clipped_and_its_norm_before_is_told():
    norm = float(exact()[2].norm())
    passes, _ = made(norm=norm / 4)
    assert passes.gradient(rows_of(), EVERY).read()[0][2] == pytest.approx(norm, rel=1e-5)
    assert float(master(passes).grad.norm()) == pytest.approx(norm / 4, rel=1e-4)


def test_results_are_read_in_one_copy():
    values = torch.tensor([[3.0, 4.0], [5.0, 6.0]])
    found = Gradient(torch.tensor([1.0, 2.0, 9.0, 8.0]), values, np.arange(2), np.arange(2)).read()
    assert found[0] == [1.0, 2.0, 9.0, 8.0]
    assert found[1].tolist() == values.tolist()


def test_models_that_cannot_pack_get_one_row_at_a_time():
    scorer = Toy(one_by_one=True)
    made(scorer, tokens=1000)[0].gradient(rows_of(), EVERY)
    assert scorer.tokens == rows_of().lengths.tolist()


def halved(most, tokens):
    """The limits of micro-batches that a step tries, by plain simulation."""
    lengths, tried = rows_of().lengths, []
    while True:
        parts = micro_batches(lengths, EVERY, tokens)
        tried.append(tokens)
        if all(lengths[part].sum() <= most for part in parts):
            return tried
        tokens = max(int(lengths[part].sum()) for part in parts if len(part) > 1) // 2


@pytest.mark.parametrize(("most", "tokens"), [(12, 46), (9, 46), (9, 12), (30, 1000), (22, 23)])
def test_memory_that_runs_out_halves_the_parts_and_repeats_the_step(collected, most, tokens):
    scorer = Toy()
    scorer.most = most
    passes, events = made(scorer, tokens=tokens)
    found, _ = passes.gradient(rows_of(), EVERY).read()
    loss, _, gradient, _ = exact()
    assert found[0] == pytest.approx(loss, rel=1e-5)
    torch.testing.assert_close(master(passes).grad.double(), gradient, rtol=1e-4, atol=1e-6)
    limits = halved(most, tokens)[1:]
    assert limits
    assert passes.state.micro_batch_tokens == limits[-1]
    assert len(collected) == len(limits)
    *warnings, last = events
    assert [event.level for event in warnings] == ["warning"] * len(limits)
    for event, limit in zip(warnings, limits, strict=True):
        again = f"the work is repeated in parts of at most {limit} tokens"
        assert event.text.startswith(f"memory ran out in step 5; {again} (CUDA out of memory with")
        assert "\n" not in event.text
    assert (last.level, last.text) == (
        "info",
        "step 5 was repeated in smaller parts, with the same gradient up to rounding",
    )


def test_a_repeated_step_that_draws_random_numbers_is_reported_and_draws_those_of_its_first_try():
    torch.manual_seed(3)
    scorer = Toy(noise=1.0)
    scorer.most = 12
    passes, events = made(scorer, tokens=1000)
    torch.manual_seed(3)
    passes.gradient(rows_of(), EVERY)
    parts = len(micro_batches(rows_of().lengths, EVERY, passes.state.micro_batch_tokens))
    after = torch.rand(1)
    torch.manual_seed(3)
    torch.rand(parts)  # not those of the failed tries
    assert torch.equal(torch.rand(1), after)
    assert events[-1].level == "warning"
    assert "step 5 was repeated in smaller parts; the model draws its own dropout" in events[-1].text


def test_a_row_that_does_not_fit_alone_ends_the_run():
    scorer = Toy()
    scorer.most = 8
    passes, events = made(scorer, tokens=1000)
    with pytest.raises(
        MachineError, match="memory ran out in step 5 on a single row of 9 tokens: CUDA out of"
    ) as caught:
        passes.gradient(rows_of(), EVERY)
    assert caught.value.code == "machine.no-memory"
    assert master(passes).grad is None
    assert all(event.level == "warning" for event in events)


@pytest.mark.parametrize("fault", [RuntimeError("shapes do not fit"), ValueError("no")])
def test_any_other_error_is_not_repeated(monkeypatch, fault):
    passes, events = made()

    def breaks(*_):
        raise fault

    monkeypatch.setattr(Causal, "score", breaks)
    for call in (lambda: passes.gradient(rows_of(), EVERY), lambda: passes.evaluate(rows_of())):
        with pytest.raises(type(fault), match=str(fault)):
            call()
    assert events == []
    assert passes.scorer.model.training


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("balance", [None, Balance(3, 1, 0.5)])
def test_a_stop_discards_the_pass_and_leaves_no_trace(before, balance):
    asked = iter([False] * before + [True])
    passes, events = made(Toy(noise=1.0), stopping=lambda: next(asked), balance=balance)
    state = torch.get_rng_state()
    with pytest.raises(StopRequestedError):
        passes.gradient(rows_of(), EVERY)
    assert torch.equal(torch.get_rng_state(), state)
    assert master(passes).grad is None
    assert events == []
    assert len(passes.scorer.tokens) == (before if balance is None else 0)


@pytest.mark.parametrize(("most", "tokens"), [(None, 1000), (None, 10), (20, 1000)])
def test_the_loss_of_held_out_rows_is_their_mean_in_evaluation(most, tokens):
    scorer = Toy()
    scorer.most = most
    passes, events = made(scorer, tokens=tokens)
    assert passes.evaluate(rows_of()) == [pytest.approx(exact()[0], rel=1e-5)]
    assert set(scorer.modes) == {False}
    assert scorer.model.training
    assert bool(events) is (most is not None)
    assert master(passes).grad is None


def test_a_stop_ends_an_evaluation():
    asked = iter([False, True])
    passes, _ = made(tokens=1, stopping=lambda: next(asked))
    with pytest.raises(StopRequestedError):
        passes.evaluate(rows_of())
    assert passes.scorer.model.training
    assert len(passes.scorer.tokens) == 1


class Began:
    def __init__(self):
        self.seen = []

    def begin(self, step, batch):
        self.seen.append((step, batch.rows.tolist()))


def test_dropout_is_told_the_step_and_each_batch():
    dropout = Began()
    passes, _ = made(dropout=dropout, tokens=20)
    found = passes.gradient(rows_of(), EVERY)
    assert {step for step, _ in dropout.seen} == {4}
    assert [row for _, rows in dropout.seen for row in rows] == found.rows.tolist()


def test_the_first_batch_of_the_next_step_is_made_ahead_on_a_device(monkeypatch):
    passes, _ = made(tokens=20)
    parts = [part.tolist() for part in micro_batches(rows_of().lengths, EVERY, 20)]
    batches = []

    def counted(data, rows, device, **options):
        assert device == torch.device("cpu")
        batches.append(rows.tolist())
        return make_batch(data, rows, device, **options)

    monkeypatch.setattr(module, "make_batch", counted)
    passes.prepare(rows_of(), EVERY)
    assert batches == []  # on a CPU
    passes._runs_ahead = True
    passes.prepare(rows_of(), EVERY)
    assert batches == parts[:1]
    passes.gradient(rows_of(), EVERY)
    assert batches == parts
    passes.prepare(rows_of(), np.array([0]))  # of another step than the next one
    passes.gradient(rows_of(), EVERY)
    assert batches == [*parts, [0], *parts]
    batches.clear()
    passes.gradient(rows_of(), EVERY)
    assert batches == parts


@pytest.mark.parametrize("fault", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("a real fault")])
def test_a_batch_that_could_not_be_made_ahead_is_made_in_its_step(monkeypatch, fault):
    passes, _ = made()
    passes._runs_ahead = True

    def fails(*_, **options):
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(module, "make_batch", fails)
        if isinstance(fault, torch.OutOfMemoryError):
            passes.prepare(rows_of(), EVERY)
        else:
            with pytest.raises(RuntimeError, match="a real fault"):
                passes.prepare(rows_of(), EVERY)
    assert passes.gradient(rows_of(), EVERY).read()[0][0] == pytest.approx(exact()[0], rel=1e-5)


@pytest.mark.parametrize(("device", "ahead"), [("cpu", False), ("meta", True)])
def test_only_a_cpu_does_not_run_ahead(device, ahead):
    scorer = Toy()
    scorer.causal.device = torch.device(device)
    scorer.model.to(device)
    passes, _ = made(scorer)
    assert passes._runs_ahead is ahead
    found = passes.gradient(rows_of(), EVERY)
    assert (found.numbers.device.type, found.row_values.device.type) == (device, device)


@pytest.mark.parametrize("there", [False, True])
def test_the_cache_of_a_cuda_device_is_emptied_before_a_step_is_repeated(monkeypatch, there):
    emptied = []
    scorer = Toy()
    scorer.most = 12
    passes, _ = made(scorer, tokens=20)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(1))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    if there:
        monkeypatch.setattr(torch.cuda, "get_rng_state_all", list)
    passes.gradient(rows_of(), EVERY)
    assert bool(emptied) is there
