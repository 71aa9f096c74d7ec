"""The checks of a training on its first rollout: they leave it as it was, and nothing is found in a right one."""

import json

import pytest
import torch

from burnish.core.errors import RunError
from burnish.train.objectives.grpo import Grpo
from burnish.train.proofs.question import Question, fails
from burnish.train.rollout.rollouts import Judged

SEVERAL = {"mini_batches": 2, "passes": 2, "kl_coefficient": 0.1, "max_steps": 4}
SETTINGS = {
    "one step": {},
    "several steps": SEVERAL,
    "another temperature": {"generation": {"max_new_tokens": 8, "temperature": 0.7}, "kl_coefficient": 0.1},
    "sequences": {
        "normalisation": "sequence",
        "importance": "sequence",
        "clip_low": 3e-4,
        "clip_high": 4e-4,
        "passes": 2,
    },
    "constant": {"normalisation": "constant", "baseline": "leave_one_out", "advantage_scale": "none"},
    "k1": {"kl_coefficient": 0.1, "kl_estimator": "k1"},
    "k2": {"kl_coefficient": 0.1, "kl_estimator": "k2", "advantage_scale": "batch"},
    "kl in the reward": {"kl_coefficient": 0.1, "kl_in": "reward"},
    "no correction": {"max_engine_ratio": None, "clip_low": 1.0, "passes": 2},
    "truncated": {"mask_truncated": True},
    "full": {"method": {"kind": "full"}},
    "one by one": {"attention": "sdpa"},
}


def checks_of(ran, folder="out"):
    return {check["name"]: check for check in json.loads((ran.folder / folder / "proof.json").read_text())["checks"]}


def unexpected(found):
    return [
        f"{c['name']}: {c['found']} {c['measured']}"
        for c in found.values()
        if c["verdict"] == "does not hold" or "Error" in c["found"]
    ]


@pytest.mark.some(every=2)
@pytest.mark.parametrize("name", SETTINGS)
def test_nothing_is_found_in_a_right_training(run_grpo, name):
    found = checks_of(run_grpo("run", **{"prove": "only"} | SETTINGS[name]))
    assert unexpected(found) == []
    for check in ("sampled", "completions", "advantages", "preferred answer", "plain twin", "micro-batches"):
        assert found[check]["verdict"] == "holds", found[check]


@pytest.mark.parametrize(
    "settings",
    [{}, {"method": {"kind": "full"}, "passes": 1, "kl_coefficient": 0.0, "clip_value": None}],
    ids=["adapter", "full"],
)
def test_nothing_is_found_in_a_right_training_with_values(run_ppo, settings):
    found = checks_of(run_ppo("run", prove="only", **settings))
    assert unexpected(found) == []
    for check in ("sampled", "completions", "plain twin", "micro-batches", "reached"):
        assert found[check]["verdict"] == "holds", found[check]


@pytest.mark.parametrize("settings", [{}, SEVERAL], ids=["one step", "several steps"])
def test_a_training_with_checks_gives_the_weights_of_one_without(run_grpo, settings):
    settings = {"max_steps": 2} | settings
    with_checks = run_grpo("with", prove="auto", **settings)
    without = run_grpo("without", prove="off", **settings)
    assert with_checks.metrics("loss") == without.metrics("loss")
    for name, weight in without.weights.items():
        assert torch.equal(with_checks.weights[name], weight), name
    ledgers = [(ran.folder / "out" / "rollouts.parquet").read_bytes() for ran in (with_checks, without)]
    assert ledgers[0] == ledgers[1]
    assert checks_of(with_checks)["sampled"]["verdict"] == "holds"
    assert not (without.folder / "out" / "proof.json").exists()


def test_a_check_that_does_not_hold_stops_the_run_before_its_first_step(run_grpo, monkeypatch):
    wrong = Question("moon", "Is the moon full?", "wait a week", lambda subject: fails("it is half"))
    monkeypatch.setattr(Grpo, "questions", (wrong,), raising=False)
    with pytest.raises(RunError, match="moon: it is half") as caught:
        run_grpo("run", prove="auto", max_steps=2)
    assert caught.value.code == "run.not-proven"
    assert checks_of(run_grpo.func.last, "scratch")["moon"]["fix"] == "wait a week"
    assert run_grpo.func.last.metrics("loss") == []


def test_a_stop_while_the_first_completions_are_sampled_is_an_interruption(run_grpo):
    calls = []
    with pytest.raises(RunError, match="during its checks") as caught:
        run_grpo("run", stopping=lambda: len(calls) or calls.append(1), prove="auto", max_steps=2)
    assert caught.value.code == "run.interrupted"


def test_only_the_first_rollout_is_sampled_for_the_checks(run_grpo, monkeypatch):
    sampled, sample = [], Judged.sample

    def counted(self, prompts, copies, *others, **named):
        sampled.append(len(prompts) * copies)
        return sample(self, prompts, copies, *others, **named)

    monkeypatch.setattr(Judged, "sample", counted)
    run_grpo("run", prove="auto", max_steps=2)
    assert sampled == [12, 12]
    run_grpo("only", prove="only", max_steps=2)
    assert len(sampled) == 3
