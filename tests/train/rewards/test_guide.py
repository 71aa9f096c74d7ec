"""The guide's examples are valid, and it names every kind of reward."""

import re
import typing
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from burnish.specs.rewards import Reward
from burnish.train.rewards.reward import total
from completions import completion

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "rewards.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
KINDS = [member.__pydantic_fields__["kind"].default for member in typing.get_args(typing.get_args(Reward)[0])]


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_example_is_valid(recipe):
    assert TypeAdapter(list[Reward]).validate_python(yaml.safe_load(recipe)["rewards"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_in_the_guide(kind):
    assert f"`{kind}`" in GUIDE


def test_the_example_of_a_package_works(install, build):
    code = re.search(r"```python\n(.*?)```", GUIDE, re.DOTALL)[1]
    install("my_rewards", {"burnish.rewards": {"brevity": "my_rewards:Brevity"}}, code)
    rewards = build({"kind": "python", "plugin": "brevity", "settings": {"words": 2}, "weight": 0.5})
    assert total(rewards, [completion("one two three four"), completion("")]).totals == [0.25, 0.5]
