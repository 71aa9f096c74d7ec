"""What an artifact was made from: as a tree, as a picture, as data."""

import xml.etree.ElementTree as ET
from unicodedata import combining, east_asian_width

import pytest

import artifacts
import burnish
from burnish.core.context import Input
from burnish.core.fingerprint import of_path
from burnish.core.registry.drawing import svg
from burnish.core.registry.lineage import Node

EVIL = 'rows "<script>alert(1)</script>&\u202e.jsonl'


@pytest.fixture
def merged(registry, workspace):
    """A merged model ← an adapter ← a dataset ← a file, and the base."""
    (workspace.root / EVIL.replace("/", "∕")).write_text("{}")
    file = Input(f"file:{EVIL}", "file", workspace.root / EVIL.replace("/", "∕"), "ff")
    data = artifacts.write_artifact(
        workspace, "data", kind="dataset", fingerprint="dd", inputs={"source": file}, stage="prepare"
    )
    (workspace.root / "base").mkdir()
    (workspace.root / "base" / "config.json").write_text("{}")
    path = workspace.root / "base"
    base = Input("file:base", "model", path, of_path(path, {}, "model"))
    inputs = {"data": data.artifact().as_input("step:data"), "base": base}
    files = {**artifacts.ADAPTER, "proof.json": artifacts.PROOF}
    adapter = artifacts.write_artifact(workspace, fingerprint="aa", inputs=inputs, files=files, stage="sft")
    model = {"model": adapter.artifact().as_input("step:tune")}
    found = artifacts.certificate("", holds=False)
    run = artifacts.write_artifact(
        workspace, "merged", kind="model", fingerprint="mm", inputs=model, certificate=found, stage="merge"
    )
    registry.register("r.tune@1", name="support")
    registry.register("r.merged@1", name="big")
    return run


def test_the_tree_goes_down_to_the_files(registry, merged):
    root = registry.lineage("big")
    found = [(node.role, node.kind, node.fingerprint, node.evidence) for node in root.walk()]
    assert found == [
        ("", "model", "mm", "certificate failed"),
        ("model", "adapter", "aa", "proof passed"),
        ("data", "dataset", "dd", ""),
        ("source", "file", "ff", ""),
        ("base", "model", root.children[0].children[1].fingerprint, ""),
    ]
    assert root.children[0].versions == ("support@1 (candidate)",)
    assert root.as_dict()["made_from"][0]["made_from"][0]["run"] == "r/1/data"
    assert registry.lineage("r.tune@1").fingerprint == "aa"


def test_the_picture_is_well_formed_and_contains_no_markup_of_names(registry, merged, tmp_path):
    registry.lineage("big@1", svg_file=tmp_path / "big.svg")
    tree = ET.parse(tmp_path / "big.svg")
    names = {element.tag.partition("}")[2] for element in tree.iter()}
    assert names == {"svg", "title", "style", "rect", "path", "text"}
    text = " ".join(element.text or "" for element in tree.iter())
    assert "✗ certificate" in text
    assert "✓ proof" in text
    assert "\u202e" not in text
    boxes = [e for e in tree.iter() if e.tag.endswith("rect") and e.get("class") != "page"]
    assert len(boxes) == 5
    places = [tuple(float(box.get(key)) for key in ("x", "y", "width", "height")) for box in boxes]
    for i, (x, y, width, height) in enumerate(places):
        for other_x, other_y, other_width, other_height in places[:i]:
            apart = x + width <= other_x or other_x + other_width <= x
            assert apart or y + height <= other_y or other_y + other_height <= y


def test_an_artifact_with_changed_files_is_marked_and_has_no_evidence(registry, merged, workspace, tmp_path):
    (workspace.root / "runs/r/1/tune/out/proof.json").write_text("{}")
    root = registry.lineage("big", svg_file=tmp_path / "big.svg")
    adapter = root.children[0]
    assert adapter.evidence == ""
    assert adapter.as_dict()["damage"].startswith("proof.json has 2 bytes instead of")
    assert "✗ damaged: proof.json" in (tmp_path / "big.svg").read_text()


@pytest.mark.parametrize("name", ["W" * 60, "很长的名字" * 12, "🙂" * 40, "\u202e" * 20, "e\u0301" * 60])
def test_the_text_of_a_long_name_stays_in_its_box(name):
    root = ET.fromstring(svg(Node("", name, "model", "f")))
    [label] = [e.text for e in root.iter() if e.tag.endswith("}text") and e.text and e.text.endswith("…")]
    cells = sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in label)
    assert 35 <= cells <= 38, "280 of 300 pixels, at 7.23 for each cell of a font of 12 pixels"


def test_a_picture_without_a_folder_is_refused(registry, merged):
    with pytest.raises(burnish.BurnishError, match="there is no folder"):
        registry.lineage("big", svg_file="/nowhere/x.svg")


def test_an_unknown_name_gets_the_nearest(registry, merged):
    with pytest.raises(burnish.BurnishError) as caught:
        registry.lineage("bug")
    assert "'big'" in caught.value.fix


def test_two_versions_differ_in_what_they_were_made_with(registry, workspace):
    for number in (1, 2):
        inputs = {"data": Input("file:rows", "file", workspace.root / "rows", str(number))}
        files = {**artifacts.ADAPTER, "adapter_model.safetensors": "w" * number}
        measures = {"loss": 1 / number}
        artifacts.write_artifact(
            workspace, number=number, fingerprint=f"f{number}", inputs=inputs, files=files, measures=measures
        )
        registry.register(f"r.tune@{number}", name="support")
    artifacts.evaluation(workspace, of="f2")
    found = registry.diff("support@1", "support@2")
    assert found["data"] == {"file:rows": ["1", "2"]}
    assert found["measures"] == {"loss": [1.0, 0.5]}
    assert found["scores"] == {"accuracy": [None, 0.75]}
    assert found["evidence"]["verdict"] == [None, "passed: accuracy: better"]
    assert found["files"]["bytes"] == [3, 4]
    assert "settings" not in found
    assert "config" not in found["files"]
    assert registry.diff("support@1", "support@1") == {}


def test_a_file_that_changed_between_two_inputs_differs_in_each(registry, workspace):
    for number, first in enumerate("ab", 1):
        inputs = {
            name: Input("file:rows", "file", workspace.root / "rows", content)
            for name, content in (("data", first), ("more", "c"))
        }
        files = {**artifacts.ADAPTER, "adapter_model.safetensors": "w" * number}
        artifacts.write_artifact(workspace, number=number, fingerprint=f"f{number}", inputs=inputs, files=files)
        registry.register(f"r.tune@{number}", name="support")
    assert registry.diff("support@1", "support@2")["data"] == {"file:rows": ["a, c", "b, c"]}
