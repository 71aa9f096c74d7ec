"""Rewards of answers for `grpo` and `ppo`: one file per kind, built from `burnish.specs.rewards`."""
