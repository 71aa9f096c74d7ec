"""Builds rewards from their settings."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from burnish.core.context import Context
from burnish.core.errors import AskError, BurnishError
from burnish.core.events import Note
from burnish.endpoints.client import Endpoint
from burnish.endpoints.spending import journal
from burnish.evals.scoring.scorers import build_scorers
from burnish.specs.evals import CustomScorerSpec
from burnish.specs.rewards import (
    CodeReward,
    CustomReward,
    FormatReward,
    JudgeReward,
    LengthReward,
    PythonReward,
    RepetitionReward,
    RewardModelReward,
)
from burnish.specs.rewards import (
    Reward as RewardSpec,
)
from burnish.train.rewards.code import Code
from burnish.train.rewards.judge import Judge
from burnish.train.rewards.length import Length, Repetition
from burnish.train.rewards.plugin import PluginReward
from burnish.train.rewards.reward import Reward
from burnish.train.rewards.scored import Format, Scored

if TYPE_CHECKING:
    import torch


def build_rewards(
    specs: Sequence[RewardSpec],
    ctx: Context,
    *,
    field: str = "rewards",
    device: "str | torch.device" = "cpu",
    date: str = "auto",
) -> list[Reward]:
    """The rewards of the specs, with unique names: every setting is read, and what they need is loaded or tried.

    `field` is the name of the list in the stage's spec: a reward model is the input `{field}.{index}.model`. It runs on
    `device`, and its chat template prints `date`.
    Errors: AskError for two equal names or a missing key or plugin; those of loading a model; MachineError
    `machine.no-sandbox`. Close them with `close_rewards`.
    """
    names = _names(specs)
    rewards: list[Reward] = []
    try:
        for index, (spec, name) in enumerate(zip(specs, names, strict=True)):
            rewards.append(_build(spec, name, ctx, f"{field}.{index}", device, date))
    except BaseException:
        with suppress(BurnishError):
            close_rewards(rewards)
        raise
    return rewards


def close_rewards(rewards: Sequence[Reward]) -> None:
    """Close every reward; the first error is raised after the last one is closed."""
    problem: Exception | None = None
    for reward in rewards:
        try:
            reward.close()
        except Exception as error:
            problem = problem or error
    if problem is not None:
        raise problem


def _build(spec: RewardSpec, name: str, ctx: Context, place: str, device: "str | torch.device", date: str) -> Reward:
    match spec:
        case FormatReward():
            return Format(spec, name)
        case LengthReward():
            return Length(spec, name)
        case RepetitionReward():
            return Repetition(spec, name)
        case RewardModelReward():
            from burnish.train.rewards.reward_model import RewardModel  # imports torch

            return RewardModel(spec, name, ctx.input(f"{place}.model"), device, date)
        case JudgeReward():
            spent = journal(ctx.scratch, place)  # before the first checkpoint, too, the run resumes with it
            return Judge(spec, name, Endpoint(spec.endpoint, ctx.cache / "replies", spent, ctx.is_stopping))
        case CodeReward():
            return Code(spec, name, lambda text: ctx.emit(Note(text=text)), ctx.is_stopping)
        case PythonReward():
            return PluginReward(spec, name)
        case CustomReward():
            return Scored(
                name, spec.weight, build_scorers([CustomScorerSpec(name=spec.scorer, settings=spec.settings)])
            )
        case _:
            scorer: Any = spec
            return Scored(name, spec.weight, build_scorers([scorer]))


def _names(specs: Sequence[RewardSpec]) -> list[str]:
    """The given names, and for others the kind, with a number from the second on.

    Errors: AskError `ask.wrong-value` for a name that is given twice.
    """
    given = Counter(spec.name for spec in specs if spec.name is not None)
    twice = [name for name, count in given.items() if count > 1]
    if twice:
        raise AskError("ask.wrong-value", f"two rewards are named '{twice[0]}'", "give each another name")
    taken = set(given)
    names: list[str] = []
    for spec in specs:
        name, number = spec.name, 1
        while name is None or (spec.name is None and name in taken):
            name = spec.kind if number == 1 else f"{spec.kind}_{number}"
            number += 1
        taken.add(name)
        names.append(name)
    return names
