"""Lists of artifacts, servers and datasets know the steps as the list of runs does: nothing is read twice."""

import pytest

from burnish.core.runs import artifact, run
from burnish.studio.datasets import datasets
from burnish.studio.serving.served import served_models
from burnish.studio.views.artifacts import artifacts, certificates


@pytest.mark.parametrize("listed", [artifacts, certificates, served_models, datasets])
def test_records_that_did_not_change_are_not_read_again(written, monkeypatch, listed):
    for number in range(1, 5):
        written.step(f"r/{number}/tune", created=float(number), measures={"loss": 1.0})
        written.step(f"r/{number}/serve", state="planned", stage="serve")
    root, read = {"workspace": written.place.root}, []
    before = listed(**root)
    for module in (run, artifact):
        original = module.read_record
        monkeypatch.setattr(module, "read_record", lambda path, original=original: read.append(path) or original(path))
    assert listed(**root) == before
    assert read == []


def test_the_licence_of_an_artifact_is_that_of_its_files_now(written):
    written.step("r/1/tune", created=1.0, measures={})
    root = {"workspace": written.place.root}
    assert [row["licence"] for row in artifacts(**root)["artifacts"]] == ["unknown"]
    written.file("r/1/tune/out/README.md", "---\nlicense: mit\n---\n")
    assert [row["licence"] for row in artifacts(**root)["artifacts"]] == ["mit"]


def test_artifacts_are_the_newest_first_and_damaged_steps_are_named(written):
    for number in (1, 2, 3):
        written.step(f"r/{number}/tune", created=float(10 - number), measures={})
    written.step("r/4/tune")
    written.file("r/2/tune/run.json", "{")
    found = artifacts(workspace=written.place.root)
    assert [row["run"] for row in found["artifacts"]] == ["r/1/tune", "r/3/tune"]
    assert found["damaged"] == ["r/2/tune"]
    assert artifacts(kinds=["model"], workspace=written.place.root)["artifacts"] == []
    assert artifacts(stages=["sft"], limit=1, workspace=written.place.root)["next"] == "r/1/tune"
