"""The flags of a stage's command become settings of the right shape."""

import pytest

from burnish.cli.stages import _flags, _parsed
from burnish.specs.train import SftSpec

FLAGS = dict(reversed(list(_flags(SftSpec))))


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("track", "[tensorboard]", ["tensorboard"]),
        ("method.targets", "[q_proj, v_proj]", ["q_proj", "v_proj"]),
        ("method.targets", "all-linear", "all-linear"),
        ("method.train_fully", "[lm_head]", ["lm_head"]),
        ("dtype", "float32", "float32"),
        ("threads", "2", 2),
        ("max_grad_norm", "null", None),
        ("render.chat_template", "{{ messages }}", "{{ messages }}"),
    ],
)
def test_a_flag_is_read_as_its_field_says(path, text, value):
    assert _parsed(path, text, FLAGS) == value


def test_a_missing_setting_is_hinted_as_a_flag(burnish):
    said = burnish("sft")
    assert said.status == 2
    assert "add --data …; add --base …; see `burnish sft --help`" in said.err


def test_a_recipe_given_to_a_stage_is_told_as_such(burnish, recipe):
    said = burnish("sft", recipe)
    assert said.status == 2
    assert f"run it with `burnish run {recipe}`" in said.err


def test_a_list_is_shown_in_the_help_and_in_errors_as_it_is_written(burnish):
    assert "Several: '[A, B]'" in " ".join(burnish("sft", "--help").out.split())
    said = burnish("sft", "--data", "builtin:x", "--base", "builtin:pocket", "--track", "tensorboard,wandb")
    assert said.status == 2
    assert "given: 'tensorboard,wandb'" in said.err
    assert "Several are written as [A, B]" in " ".join(said.err.split())


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("--lora-rank", "burnish calls it --method.rank"),
        ("--lora_rank", "burnish calls it --method.rank"),
        ("--lr", "burnish calls it --learning-rate"),
        ("--rank", "it is --method.rank"),
        ("--output-dir", "output is written to runs/, see `burnish runs show`; remove it, or set --workspace"),
        ("--val-size", "burnish calls it split.validation, a setting of another stage"),
    ],
)
def test_the_flag_of_another_tool_leads_to_that_of_burnish(burnish, option, hint):
    found = burnish("sft", option, "8")
    assert found.status == 2
    assert f"there is no option {option}" in found.err
    assert f"{hint}; see `burnish sft --help`" in found.err


def test_a_flag_that_nobody_knows_is_refused_as_such(burnish):
    found = burnish("sft", "--zzzz", "8")
    assert (found.status, "No such option: --zzzz" in found.err) == (2, True)
