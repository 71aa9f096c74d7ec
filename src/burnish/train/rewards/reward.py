"""What a reward is: a function of completions that gives each one a number, or says why it has none.

`total` adds the rewards up; `build.build_rewards` makes them from their settings.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Any, Literal, Protocol, runtime_checkable

from burnish.core.context import StopRequestedError
from burnish.core.errors import BurnishError, RunError
from burnish.core.faults import is_out_of_memory, reason
from burnish.core.printable import encodable
from burnish.evals.scoring.scorers import visible
from burnish.specs.rewards import LARGEST_REWARD


@dataclass(frozen=True)
class Completion:
    """One answer to one prompt."""

    row: Mapping[str, Any]
    """The canonical row: messages, tools, the columns in `extra`."""
    prompt: Sequence[Mapping[str, Any]]
    """The messages that were answered."""
    text: str
    """The answer, without the token that ended it."""
    ids: Sequence[int]
    """Its tokens, without the one that ended it."""
    finish_reason: Literal["stop", "length"]
    reference: str | None
    """The row's reference answer (`reference_of`), if it has one."""
    opening: str = ""
    """The end of the prompt that opens the answer's reasoning, such as `<think>`; "" if the answer itself does."""

    @property
    def visible(self) -> str:
        """The answer without its reasoning; "" if the reasoning does not end."""
        return visible(self.text, opened=bool(self.opening))

    @property
    def whole(self) -> str:
        """The answer with its reasoning, and the tag that opens it."""
        return self.opening + self.text

    @property
    def place(self) -> str:
        """Where its row comes from, for messages."""
        return str(self.row.get("source") or self.row.get("id") or "a row without a source")


_MOST_FIXES = 3
_LIMIT = f"at most ±{LARGEST_REWARD:,.0f} is supported"


@dataclass(frozen=True)
class Rewarded:
    """The value that one reward gives to one completion; None: it does not apply. `why` is a short reason."""

    value: float | None
    why: str = ""
    fix: str = field(default="", compare=False)
    """What makes it apply, for messages."""


class Reward(Protocol):
    """The interface of rewards. Equal completions get equal values, whatever else is in the batch."""

    name: str
    weight: float

    def __call__(self, completions: Sequence[Completion]) -> list[Rewarded]:
        """One for each completion, in order."""
        ...

    def close(self) -> None:
        """Free what it holds: a model, connections, processes."""
        ...


@runtime_checkable
class Counting(Protocol):
    """A reward that counts what it uses, such as the calls of an endpoint."""

    @property
    def counts(self) -> Mapping[str, int]:
        """By name, since the reward was made or longer."""
        ...


def counts_of(rewards: Sequence[Reward]) -> dict[str, int]:
    """`NAME/COUNT` of all rewards that count."""
    each = [(reward.name, reward.counts) for reward in rewards if isinstance(reward, Counting)]
    return {f"{name}/{what}": number for name, counts in each for what, number in counts.items()}


@dataclass(frozen=True)
class Rewards:
    """The rewards of a batch of completions, in its order."""

    totals: list[float | None]
    """The weighted sum of each completion; None if it cannot be compared with the others of its prompt (`total`)."""
    values: dict[str, list[Rewarded]]
    """What each reward gave, by its name."""

    @cached_property
    def unrewarded(self) -> list[int]:
        """The completions without a total."""
        return [index for index, value in enumerate(self.totals) if value is None]

    @cached_property
    def applied(self) -> Counter[str]:
        """How many completions each reward applies to; 0 is listed."""
        return Counter({name: sum(item.value is not None for item in found) for name, found in self.values.items()})

    def check(self, rewards: Sequence[Reward]) -> list[str]:
        """Of the first completions of a training: sentences on rewards that apply to fewer than half of them.

        Errors: RunError `run.bad-reward` if one with a weight applies to none: the training would be for the others.
        """
        found, every = list[str](), len(self.totals)
        for reward in rewards:
            number, values = self.applied[reward.name], self.values[reward.name]
            if 2 * number >= every:
                continue
            reasons = Counter(one.why or "it does not apply" for one in values if one.value is None)
            why = "; ".join(f"{count} × {reason}" for reason, count in reasons.most_common(3))
            if number:
                found.append(f"reward '{reward.name}' applies to {number} of the first {every} completions: {why}")
            elif reward.weight:
                error = bad_reward(reward.name, f"applies to none of the first {every} completions: {why}")
                fix = "; or set `weight: 0`, which only records it, or remove it; raise batch_size if it fits few rows"
                raise RunError(error.code, error.reason, self.fix([reward]) + fix)
        return found

    def fix(self, rewards: Sequence[Reward]) -> str:
        """What makes these rewards apply where they do not, in their own words."""
        missing = (one for reward in rewards for one in self.values[reward.name] if one.value is None)
        fixes = list(dict.fromkeys(one.fix for one in missing if one.fix))
        return "; ".join(fixes[:_MOST_FIXES]) or "correct what the reward's reason names"

    def why_none(self, index: int) -> str:
        """Why a completion has no reward: the reason of each reward that does not apply."""
        found = {name: rewarded[index] for name, rewarded in self.values.items()}
        return "; ".join(f"{name}: {one.why or 'does not apply'}" for name, one in found.items() if one.value is None)


def total(rewards: Sequence[Reward], completions: Sequence[Completion], copies: int = 1) -> Rewards:
    """Apply every reward to every completion, and add them up with their weights.

    Each `copies` consecutive completions answer one prompt. A completion has no total if no reward with a weight
    applies to it, or if one applies to others of its prompt and not to it: a sum of fewer parts may be the higher one.

    Errors: RunError `run.bad-reward` if a reward raises, gives a wrong number of values, or one that is not finite or
    beyond ±LARGEST_REWARD, and for such a sum; it names the reward and the row. A BurnishError of a reward is raised as
    it is, with the reward's name in front.
    """
    values = {reward.name: _values(reward, completions) for reward in rewards}
    totals: list[float | None] = []
    weighted = [(reward.weight, values[reward.name]) for reward in rewards if reward.weight != 0.0]
    for start in range(0, len(completions), copies):
        group = range(start, min(start + copies, len(completions)))
        applied = [(weight, found) for weight, found in weighted if any(found[i].value is not None for i in group)]
        for index in group:
            parts = [weight * value for weight, found in applied if (value := found[index].value) is not None]
            totals.append(_sum(parts, completions[index]) if parts and len(parts) == len(applied) else None)
    return Rewards(totals, values)


def _values(reward: Reward, completions: Sequence[Completion]) -> list[Rewarded]:
    where = _places(completions)
    try:
        found: Any = reward(completions)
    except BurnishError as error:
        raise type(error)(error.code, f"reward '{reward.name}': {error.what}", error.fix) from error
    except (Exception, SystemExit) as error:
        if isinstance(error, StopRequestedError) or is_out_of_memory(error):
            raise
        what = f"failed for {where}: {type(error).__name__}: {reason(error)}"
        raise bad_reward(reward.name, what) from error
    if not isinstance(found, list | tuple) or len(found) != len(completions):
        got = f"{len(found)} values" if isinstance(found, list | tuple) else type(found).__name__
        raise bad_reward(reward.name, f"gave {got} for {len(completions)} completions of {where}")
    return [_checked(reward.name, item, completion) for item, completion in zip(found, completions, strict=True)]


def _sum(parts: Sequence[float], completion: Completion) -> float:
    found = sum(parts)
    if abs(found) > LARGEST_REWARD:
        what = f"the weighted sum of the rewards is {found:g} for row {completion.place}: {_LIMIT}"
        raise RunError("run.bad-reward", what, "lower the weights")
    return found


def _checked(name: str, found: Any, completion: Completion) -> Rewarded:
    value: Any = getattr(found, "value", found)
    if isinstance(found, Rewarded):
        why, fix = encodable(str(found.why)), encodable(str(found.fix))
        if value is None:
            return Rewarded(None, why, fix)
        if isinstance(value, Real):
            number = _number(value)
            if abs(number) <= LARGEST_REWARD:
                return Rewarded(number, why)
            if math.isfinite(number):
                raise bad_reward(name, f"gave {number:g} for row {completion.place}: {_LIMIT}")
    rule = "a reward is a finite number, or None where it does not apply"
    raise bad_reward(name, f"gave {_shown(value)} for row {completion.place}: {rule}")


def _number(value: Real) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # an int of too many digits, or a class of a plugin's
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:60]}…"


def bad_reward(name: str, what: str) -> RunError:
    """The error of a reward that fails; `what` completes the sentence."""
    return RunError("run.bad-reward", f"reward '{name}' {what}", "correct it, or remove it from the recipe")


def _places(completions: Sequence[Completion]) -> str:
    places = list(dict.fromkeys(completion.place for completion in completions))
    if len(places) < 2:
        return f"row {places[0]}" if places else "no rows"
    return f"{len(places)} rows, {places[0]} to {places[-1]}"
