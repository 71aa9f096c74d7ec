"""Resolving references."""

import os
import shutil

import pytest

from burnish.core.context import Input
from burnish.core.errors import AskError
from burnish.core.inputs.references import check_kind, fetched, folder_kind, resolve

DATA = ("dataset", "file", "folder")


def refused(*args) -> AskError:
    with pytest.raises(AskError) as caught:
        resolve(*args)
    return caught.value


def test_a_file_is_found_from_the_workspace_and_by_its_full_path(workspace):
    path = workspace.root / "rows.jsonl"
    path.write_text("{}\n")
    for ref in ("file:rows.jsonl", "file:./rows.jsonl", f"file:{path}"):
        found = resolve(ref, DATA, workspace, {})
        assert (found.kind, found.path, found.ref) == ("file", path, ref)
        assert found.fingerprint


@pytest.mark.parametrize("path", ["/dev/zero", "/proc/self/mem", "/proc/self/environ", "pipe"])
def test_a_special_file_is_refused_by_name(workspace, path):
    os.mkfifo(workspace.root / "pipe")
    error = refused(f"file:{path}", DATA, workspace, {})
    assert error.code == "ask.bad-reference"
    assert f"file:{path}" in error.what


@pytest.mark.parametrize("ref", ["file:~nosuchuser/x", "git:~nosuchuser/x"])
def test_an_unknown_home_folder_is_refused_by_name(workspace, ref):
    error = refused(ref, DATA, workspace, {})
    assert (error.code, "~nosuchuser" in error.what) == ("ask.bad-reference", True)


def test_a_missing_file_suggests_the_nearest_name(workspace):
    (workspace.root / "rows.jsonl").write_text("{}\n")
    error = refused("file:row.jsonl", DATA, workspace, {})
    assert error.code == "ask.bad-reference"
    assert "did you mean 'rows.jsonl'?" in error.fix
    assert "no folder" in refused("file:gone/row.jsonl", DATA, workspace, {}).fix


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["config.json"], "model"),
        (["adapter_config.json", "config.json"], "adapter"),
        (["tokenizer.json"], "tokenizer"),
        (["stats.json", "train.parquet"], "dataset"),
        (["stats.json"], "folder"),
        ([], "folder"),
    ],
)
def test_the_kind_of_a_folder_is_detected_from_its_files(tmp_path, files, kind):
    for name in files:
        (tmp_path / name).write_text("{}")
    assert folder_kind(tmp_path) == kind


def test_an_artifact_is_found_by_name_and_version_and_keeps_its_lineage(workspace, finished):
    base = finished("r", 1, "base", kind="model", fingerprint="b")
    finished("r", 1, "tune", kind="adapter", fingerprint="t1", inputs={"base": base.artifact().as_input("step:base")})
    newest = finished("r", 2, "tune", kind="adapter", fingerprint="t2")
    found = resolve("r.tune@1", ("adapter",), workspace, {})
    assert (found.kind, found.fingerprint, found.inputs["base"].path) == ("adapter", "t1", base.out)
    assert resolve("r.tune@latest", ("adapter",), workspace, {}).path == newest.out
    by_path = resolve("file:runs/r/1/tune/out", ("adapter",), workspace, {})
    assert (by_path.kind, by_path.fingerprint, by_path.inputs["base"].path) == ("adapter", "t1", base.out)


@pytest.fixture
def planned_run(workspace):
    """Record a run whose steps reuse earlier run folders: `planned_run("r", 7, tune=run)`."""

    def planned_run(recipe, number, **steps):
        (workspace.runs / recipe / str(number)).mkdir(parents=True)
        listed = [{"step": step, "folder": run.name} for step, run in steps.items()]
        workspace.record_plan(recipe, number, {"recipe": recipe, "steps": listed})

    return planned_run


def test_a_reused_step_is_found_by_the_number_of_the_run_that_reused_it(workspace, finished, planned_run):
    old = finished("r", 1, "tune", kind="adapter", fingerprint="old")
    new = finished("r", 2, "tune", kind="adapter", fingerprint="new")
    planned_run("r", 7, tune=old)
    planned_run("renamed", 1, tune=new)

    def path(ref):
        return resolve(ref, ("adapter",), workspace, {}).path

    assert path("r.tune@latest") == path("r.tune@7") == path("r.tune@1") == old.out
    assert path("r.tune@2") == path("renamed.tune@1") == path("renamed.tune@latest") == new.out
    for file in (old.folder / "artifact.json", old.folder / "job.json"):
        os.utime(file, (10**9, 10**9))
    assert path("r.tune@latest") == old.out


def test_the_latest_artifact_of_a_step_that_failed_since_is_an_older_one_and_is_reported(
    workspace, finished, planned_run
):
    made = finished("r", 1, "tune", kind="adapter")
    finished("r", 2, "tune", state="failed")
    planned_run("r", 3, data=made)
    planned_run("r", 4, tune=workspace.run("r", 4, "tune"))
    notes = []
    assert resolve("r.tune@latest", ("adapter",), workspace, {}, notes.append).revision == "r/1/tune"
    assert notes == [
        "r.tune@latest is from run r/1: r/4 has none (the step did not start), "
        "r/3 has none (not a step of that run), r/2 has none (the step is failed)"
    ]
    assert "the step is failed" in refused("r.tune@2", ("adapter",), workspace, {}).what
    assert "did you mean 'r.tune@1'?" in refused("r.tune@2", ("adapter",), workspace, {}).fix


def test_an_output_folder_that_was_copied_elsewhere_is_a_plain_folder(workspace, finished, tmp_path):
    run = finished("r", 1, "tune", kind="dataset")
    shutil.copytree(run.folder, tmp_path / "copy")
    assert resolve(f"file:{tmp_path / 'copy' / 'out'}", DATA, workspace, {}).kind == "folder"


def test_an_unknown_artifact_suggests_one_of_a_matching_kind(workspace, finished):
    finished("r", 1, "tune", kind="adapter")
    finished("r", 1, "data", kind="dataset")
    assert "did you mean 'r.tune@1'?" in refused("r.tun@1", ("adapter",), workspace, {}).fix
    assert "r.data@1" in refused("x.y@9", ("dataset",), workspace, {}).fix


def test_an_unknown_built_in_model_lists_the_known_ones(workspace):
    error = refused("builtin:poket", ("model",), workspace, {})
    assert error.code == "ask.bad-reference"
    assert "pocket" in error.fix or "known names" in error.fix


def test_an_input_of_another_kind_is_refused_by_field_name(tmp_path):
    value = Input("file:x", "dataset", tmp_path)
    with pytest.raises(AskError) as caught:
        check_kind(value, ("model", "adapter"), "tune.base")
    assert caught.value.code == "ask.wrong-kind"
    assert "'tune.base' expects model or adapter" in caught.value.what
    assert "file:x is a dataset" in caught.value.what


def test_a_local_input_needs_no_download(tmp_path):
    value = Input("file:x", "adapter", tmp_path, inputs={"base": Input("file:y", "model", tmp_path)})
    assert fetched(value) == value


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"config.json": '{"learning_rate": 1}', "rows.jsonl": "{}"}, "folder"),
        ({"config.json": "[]", "rows.jsonl": "{}"}, "folder"),
        ({"config.json": '{"model_type": "llama"}'}, "model"),
        ({"config.json": '{"learning_rate": 1}', "model.safetensors": ""}, "model"),
        ({"config.json": '{"model_type', "x.txt": ""}, "model"),
    ],
)
def test_a_data_folder_may_contain_a_config_json(tmp_path, files, kind):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert folder_kind(tmp_path) == kind


@pytest.mark.parametrize(
    ("failed", "expected"), [(1, "r/1 "), (3, "r/1 "), (4, "and 1 older run"), (6, "and 3 older runs")]
)
def test_of_many_runs_without_the_artifact_the_newest_three_are_named(workspace, finished, failed, expected):
    for number in range(1, failed + 1):
        finished("r", number, state="failed")
    what = refused("r.s@latest", DATA, workspace, {}).what
    assert expected in what
    assert [number for number in range(1, 7) if f"r/{number} " in what] == list(range(max(1, failed - 2), failed + 1))


def test_a_path_that_is_not_utf_8_is_refused_before_it_is_looked_for(workspace):
    for ref in ("file:rows-\udcff.jsonl", f"file:{workspace.root}/\udcff/rows.jsonl"):
        assert refused(ref, DATA, workspace, {}).code == "ask.wrong-value"
