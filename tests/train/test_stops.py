"""A run that is asked to stop does so soon, whatever it is at, and goes on as if it had not; on two threads too."""

import json
import shutil

import pytest
import torch

from burnish.core.errors import RunError
from burnish.specs.train import SftSpec
from burnish.stages.train import sft
from burnish.testing import temporary_context
from burnish.train import passes
from burnish.train.batches import TokenisedRows
from burnish.train.checkpoints.checkpoint import CheckpointFolder, read, read_weights
from burnish.train.objectives.causal import Causal

LORA = {"kind": "lora", "rank": 4, "dropout": 0.1}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.fixture
def stop_after(monkeypatch):
    """`stop_after(count, training)`: give a wish to stop that comes once so many micro-batches of a kind are scored."""

    def make(count: int, training: bool):
        scored, seen = Causal.score, []

        def counted(self, scorer, *others):
            seen.append(scorer.model.training is training)
            return scored(self, scorer, *others)

        monkeypatch.setattr(Causal, "score", counted)
        return lambda: sum(seen) >= count

    return make


def test_a_stop_in_the_midst_of_a_step_drops_its_micro_batches_and_makes_them_again(run_fit, stop_after, monkeypatch):
    settings = {"method": LORA, "batch_size": 15, "micro_batch_tokens": 40, "max_steps": 4}
    whole = run_fit("whole", **settings)
    stopping = stop_after(2, training=True)
    with pytest.raises(RunError) as caught:
        run_fit("stopped", stopping=stopping, **settings)
    assert caught.value.code == "run.interrupted"
    assert "after step 0 of 4" in caught.value.what
    monkeypatch.undo()
    resumed = run_fit("stopped", **settings)
    assert same(whole.weights, resumed.weights)
    assert (whole.folder / "out/rows.parquet").read_bytes() == (resumed.folder / "out/rows.parquet").read_bytes()


def test_a_stop_in_the_midst_of_an_evaluation_is_obeyed_and_the_evaluation_made_again(
    run_fit, random_rows, stop_after, monkeypatch
):
    settings = {"method": LORA, "held_out": random_rows(20, seed=4), "eval_every": 2, "max_steps": 4}
    whole = run_fit("whole", **settings)
    stopping = stop_after(2, training=False)
    with pytest.raises(RunError, match="after step 2 of 4"):
        run_fit("stopped", stopping=stopping, **settings)
    assert run_fit.last.metrics("eval_loss") == []
    monkeypatch.undo()
    resumed = run_fit("stopped", **settings)
    assert same(whole.weights, resumed.weights)
    for measure in ("best_eval_loss", "best_step", "last_eval_loss"):
        assert resumed.measures[measure] == whole.measures[measure]


def test_a_stop_while_rows_become_tokens_is_obeyed_before_the_model_is_loaded(base, tmp_path):
    rows = [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}] * 5000
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = iter(range(10**6))
    ctx, events = temporary_context(
        tmp_path / "run", {"data": tmp_path / "rows.jsonl", "base": base}, stopping=lambda: next(asked) > 0
    )
    with pytest.raises(RunError) as caught:
        sft.run(SftSpec(data="file:d", base="file:b"), ctx)
    assert caught.value.code == "run.interrupted"
    assert not any(event.kind == "progress" and event.done == 5000 for event in events)


def test_two_threads_end_bit_for_bit_where_an_interrupted_run_on_two_threads_does(run_fit, random_rows):
    rows = random_rows(60)
    long = TokenisedRows.of((f"long{i}", rows.ids[i * 97 :][:300], rows.weights[i * 97 :][:300]) for i in range(8))
    settings = {
        "method": {"kind": "full"},
        "rows": long,
        "batch_size": 4,
        "max_steps": 4,
        "micro_batch_tokens": 4096,
        "optimizer": {"kind": "muon"},
    }
    torch.set_num_threads(2)
    try:
        whole = run_fit("whole", **settings)
        with pytest.raises(RunError):
            run_fit("stopped", stop_before=2, **settings)
        assert same(whole.weights, run_fit("stopped", **settings).weights)
    finally:
        torch.set_num_threads(1)


def test_the_best_weights_are_the_lowest_even_when_the_fall_is_below_min_delta(run_fit, random_rows):
    settings = {"held_out": random_rows(6, seed=5), "eval_every": 1, "max_steps": 4, "learning_rate": 1e-5}
    ran = run_fit("run", early_stop={"patience": 9, "min_delta": 5.0}, **settings)
    losses = ran.metrics("eval_loss")
    assert losses[-1] < losses[0]
    assert ran.measures["best_eval_loss"] == min(losses)


def test_patience_runs_out_over_falls_below_min_delta(run_fit, random_rows):
    settings = {"held_out": random_rows(6, seed=5), "eval_every": 1, "max_steps": 9, "learning_rate": 1e-5}
    ran = run_fit("run", early_stop={"patience": 3, "min_delta": 5.0}, **settings)
    assert ran.measures["steps"] == 4
    assert ran.measures["stopped_early"]


def test_a_run_that_reached_its_end_was_not_stopped_early(run_fit, random_rows):
    settings = {"held_out": random_rows(6, seed=5), "eval_every": 1, "max_steps": 3, "learning_rate": 1e-5}
    assert "stopped_early" not in run_fit("run", early_stop={"patience": 2, "min_delta": 5.0}, **settings).measures


def test_the_best_checkpoint_comes_along_from_the_run_of_a_named_one(run_fit, random_rows):
    settings = {"method": {"kind": "full"}, "held_out": random_rows(6, seed=5), "eval_every": 2, "max_steps": 12}
    first = run_fit("first", **settings)
    best = first.measures["best_step"]
    assert best < 10
    shutil.rmtree(first.folder / "scratch/checkpoints/step-00000012")
    again = run_fit("again", resume=str(first.folder / "scratch/checkpoints/step-00000011"), **settings)
    assert same(first.weights, again.weights)
    assert again.notes("warning") == []


def test_no_best_checkpoint_is_kept_for_a_run_that_gives_the_last_weights(run_fit, random_rows):
    settings = {"method": {"kind": "full"}, "held_out": random_rows(6, seed=5), "eval_every": 2, "max_steps": 12}
    ran = run_fit("run", keep_best=False, **settings)
    assert ran.measures["best_step"] < 10
    assert CheckpointFolder(ran.folder / "scratch/checkpoints").steps() == [11, 12]


def test_weights_that_are_not_finite_are_never_saved(run_fit, monkeypatch):
    step = passes.Optimizer.step

    def overflows(self, rate):
        step(self, rate)
        if "passed" in seen:
            next(iter(self.masters.values())).data[0, 0] = float("inf")
        seen.add("passed")

    seen = set()
    monkeypatch.setattr(passes.Optimizer, "step", overflows)
    with pytest.raises(RunError) as caught:
        run_fit("run", method={"kind": "full"})
    assert caught.value.code == "run.not-finite"
    assert "step-00000001" in caught.value.what
    folder = CheckpointFolder(run_fit.last.folder / "scratch/checkpoints")
    assert folder.steps() == [1]
    assert all(weight.isfinite().all() for weight in read_weights(folder.path / "step-00000001").values())


def test_a_validation_loss_that_is_not_finite_is_told_as_such(run_fit, random_rows, monkeypatch):
    monkeypatch.setattr(passes.Passes, "evaluate", lambda *_: [float("nan")])
    with pytest.raises(RunError, match="the validation loss after step 2 is not finite"):
        run_fit("run", held_out=random_rows(6, seed=5), eval_every=2)


def test_other_validation_rows_make_another_run(run_fit, random_rows):
    with pytest.raises(RunError):
        run_fit("stopped", stop_before=3, held_out=random_rows(6, seed=5))
    with pytest.raises(RunError) as caught:
        run_fit("stopped", held_out=random_rows(6, seed=6))
    assert caught.value.code == "run.other-settings"


def test_a_refused_checkpoint_of_another_run_leaves_ones_own_as_they_were(run_fit):
    other = run_fit("other", seed=5)
    with pytest.raises(RunError):
        run_fit("stopped", stop_before=6)
    with pytest.raises(RunError) as caught:
        run_fit("stopped", resume=str(other.folder / "scratch/checkpoints/step-00000009"))
    assert caught.value.code == "run.other-settings"
    assert read(run_fit.last.folder / "scratch/checkpoints/step-00000006")
    resumed = run_fit("stopped")
    assert resumed.measures["resumed_from"] == 6
    assert (resumed.folder / "out/rows.parquet").read_bytes() == (
        run_fit("whole").folder / "out/rows.parquet"
    ).read_bytes()


def test_a_run_killed_between_its_last_step_and_its_publication_gives_the_same_once_more(run_fit, random_rows):
    settings = {"method": {"kind": "full"}, "held_out": random_rows(6, seed=5), "eval_every": 2, "max_steps": 12}
    first = run_fit("run", **settings)
    ledger = (first.folder / "out/rows.parquet").read_bytes()
    shutil.rmtree(first.folder / "out")
    again = run_fit("run", **settings)
    assert again.metrics("loss") == []
    assert same(first.weights, again.weights)
    assert (again.folder / "out/rows.parquet").read_bytes() == ledger
