"""The preview of a merge over HTTP: the checks of the stages, ranks and sizes; and what then comes out."""

import json
import shutil

import pytest

import burnish

ADAPTER, OTHER = "sft.sft@1", "file:other"


@pytest.fixture(scope="module")
def studio(models_studio):
    """With a second adapter: the first with other weights, and its record of the base."""
    folder = models_studio.folder
    shutil.copytree(folder / "runs/sft/1/sft/out", folder / "other")
    path = folder / "other/adapter_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-4:] = b"\x00\x00\x00\x00"
    path.write_bytes(bytes(data))
    shutil.copytree(folder / "other", folder / "foreign")
    record = json.loads((folder / "foreign/burnish_base.json").read_text())
    record["files"] = dict.fromkeys(record["files"], "0" * 64)
    (folder / "foreign/burnish_base.json").write_text(json.dumps(record))
    return models_studio


def preview(studio, stage, status=200, **values):
    answer = studio.page.post("/api/v1/merges/preview", json={"stage": stage, "values": values}, timeout=60)
    assert answer.status_code == status, answer.text
    return answer.json()


def both(**more):
    return {"adapters": [{"adapter": ADAPTER, "weight": 0.5}, {"adapter": OTHER, "weight": -1}], **more}


def test_a_merge_into_the_base_has_the_size_that_is_foretold(studio):
    found = preview(studio, "merge", model=ADAPTER, dtype="keep")
    [adapter] = found["adapters"]
    assert (adapter["rank"], adapter["in_four_bits"]) == (16, False)
    assert found["base"]["ref"] == "builtin:pocket"
    assert found["result"]["kind"] == "model"
    made = burnish.run_stage("merge", workspace=studio.folder, model=ADAPTER, dtype="keep", certify=False)
    size = sum(path.stat().st_size for path in made.path.glob("*.safetensors"))
    assert found["result"]["bytes"] == pytest.approx(size, rel=0.02)
    [row] = studio.page.get("/api/v1/exports").json()["artifacts"]
    assert (row["ref"], row["kind"]) == ("merge.merge@1", "model")


@pytest.mark.parametrize(
    ("more", "rank", "how"),
    [
        ({"method": "cat"}, 32, "exactly"),
        ({}, 32, "at most"),
        ({"method": "svd", "rank": 4}, 4, "at most"),
        ({"method": "ties"}, 16, "exactly"),
    ],
    ids=str,
)
def test_a_combination_has_the_rank_of_its_method(studio, more, rank, how):
    result = preview(studio, "combine", **both(**more))["result"]
    assert (result["kind"], result["rank"], result["rank_is"]) == ("adapter", rank, how)
    assert result["bytes"] > 0


def test_with_auto_the_size_is_between_the_bases_dtype_and_float32(studio):
    result = preview(studio, "combine", **both(into="base"))["result"]
    assert result["bytes"] < result["most_bytes"]


def test_what_cannot_be_merged_is_refused_as_by_the_stage(studio):
    twice = [{"adapter": ADAPTER, "weight": 1}, {"adapter": "file:runs/sft/1/sft/out", "weight": 1}]
    assert preview(studio, "combine", 422, adapters=twice)["code"] == "model.wrong-adapter"
    foreign = [{"adapter": ADAPTER, "weight": 1}, {"adapter": "file:foreign", "weight": 1}]
    assert preview(studio, "combine", 422, adapters=foreign)["code"] == "model.wrong-adapter"
    assert preview(studio, "merge", 409, model="builtin:pocket")["code"] == "ask.nothing-to-do"
    assert preview(studio, "merge", 422, model=ADAPTER, into="dequantized")["code"] == "ask.wrong-value"
    assert preview(studio, "combine", 422, **both(method="lineer"))["code"] == "ask.wrong-value"
    assert preview(studio, "merge", 403, model="file:/etc")["code"] == "ask.not-allowed"
    assert preview(studio, "merge", 422, model="nowhere@1")["code"] == "ask.bad-reference"
