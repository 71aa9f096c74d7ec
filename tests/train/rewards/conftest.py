"""Rewards built from settings, and a judge's server."""

import pytest
from pydantic import TypeAdapter

from burnish.specs.rewards import Reward
from burnish.testing import ChatServer, temporary_context
from burnish.train.rewards.build import build_rewards, close_rewards
from burnish.train.rewards.reward import total


@pytest.fixture
def build(tmp_path):
    """`build({"kind": "number"}, …)`: rewards in a temporary run, closed at the end."""
    built = []

    def build(*settings, inputs=None):
        specs = [TypeAdapter(Reward).validate_python(setting) for setting in settings]
        ctx, _ = temporary_context(tmp_path, inputs or {})
        rewards = build_rewards(specs, ctx)
        built.extend(rewards)
        return rewards

    yield build
    close_rewards(built)


@pytest.fixture
def value(build):
    """`value(setting, completion)`: the value of one reward, None if it does not apply."""

    def value(setting, one):
        reward, *_ = build(setting)
        return total([reward], [one]).values[reward.name][0].value

    return value


@pytest.fixture
def server():
    with ChatServer() as server:
        yield server
