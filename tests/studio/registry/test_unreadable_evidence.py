"""Evidence inside an artifact that cannot be read: it decides nothing, and other evidence does not stand for it."""

import pytest

import artifacts
import burnish


@pytest.mark.parametrize(
    ("file", "says"),
    [("artifact.json", "its own certificate is unknown: "), ("out/proof.json", "its proof.json cannot be read")],
)
def test_evidence_in_the_artifact_that_cannot_be_read_decides_nothing(registry, workspace, file, says):
    """A certificate that does not hold would be hidden, and the proof would stand for it."""
    files = {**artifacts.ADAPTER, "proof.json": artifacts.PROOF}
    if file == "out/proof.json":
        files["proof.json"] = "{"
    run = artifacts.write_artifact(workspace, files=files, certificate=artifacts.certificate("", holds=False))
    registry.register("r.tune@1", name="support")
    artifacts.evaluation(workspace, of="f")
    if file == "artifact.json":
        (run.folder / file).write_text("{")
    found = registry.show("support@1")["evidence"]
    assert says in " ".join(one["found"] for one in found)
    with pytest.raises(burnish.BurnishError) as caught:
        registry.promote("support@1")
    assert "certificate" in caught.value.what
