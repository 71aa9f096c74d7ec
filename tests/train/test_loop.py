"""The loop: exact resume, the same gradient however a step is split, and every way in which a run stops."""

import re
from collections import Counter

import pytest
import torch

from burnish.core.errors import MachineError, RunError
from burnish.train.checkpoints.checkpoint import read_weights
from burnish.train.objectives.causal import Causal
from burnish.train.optim.optimizers import Optimizer
from burnish.train.passes import Passes

LORA = {"kind": "lora", "rank": 4, "dropout": 0.1}


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("method", [LORA, {"kind": "full"}], ids=["lora", "full"])
def test_a_run_that_was_stopped_twice_ends_bit_for_bit_like_one_that_was_not(run_fit, random_rows, method, optimizer):
    # 10 steps of 6 of 30 rows cross an epoch's end; 64 tokens a micro-batch make several parts of a step
    settings = {
        "method": method,
        "optimizer": {"kind": optimizer},
        "held_out": random_rows(5, seed=9),
        "eval_every": 4,
        "keep_best": False,
    }
    whole = run_fit("whole", **settings)
    for stop in (3, 4):
        with pytest.raises(RunError, match="it is saved"):
            run_fit("stopped", stop_before=stop, **settings)
    resumed = run_fit("stopped", **settings)
    assert resumed.measures["resumed_from"] == 7
    assert same(whole.weights, resumed.weights)
    assert resumed.measures["first_loss"] == whole.measures["first_loss"] == whole.metrics("loss")[0]
    assert resumed.measures["last_loss"] == whole.measures["last_loss"] == whole.metrics("loss")[-1]
    assert (whole.folder / "out/rows.parquet").read_bytes() == (resumed.folder / "out/rows.parquet").read_bytes()


def test_a_run_in_bfloat16_is_resumed_from_its_float32_masters(run_fit):
    settings = {"method": LORA, "dtype": torch.bfloat16}
    whole = run_fit("whole", **settings)
    with pytest.raises(RunError):
        run_fit("stopped", stop_before=5, **settings)
    assert same(whole.weights, run_fit("stopped", **settings).weights)
    assert all(weight.dtype == torch.float32 for weight in whole.weights.values())


def test_a_run_with_another_seed_ends_elsewhere(run_fit):
    assert not same(run_fit("one", method=LORA).weights, run_fit("other", method=LORA, seed=1).weights)


def test_how_a_step_is_split_does_not_change_its_gradient(run_fit):
    split = run_fit("split", max_steps=1, micro_batch_tokens=30, method={"kind": "full"})
    whole = run_fit("whole", max_steps=1, micro_batch_tokens=10_000, method={"kind": "full"})
    assert split.metrics("grad_norm")[0] == pytest.approx(whole.metrics("grad_norm")[0], rel=1e-5)
    assert split.metrics("loss")[0] == pytest.approx(whole.metrics("loss")[0], rel=1e-6)


def test_computing_activations_again_does_not_change_the_weights(run_fit):
    kept = run_fit("kept", method=LORA)
    again = run_fit("again", method=LORA, gradient_checkpointing=True)
    for name, weight in kept.weights.items():
        torch.testing.assert_close(again.weights[name], weight, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", [LORA, {"kind": "full"}], ids=["lora", "full"])
def test_every_layer_is_computed_again_in_the_backward_pass_exactly_when_asked(run_fit, method):
    def calls(name, **settings):
        counted = Counter()

        def listen(model):
            for path, module in model.named_modules():
                if path.endswith(".mlp"):
                    module.register_forward_pre_hook(lambda it, _, path=path: counted.update([path] * it.training))

        run_fit(name, method=method, max_steps=1, batch_size=6, micro_batch_tokens=10_000, prepare=listen, **settings)
        return list(counted.values())

    assert calls("kept") == [1, 1]
    assert calls("again", gradient_checkpointing=True) == [2, 2]


def test_a_step_that_runs_out_of_memory_is_repeated_in_halves_with_the_same_gradient(run_fit, monkeypatch):
    plain = run_fit("plain", micro_batch_tokens=10_000, method={"kind": "full"})
    accumulate, failures = Passes._accumulate, []

    def fails_on_large_parts(self, *asked):
        if self.state.step == 3 and self.state.micro_batch_tokens > 60:
            failures.append(self.state.micro_batch_tokens)
            next(iter(self.optimizer.masters.values())).grad = torch.ones(264, 32)  # half a backward pass
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return accumulate(self, *asked)

    monkeypatch.setattr(Passes, "_accumulate", fails_on_large_parts)
    halved = run_fit("halved", micro_batch_tokens=10_000, method={"kind": "full"})
    assert failures
    assert halved.metrics("loss") == pytest.approx(plain.metrics("loss"), rel=1e-5)
    assert "memory ran out in step 4" in halved.notes("warning")[0]


def test_a_repeated_step_draws_the_random_numbers_of_its_first_try(run_fit, monkeypatch):
    accumulate = Passes._accumulate

    def weights_when_it_fails_after_drawing(numbers):
        def fails(self, *asked):
            if self.state.micro_batch_tokens > 60:
                torch.rand(numbers)
                raise torch.OutOfMemoryError("CUDA out of memory")
            return accumulate(self, *asked)

        monkeypatch.setattr(Passes, "_accumulate", fails)
        return run_fit(f"drew{numbers}", micro_batch_tokens=10_000, method=LORA).weights

    assert same(weights_when_it_fails_after_drawing(1), weights_when_it_fails_after_drawing(5))


def test_memory_that_runs_out_while_weights_change_ends_the_run_and_names_the_last_checkpoint(run_fit, monkeypatch):
    step = Optimizer.step

    def half_made(self, rate):
        step(self, rate)
        if self.steps_made == 3:
            raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
        self.steps_made += 1

    monkeypatch.setattr(Optimizer, "steps_made", 0, raising=False)
    monkeypatch.setattr(Optimizer, "step", half_made)
    with pytest.raises(MachineError, match=r"step 4 updated the weights.*step-00000003") as caught:
        run_fit("half")
    assert caught.value.code == "machine.no-memory"
    assert sorted(path.name for path in (run_fit.last.folder / "scratch/checkpoints").iterdir())[-1] == "step-00000003"
    monkeypatch.setattr(Optimizer, "step", step)
    assert same(run_fit("half").weights, run_fit("whole").weights)


def test_memory_that_runs_out_while_gradients_are_clipped_repeats_the_step(run_fit, monkeypatch):
    plain = run_fit("plain", micro_batch_tokens=10_000, method={"kind": "full"})
    clip, failures = Optimizer.clip, []

    def fails_once(self, max_norm):
        if not failures:
            failures.append(1)
            next(iter(self.masters.values())).grad.mul_(0.1)  # half of the clipping
            raise torch.OutOfMemoryError("CUDA out of memory")
        return clip(self, max_norm)

    monkeypatch.setattr(Optimizer, "clip", fails_once)
    repeated = run_fit("repeated", micro_batch_tokens=10_000, method={"kind": "full"})
    assert repeated.metrics("grad_norm") == pytest.approx(plain.metrics("grad_norm"), rel=1e-4)


def test_when_one_row_alone_does_not_fit_the_error_names_what_to_change(run_fit, monkeypatch):
    def never_fits(self, *asked):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Passes, "_accumulate", never_fits)
    with pytest.raises(MachineError) as caught:
        run_fit("full", micro_batch_tokens=64)
    assert caught.value.code == "machine.no-memory"
    assert "gradient_checkpointing" in caught.value.fix


def test_an_evaluation_that_runs_out_of_memory_is_repeated_in_halves(run_fit, random_rows, monkeypatch):
    held_out = random_rows(40, seed=3)
    settings = {"held_out": held_out, "micro_batch_tokens": 10_000, "max_steps": 2, "keep_best": False}
    plain = run_fit("plain", **settings)
    scored = Causal.score

    def fails_on_large_batches(self, scorer, batch, *others):
        if not scorer.model.training and batch.tokens > 200:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return scored(self, scorer, batch, *others)

    monkeypatch.setattr(Causal, "score", fails_on_large_batches)
    halved = run_fit("halved", **settings)
    assert halved.metrics("eval_loss") == pytest.approx(plain.metrics("eval_loss"), rel=1e-5)
    assert halved.notes("warning")


def test_another_runtime_error_is_not_taken_for_lack_of_memory(run_fit, monkeypatch):
    def breaks(self, *asked):
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(Passes, "_accumulate", breaks)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        run_fit("broken")


@pytest.mark.parametrize("place", ["loss", "gradient"])
def test_a_number_that_is_not_finite_stops_the_run_in_that_step_and_names_the_last_checkpoint(
    run_fit, monkeypatch, place
):
    accumulate = Passes._accumulate

    def poisoned(self, *asked):
        losses, parts = accumulate(self, *asked)
        if self.state.step == 4 and place == "loss":
            losses[0] = float("nan")
        elif self.state.step == 4:
            next(iter(self.optimizer.masters.values())).grad[0, 0] = float("inf")
        return losses, parts

    monkeypatch.setattr(Passes, "_accumulate", poisoned)
    with pytest.raises(RunError) as caught:
        run_fit("poisoned")
    assert caught.value.code == "run.not-finite"
    assert re.search(rf"the {place} of step 5 is not finite .*step-00000004", caught.value.what)
    assert len(run_fit.last.metrics("loss")) == 4


@pytest.mark.parametrize("then", ["continues", "breaks"])
def test_between_logged_steps_too_the_step_is_named_and_nothing_after_it_is_saved(run_fit, monkeypatch, then):
    accumulate = Passes._accumulate

    def poisoned(self, *asked):
        if self.state.step == 7 and then == "breaks":
            raise RuntimeError("CUDA error: device-side assert triggered")
        losses, parts = accumulate(self, *asked)
        if self.state.step == 5:
            next(iter(self.optimizer.masters.values())).grad[0, 0] = float("inf")
        return losses, parts

    monkeypatch.setattr(Passes, "_accumulate", poisoned)
    with pytest.raises(RunError, match=r"the gradient of step 6 is not finite .*step-00000004") as caught:
        run_fit("poisoned", log_every=10, max_steps=20, checkpoint={"every": 4})
    assert caught.value.code == "run.not-finite"
    assert [path.name for path in (run_fit.last.folder / "scratch/checkpoints").iterdir()] == ["step-00000004"]


def test_how_often_metrics_are_logged_changes_neither_weights_nor_ledger(run_fit):
    often, seldom = run_fit("often", method=LORA), run_fit("seldom", method=LORA, log_every=7)
    assert same(often.weights, seldom.weights)
    assert (often.folder / "out/rows.parquet").read_bytes() == (seldom.folder / "out/rows.parquet").read_bytes()
    for measure in ("first_loss", "last_loss", "learned_tokens"):
        assert often.measures[measure] == seldom.measures[measure]


def test_weights_that_blow_up_are_found_without_injection(run_fit):
    with pytest.raises(RunError, match="is not finite"):
        run_fit("wild", learning_rate=1e30, method={"kind": "full"})


def test_the_best_weights_are_given_not_the_last(run_fit, random_rows):
    held_out = random_rows(6, seed=5)  # random tokens: what is learned by heart makes these worse
    settings = {"method": {"kind": "full"}, "held_out": held_out, "eval_every": 2, "max_steps": 12}
    best = run_fit("best", **settings)
    losses = best.metrics("eval_loss")
    assert losses[-1] > min(losses)
    assert best.measures["best_eval_loss"] == min(losses)
    assert best.measures["best_step"] == 2 * (losses.index(min(losses)) + 1)
    kept = best.folder / f"scratch/checkpoints/step-{best.measures['best_step']:08d}"
    assert same(best.weights, read_weights(kept))
    last = run_fit("last", **{**settings, "keep_best": False})
    assert not same(best.weights, last.weights)


def test_the_best_checkpoint_outlives_rotation_and_a_resume(run_fit, random_rows):
    settings = {"method": {"kind": "full"}, "held_out": random_rows(6, seed=5), "eval_every": 2, "max_steps": 12}
    whole = run_fit("whole", **settings)
    with pytest.raises(RunError):
        run_fit("stopped", stop_before=11, **settings)
    assert same(whole.weights, run_fit("stopped", **settings).weights)


def test_training_stops_early_when_the_validation_loss_no_longer_falls(run_fit, random_rows):
    ran = run_fit(
        "early",
        method={"kind": "full"},
        held_out=random_rows(6, seed=5),
        eval_every=1,
        max_steps=60,
        early_stop={"patience": 2},
    )
    assert ran.measures["stopped_early"]
    assert ran.measures["steps"] == ran.measures["best_step"] + 2
    again = run_fit(
        "early",
        method={"kind": "full"},
        held_out=random_rows(6, seed=5),
        eval_every=1,
        max_steps=60,
        early_stop={"patience": 2},
    )
    assert again.measures["steps"] == ran.measures["steps"]  # a finished run has nothing more to do


def test_early_stop_without_eval_every_gets_evaluations_that_are_reported(run_fit, random_rows):
    ran = run_fit("early", method={"kind": "full"}, held_out=random_rows(6, seed=5), max_steps=60, early_stop={})
    [chosen] = [event for event in ran.events if event.kind == "chosen" and event.field == "eval_every"]
    assert chosen.value == 6
    assert ran.measures["stopped_early"]
    short = run_fit("short", held_out=random_rows(6, seed=5), max_steps=8, early_stop={"patience": 6})
    assert len(short.metrics("eval_loss")) == 8
    assert not short.notes("warning")


def test_a_patience_that_cannot_run_out_is_reported(run_fit, random_rows):
    settings = {"held_out": random_rows(6, seed=5), "max_steps": 8, "eval_every": 2}
    assert "early_stop has no effect" in run_fit("long", early_stop={"patience": 3}, **settings).notes("warning")[0]
    assert run_fit("short", early_stop={"patience": 2}, **settings).notes("warning") == []


def test_a_warm_up_that_is_longer_than_the_run_is_reported(run_fit):
    [note] = run_fit("run", max_steps=5, schedule={"warmup": 50}).notes("warning")
    assert "the warm-up of 50 steps is longer than the run of 5" in note
    assert "to 10% of learning_rate" in note
    assert run_fit("other", max_steps=5, schedule={"warmup": 5}).notes("warning") == []


def test_a_checkpoint_of_other_settings_is_refused(run_fit):
    with pytest.raises(RunError):
        run_fit("stopped", stop_before=3)
    with pytest.raises(RunError) as caught:
        run_fit("stopped", learning_rate=5e-3)
    assert caught.value.code == "run.other-settings"


def test_how_often_a_run_is_saved_may_change_between_its_attempts(run_fit):
    with pytest.raises(RunError):
        run_fit("stopped", stop_before=3)
    resumed = run_fit("stopped", checkpoint={"every": 4, "keep": 1})
    assert resumed.measures["resumed_from"] == 3
    assert same(resumed.weights, run_fit("whole").weights)


def test_a_checkpoint_of_other_rows_is_refused(run_fit, random_rows):
    with pytest.raises(RunError):
        run_fit("stopped", stop_before=3)
    with pytest.raises(RunError) as caught:
        run_fit("stopped", rows=random_rows(30, seed=1))
    assert caught.value.code == "run.other-settings"


def test_resume_never_starts_afresh_and_leaves_no_old_checkpoint(run_fit):
    with pytest.raises(RunError):
        run_fit("stopped", stop_before=8)
    ran = run_fit("stopped", resume="never", max_steps=10)
    assert "resumed_from" not in ran.measures
    assert same(ran.weights, run_fit("whole").weights)


def test_a_named_checkpoint_is_gone_on_from(run_fit):
    whole = run_fit("whole", checkpoint={"every": 1, "keep": 20})
    named = whole.folder / "scratch/checkpoints/step-00000006"
    again = run_fit("again", resume=str(named), checkpoint={"every": 1, "keep": 20})
    assert again.measures["resumed_from"] == 6
    assert same(whole.weights, again.weights)
    assert (whole.folder / "out/rows.parquet").read_bytes() == (again.folder / "out/rows.parquet").read_bytes()


def test_a_damaged_checkpoint_is_named_aloud_and_the_one_before_it_used(run_fit):
    whole = run_fit("whole")
    with pytest.raises(RunError):
        run_fit("stopped", stop_before=6)
    weights = run_fit.last.folder / "scratch/checkpoints/step-00000006/weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    resumed = run_fit("stopped")
    assert resumed.measures["resumed_from"] == 5
    assert "step-00000006 is damaged and skipped" in resumed.notes("warning")[0]
    assert same(whole.weights, resumed.weights)


def test_metrics_come_at_the_asked_interval_and_always_at_the_end(run_fit):
    ran = run_fit("run", log_every=4)
    steps = [event.step for event in ran.events if event.kind == "metric"]
    assert steps == [4, 8, 10]
    assert ran.metrics("epoch")[-1] == 2.0
    assert ran.metrics("eta_seconds")[-1] == 0.0
