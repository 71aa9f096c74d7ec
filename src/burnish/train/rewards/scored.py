"""Rewards by the scorers of evaluation, and by a pattern of the whole answer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from burnish.evals.measure import as_chat
from burnish.evals.scoring.notations import parse_tool_calls
from burnish.evals.scoring.scorers import Score, Scorer, answering_turn, score_answer, visible
from burnish.evals.scoring.tool_calls import MalformedToolCallError
from burnish.specs.rewards import FormatReward
from burnish.train.rewards.reward import Completion, Rewarded


class Scored:
    """The score of the answer without its reasoning, as `evaluate` measures it.

    `scorers` are those of one spec: for a tool call two, one for rows whose reference has a call and one for others.
    """

    def __init__(self, name: str, weight: float, scorers: Sequence[Scorer]):
        self.name, self.weight, self.scorers = name, weight, scorers

    def __call__(self, completions: Sequence[Completion]) -> list[Rewarded]:
        return [self._rewarded(completion) for completion in completions]

    def _rewarded(self, completion: Completion) -> Rewarded:
        row = _answered(completion)
        reference = None if completion.reference is None else visible(completion.reference)
        (found,) = score_answer(self.scorers, completion.visible, reference, row).values()
        if isinstance(found, Score):
            return Rewarded(float(found.value), found.why)
        return Rewarded(None, found.why, "set `answer` to a column with a reference that the reward can read")

    def close(self) -> None:
        """Nothing is held."""


def _answered(completion: Completion) -> Mapping[str, Any]:
    """The row with its reference as last turn: scorers of tool calls read it there.

    A prompt row has its reference in a column; calls in it are parsed as those of an answer.
    """
    row = as_chat(dict(completion.row))
    if answering_turn(row) is not None or completion.reference is None:
        return row
    turn: dict[str, Any] = {"role": "assistant", "content": completion.reference}
    try:
        calls = parse_tool_calls(visible(completion.reference))
    except MalformedToolCallError:
        calls = []
    if calls:
        turn["tool_calls"] = [{"name": call.name, "arguments": call.arguments} for call in calls]
    return {**row, "messages": [*row.get("messages", ()), turn]}


class Format:
    """Whether the pattern matches the whole answer, with its reasoning."""

    def __init__(self, spec: FormatReward, name: str):
        self.name, self.weight = name, spec.weight
        self.pattern = re.compile(spec.pattern, re.DOTALL)

    def __call__(self, completions: Sequence[Completion]) -> list[Rewarded]:
        return [self._rewarded(completion.whole) for completion in completions]

    def _rewarded(self, text: str) -> Rewarded:
        if self.pattern.fullmatch(text):
            return Rewarded(1.0, "matches")
        return Rewarded(0.0, "the pattern does not match the whole answer")

    def close(self) -> None:
        """Nothing is held."""
