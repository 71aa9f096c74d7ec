"""The recipe of a mixture runs as it ships, and its page is there."""

import json
from pathlib import Path

import pytest

import burnish

RECIPE = Path(__file__).parents[2] / "recipes" / "mixture.yaml"


@pytest.mark.torture  # four processes: 20 s of one core
@pytest.mark.timeout(600)
def test_two_sources_are_mixed_and_profiled(tmp_path):
    run = burnish.run(RECIPE, workspace=tmp_path)
    mixed = json.loads((run["mix"].path / "stats.json").read_text())["mixture"]
    assert [source["taken"]["rows"] for source in mixed["sources"].values()] == [500, 500]
    profile = json.loads((run["profile"].path / "profile.json").read_text())
    assert profile["rows"] == 1000
    assert profile["leakage"]["test"]["exact"] == 0
    assert (run["profile"].path / "profile.html").exists()
