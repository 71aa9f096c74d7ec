"""Rewards by scorers, which are those of evaluation, and by a pattern of the whole answer."""

import typing

import pytest

from burnish.core.errors import AskError, MachineError
from burnish.data.document import make_row
from burnish.specs.evals import Scorer
from burnish.specs.rewards import Reward
from burnish.train.rewards.reward import total
from completions import completion

TOOLS = [{"type": "function", "function": {"name": "add", "description": "", "parameters": {}}}]
ADD = [{"type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}]
ANSWER = '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'


def kinds(union):
    return {member.__pydantic_fields__["kind"].default for member in typing.get_args(typing.get_args(union)[0])}


BY_LIKELIHOOD = {"multiple_choice"}
"""Scorers of models, not of answers."""


def test_every_scorer_of_answers_is_a_reward():
    assert kinds(Scorer) - BY_LIKELIHOOD <= kinds(Reward)


def test_a_reward_has_the_settings_of_its_scorer():
    rewards = {m.__pydantic_fields__["kind"].default: m for m in typing.get_args(typing.get_args(Reward)[0])}
    for scorer in typing.get_args(typing.get_args(Scorer)[0]):
        kind = scorer.__pydantic_fields__["kind"].default
        if kind not in BY_LIKELIHOOD | {"custom"}:
            assert issubclass(rewards[kind], scorer)


@pytest.mark.parametrize(
    ("setting", "text", "reference", "expected"),
    [
        ({"kind": "exact_match"}, "4", "4", 1.0),
        ({"kind": "exact_match"}, "5", "4", 0.0),
        ({"kind": "exact_match"}, "<think>4 or 5?</think>\n4", "<think>easy</think>4", 1.0),
        ({"kind": "exact_match"}, "<think>4", "4", 0.0),
        ({"kind": "exact_match"}, "4", None, None),
        ({"kind": "contains", "text": "please"}, "Please wait", None, 1.0),
        ({"kind": "regex", "pattern": r"answer: (\d)"}, "answer: 4", "answer: 4", 1.0),
        ({"kind": "number"}, "It is 1,234.", "#### 1234", 1.0),
        ({"kind": "number", "tolerance": 0.1}, "105", "100", 1.0),
        ({"kind": "json"}, '{"a": 1.0}', '{"a": 1}', 1.0),
        ({"kind": "rouge", "variant": "rouge1"}, "the cat", "the cat sat", 0.8),
        ({"kind": "chrf"}, "the cat", "the cat", 1.0),
        ({"kind": "language", "expected": "de"}, "Das ist ein ganz einfacher Satz", None, 1.0),
        ({"kind": "format", "pattern": "<think>.*</think>.+"}, "<think>a\nb</think>\nc", None, 1.0),
        ({"kind": "format", "pattern": "<think>.*</think>.+"}, "so <think>a</think>b", None, 0.0),
        ({"kind": "format", "pattern": "a|ab"}, "ab", None, 1.0),
    ],
)
def test_reward(value, setting, text, reference, expected):
    found = value(setting, completion(text, reference))
    assert found == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("row", "reference", "text", "expected"),
    [
        ("call", None, ANSWER, 1.0),
        ("call", None, "add it yourself", 0.0),
        ("text", None, ANSWER, 0.0),
        ("text", None, "no call is needed", 1.0),
        ("prompt", ANSWER, ANSWER, 1.0),
        ("prompt", ANSWER, ANSWER.replace("1", "2"), 0.0),
        ("prompt", "no call", "no call", 1.0),
        ("prompt", "no call", ANSWER, 0.0),
        ("prompt", None, ANSWER, None),
        ("bare", None, ANSWER, None),
    ],
)
def test_tool_calls_are_compared_with_the_last_turn_or_with_those_in_the_reference(
    value, row, reference, text, expected
):
    user = {"role": "user", "content": "add"}
    answer = {
        "role": "assistant",
        "content": "" if row == "call" else "no",
        **({"tool_calls": ADD} if row == "call" else {}),
    }
    rows = {
        "call": make_row("chat", "x", messages=[user, answer], tools=TOOLS),
        "text": make_row("chat", "x", messages=[user, answer], tools=TOOLS),
        "prompt": make_row("prompt", "x", messages=[user], tools=TOOLS),
        "bare": make_row("prompt", "x", messages=[user]),
    }
    assert value({"kind": "tool_call"}, completion(text, reference, row=rows[row])) == expected


SCORER = """
from burnish.evals.scoring.scorers import Score

class Brief:
    name = "brief"

    def __init__(self, settings):
        self.words = settings["words"]

    def __call__(self, answer, reference, row):
        return Score(float(len(answer.split()) <= self.words)) if answer != "odd" else 7
"""


def test_a_scorer_of_a_package_is_a_reward(install, value):
    install("brevity", {"burnish.scorers": {"brief": "brevity:Brief"}}, SCORER)
    setting = {"kind": "custom", "scorer": "brief", "settings": {"words": 2}, "name": "short"}
    assert value(setting, completion("two words")) == 1.0
    assert value(setting, completion("now three words")) == 0.0
    with pytest.raises(MachineError, match="reward 'short': the scorer 'brief' gave 7"):
        value(setting, completion("odd"))


REWARD = """
import sys
from burnish.train.rewards.reward import Rewarded

class Vowels:
    def __init__(self, settings):
        self.letters = settings.get("letters", "aeiou")
        if settings.get("exit"):
            sys.exit("bye")

    def __call__(self, completions):
        if completions[0].text == "exit":
            sys.exit(3)
        if completions[0].text == "raise":
            raise KeyError("lost")
        if completions[0].text == "clear":
            completions[0].row["messages"].clear(), completions[0].prompt.clear(), completions[0].ids.clear()
            completions.clear()
            return [Rewarded(0.0)]
        return [Rewarded(sum(letter in self.letters for letter in one.text), "counted") for one in completions]

NOTHING = lambda settings: None
"""


def test_a_reward_of_a_package_is_found_by_its_name(install, build):
    install("vowels", {"burnish.rewards": {"vowels": "vowels:Vowels"}}, REWARD)
    (reward,) = build({"kind": "python", "plugin": "vowels", "settings": {"letters": "ab"}, "weight": 2})
    found = total([reward], [completion("abba"), completion("xyz")])
    assert found.totals == [8.0, 0.0]
    assert found.values["python"][0].why == "counted"


def test_errors_of_a_package_name_it_and_its_plugin(install, build):
    targets = {"vowels": "vowels:Vowels", "gone": "vowels:Gone", "nothing": "vowels:NOTHING"}
    install("vowels", {"burnish.rewards": targets}, REWARD)
    with pytest.raises(AskError, match="no installed package provides the reward 'vowel'") as caught:
        build({"kind": "python", "plugin": "vowel"})
    assert "did you mean 'vowels'" in caught.value.fix
    with pytest.raises(MachineError, match=r"'gone' of vowels 1\.0 .*has no attribute 'Gone'"):
        build({"kind": "python", "plugin": "gone"})
    with pytest.raises(MachineError, match=r"'nothing' of vowels 1\.0 .*NoneType, which is not a function"):
        build({"kind": "python", "plugin": "nothing"})
    with pytest.raises(MachineError, match=r"'vowels' of vowels 1\.0 .*cannot be created: SystemExit: bye"):
        build({"kind": "python", "plugin": "vowels", "settings": {"exit": True}})
    (reward,) = build({"kind": "python", "plugin": "vowels"})
    with pytest.raises(
        MachineError, match=r"reward 'python': .*'vowels' of vowels 1\.0 .*row rows\.jsonl:1: SystemExit: 3"
    ):
        total([reward], [completion("exit")])
    with pytest.raises(MachineError, match=r"failed for 2 completions, the first of row rows.jsonl:1: KeyError"):
        total([reward], [completion("raise"), completion("a")])


def test_what_a_package_changes_in_completions_is_its_own(install, build):
    install("vowels", {"burnish.rewards": {"vowels": "vowels:Vowels"}}, REWARD)
    (reward,) = build({"kind": "python", "plugin": "vowels"})
    one = completion("clear")
    given = [one]
    assert total([reward], given).totals == [0.0]
    assert given == [one] == [completion("clear")]
