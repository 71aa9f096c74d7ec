"""Trainings on rollouts: what is learned, kept and reported, and what a stop or a kill changes: nothing."""

import json
import multiprocessing
import os
import signal

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from burnish.core.errors import RunError
from burnish.models.engines.transformers import TransformersEngine
from burnish.stages.train.replay import start_without
from burnish.train.rewards.reward import Rewarded
from burnish.train.rollout import store
from burnish.train.rollout.judged import Judged
from burnish.train.rollout.store import RolloutFolder

SEVERAL = {"mini_batches": 2, "passes": 2, "kl_coefficient": 0.1, "max_steps": 10}


def same_weights(one, other):
    return all(torch.equal(weight, other.weights[name]) for name, weight in one.weights.items())


@pytest.fixture(scope="module")
def finished():
    """Runs that were not interrupted, by their settings."""
    return {}


@pytest.fixture
def whole_run(run_rollouts, finished):
    """`whole_run(stage, settings)`: a run that was not interrupted, and its completions; once for each."""

    def run(stage, **settings):
        key = json.dumps([stage, settings], sort_keys=True)
        if key not in finished:
            ran = run_rollouts(stage, "whole", **settings)
            finished[key] = ran, completions(ran)  # its folder goes with the test
        return finished[key]

    return run


def completions(ran):
    table = pq.read_table(ran.folder / "out" / "rollouts.parquet")
    return table.to_pylist()


LEARNING = {"max_steps": 15, "group_size": 8, "learning_rate": 3e-2, "eval_temperature": 1.0}
LEARNING |= {"generation": {"max_new_tokens": 8, "batch_size": 24}, "micro_batch_tokens": 1000}


@pytest.mark.parametrize(("stage", "settings"), [("grpo", {}), ("ppo", {"passes": 1, "kl_coefficient": 0.0})])
def test_the_reward_rises(run_rollouts, prompts_of, stage, settings):
    """From 0.2 by at least 0.2: the share of vowels among eight letters, of a random model."""
    ran = run_rollouts(stage, "run", held_out=prompts_of(4, 100), **LEARNING | settings)
    rewards = ran.metrics("reward")
    assert np.mean(rewards[-5:]) > np.mean(rewards[:3]) + 0.2
    assert ran.measures["last_eval_reward"] > ran.measures["first_eval_reward"] + 0.2


@pytest.mark.parametrize(("stage", "settings"), [("grpo", {"kl_in": "reward"}), ("ppo", {})])
def test_the_ledgers_agree_with_the_metrics(run_rollouts, stage, settings):
    ran = run_rollouts(stage, "run", **SEVERAL | settings)
    lines = completions(ran)
    rewards = {step: [] for step in (1, 5, 9)}
    for line in lines:
        rewards[line["step"]].append(line["reward"])
    assert {len(found) for found in rewards.values()} == {12}
    logged = ran.metrics("reward")
    for step, found in rewards.items():
        assert np.mean(found) == pytest.approx(logged[step - 1], abs=1e-9)
    assert all(line["rewards"] == {"vowels": line["reward"]} for line in lines)
    assert all(line["why"]["vowels"] == f"of {len(line['text'])}" for line in lines)
    visits = pq.read_table(ran.folder / "out" / "rows.parquet").to_pandas()
    for step, rows in visits.groupby("step"):
        loss = np.average(rows["loss"], weights=rows["weight"])
        assert loss == pytest.approx(ran.metrics("loss")[step - 1], abs=1e-5)
        assert set(rows["id"]) <= {line["id"] for line in lines}
    for name, rows in visits[visits["step"] == 1].groupby("id"):
        expected = [line["reward"] for line in lines if line["step"] == 1 and line["id"] == name]
        assert np.mean(rows["reward"]) == pytest.approx(np.mean(expected), abs=1e-6)


@pytest.mark.parametrize(
    ("stage", "settings"),
    [("grpo", {}), ("grpo", SEVERAL), ("ppo", SEVERAL)],
    ids=["one step", "several steps", "with values"],
)
def test_a_stopped_run_ends_with_the_same_weights_and_completions(run_rollouts, whole_run, stage, settings):
    whole, expected = whole_run(stage, **settings)
    for checks in (2, 7, 12, 23):  # in the middle of a generation, of a pass, of a step
        with pytest.raises(RunError) as caught:
            run_rollouts(stage, "stopped", stopping=stop_after(checks), **settings)
        assert caught.value.code == "run.interrupted"
    found = run_rollouts(stage, "stopped", **settings)
    assert same_weights(whole, found)
    assert completions(found) == expected


def killed_at(monkeypatch_target, name, when):
    """Kill this process when a method is called for the n-th time."""
    calls, method = 0, getattr(monkeypatch_target, name)

    def counted(*arguments, **named):
        nonlocal calls
        calls += 1
        if calls == when:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*arguments, **named)

    setattr(monkeypatch_target, name, counted)


KILLS = {
    "in a generation": (TransformersEngine, "_decode", 4),
    "after the first generation": (Judged, "sample", 2),
    "before a rollout is published": (store, "publish_folder", 2),
    "between the steps of a rollout": (RolloutFolder, "forget_rows", 6),
    "when old rows are removed": (RolloutFolder, "forget_rows", 8),
}


@pytest.mark.parametrize(
    ("stage", "name"),
    [*(("grpo", name) for name in KILLS), ("ppo", "in a generation"), ("ppo", "between the steps of a rollout")],
)
def test_a_killed_run_ends_with_the_same_weights_and_completions(run_rollouts, whole_run, stage, name):
    whole, expected = whole_run(stage, **SEVERAL)

    def attempt():
        killed_at(*KILLS[name])
        run_rollouts(stage, "killed", **SEVERAL)

    process = multiprocessing.get_context("fork").Process(target=attempt)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    found = run_rollouts(stage, "killed", **SEVERAL)
    assert any("value_head" in weight for weight in found.weights) is (stage == "ppo")
    assert same_weights(whole, found)
    assert completions(found) == expected


def test_a_rollout_of_used_steps_that_is_damaged_is_named(run_grpo):
    with pytest.raises(RunError, match="the run was stopped"):
        run_grpo("run", stopping=stop_after(30), **SEVERAL)
    folder = run_grpo.func.last.folder / "scratch"
    steps = sorted(int(path.name[-8:]) for path in (folder / "checkpoints").glob("step-*"))
    assert steps[-1] % 4  # within a rollout
    rows = max((folder / "rollouts").glob("*/rows.npz"))
    rows.write_bytes(rows.read_bytes()[:-9] + b"damaged!!")
    with pytest.raises(RunError, match="do not match its sha256") as caught:
        run_grpo("run", **SEVERAL)
    assert caught.value.code == "run.broken-checkpoint"


def test_a_replay_within_a_rollout_of_other_prompts_is_refused(run_grpo):
    """The row that is left out was not used by any step, and its completions are in the rollout."""
    settings = SEVERAL | {"shuffle": False}
    first = run_grpo("run", **settings | {"max_steps": 1})
    resume = str(first.folder / "scratch" / "checkpoints" / "step-00000001")
    with pytest.raises(RunError, match=f"rollout 0, .*only in the rollout: {2:016x}") as caught:
        run_grpo("replay", resume=resume, without_rows=[f"{2:016x}"], **settings)
    assert caught.value.code == "run.other-settings"
    ran = run_grpo("later", resume=resume, without_rows=[f"{5:016x}"], **settings)
    assert f"{5:016x}" not in {line["id"] for line in completions(ran)}


def test_a_replay_begins_before_the_rollout_that_sampled_a_row(run_grpo):
    settings = SEVERAL | {"shuffle": False, "checkpoint": {"every": 1, "archive": True}}
    ran = run_grpo("run", **settings)
    name = f"{5:016x}"  # sampled before step 5, learned in step 6
    found = start_without(ran.folder / "out" / "rows.parquet", ran.folder / "scratch" / "checkpoints", [name])
    assert (found["first_visit"], found["checkpoint"][-8:]) == (6, "00000004")
    replay = run_grpo("replay", resume=found["checkpoint"], without_rows=[name], **settings)
    never = run_grpo("never", without_rows=[name], **settings)
    assert same_weights(replay, never)
    assert completions(replay) == completions(never)


def test_a_run_without_the_prompts_of_a_whole_rollout_resumes(run_grpo):
    ids = [f"{number:016x}" for number in range(9)]
    settings = SEVERAL | {"without_rows": ids[:3], "shuffle": False}
    whole = run_grpo("whole", **settings)
    with pytest.raises(RunError, match="the run was stopped"):
        run_grpo("run", stopping=stop_after(12), **settings)
    found = run_grpo("run", **settings)
    assert same_weights(whole, found)
    assert completions(found) == completions(whole)
    assert {line["rollout"] for line in completions(found)} == {1, 2}


def stop_after(calls):
    count = 0

    def stopping():
        nonlocal count
        count += 1
        return count >= calls

    return stopping


def test_the_rows_of_old_rollouts_are_removed_and_their_completions_stay(run_grpo):
    ran = run_grpo("run", **SEVERAL | {"max_steps": 14})
    rollouts = ran.folder / "scratch" / "rollouts"
    assert len(list(rollouts.glob("*/completions.jsonl"))) == 4
    assert len(list(rollouts.glob("*/rows.npz"))) < 3


def test_a_reward_that_fails_stops_the_run_with_its_name_and_keeps_the_checkpoint(run_grpo):
    class Failing:
        name, weight, calls = "fragile", 1.0, 0

        def __call__(self, completions):
            self.calls += 1
            if self.calls == 3:
                raise ZeroDivisionError("no idea")
            return [Rewarded(float(len(one.ids))) for one in completions]

        def close(self):
            pass

    with pytest.raises(RunError, match=r"reward .fragile. failed.*ZeroDivisionError: no idea") as caught:
        run_grpo("run", rewards=(Failing(),), checkpoint={"every": 100})
    assert caught.value.code == "run.bad-reward"
    folder = run_grpo.func.last.folder / "scratch" / "checkpoints"
    assert [path.name for path in folder.glob("step-*")] == ["step-00000002"]


def test_rewards_that_apply_to_no_completion_are_an_error(run_grpo):
    class Never:
        name, weight = "never", 1.0

        def __call__(self, completions):
            return [Rewarded(None, "the row has no reference answer") for _ in completions]

        def close(self):
            pass

    with pytest.raises(RunError, match="never: the row has no reference answer"):
        run_grpo("run", rewards=(Never(),))


def test_what_a_reward_counts_is_a_metric_of_the_rollout(run_grpo, prompts_of):
    class Counts:
        """One call for each completion."""

        name, weight, calls = "judge", 1.0, 0

        def __call__(self, completions):
            self.calls += len(completions)
            return [Rewarded(float(len(one.ids) % 3)) for one in completions]

        @property
        def counts(self):
            return {"calls": self.calls}

        def close(self):
            pass

    ran = run_grpo("run", rewards=(Counts(),), max_steps=2, held_out=prompts_of(4, 100))
    assert ran.metrics("reward/judge/calls") == [12.0, 12.0]
    assert ran.metrics("eval_reward/judge/calls") == [4.0, 4.0]


class Given:
    """The reward that `of` says of a completion."""

    name, weight = "given", 1.0

    def __init__(self, of):
        self.of = of

    def __call__(self, completions):
        return [Rewarded(self.of(one), "") for one in completions]

    def close(self):
        pass


def test_a_row_without_a_reward_has_none_in_the_ledger(run_grpo):
    rewards = (Given(lambda one: None if one.row["id"][-1] in "02468" else float(len(one.ids))),)
    ran = run_grpo("run", rewards=rewards, max_steps=2)
    table = pq.read_table(ran.folder / "out" / "rows.parquet").to_pylist()
    has_none = {row["id"][-1] in "02468" for row in table if row["reward"] is None}
    assert has_none == {True}
    assert all(row["reward"] is None for row in table if row["id"][-1] in "02468")
    assert all(row["reward"] > 0 for row in table if row["id"][-1] not in "02468")


@pytest.mark.parametrize("steps", [2, 4])
def test_rewards_that_never_differ_within_a_group_are_named(run_grpo, steps):
    ran = run_grpo("run", rewards=(Given(lambda one: float(one.row["id"][-1] in "02468")),), max_steps=steps)
    first, last = (
        [text for text in ran.notes("warning") if words in text]
        for words in ("in all of the first 3 rollouts", f"in {steps} rollouts, 100% of the groups have equal rewards")
    )
    assert (len(first), len(last)) == (steps >= 3, 1)
    assert all("use easier prompts" in text for text in first + last)


def test_rewards_that_differ_are_not_reported(run_grpo):
    ran = run_grpo("run", rewards=(Given(lambda one: float(hash(tuple(one.ids)) % 7919)),), max_steps=3)
    assert not [text for text in [*ran.notes("warning"), *ran.notes("info")] if "equal rewards" in text]


def test_truncated_completions_are_left_out_where_asked(run_grpo):
    ran = run_grpo("run", mask_truncated=True, max_steps=2, generation={"max_new_tokens": 3})
    lines = completions(ran)
    cut = [line["finish_reason"] == "length" for line in lines]
    assert any(cut)
    assert [not line["learned"] for line in lines] == cut
    learned = sum(line["tokens"] + 1 for line in lines if line["learned"])
    assert ran.measures["learned_tokens"] == learned


@pytest.mark.parametrize("longest", [1, 3])
def test_truncated_completions_without_a_penalty_take_no_part_in_the_baseline(run_grpo, longest):
    settings = {"mask_truncated": True, "kl_in": "reward", "kl_coefficient": 0.1, "max_steps": 2}
    ran = run_grpo("run", **settings, generation={"max_new_tokens": longest})
    lines = completions(ran)
    assert all(line["advantage"] == 0 for line in lines if not line["learned"])
    assert longest == 1 or any(line["reward"] for line in lines if not line["learned"])


@pytest.mark.parametrize(
    ("settings", "warnings"), [({"top_p": 0.9}, 1), ({"top_k": 9}, 1), ({"temperature": 0.7}, 0)], ids=str
)
def test_sampling_that_the_engine_ratio_does_not_correct_for_is_a_warning(run_grpo, settings, warnings):
    ran = run_grpo("run", max_steps=1, generation={"max_new_tokens": 3, **settings})
    assert len([text for text in ran.notes("warning") if "max_engine_ratio" in text]) == warnings


def test_groups_of_equal_rewards_are_counted_and_left_out_where_asked(run_grpo):
    class First:
        """Equal for the first prompt of each rollout."""

        name, weight = "first", 1.0

        def __call__(self, completions):
            return [Rewarded(0.0 if one.row["id"][-1] in "02468" else float(len(one.ids))) for one in completions]

        def close(self):
            pass

    ran = run_grpo("run", rewards=(First(),), drop_equal_groups=True, max_steps=3)
    lines = completions(ran)
    groups = {}
    for line in lines:
        groups.setdefault((line["step"], line["id"]), []).append(line)
    for group in groups.values():
        is_equal = len({line["reward"] for line in group}) == 1
        assert all(line["learned"] is not is_equal for line in group)
    assert ran.metrics("equal_groups")[0] == pytest.approx(
        np.mean([len({line["reward"] for line in group}) == 1 for (step, _), group in groups.items() if step == 1])
    )


def test_the_width_of_a_row_changes_nothing(run_grpo):
    """A prompt is computed once for its completions, as many as fit into a micro-batch."""
    narrow = run_grpo("narrow", micro_batch_tokens=60, max_steps=1)
    wide = run_grpo("wide", micro_batch_tokens=2000, max_steps=1)
    assert completions(narrow) == completions(wide)
    assert narrow.metrics("loss") == pytest.approx(wide.metrics("loss"), abs=1e-6)
    assert narrow.metrics("grad_norm") == pytest.approx(wide.metrics("grad_norm"), rel=1e-4)


def test_the_engines_probabilities_are_those_of_training(run_grpo):
    ran = run_grpo("run", max_steps=4, generation={"max_new_tokens": 8, "temperature": 0.7})
    assert ran.metrics("engine_ratio") == pytest.approx([1.0] * 4, abs=1e-4)
    assert ran.metrics("engine_ratio_clipped") == [0.0] * 4


def test_the_lines_of_a_rollout_name_prompt_and_source(run_grpo):
    ran = run_grpo("run", max_steps=1)
    line = completions(ran)[0]
    assert json.loads(line["prompt"])[0]["role"] == "user"
    assert line["source"].startswith("prompts.jsonl:")
    assert {name for name in line if name.startswith("reward")} == {"reward", "rewards"}


def test_the_interval_of_logging_changes_nothing(run_grpo):
    every = run_grpo("every", max_steps=4, log_every=1, checkpoint={"every": 100})
    rare = run_grpo("rare", max_steps=4, log_every=3, checkpoint={"every": 100})
    assert completions(rare) == completions(every)
    assert same_weights(rare, every)
