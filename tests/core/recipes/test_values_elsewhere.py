"""Stages and values of other tools: each leads to what to write."""

import re

import pytest

from burnish.core.catalog import ELSEWHERE, stage, stages
from burnish.core.errors import AskError
from burnish.core.recipes.aliases import VALUES


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_training_of_another_tool_leads_to_a_stage(name):
    with pytest.raises(AskError) as caught:
        stage(name)
    assert (caught.value.what, caught.value.fix) == (f"unknown stage '{name}'", ELSEWHERE[name])
    named = re.match(r"write stage: (\w+)", ELSEWHERE[name])
    assert named is None or named[1] in stages()


@pytest.mark.parametrize(("setting", "value"), VALUES)
@pytest.mark.parametrize("several", [False, True])
def test_a_value_of_another_tool_leads_to_what_to_write(refused, setting, value, several):
    name = "dpo" if setting == "loss" else "grpo"
    needed = {"rewards": [{"kind": "number"}]} if name == "grpo" else {}
    given = ["sigmoid", value] if several else value
    error = refused(stages()[name].spec_type(), {"base": "hub:a/b", "data": "step:x", **needed, setting: given})
    assert error.fix == VALUES[setting, value]


@pytest.mark.parametrize(
    ("kind", "more", "help_"),
    [
        ("judge", {"endpoint": {"url": "http://host/v1", "model": "m"}}, "whose first group is the score"),
        ("format", {}, "such as `<think>.*</think>.*`"),
    ],
)
def test_a_bad_value_of_a_variant_gets_the_help_of_that_variant(refused, kind, more, help_):
    reward = {"kind": kind, "pattern": "a(b", **more}
    error = refused(stages()["grpo"].spec_type(), {"base": "hub:a/b", "data": "step:x", "rewards": [reward]})
    assert "invalid regular expression" in error.what
    assert help_ in error.fix
