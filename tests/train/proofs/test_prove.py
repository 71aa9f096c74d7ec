"""The checks inside a run: the training is left as it was, and one that does not hold stops it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from burnish.core.context import StopRequestedError
from burnish.core.errors import MachineError, RunError
from burnish.train.objectives.causal import Causal
from burnish.train.proofs import checks as module
from burnish.train.proofs import optimizing, running, subject
from burnish.train.proofs.question import Question, fails, holds
from burnish.train.proofs.subject import NOTHING
from burnish.train.resolve import Machine


def checks_of(folder):
    return {check["name"]: check for check in json.loads((folder / "proof.json").read_text())["checks"]}


@pytest.mark.some
@pytest.mark.parametrize("method", [{"kind": "lora", "dropout": 0.3}, {"kind": "full"}], ids=["lora", "full"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("optimizer", ["adamw", "adamw8bit", "muon"])
def test_a_training_with_checks_gives_the_weights_of_one_without(run_fit, method, dtype, optimizer):
    settings = {"method": method, "dtype": dtype, "max_steps": 4, "optimizer": {"kind": optimizer}}
    with_checks = run_fit("with", prove="auto", **settings)
    without = run_fit("without", prove="off", **settings)
    assert checks_of(with_checks.folder / "out")["checkpoint"]["verdict"] == "holds"
    assert with_checks.metrics("loss") == without.metrics("loss")
    for name, weight in without.weights.items():
        assert torch.equal(with_checks.weights[name], weight), name
    assert (with_checks.folder / "out" / "proof.json").exists()
    assert not (without.folder / "out" / "proof.json").exists()


def test_what_was_found_is_reported_and_kept(run_fit):
    ran = run_fit("run", prove="auto", max_steps=2)
    note = next(text for text in ran.notes("info") if text.startswith("prove: "))
    assert "0 do not" in note
    found = checks_of(ran.folder / "out")
    assert found["plain twin"]["verdict"] == "holds"
    assert found["plain twin"]["measured"] <= found["plain twin"]["allowed"]
    assert found["adapter off"]["verdict"] == "holds"
    assert found["shared prompt"]["verdict"] == "does not apply"


def test_a_check_that_does_not_hold_stops_the_run_with_its_fix(run_fit, monkeypatch):
    wrong = Question("moon", "Is the moon full?", "wait a week", lambda subject: fails("it is half"))
    monkeypatch.setattr(Causal, "questions", (wrong,), raising=False)
    with pytest.raises(RunError, match="moon: it is half") as caught:
        run_fit("run", prove="auto", max_steps=2)
    assert caught.value.code == "run.not-proven"
    assert caught.value.fix == "wait a week; prove: off trains without these checks"
    scratch = run_fit.last.folder / "scratch"
    assert str(scratch / "proof.json") in caught.value.what
    assert checks_of(scratch)["moon"]["fix"] == "wait a week"
    with pytest.raises(RunError, match="moon"):  # a second attempt does not take it for granted
        run_fit("run", prove="auto", max_steps=2)
    run_fit("run", prove="off", max_steps=2)


def test_an_error_in_a_check_is_reported_and_stops_no_training(run_fit, monkeypatch):
    def raises(error):
        def answer(subject):
            raise error

        return answer

    class UnheardError(Exception):
        """Of a library."""

    wrong = Question("broken", "?", "repair it", raises(ValueError("no such size")))
    other = Question("other", "?", "", raises(UnheardError("oh")))
    full = Question("full", "?", "", raises(MachineError("machine.no-memory", "memory ran out", "buy some")))
    large = Question("large", "?", "", raises(torch.OutOfMemoryError("CUDA out of memory")))
    monkeypatch.setattr(Causal, "questions", (wrong, other, full, large), raising=False)
    ran = run_fit("run", prove="auto", max_steps=2)
    assert len(ran.metrics("loss")) == 2
    found = checks_of(ran.folder / "out")
    assert {found[name]["verdict"] for name in ("full", "large")} == {"does not apply"}
    assert {found[name]["verdict"] for name in ("broken", "other")} == {"error"}
    proof = json.loads((ran.folder / "out" / "proof.json").read_text())
    assert [check["name"] for check in proof["checks"] if check["verdict"] == "error"] == ["broken", "other"]
    assert (proof["errors"], proof["failed"]) == (2, 0)
    assert found["broken"]["fix"]
    assert found["broken"]["found"] == "not checked: ValueError: no such size"
    (warning,) = [text for text in ran.notes("warning") if text.startswith("prove: ")]
    assert "broken (not checked: ValueError: no such size); other (" in warning


def test_an_error_while_the_sample_is_chosen_stops_no_training(run_fit, monkeypatch):
    def broken(*_):
        raise ValueError("attempt to get argmin of an empty sequence")

    monkeypatch.setattr(subject, "rows_of_sample", broken)
    ran = run_fit("run", prove="auto", max_steps=2)
    assert len(ran.metrics("loss")) == 2
    assert "not checked: ValueError" in checks_of(ran.folder / "out")["plain twin"]["found"]


def test_a_run_that_visits_no_row_is_not_checked(run_fit, monkeypatch):
    monkeypatch.setattr(running, "prove", lambda given: module.prove(replace(given, visited=given.visited[:0])))
    found = checks_of(run_fit("run", prove="only", max_steps=2).folder / "out").values()
    assert {check["verdict"] for check in found} == {"does not apply"}
    assert {check["found"] for check in found} == {"not checked: the run visits no row"}


def test_a_run_that_is_stopped_during_its_checks_makes_them_later(run_fit, monkeypatch):
    def stopped(subject):
        raise StopRequestedError

    monkeypatch.setattr(Causal, "questions", (Question("late", "?", "", stopped),), raising=False)
    with pytest.raises(RunError, match="during its checks") as caught:
        run_fit("run", prove="auto", max_steps=2)
    assert caught.value.code == "run.interrupted"
    assert not (run_fit.last.folder / "scratch" / "proof.json").exists()


def test_a_model_that_does_not_fit_twice_is_not_loaded_twice(run_fit, monkeypatch):
    known = replace(NOTHING, make=lambda: pytest.fail("loaded"), save=lambda *_: pytest.fail("saved"))
    monkeypatch.setattr(running, "prove", lambda given: module.prove(replace(given, known=known)))
    monkeypatch.setattr(Machine, "memory_of", lambda self, device: 1000)
    found = checks_of(run_fit("run", prove="only", max_steps=2).folder / "out")
    for name in ("seed", "saved"):
        assert found[name]["verdict"] == "does not apply"
        assert "of free memory" in found[name]["found"]


@pytest.mark.parametrize("fault", ["lost", "other"])
def test_a_checkpoint_without_the_state_of_the_optimizer_is_found(run_fit, monkeypatch, fault):
    read = optimizing.load

    def loaded(folder):
        found = read(folder)
        name = next(name for name in found.optimizer if name.endswith("exp_avg"))
        state = {key: value for key, value in found.optimizer.items() if key != name}
        return replace(found, optimizer=state if fault == "lost" else state | {name: found.optimizer[name] + 1})

    monkeypatch.setattr(optimizing, "load", loaded)
    found = checks_of(run_fit("run", prove="only", max_steps=2).folder / "out")["checkpoint"]
    assert found["verdict"] == "does not hold"
    assert "exp_avg" in found["found"]


def test_a_resumed_run_does_not_repeat_the_checks(run_fit, monkeypatch):
    asked = []
    monkeypatch.setattr(
        Causal, "questions", (Question("counted", "?", "", lambda s: asked.append(s) or holds("yes")),), raising=False
    )
    with pytest.raises(RunError, match="stopped after step 2"):
        run_fit("run", prove="auto", max_steps=4, stop_before=2)
    ran = run_fit("run", prove="auto", max_steps=4)
    assert len(asked) == 1
    assert checks_of(ran.folder / "out")["counted"]["verdict"] == "holds"


def test_nothing_is_trained_with_prove_only(run_fit):
    ran = run_fit("run", prove="only", max_steps=4)
    assert set(ran.measures) == {"held", "failed", "not_applicable", "errors"}
    assert ran.metrics("loss") == []
    assert checks_of(ran.folder / "out")


def test_a_training_that_would_be_resumed_is_proved_as_it_starts(run_fit):
    run_fit("first", max_steps=2)
    named = run_fit.last.folder / "scratch" / "checkpoints" / "step-00000002"
    ran = run_fit("proof", prove="only", max_steps=4, resume=str(named))
    assert f"prove: the training is checked as it starts, not from {named}" in ran.notes("info")
    assert ran.measures["held"] > 0
    assert checks_of(ran.folder / "out")["fresh adapter"]["verdict"] == "holds"


def test_no_check_begins_after_the_budget(run_fit, monkeypatch):
    monkeypatch.setattr(running, "prove", lambda subject: module.prove(subject, budget=-1.0))
    found = checks_of(run_fit("run", prove="only", max_steps=4).folder / "out").values()
    assert {check["verdict"] for check in found} == {"does not apply"}
    assert all("budget" in check["found"] for check in found)


def test_weights_that_are_zero_are_changed_for_a_moment_only(run_fit, monkeypatch):
    seen = []

    def look(subject):
        seen.append(min(float(weight.detach().abs().max()) for weight in subject.trained.values()))
        return holds("")

    later = Question("perturbed", "?", "", look)
    start = Question("asleep", "?", "", look, at_start=True)
    monkeypatch.setattr(Causal, "questions", (later, start), raising=False)
    ran = run_fit("run", prove="only", max_steps=4)
    assert seen[0] > 0
    assert seen[1] == 0
    assert all(not weight.any() for name, weight in ran.weights.items() if "lora_B" in name)


def test_the_losses_of_the_sample_are_compared_with_those_of_their_rows(run_fit, random_rows):
    rows = random_rows(12)
    found = checks_of(run_fit("run", prove="only", max_steps=4, rows=rows).folder / "out")
    assert found["row losses"]["measured"] < 1e-5
    assert np.isfinite(found["packed"]["measured"])
