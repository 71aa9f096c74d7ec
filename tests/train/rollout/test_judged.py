"""What rewards see of completions in training, and rewards that apply to few of them."""

import numpy as np
import pytest

from burnish.core.errors import RunError
from burnish.tokens.load import load_tokenizer
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.rewards.reward import Rewarded
from burnish.train.rollout.prompts import Prompts
from burnish.train.rollout.store import RolloutFolder


def test_a_reward_that_applies_to_no_completion_of_the_first_rollout_stops_the_run(run_grpo):
    class Some:
        name, weight = "number", 1.0

        def __call__(self, completions):
            return [Rewarded(None, "the row has no reference answer")] * len(completions)

        def close(self):
            pass

    class Vowels(Some):
        name = "length"

        def __call__(self, completions):
            return [Rewarded(float(len(one.text))) for one in completions]

    with pytest.raises(RunError, match="reward 'number' applies to none of the first 12 completions: 12 × the row"):
        run_grpo("run", rewards=(Some(), Vowels()), max_steps=1)


def test_the_share_of_completions_that_a_reward_applies_to_is_a_metric_and_few_are_a_warning(run_grpo):
    class First:
        name, weight = "first", 1.0

        def __call__(self, completions):
            first = completions[0].row["id"]
            return [Rewarded(float(len(one.text)) if one.row["id"] == first else None, "other") for one in completions]

        def close(self):
            pass

    ran = run_grpo("run", rewards=(First(),), max_steps=2)
    (share,) = set(ran.metrics("reward/first/applied"))
    assert 0 < share < 0.5
    few = [text for text in ran.notes("warning") if "reward 'first' applies to" in text]
    assert len(few) == 1
    assert "of the first 12 completions: " in few[0]


def test_rewards_know_of_the_reasoning_that_a_prompt_opens(run_grpo, prompts_of, base, tmp_path):
    class Opened:
        name, weight, seen = "opened", 1.0, set()

        def __call__(self, completions):
            self.seen.update((one.opening, one.visible) for one in completions if "</think>" not in one.text)
            return [Rewarded(float(len(one.text))) for one in completions]

        def close(self):
            pass

    plain, think = prompts_of(), load_tokenizer(base).encode("<think>\n", add_special_tokens=False)
    rows = [prompt.row for prompt in plain.at(range(len(plain)))]
    ids = [np.array([*prompt.ids, *think], np.int32) for prompt in plain.at(range(len(plain)))]
    tokens = TokenisedRows.of((row["id"], one, one * 0.0) for row, one in zip(rows, ids, strict=True))
    prompts = Prompts.write(tokens, rows, lambda row: None, tmp_path / "prompts.jsonl")
    run_grpo("run", rewards=(Opened(),), prompts=prompts, max_steps=1)
    assert Opened.seen == {("<think>\n", "")}


def test_completions_are_handed_out_as_constants_and_a_reason_of_any_text_is_kept(run_grpo):
    class Odd:
        name, weight = "odd", 1.0

        def __call__(self, completions):
            assert all(isinstance(one.ids, tuple) for one in completions)
            return [Rewarded(float(len(one.text)), "half \ud83d") for one in completions]

        def close(self):
            pass

    ran = run_grpo("run", rewards=(Odd(),), max_steps=1)
    lines = RolloutFolder(ran.folder / "scratch" / "rollouts").completions(0)
    assert {one["why"]["odd"] for line in lines for one in line["completions"]} == {"half \ufffd"}
