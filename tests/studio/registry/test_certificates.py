"""Which certificates count for a promotion: those against what the artifact was made from, not against itself."""

import json
import shutil

import pytest

import artifacts
import burnish
from burnish.core.context import Input
from burnish.core.inputs.references import resolve


def with_parent(workspace):
    """An artifact made from an adapter on a base, and both."""
    base = Input("file:b", "model", workspace.root / "b", "base")
    files = {**artifacts.ADAPTER, "adapter_model.safetensors": "other weights"}
    adapter = artifacts.write_artifact(workspace, "first", fingerprint="adapter", inputs={"base": base}, files=files)
    model = adapter.artifact().as_input("step:first")
    return artifacts.write_artifact(workspace, kind="model", inputs={"model": model}), model, base


def folder_of(workspace, run, name="copy"):
    """A copy of the files of a run, as a folder."""
    shutil.copytree(run.out, workspace.root / name)
    return resolve(f"file:{name}", ("adapter",), workspace, {})


@pytest.mark.parametrize("which", ["parent", "base", "a copy of the parent"])
def test_a_certificate_against_what_the_artifact_was_made_from_counts(registry, workspace, which):
    _, adapter, base = with_parent(workspace)
    copy = folder_of(workspace, workspace.run("r", 1, "first"))
    artifacts.certified(workspace, parent={"parent": adapter, "base": base}.get(which, copy))
    registry.register("r.tune@1", name="support")
    assert [one["kind"] for one in registry.show("support")["evidence"]] == ["certificate"]


@pytest.mark.parametrize(
    "which", ["itself", "a copy of itself", "another model", "other files of its parent", "an endpoint"]
)
def test_a_certificate_against_another_model_does_not_count(registry, workspace, which):
    run, _, _ = with_parent(workspace)
    again = artifacts.write_artifact(workspace, "first", number=2, fingerprint="adapter", files={"x": "other"})
    parents = {
        "itself": run.artifact().as_input("r.tune@1"),
        "a copy of itself": folder_of(workspace, run),
        "another model": Input("file:p", "model", workspace.root / "p", "p"),
        "other files of its parent": again.artifact().as_input("r.first@2"),
    }
    artifacts.certified(workspace, parent=parents.get(which))
    if which == "an endpoint":
        record = workspace.root / "runs/k/1/certify/artifact.json"
        written = json.loads(record.read_text())
        del written["inputs"]["parent"]
        record.write_text(json.dumps(written))
    registry.register("r.tune@1", name="support")
    shown = registry.show("support")
    assert shown["evidence"] == []
    why = {"itself": "with itself", "a copy of itself": "with a copy of itself", "an endpoint": "is an endpoint"}.get(
        which, "was not made from"
    )
    assert "k/1/certify is not counted" in shown["left_out"][0]
    assert why in shown["left_out"][0]
    with pytest.raises(burnish.BurnishError, match="no certificate"):
        registry.promote("support@latest")


@pytest.mark.parametrize("which", ["another folder", "a folder that the certificate says is a copy"])
def test_a_certificate_of_a_folder_against_a_copy_of_it_does_not_count(registry, workspace, which):
    for name in ("lora", "copy"):
        (workspace.root / name).mkdir()
        for file, content in artifacts.ADAPTER.items():
            (workspace.root / name / file).write_text(content)
    if which != "another folder":  # as the same files from a hub, whose fingerprint is another
        (workspace.root / "copy/notes.txt").write_text("more")
    child, parent = (resolve(f"file:{name}", ("adapter",), workspace, {}) for name in ("lora", "copy"))
    run = artifacts.certified(workspace, child=child, parent=parent)
    if which != "another folder":
        record = json.loads((run.folder / "artifact.json").read_text())
        record["certificate"]["checks"].append({"name": "files", "verdict": "holds", "found": "", "limit": ""})
        (run.folder / "artifact.json").write_text(json.dumps(record))
    registry.register("file:lora", name="support")
    shown = registry.show("support")
    assert shown["evidence"] == []
    assert "itself" in shown["left_out"][0]
