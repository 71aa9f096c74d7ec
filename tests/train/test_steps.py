"""The loop over a model of one matrix: what it evaluates, saves, logs and reports, step by step."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from burnish.core.errors import MachineError, RunError
from burnish.specs.train import AdamWSpec
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.batches import FixedRows, StepPlan
from burnish.train.checkpoints.checkpoint import CheckpointFolder, read
from burnish.train.checkpoints.lineage import Origin
from burnish.train.checkpoints.state import LoopSettings, TrainState
from burnish.train.loop import Loop
from burnish.train.objectives.causal import Causal
from burnish.train.optim.optimizers import Optimizer
from burnish.train.passes import Passes
from burnish.train.reporting.ledger import LedgerType
from burnish.train.source import HeldOutRows

VOCABULARY, COUNT = 7, 10


class Toy:
    """A scorer of one matrix [V, V]: the logits of the next token are the row of the present one."""

    one_by_one = shares_prompts = False

    def __init__(self):
        torch.manual_seed(0)
        self.model = nn.Module()
        self.model.table = nn.Parameter(torch.randn(VOCABULARY, VOCABULARY))
        self.causal = SimpleNamespace(device=torch.device("cpu"))

    def __call__(self, batch, normaliser):
        logits = self.model.table[batch.input_ids[0, batch.positions]]
        losses = nn.functional.cross_entropy(logits, batch.targets, reduction="none")
        noise = 1 + 0.01 * torch.rand(()) if self.model.training else 1.0  # as dropout: part of the random state
        return (losses * batch.weights).sum() * noise / normaliser, losses.detach()


def rows_of(count=COUNT):
    random = np.random.default_rng(0)
    return TokenisedRows.of(
        (f"row{n}", random.integers(0, VOCABULARY, n % 4 + 2).astype(np.int32), np.ones(n % 4 + 2, np.float32))
        for n in range(count)
    )


def origin_of(**settings):
    return Origin({"seed": 1} | settings, {"data": "x"}, {"train": "y"}, "z")


@pytest.fixture
def make(tmp_path):
    """`make(name, total=6, **settings)`: a loop in the folder of that name, with its events in `loop.events`."""

    def build(
        name="run", *, total=6, held_out=None, stopping=lambda: False, keep=99, batch=4, settings_of=None, **more
    ):
        scorer, events, rows = Toy(), [], rows_of()
        settings = {"total_steps": total, "learning_rate": 0.5, "schedule": lambda step: 1 / (step + 1)}
        settings |= {"max_grad_norm": 0.3, "micro_batch_tokens": 9, "save_every": 2, "eval_every": None}
        plan = StepPlan(rows.lengths, seed=0, batch_size=batch)
        given = LoopSettings(**(settings | {"keep_best": False} | more))
        passes = Passes(
            scorer, Causal(), Optimizer(scorer.model, AdamWSpec()), TrainState(micro_batch_tokens=9),
            max_grad_norm=given.max_grad_norm, balance=None, dropout=None, emit=events.append, is_stopping=stopping,
        )  # fmt: skip
        loop = Loop(
            passes,
            FixedRows(rows, plan),
            held_out and HeldOutRows(passes, held_out),
            plan,
            given,
            checkpoints=CheckpointFolder(tmp_path / name / "checkpoints", keep),
            ledger_path=tmp_path / name / "ledger" / "visits.bin",
            origin=origin_of(**(settings_of or {})),
            emit=events.append,
        )
        loop.events, loop.scorer = events, scorer
        return loop

    return build


def metrics(loop, name):
    return {e.step: e.values[name] for e in loop.events if e.kind == "metric" and name in e.values}


def notes(loop, level):
    return [e.text for e in loop.events if e.kind == "note" and e.level == level]


def visits(loop):
    return LedgerType().read(loop._ledger_path)


def test_a_run_reports_each_step_and_saves_and_records_its_rows(make):
    loop = make(total=5)
    state = loop.run()
    assert (state.step, state.cursor.epoch, state.cursor.step) == (5, 1, 2)
    assert metrics(loop, "learning_rate") == pytest.approx({step + 1: 0.5 / (step + 1) for step in range(5)})
    assert list(metrics(loop, "loss")) == list(metrics(loop, "grad_norm")) == [1, 2, 3, 4, 5]
    names = {"loss", "grad_norm", "learning_rate", "tokens_per_second", "learned_tokens", "epoch", "eta_seconds"}
    assert all(set(event.values) == names for event in loop.events if event.kind == "metric")
    progress = [(event.done, event.total) for event in loop.events if event.kind == "progress"]
    assert progress == [(0, 5), (1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    losses = metrics(loop, "loss")
    assert (state.first_loss, state.last_loss) == (losses[1], losses[5])
    assert loop.checkpoints.steps() == [2, 4, 5]
    records = visits(loop)
    plan = [loop.plan.epoch(0)[0], loop.plan.epoch(0)[1], loop.plan.epoch(0)[2], *loop.plan.epoch(1)[:2]]
    for step, rows in enumerate(plan, start=1):
        found = records[records["step"] == step]
        assert sorted(found["row"].tolist()) == sorted(rows.tolist())
        assert set(found["epoch"].tolist()) == {0 if step < 4 else 1}
        assert (found["learned"] == rows_of().lengths[found["row"]] - 1).all()
    lengths = np.concatenate([rows_of().lengths[rows] for rows in plan])
    assert (state.tokens, state.learned_tokens) == (int(lengths.sum()), int((lengths - 1).sum()))
    assert loop.scorer.model.training
    assert loop._ledger._file.closed


@pytest.mark.parametrize("every", [1, 2, 3, 4, 7])
def test_metrics_are_those_of_every_nth_step_and_the_last(make, every):
    usual = make("usual", total=7)
    usual.run()
    seldom = make("seldom", total=7, log_every=every)
    seldom.run()
    logged = [step for step in range(1, 8) if step % every == 0 or step == 7]
    for name in ("loss", "grad_norm", "learning_rate"):
        whole = metrics(usual, name)
        assert metrics(seldom, name) == {step: whole[step] for step in logged}
    assert torch.equal(usual.scorer.model.table, seldom.scorer.model.table)
    assert visits(usual).tobytes() == visits(seldom).tobytes()


@pytest.mark.parametrize("every", [None, 1, 2, 4, 6, 9])
def test_evaluations_are_those_of_every_nth_step_and_the_end(make, every):
    loop = make(held_out=rows_of(3), eval_every=every)
    state = loop.run()
    expected = [step for step in range(1, 7) if step == 6 or (every and step % every == 0)]
    assert list(metrics(loop, "eval_loss")) == [step for step, _ in state.evaluations] == expected
    assert metrics(loop, "eval_loss") == dict(state.evaluations)


def scripted(monkeypatch, losses):
    """Let validation losses be these."""
    given = iter(losses)
    monkeypatch.setattr(Passes, "evaluate", lambda *_: [next(given)])


def simulated(losses, total, patience, min_delta):
    """(last step, best step, evaluations without a gain) with an evaluation after each step."""
    best, best_step, to_beat, without = math.inf, 0, math.inf, 0
    for step, loss in enumerate(losses[:total], start=1):
        if loss < best:
            best, best_step = loss, step
        if loss < to_beat - min_delta:
            to_beat, without = loss, 0
        else:
            without += 1
            if patience is not None and without >= patience and step < total:
                return step, best_step, without
    return total, best_step, without


SCRIPTS = {
    "falls": [9.0, 8.0, 7.0, 6.0, 5.0, 4.0],
    "rises": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    "is level": [2.0, 2.0, 2.0, 2.0, 2.0, 2.0],
    "falls a little": [5.0, 4.9, 4.8, 4.7, 4.6, 4.5],
    "falls by exactly the least": [5.0, 4.5, 4.0, 3.5, 3.0, 2.5],
    "falls and rises": [5.0, 3.0, 4.0, 2.0, 3.0, 3.0],
    "rises at the end": [5.0, 4.0, 3.0, 2.0, 1.0, 6.0],
}


@pytest.mark.parametrize("patience", [None, 1, 2, 3])
@pytest.mark.parametrize("min_delta", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_run_stops_when_patience_runs_out_and_knows_its_best_step(make, monkeypatch, script, min_delta, patience):
    losses = SCRIPTS[script]
    scripted(monkeypatch, losses)
    loop = make(held_out=rows_of(3), eval_every=1, patience=patience, min_delta=min_delta, save_every=50)
    state = loop.run()
    last, best, without = simulated(losses, 6, patience, min_delta)
    assert (state.step, state.best_step, state.best_score) == (last, best, losses[best - 1])
    assert state.evaluations_without_gain == without
    assert state.evaluations == list(enumerate(losses[:last], start=1))
    assert state.stopped_early is (last < 6)
    told = [f"stopped early after step {last}: the validation loss has not fallen in {patience} evaluations; the best "
            f"was {losses[best - 1]:.4f} after step {best}"]  # fmt: skip
    assert [text for text in notes(loop, "info") if "early" in text] == (told if last < 6 else [])
    assert loop.checkpoints.steps() == [last]


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_best_steps_are_saved_and_the_best_one_is_kept(make, monkeypatch, script):
    losses = SCRIPTS[script]
    for keep_best in (True, False):
        scripted(monkeypatch, losses)
        loop = make(f"best{keep_best}", held_out=rows_of(3), eval_every=1, keep_best=keep_best, save_every=50, keep=1)
        state = loop.run()
        best = [step for step in range(1, 7) if losses[step - 1] < min(losses[: step - 1], default=math.inf)]
        saved = [event.step for event in loop.events if event.kind == "checkpoint"]
        assert saved == (sorted({*best, 6}) if keep_best else [6])
        assert loop.checkpoints.steps() == (sorted({best[-1], 6}) if keep_best else [6])
        assert state.best_step == best[-1]


STATE = (
    "step",
    "cursor",
    "tokens",
    "learned_tokens",
    "first_loss",
    "last_loss",
    "best_score",
    "best_step",
    "evaluations",
)


@pytest.mark.parametrize("log_every", [1, 3])
@pytest.mark.parametrize("asked", range(13))
def test_a_run_that_is_stopped_anywhere_goes_on_as_if_it_had_not_been(make, asked, log_every):
    settings = {"held_out": rows_of(3), "eval_every": 2, "save_every": 3, "log_every": log_every}
    whole = make("whole", **settings)
    expected = whole.run()
    questions = iter(range(1000))
    stopped = make("run", stopping=lambda: next(questions) >= asked, **settings)
    with pytest.raises(RunError, match=r"stopped after step \d of 6; it is saved") as caught:
        stopped.run()
    assert caught.value.code == "run.interrupted"
    assert stopped._ledger._file.closed
    newest, damaged = stopped.checkpoints.newest()
    assert damaged == []
    assert newest.name == f"step-{stopped.state.step:08d}"
    loop = make("run", **settings)
    torch.manual_seed(99)
    assert loop.restore(read(newest)) == ()
    state = loop.run()
    assert {name: getattr(state, name) for name in STATE} | {"evaluations": list(map(tuple, state.evaluations))} == {
        name: getattr(expected, name) for name in STATE
    }
    assert torch.equal(loop.scorer.model.table, whole.scorer.model.table)
    assert visits(loop).tobytes() == visits(whole).tobytes()
    for name in ("loss", "eval_loss", "grad_norm"):
        assert metrics(stopped, name) | metrics(loop, name) == metrics(whole, name)
    assert loop.lineage == []


@pytest.mark.parametrize("count", [1, 2, 6, 8, 9, 10])
@pytest.mark.parametrize("place", ["loss", "gradient", "both"])
def test_a_step_that_is_not_finite_is_named_with_its_first_rows(make, monkeypatch, place, count):
    gradient = Passes.gradient

    def poisoned(self, *asked):
        found = gradient(self, *asked)
        if self.state.step == 3:
            found.numbers[[0, 2] if place == "both" else 0 if place == "loss" else 2] = float("nan")
        return found

    monkeypatch.setattr(Passes, "gradient", poisoned)
    loop = make(batch=count, total=12)
    with pytest.raises(RunError) as caught:
        loop.run()
    folder = loop.checkpoints.path / "step-00000002"
    what = "gradient" if place == "gradient" else "loss"
    assert caught.value.code == "run.not-finite"
    assert caught.value.what.startswith(f"the {what} of step 4 is not finite (loss ")
    assert caught.value.what.endswith(f"; the last good checkpoint is {folder}")
    assert f"resume: {folder} to keep its steps" in caught.value.fix
    epoch, step = divmod(3, len(loop.plan.epoch(0)))
    rows = {f"row{row}" for row in loop.plan.epoch(epoch)[step].tolist()}
    names, _, more = caught.value.fix.rpartition("; look at the rows of this step: ")[2].partition(" and ")
    assert set(names.split(", ")) <= rows
    assert len(set(names.split(", "))) == min(3, len(rows))
    assert more == (f"{len(rows) - 3} more" if len(rows) > 3 else "")
    assert loop.checkpoints.steps() == [2]


def test_a_step_that_is_not_finite_is_found_before_the_evaluation_after_it(make, monkeypatch):
    gradient = Passes.gradient

    def poisoned(self, *asked):
        found = gradient(self, *asked)
        found.numbers[0] = float("nan") if self.state.step == 2 else found.numbers[0]
        return found

    monkeypatch.setattr(Passes, "gradient", poisoned)
    loop = make(held_out=rows_of(3), eval_every=2, log_every=50, save_every=50)
    with pytest.raises(RunError, match="the loss of step 3 is not finite"):
        loop.run()
    assert list(metrics(loop, "eval_loss")) == [2]


@pytest.mark.parametrize("number", [1, 2])
def test_a_balance_loss_that_is_not_finite_is_a_loss_that_is_not(make, monkeypatch, number):
    gradient = Passes.gradient

    def poisoned(self, *asked):
        found = gradient(self, *asked)
        found.numbers[number] = float("inf")
        return found

    monkeypatch.setattr(Passes, "gradient", poisoned)
    with pytest.raises(RunError) as caught:
        make().run()
    what = "loss" if number == 1 else "gradient"
    assert caught.value.what.startswith(f"the {what} of step 1 is not finite")
    assert caught.value.what.endswith("; no checkpoint was saved")
    assert "resume:" not in caught.value.fix


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_validation_loss_or_a_weight_that_is_not_finite_ends_the_run(make, monkeypatch, value):
    with monkeypatch.context() as patch:
        scripted(patch, [1.0, value])
        loop = make("loss", held_out=rows_of(3), eval_every=1)
        with pytest.raises(RunError, match="the validation loss after step 2 is not finite; no checkpoint was saved"):
            loop.run()
        assert loop.state.evaluations == [(1, 1.0)]
    step = Optimizer.step

    def breaks(self, rate):
        step(self, rate)
        with torch.no_grad():
            self.masters["table"][0, 0] = value

    monkeypatch.setattr(Optimizer, "step", breaks)
    loop = make("weight", save_every=1)
    with pytest.raises(RunError, match="a weight after step 1 is not finite; no checkpoint was saved") as caught:
        loop.run()
    assert "look at the rows" not in caught.value.fix
    assert loop.checkpoints.steps() == []


@pytest.mark.parametrize("fault", [MemoryError("can't allocate memory"), RuntimeError("shapes do not fit")])
def test_an_update_that_fails_is_not_repeated(make, monkeypatch, fault):
    step = Optimizer.step

    def breaks(self, rate):
        if rate < 0.2:
            raise fault
        step(self, rate)

    monkeypatch.setattr(Optimizer, "step", breaks)
    loop = make(save_every=1)
    if isinstance(fault, RuntimeError):
        with pytest.raises(RuntimeError, match="shapes do not fit"):
            loop.run()
    else:
        with pytest.raises(MachineError, match=r"step 3 updated the weights.*allocate memory; the last.*step-00000002"):
            loop.run()
    assert loop.checkpoints.steps() == [1, 2]
    assert loop._ledger._file.closed


def test_a_ledger_that_changes_during_the_run_ends_it(make, monkeypatch):
    loop = make(total=4)
    step = Loop._step

    def changes(self):
        step(self)
        if self.state.step == 3:
            content = bytearray(self._ledger_path.read_bytes())
            content[5] ^= 1
            self._ledger_path.write_bytes(content)

    monkeypatch.setattr(Loop, "_step", changes)
    with pytest.raises(
        RunError, match=r"visits.bin is not that of step 4: its first .* do not match their sha256"
    ) as caught:
        loop.run()
    assert caught.value.code == "run.broken-checkpoint"


def test_a_model_that_was_evaluated_before_is_trained(make, monkeypatch):
    score, modes = Toy.__call__, []

    def noted(self, batch, normaliser):
        modes.append(self.model.training)
        return score(self, batch, normaliser)

    monkeypatch.setattr(Toy, "__call__", noted)
    loop = make(total=2)
    loop.scorer.model.eval()
    loop.run()
    assert modes
    assert all(modes)
