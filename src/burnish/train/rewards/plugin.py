"""Rewards of installed packages: the entry-point group `burnish.rewards`.

An entry point is a function of the settings that returns a Reward. Code in a file of the user's is not loaded: a
recipe may come from elsewhere, and what is installed was chosen (see the decision on plugins).
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from burnish.core.plugins import plugin_named
from burnish.specs.rewards import PythonReward
from burnish.train.rewards.reward import Completion, Rewarded

GROUP = "burnish.rewards"


class PluginReward:
    """A reward of another package; its errors, SystemExit included, name the plugin and its package.

    Errors: AskError `ask.bad-reference` if no package provides it; MachineError `machine.broken-plugin`.
    """

    def __init__(self, spec: PythonReward, name: str):
        self.name, self.weight = name, spec.weight
        self._plugin = plugin_named(GROUP, spec.plugin, "reward")
        made = self._plugin.load()
        with self._plugin.guarded("cannot be created"):
            self._reward: Any = made(spec.settings)
        if not callable(self._reward):
            raise self._plugin.refused(f"gave {type(self._reward).__name__}, which is not a function of completions")

    def __call__(self, completions: Sequence[Completion]) -> list[Rewarded]:
        where = f"row {completions[0].place}" if len(completions) == 1 else f"{len(completions)} completions"
        if len(completions) > 1:
            where += f", the first of row {completions[0].place}"
        with self._plugin.guarded(f"failed for {where}"):
            return self._reward(deepcopy(list(completions)))  # what it changes is its own

    def close(self) -> None:
        """Close the plugin's reward, if it can be closed."""
        if (close := getattr(self._reward, "close", None)) is not None:
            with self._plugin.guarded("cannot be closed"):
                close()
