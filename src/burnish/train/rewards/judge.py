"""A reward by a language model that rates the answer, behind an OpenAI-compatible URL."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from burnish.core.errors import BurnishError, DataError, RunError
from burnish.endpoints.client import Endpoint, Reply
from burnish.evals.scoring.json_values import parse_json
from burnish.evals.scoring.scorers import visible
from burnish.specs.rewards import JudgeReward
from burnish.train.rewards.reference import value_of
from burnish.train.rewards.reward import Completion, Rewarded

_PLACEHOLDER = re.compile(r"\{(prompt|answer|reference|extra\.[\w.-]+)\}")
_SCORE = re.compile(r"(?i)\bscore\b[\s*_\"']*[:=]?[\s*_\"']*(-?\d+(?:\.\d+)?)(?![\d.]*\d)")


class _UnreadableError(ValueError):
    """A reply from which no score can be read."""


class Judge:
    """The judge's score mapped to 0 to 1. `unreadable` counts the replies without a score that were skipped."""

    def __init__(self, spec: JudgeReward, name: str, endpoint: Endpoint):
        self.name, self.weight, self.endpoint = name, spec.weight, endpoint
        self.system, self.prompt = spec.system, spec.prompt
        self.field, self.skips = spec.field, spec.unreadable == "skip"
        self.pattern = _SCORE if spec.pattern is None else re.compile(spec.pattern)
        self.low, self.high = spec.low, spec.high
        self.unreadable = 0

    def __call__(self, completions: Sequence[Completion]) -> list[Rewarded]:
        asked = [self._conversation(completion) for completion in completions]
        replies = iter(self.endpoint.reply_to([one for one in asked if not isinstance(one, Rewarded)]))
        return [
            one if isinstance(one, Rewarded) else self._rewarded(next(replies), completion)
            for one, completion in zip(asked, completions, strict=True)
        ]

    @property
    def counts(self) -> dict[str, int]:
        """Requests and tokens of the endpoint so far, replies without a score, and what the cache and retries did."""
        endpoint = self.endpoint
        used = {"calls": endpoint.calls, "tokens": endpoint.tokens, "unreadable": self.unreadable}
        return {**used, **{name: endpoint.counts[name] for name in ("cached", "retries")}, "damaged": endpoint.damaged}

    def close(self) -> None:
        """End waiting requests."""
        self.endpoint.close()

    def _conversation(self, completion: Completion) -> list[dict[str, str]] | Rewarded:
        """What is sent for a completion, or why nothing is.

        One pass over the template, so that placeholders inside an answer are not replaced.
        """
        if completion.reference is None and "{reference}" in self.prompt:
            return NO_REFERENCE
        try:
            text = _PLACEHOLDER.sub(lambda match: self._value(match[1], completion), self.prompt)
        except DataError as error:
            return Rewarded(None, error.reason, f"name columns in `prompt` that the rows have ({error.fix})")
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        return [*system, {"role": "user", "content": text}]

    def _value(self, name: str, completion: Completion) -> str:
        if name == "answer":
            return completion.visible
        if name == "prompt":
            return conversation_text(completion.prompt)
        if name == "reference":
            return visible(completion.reference or "")
        value = value_of(completion.row, name.removeprefix("extra."))
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def _rewarded(self, reply: Reply, completion: Completion) -> Rewarded:
        try:
            score = self._score(reply)
        except _UnreadableError as problem:
            why = f"the judge's reply has no score: {problem}: {_end_of(reply.text)!r}"
            if not self.skips:
                raise self._refused(why, completion) from None
            self.unreadable += 1
            return Rewarded(None, why, "change prompt, pattern or field of the judge, or raise its max_tokens")
        return Rewarded((score - self.low) / (self.high - self.low), f"{score:g}: {_end_of(reply.text)}")

    def _score(self, reply: Reply) -> float:
        if reply.finish_reason == "length":  # `Score: 1` may be the start of `Score: 10`
            raise _UnreadableError("it was cut off at max_tokens")
        text = visible(reply.text)
        score = self._field(text) if self.field is not None else self._match(text)
        if not math.isfinite(score) or not self.low <= score <= self.high:
            raise _UnreadableError(f"{score:g} is not from {self.low:g} to {self.high:g}")
        return score

    def _match(self, text: str) -> float:
        found = list(self.pattern.finditer(text))
        if not found:
            raise _UnreadableError("the pattern is not found")
        try:
            return float(found[-1][1])
        except (TypeError, ValueError):
            raise _UnreadableError(f"{found[-1][1]!r} is not a number") from None

    def _field(self, text: str) -> float:
        try:
            value: Any = parse_json(text)
        except ValueError as error:
            raise _UnreadableError(f"it is not JSON ({error})") from None
        for part in str(self.field).split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise _UnreadableError(f"there is no field '{self.field}'")
            value = value[part]
        try:
            if isinstance(value, bool):
                raise TypeError
            return float(value)
        except (TypeError, ValueError, OverflowError):
            raise _UnreadableError(f"the field is {value!r}, not a number") from None

    def _refused(self, why: str, completion: Completion) -> BurnishError:
        fix = "change prompt, pattern or field, raise max_tokens, or set unreadable: skip"
        return RunError("run.bad-reward", f"row {completion.place}: {why}", fix)


NO_REFERENCE = Rewarded(
    None,
    "the row has no reference answer",
    "set `answer` to the column with the reference, or remove {reference} from the prompt of the judge",
)


def conversation_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """Messages as text: one user turn as it is, several with their roles."""
    if len(messages) == 1 and messages[0]["role"] == "user":
        return str(messages[0]["content"])
    return "\n\n".join(f"{turn['role'].capitalize()}: {_turn_text(turn)}" for turn in messages)


def _turn_text(turn: Mapping[str, Any]) -> str:
    calls = [call.get("function", call) for call in turn.get("tool_calls") or ()]
    return "\n".join([turn["content"], *(json.dumps(call, ensure_ascii=False) for call in calls)]).strip()


def _end_of(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else f"…{line[-160:]}"
