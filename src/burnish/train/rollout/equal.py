"""Says where the rewards of a training on groups do not differ: then nothing is learned, at a loss of 0."""

from collections.abc import Callable

from burnish.core.events import Event, Note
from burnish.train.rollout.store import RolloutFolder

EQUAL = "equal_groups"
"""The metric of a rollout: the share of its prompts whose completions have equal rewards."""
_FIRST = 3
_FIX = "use easier prompts, other rewards, a higher generation.temperature or a larger group_size"


def warn_of_first(folder: RolloutFolder, emit: Callable[[Event], None]) -> None:
    """Warn once the first rollouts are made, if no prompt has completions with different rewards."""
    shares = folder.values(EQUAL)
    if len(shares) == _FIRST and min(shares) >= 1:
        what = f"the completions of each prompt have equal rewards in all of the first {_FIRST} rollouts"
        emit(Note(level="warning", text=f"{what}: nothing is learned from them; {_FIX}"))


def report_all(folder: RolloutFolder, emit: Callable[[Event], None]) -> None:
    """Report the share of prompts with equal rewards at the end of a run, if it is half of them or more."""
    shares = folder.values(EQUAL)
    if not shares or (share := sum(shares) / len(shares)) < 0.5:
        return
    count = f"{len(shares)} rollouts" if len(shares) > 1 else "the rollout"
    what = f"in {count}, {share:.0%} of the groups have equal rewards: nothing is learned from them"
    emit(Note(level="warning" if share >= 1 else "info", text=f"{what}; {_FIX}"))
