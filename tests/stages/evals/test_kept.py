"""Kept answers are those of the files of a model, whatever the recipe that gave them."""

import json

import artifacts
from burnish.core.context import Input
from burnish.stages.evals.kept import content_of


def weights(number):
    return {**artifacts.ADAPTER, "adapter_model.safetensors": f"weights {number}"}


def test_the_key_of_a_model_that_was_trained_again_differs(workspace):
    runs = [artifacts.write_artifact(workspace, number=n, files=weights(name)) for n, name in enumerate("aba", 1)]
    first, other, same = [content_of(run.artifact().as_input(run.reference)) for run in runs]
    assert first != other
    assert first == same


def test_so_does_the_key_of_an_adapter_on_a_base_that_was_trained_again(workspace):
    contents = []
    for number in (1, 2):
        base = artifacts.write_artifact(workspace, "base", number=number, kind="model", files=weights(number))
        inputs = {"base": base.artifact().as_input("step:base")}
        run = artifacts.write_artifact(workspace, number=number, fingerprint="a", inputs=inputs)
        summed = {"adapters.0.adapter": run.artifact().as_input("step:tune")}
        contents += [run, artifacts.write_artifact(workspace, "sum", number=number, fingerprint="s", inputs=summed)]
    contents = [content_of(run.artifact().as_input("x")) for run in contents]
    assert contents[0] != contents[2]
    assert contents[1] != contents[3]


def test_the_files_of_an_artifact_without_a_digest_are_read(workspace):
    runs = [artifacts.write_artifact(workspace, number=number, files=weights(number)) for number in (1, 2)]
    for run in runs:
        record = run.folder / "artifact.json"
        record.write_text(json.dumps({**json.loads(record.read_text()), "files": None}))
    first, other = [run.artifact().as_input("x") for run in runs]
    assert first.digest == ""
    assert content_of(first) != content_of(other)


def test_a_folder_is_its_content(tmp_path):
    assert content_of(Input("file:m", "model", tmp_path, "content")) == ["content"]
