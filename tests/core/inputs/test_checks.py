"""Inputs must match the fingerprints of the plan, and adapters the base that they were trained on."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from burnish.core import fingerprint
from burnish.core.context import Input
from burnish.core.errors import BurnishError, ModelError, RunError
from burnish.core.files import write_json
from burnish.core.fingerprint import BASE_RECORD, of_model
from burnish.core.inputs.checks import InputWatch, artifact_at, check_base, check_input, write_base_record
from burnish.core.inputs.references import resolve

DATA = ("file", "folder", "dataset")
MODEL = ("model", "adapter")


@pytest.fixture
def rows(workspace):
    path = workspace.root / "rows.jsonl"
    path.write_text('{"text": "one"}\n')
    return path


@pytest.fixture
def base(workspace):
    folder = workspace.root / "base"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "README.md"):
        (folder / name).write_text(f"{{}} {name}")
    return folder


def refused(kind, call, *args) -> BurnishError:
    with pytest.raises(kind) as caught:
        call(*args)
    return caught.value


def test_a_file_that_changed_after_the_plan_is_refused_by_name(workspace, rows):
    value = resolve("file:rows.jsonl", DATA, workspace, {})
    check_input(value, {})
    rows.write_text('{"text": "two"}\n')
    error = refused(RunError, check_input, value, {})
    assert (error.code, "file:rows.jsonl" in error.what, "run it again" in error.fix) == (
        "run.input-changed",
        True,
        True,
    )
    rows.unlink()
    assert "is missing" in refused(RunError, check_input, value, {}).what


def test_the_file_of_a_folder_that_changed_is_named(workspace, base):
    value = resolve("file:base", MODEL, workspace, {})
    since = max(path.stat().st_ctime for path in base.iterdir())
    until = since
    while until == since:
        (base / "model.safetensors").write_text("other")
        until = (base / "model.safetensors").stat().st_ctime
    what = refused(RunError, check_input, value, {}, since).what
    assert "model.safetensors" in what
    assert "README.md" not in what


def test_a_pinned_revision_is_not_checked(tmp_path):
    for kind, ref in (("hub-model", "hub:a/b"), ("git", "git:https://host/x")):
        check_input(Input(ref, kind, tmp_path / "none", "f", revision="c"), {})


@pytest.mark.parametrize("edit", ["new content", "same content", "same size and time", "deleted", "replaced"])
def test_an_edit_while_the_step_runs_is_refused_at_its_end(workspace, rows, edit, monkeypatch):
    value = resolve("file:rows.jsonl", DATA, workspace, {})
    watch = InputWatch({"data": value}, {}, 0.0)
    assert watch.start() == []
    assert watch.end() == []
    before = rows.stat()
    match edit:
        case "new content":
            rows.write_text("other")
        case "same content":
            text = rows.read_text()
            while rows.stat().st_mtime_ns == before.st_mtime_ns:
                rows.write_text("another")
                rows.write_text(text)
        case "same size and time":
            rows.write_text(rows.read_text().replace("one", "two"))
            os.utime(rows, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "deleted":
            rows.unlink()
        case "replaced":
            shutil.copy2(rows, workspace.root / "copy")
            (workspace.root / "copy").rename(rows)
    error = refused(RunError, watch.end)
    assert error.code == "run.input-changed"
    assert "rows.jsonl" in error.what


def test_an_edit_after_the_input_is_released_is_reported_and_not_refused(workspace, rows):
    value = resolve("file:rows.jsonl", DATA, workspace, {})
    watch = InputWatch({"data": value}, {}, 0.0)
    watch.start()
    watch.release("data")
    rows.write_text("other")
    assert watch.end() == ["file:rows.jsonl"]
    other = InputWatch({"data": resolve("file:rows.jsonl", DATA, workspace, {})}, {}, 0.0)
    other.start()
    rows.write_text("changed before it was read")
    assert refused(RunError, other.release, "data").code == "run.input-changed"


def test_weights_are_checked_even_after_release(workspace, base):
    watch = InputWatch({"base": resolve("file:base", MODEL, workspace, {})}, {}, 0.0)
    watch.start()
    watch.release("base")
    (base / "model.safetensors").write_text("other")
    assert refused(RunError, watch.end).code == "run.input-changed"


def test_an_adapter_whose_base_changed_is_refused(workspace, base, finished):
    value = resolve("file:base", MODEL, workspace, {})
    adapter = finished("r", 1, "tune", kind="adapter", inputs={"base": value}).artifact().as_input("r.tune@1")
    check_input(adapter, {})
    (base / "model.safetensors").write_text("other")
    error = refused(ModelError, check_input, adapter, {})
    assert (error.code, "file:base" in error.what) == ("model.wrong-adapter", True)
    shutil.rmtree(base)
    assert refused(ModelError, check_input, adapter, {}).code == "model.not-found"
    check_input(adapter, {}, other_base=True)


def test_an_adapter_merged_into_a_given_base_does_not_need_its_own(workspace, base, finished):
    value = resolve("file:base", MODEL, workspace, {})
    adapter = finished("r", 1, "tune", kind="adapter", inputs={"base": value}).artifact().as_input("r.tune@1")
    moved = base.rename(workspace.root / "moved")
    watch = InputWatch({"model": adapter, "base": resolve("file:moved", MODEL, workspace, {})}, {}, 0.0)
    watch.start()
    (moved / "config.json").write_text("changed")
    assert refused(RunError, watch.end).code == "run.input-changed"


def test_an_adapter_whose_base_is_a_damaged_artifact_is_refused(finished):
    below = finished("r", 1, "base", kind="model", fingerprint="b", files={"model.safetensors": "w"})
    inputs = {"base": below.artifact().as_input("step:base")}
    adapter = finished("r", 1, "tune", kind="adapter", inputs=inputs).artifact().as_input("r.tune@1")
    check_input(adapter, {})
    (below.out / "model.safetensors").write_text("other")
    assert refused(RunError, check_input, adapter, {}).code == "run.damaged-artifact"


def test_a_copied_adapter_identifies_its_base_by_content(workspace, base, tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    check_base(adapter, base)  # of another tool: it does not record its base
    write_base_record(adapter, resolve("file:base", MODEL, workspace, {}), {})
    moved = shutil.copytree(base, tmp_path / "moved")
    (moved / "README.md").write_text("read me again")
    check_base(adapter, moved)
    (moved / "model.safetensors").write_text("of the same shape")
    error = refused(ModelError, check_base, adapter, moved)
    assert error.code == "model.wrong-adapter"
    assert "model.safetensors" in error.what
    assert "config.json" not in error.what


def test_a_broken_record_of_a_base_is_reported(base, tmp_path):
    (tmp_path / BASE_RECORD).write_text("{")
    assert BASE_RECORD in refused(RunError, check_base, tmp_path, base).what


def test_the_content_of_a_model_is_hashed_by_file(base):
    assert sorted(of_model(base, {})) == ["config.json", "model.safetensors"]


def test_an_output_folder_without_its_record_is_refused(finished):
    run = finished()
    value = run.artifact().as_input("step:s")
    (run.folder / "artifact.json").unlink()
    assert "artifact.json is missing" in refused(RunError, check_input, value, {}).what


def test_an_output_folder_copied_elsewhere_is_a_plain_folder(finished, workspace, tmp_path):
    run = finished()
    shutil.copytree(run.folder, tmp_path / "copy")
    check_input(resolve(f"file:{tmp_path / 'copy' / 'out'}", DATA, workspace, {}), {})


def test_hashes_are_cached_while_files_do_not_change(workspace, base, monkeypatch):
    monkeypatch.setattr(fingerprint, "_SETTLED_NS", -1)
    known = {}
    value = resolve("file:base", MODEL, workspace, known)
    monkeypatch.setattr("pathlib.Path.open", None)
    watch = InputWatch({"base": value}, known, 0.0)
    watch.start()
    assert watch.end() == []


def test_a_reference_to_a_broken_record_is_not_a_plain_folder(finished, workspace):
    run = finished()
    write_json(run.folder / "artifact.json", {"kind": "dataset"})
    assert "lacks 'name'" in refused(RunError, resolve, f"file:{run.out}", DATA, workspace, {}).what


def test_only_the_output_folder_of_a_run_is_its_artifact(finished):
    run = finished()
    value = run.artifact().as_input("step:s")
    assert artifact_at(value).fingerprint == value.fingerprint
    assert artifact_at(replace(value, path=run.folder / "scratch")) is None
    assert artifact_at(replace(value, fingerprint="of another")) is None
    assert artifact_at(replace(value, path=Path("/out"))) is None


def test_the_readme_of_a_model_may_change_while_a_step_reads_the_model(workspace, base):
    watch = InputWatch({"base": resolve("file:base", MODEL, workspace, {})}, {}, 0.0)
    watch.start()
    (base / "README.md").write_text("edited")
    (base / "curve.png").write_bytes(b"new")
    assert watch.end() == []
    (base / "LICENSE").write_text("a file that merge copies")
    assert refused(RunError, watch.end).code == "run.input-changed"
