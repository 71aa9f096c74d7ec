"""The sum of rewards, and what happens when one of them fails."""

import math
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from pydantic import ValidationError

from burnish.core.context import StopRequestedError
from burnish.core.errors import AskError, RunError
from burnish.specs.rl import GrpoSpec, PpoSpec
from burnish.train.rewards.build import close_rewards
from burnish.train.rewards.reward import Rewarded, total
from completions import completion


class Fixed:
    """A reward that gives what it is told."""

    def __init__(self, name, weight, found):
        self.name, self.weight, self.found = name, weight, found
        self.is_closed = False

    def __call__(self, completions):
        return self.found(completions) if callable(self.found) else self.found

    def close(self):
        self.is_closed = True
        if self.name == "stuck":
            raise OSError("stuck")


ONE, TWO = completion("one"), completion("two")


def test_a_reward_that_applies_to_no_completion_is_an_error_unless_it_only_records():
    nothing = Rewarded(None, "the row has no reference answer", "set `answer`")
    settings = {"name": "number", "found": [nothing] * 2}
    short = Fixed("short", 1.0, [Rewarded(0.5), Rewarded(1.0)])
    rewards = [Fixed(weight=1.0, **settings), short]
    found = total(rewards, [ONE, TWO], 2)
    assert found.totals == [0.5, 1.0]
    why = "reward 'number' applies to none of the first 2 completions: 2 × the row has no reference answer"
    with pytest.raises(RunError, match=why) as caught:
        found.check(rewards)
    assert caught.value.code == "run.bad-reward"
    assert caught.value.fix.startswith("set `answer`; or set `weight: 0`")
    recorded = [Fixed(weight=0.0, **settings), short]
    assert total(recorded, [ONE, TWO], 2).check(recorded) == []


def test_a_reward_that_applies_to_few_completions_is_a_warning_with_counts():
    few = Fixed("few", 1.0, [Rewarded(1.0), Rewarded(None, "no column"), Rewarded(None)])
    half = Fixed("half", 1.0, [Rewarded(1.0), Rewarded(1.0), Rewarded(None)])
    found = total([few, half], [ONE, TWO, ONE])
    assert found.check([few, half]) == [
        "reward 'few' applies to 1 of the first 3 completions: 1 × no column; 1 × it does not apply"
    ]


@pytest.mark.parametrize(
    ("text", "opening", "seen"),
    [
        ("4, no 5", "<think>\n", ""),
        ("4, no 5</think>\n\n5", "<think>\n", "5"),
        ("4, no 5", "", "4, no 5"),
        ("<think>4", "", ""),
    ],
)
def test_reasoning_that_the_prompt_opens_is_not_the_answer(build, text, opening, seen):
    one = replace(completion(text, "5"), opening=opening)
    assert (one.visible, one.whole) == (seen, opening + text)
    pattern = "<think>.+</think>.+"
    found = total(build({"kind": "number"}, {"kind": "format", "pattern": pattern}), [one])
    assert found.values["number"][0].value == float(seen.endswith("5"))
    assert found.values["format"][0].value == float("</think>" in text)


def test_the_total_is_the_weighted_sum_of_the_rewards_that_apply():
    found = total(
        [
            Fixed("right", 2.0, [Rewarded(1.0, "equal"), Rewarded(None, "no reference")]),
            Fixed("short", -0.5, [Rewarded(0.5), Rewarded(1.0)]),
            Fixed("seen", 0.0, [Rewarded(9.0), Rewarded(9.0)]),
        ],
        [ONE, TWO],
    )
    assert found.totals == [1.75, -0.5]
    assert found.values["right"] == [Rewarded(1.0, "equal"), Rewarded(None, "no reference")]
    assert found.applied == {"right": 1, "short": 2, "seen": 2}
    assert found.unrewarded == []


def test_a_completion_that_no_reward_applies_to_has_no_total_and_is_named_with_the_reasons():
    found = total(
        [
            Fixed("right", 1.0, [Rewarded(None, "no reference"), Rewarded(0.0)]),
            Fixed("other", 1.0, [Rewarded(None), Rewarded(None)]),
            Fixed("seen", 0.0, [Rewarded(1.0), Rewarded(1.0)]),
        ],
        [ONE, TWO],
    )
    assert found.totals == [None, 0.0]
    assert found.unrewarded == [0]
    assert found.why_none(0).startswith("right: no reference; other: does not apply")
    assert found.applied["other"] == 0


def test_a_completion_without_a_reward_that_others_of_its_prompt_have_has_no_total():
    """The sum of its other rewards is no measure: it could become the best of its group."""
    rewards = [
        Fixed("penalty", 1.0, [Rewarded(-2.0), Rewarded(None, "too long"), Rewarded(None), Rewarded(None)]),
        Fixed("short", 1.0, [Rewarded(0.5), Rewarded(0.5), Rewarded(0.5), Rewarded(0.7)]),
        Fixed("seen", 0.0, [Rewarded(1.0), Rewarded(1.0), Rewarded(1.0), Rewarded(None)]),
    ]
    found = total(rewards, [ONE, ONE, TWO, TWO], copies=2)
    assert found.totals == [-1.5, None, 0.5, 0.7]
    assert found.unrewarded == [1]
    assert found.why_none(1) == "penalty: too long"


def test_without_completions_there_are_no_rewards():
    assert total([Fixed("right", 1.0, [])], []).totals == []


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ([Rewarded(1.0)], "gave 1 values for 2 completions of row rows.jsonl:1"),
        ([Rewarded(1.0)] * 3, "gave 3 values for 2 completions"),
        (None, "gave NoneType for 2 completions"),
        ("ab", "gave str for 2 completions"),
        ([Rewarded(1.0), Rewarded(math.nan)], "gave nan for row rows.jsonl:1"),
        ([Rewarded(math.inf), Rewarded(1.0)], "gave inf for row rows.jsonl:1"),
        ([Rewarded("1"), Rewarded(1.0)], "gave '1' for row rows.jsonl:1"),
        ([Rewarded(1.7e308), Rewarded(-1.7e308)], r"gave 1.7e\+308 for row rows.jsonl:1: at most ±1,000,000"),
        ([Rewarded(-1000001), Rewarded(1.0)], r"gave -1e\+06 for row rows.jsonl:1: at most ±1,000,000"),
        ([Rewarded(10**400), Rewarded(1.0)], "gave 10{59}… for row rows.jsonl:1: a reward is a finite number"),
        ([Rewarded(-(10**5000)), Rewarded(1.0)], "gave a value of type int for row rows.jsonl:1"),
        ([Rewarded(np.float32("inf")), Rewarded(1.0)], r"gave np.float32\(inf\) for row rows.jsonl:1"),
        ([Rewarded(1j), Rewarded(1.0)], "gave 1j for row rows.jsonl:1"),
        ([Rewarded(1.0), 1.0], "gave 1.0 for row rows.jsonl:1"),
        ([Rewarded(1.0), None], "gave None for row rows.jsonl:1"),
    ],
)
def test_anything_but_one_finite_number_for_each_is_an_error_with_the_reward_and_the_row(found, problem):
    with pytest.raises(RunError, match=f"reward 'right' {problem}") as caught:
        total([Fixed("right", 1.0, found)], [ONE, TWO])
    assert caught.value.code == "run.bad-reward"


@pytest.mark.parametrize("raised", [ValueError("no"), SystemExit(0), KeyError("x"), AssertionError()])
def test_a_reward_that_raises_is_an_error_with_its_name_and_the_row(raised):
    def fail(completions):
        raise raised

    with pytest.raises(RunError, match=f"reward 'right' failed for row rows.jsonl:1: {type(raised).__name__}"):
        total([Fixed("right", 1.0, fail)], [ONE])


def test_an_error_with_a_fix_keeps_its_code_and_gains_the_name_of_the_reward():
    def fail(completions):
        raise AskError("ask.missing-key", "no key", "set it")

    with pytest.raises(AskError, match="reward 'right': no key") as caught:
        total([Fixed("right", 1.0, fail)], [ONE])
    assert (caught.value.code, caught.value.fix) == ("ask.missing-key", "set it")


@pytest.mark.parametrize("request_", [KeyboardInterrupt, StopRequestedError])
def test_a_stop_is_no_failure_of_a_reward(request_):
    def stop(completions):
        raise request_

    with pytest.raises(request_):
        total([Fixed("right", 1.0, stop)], [ONE])


def test_every_reward_is_closed_although_one_fails():
    rewards = [Fixed("stuck", 1.0, []), Fixed("last", 1.0, [])]
    with pytest.raises(OSError, match="stuck"):
        close_rewards(rewards)
    assert rewards[1].is_closed


def test_names_are_the_kinds_numbered_unless_given(build):
    number, contains = {"kind": "number"}, {"kind": "contains"}
    built = build(number, number, {**contains, "name": "number_2"}, number, contains)
    assert [reward.name for reward in built] == ["number", "number_3", "number_2", "number_4", "contains"]
    with pytest.raises(AskError, match="two rewards are named 'right'"):
        build({**number, "name": "right"}, {**contains, "name": "right"})


@pytest.mark.parametrize(
    "number", [np.float32(0.5), np.float64(0.5), np.float16(0.5), Fraction(1, 2), np.int64(1), True]
)
def test_any_kind_of_real_number_is_a_value(number):
    found = total([Fixed("right", 1.0, [Rewarded(number)])], [ONE])
    assert found.totals == [float(number)]
    assert type(found.values["right"][0].value) is float


def test_half_of_a_surrogate_pair_in_a_reason_is_replaced():
    found = total([Fixed("right", 1.0, [Rewarded(1.0, "a\ud83d"), Rewarded(None, "b\ud83d")])], [ONE, TWO])
    assert [one.why for one in found.values["right"]] == ["a\ufffd", "b\ufffd"]


def test_a_sum_that_squares_or_32_bits_may_not_hold_is_an_error_with_the_row():
    rewards = [Fixed("right", 1e6, [Rewarded(1e6)]), Fixed("short", 1.0, [Rewarded(1.0)])]
    with pytest.raises(
        RunError, match=r"sum of the rewards is 1e\+12 for row rows.jsonl:1: at most ±1,000,000"
    ) as caught:
        total(rewards, [ONE])
    assert (caught.value.code, caught.value.fix) == ("run.bad-reward", "lower the weights")


@pytest.mark.parametrize("weight", [1e308, -1e308, 1000001])
def test_a_weight_beyond_the_largest_sum_is_refused(build, weight):
    with pytest.raises(ValidationError, match="weight"):
        build({"kind": "number", "weight": weight})


@pytest.mark.parametrize(
    ("setting", "fix"),
    [
        ({"kind": "number"}, "set `answer` to a column with a reference"),
        ({"kind": "code", "tests": "test"}, "set `tests` and `setup` of the reward to columns .*did you mean 'tests'"),
        ({"kind": "judge", "prompt": "{answer} {extra.nope}"}, "name columns in `prompt` that the rows have"),
        (
            {"kind": "judge", "prompt": "{answer} {reference}"},
            "set `answer` to the column with the reference, or remove {reference}",
        ),
        (
            {"kind": "judge", "pattern": "mark (.)", "unreadable": "skip"},
            "change prompt, pattern or field of the judge",
        ),
        ({"kind": "judge", "field": "mark", "unreadable": "skip"}, "change prompt, pattern or field of the judge"),
    ],
)
def test_the_fix_of_a_reward_that_does_not_apply_is_that_of_its_reason(build, server, setting, fix):
    if setting["kind"] == "judge":
        setting = {**setting, "endpoint": {"url": server.url, "model": "judge"}}
    rewards = build(setting)
    found = total(rewards, [completion("4", tests=None if setting["kind"] == "judge" else "assert True")])
    assert found.totals == [None]
    assert re.match(fix, found.fix(rewards))
    assert "answer`" not in found.fix(rewards) or "reference" in fix


def test_without_a_fix_of_its_own_the_reason_is_referred_to():
    rewards = [Fixed("right", 1.0, [Rewarded(None, "no verb")])]
    assert total(rewards, [ONE]).fix(rewards) == "correct what the reward's reason names"


@pytest.mark.parametrize("spec", [GrpoSpec, PpoSpec])
def test_rewards_that_all_only_record_are_refused(spec):
    recorded = [{"kind": "number", "weight": 0}, {"kind": "length", "max": 9, "weight": 0.0}]
    with pytest.raises(ValidationError, match="every reward has weight 0, which only records it: give one of"):
        spec(base="file:base", data="file:rows", rewards=recorded)
    assert spec(base="file:base", data="file:rows", rewards=[*recorded, {"kind": "json"}])
