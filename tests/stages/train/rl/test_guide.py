"""The rows of settings in the guide of reinforcement learning are valid."""

import re
from pathlib import Path

import pytest
import yaml

from burnish.specs.rl import GrpoSpec

GUIDE = (Path(__file__).parents[4] / "docs" / "guides" / "rl.md").read_text(encoding="utf-8")
TABLE = re.search(r"\| method \| settings \|\n.*?\n(.*?)\n\n", GUIDE, re.DOTALL)[1].splitlines()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.split("|")[1].split()[0])
def test_a_row_of_settings_of_a_paper_can_be_copied(row):
    settings = {}
    for setting in re.findall(r"`([^`]+)`", row.split("|")[2]):
        settings |= yaml.safe_load(setting)
    assert settings
    GrpoSpec(data="file:d", base="file:b", rewards=[{"kind": "number"}], **settings)


def test_the_row_of_grpo_has_the_divergence_of_the_paper():
    assert "`unbiased_kl: false`" in TABLE[0]
