"""Resolving references."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from burnish.cli.stages import as_reference
from burnish.core.context import Input
from burnish.core.errors import AskError
from burnish.core.fingerprint import of_path
from burnish.core.inputs.references import (
    artifact_names,
    built_ins,
    fetched,
    inputs_as_fingerprints,
    refuse_runs_within,
    refuse_secret,
    resolve,
)

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


def test_a_local_input_needs_no_download(tmp_path):
    value = Input("file:x", "adapter", tmp_path, inputs={"base": Input("file:y", "model", tmp_path)})
    assert fetched(value) == value


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


def said(call, *args, **named) -> str:
    with pytest.raises(AskError) as caught:
        call(*args, **named)
    return f"{caught.value.code} | {caught.value.what} | {caught.value.fix}"


def test_a_path_may_contain_a_colon_and_is_the_real_one(workspace):
    (workspace.root / "a:b.txt").write_text("a")
    (workspace.root / "folder").mkdir()
    (workspace.root / "folder" / "c.txt").write_text("c")
    (workspace.root / "link").symlink_to("folder")
    (workspace.root / "c.txt").symlink_to("folder/c.txt")
    root = workspace.root
    assert resolve("file:a:b.txt", DATA, workspace, {}).path == root / "a:b.txt"
    assert resolve("file:link", DATA, workspace, {}) == Input(
        "file:link", "folder", root / "folder", of_path(root / "folder", {})
    )
    assert resolve("file:c.txt", DATA, workspace, {}) == Input(
        "file:c.txt", "file", root / "folder/c.txt", of_path(root / "folder/c.txt", {})
    )


def test_a_reference_with_a_secret_is_refused_and_the_fix_names_where_secrets_belong(workspace):
    token = "hf_" + "Q" * 34
    for ref, kind, where in (
        (f"hub:a/{token}", "an access token", "tokens are read from the environment, such as HF_TOKEN"),
        (
            "git:https://user:word@host/x",
            "a user name or password in an address",
            "Git uses its credential helper, GIT_ASKPASS or ~/.netrc",
        ),
    ):
        what = f"the reference contains {kind}, and is written to disk"
        assert said(resolve, ref, DATA, workspace, {}) == f"ask.wrong-value | {what} | remove it: {where}"
    refuse_secret("open https://user:word@host/x", "'s.text'", is_reference=False)
    assert said(refuse_secret, token, "'s.text'", is_reference=False).startswith(
        "ask.wrong-value | 's.text' contains an access token"
    )


def test_a_missing_path_and_one_that_cannot_be_read_are_named(workspace, bound_by_permissions):
    root = workspace.root
    (root / "secret.txt").write_text("x")
    (root / "secret.txt").chmod(0)
    assert said(resolve, "file:none.txt", DATA, workspace, {}) == (
        f"ask.bad-reference | file:none.txt: there is no file or folder {root}/none.txt | known names: secret.txt"
    )
    assert said(resolve, "file:no/none.txt", DATA, workspace, {}) == (
        f"ask.bad-reference | file:no/none.txt: there is no file or folder {root}/no/none.txt | "
        f"there is no folder {root}/no either; check the path"
    )
    with bound_by_permissions():
        assert said(resolve, "file:secret.txt", DATA, workspace, {}) == (
            f"ask.bad-reference | file:secret.txt: {root}/secret.txt cannot be read (Permission denied) | "
            "check its permissions, or use other files"
        )


@pytest.mark.parametrize("target", ["loop.jsonl", "nowhere.jsonl"])
def test_a_link_that_leads_to_no_file_is_named(workspace, target):
    (workspace.root / "loop.jsonl").symlink_to(target)
    with pytest.raises(AskError, match=r"loop\.jsonl is a link that leads to no file"):
        resolve("file:loop.jsonl", DATA, workspace, {})
    assert as_reference(str(workspace.root / "loop.jsonl")).startswith("file:")


def test_a_kernel_file_is_one_behind_a_link_too(workspace):
    (workspace.root / "version.txt").symlink_to("/proc/version")
    os.mkfifo(workspace.root / "pipe")
    fix = "copy its content to a regular file and use that"
    assert said(resolve, "file:version.txt", DATA, workspace, {}) == (
        f"ask.bad-reference | file:version.txt: {workspace.root}/version.txt is a kernel file, not data | {fix}"
    )
    assert said(resolve, "file:pipe", DATA, workspace, {}) == (
        f"ask.bad-reference | file:pipe: {workspace.root}/pipe is neither a regular file nor a folder | {fix}"
    )


@pytest.mark.parametrize("path", [".", "..", "/", "rows/..", "./rows/../", "runs", "runs/../rows/.."])
def test_a_folder_around_the_runs_is_refused_however_it_is_written(workspace, path):
    (workspace.root / "rows").mkdir()
    assert said(refuse_runs_within, f"file:{path}", workspace) == (
        f"ask.bad-reference | file:{path} contains the workspace's runs, which change while a step reads | "
        "move the data to its own folder and use that, or name the files"
    )
    refuse_runs_within(f"git:{path}", workspace)


@pytest.mark.parametrize("path", ["rows", "runs/r/1/s/out", "/srv", "rows/../rows", "file:"])
def test_another_folder_is_not_around_the_runs(workspace, path):
    (workspace.root / "rows").mkdir()
    refuse_runs_within(f"file:{path}", workspace)


def test_the_artifact_of_a_run_is_its_output_folder_and_no_other_folder(workspace, finished):
    run = finished("r", 1, "tune", kind="adapter")
    (run.folder / "outer").mkdir()
    (workspace.root / "link").symlink_to(run.out)
    artifact = run.artifact()
    for path in ("runs/r/1/tune/out", "runs/r/1/tune/scratch/../out", "link"):
        assert resolve(f"file:{path}", DATA, workspace, {}) == artifact.as_input(f"file:{path}")
    for path in ("scratch", "outer"):
        found = resolve(f"file:runs/r/1/tune/{path}", DATA, workspace, {})
        assert (found.kind, found.path, found.inputs) == ("folder", run.folder / path, {})


def test_an_artifact_is_an_input_with_the_run_it_is_from(workspace, finished):
    run = finished("qwen2.5", 2, "tune", kind="adapter", fingerprint="t")
    found = resolve("qwen2.5.tune@2", ("adapter",), workspace, {})
    assert found == replace(run.artifact().as_input("qwen2.5.tune@2"), revision="qwen2.5/2/tune")
    notes = []
    resolve("qwen2.5.tune@latest", ("adapter",), workspace, {}, notes.append)
    assert notes == []


def test_why_a_run_has_no_artifact_is_said_whole(workspace, finished):
    run = finished("r", 1, "data")
    shutil.rmtree(run.out)
    fix = "did you mean 'r.data@1'?"
    assert said(resolve, "r.data@1", DATA, workspace, {}) == (
        f"ask.bad-reference | there is no artifact 'r.data@1': r/1 has none (its output is missing) | {fix}"
    )
    finished("r", 2, "data", state="interrupted")
    assert said(resolve, "r.data@2", DATA, workspace, {}) == (
        f"ask.bad-reference | there is no artifact 'r.data@2': r/2 has none (the step is interrupted) | {fix}"
    )
    assert said(resolve, "r.data@3", DATA, workspace, {}) == (
        f"ask.bad-reference | there is no artifact 'r.data@3' | {fix}"
    )


@pytest.mark.parametrize(
    ("failed", "listed"),
    [
        (3, "r/3 has none (the step is failed), r/2 has none (the step is failed), r/1 has none (the step is failed)"),
        (
            4,
            "r/4 has none (the step is failed), r/3 has none (the step is failed), r/2 has none (the step is failed), "
            "and 1 older run",
        ),
        (
            5,
            "r/5 has none (the step is failed), r/4 has none (the step is failed), r/3 has none (the step is failed), "
            "and 2 older runs",
        ),
    ],
)
def test_three_runs_without_the_artifact_are_listed_and_the_others_counted(workspace, finished, failed, listed):
    for number in range(1, failed + 1):
        finished("r", number, state="failed")
    assert said(resolve, "r.s@latest", DATA, workspace, {}) == (
        f"ask.bad-reference | there is no artifact 'r.s@latest': {listed} | "
        f"{workspace.root} has none yet: run a recipe, or name another folder with --workspace"
    )


def test_artifacts_of_a_fitting_kind_are_suggested_and_all_where_there_is_none(workspace, finished):
    finished("r", 1, "tune", kind="adapter")
    finished("r", 1, "data", kind="dataset")
    broken = finished("q", 1, "data", kind="dataset")
    (broken.folder / "artifact.json").write_text("{")
    assert artifact_names(workspace) == {"r.tune@1": "adapter", "r.data@1": "dataset"}
    for kinds, names in ((DATA, "r.data@1"), (("adapter",), "r.tune@1"), (("model",), "r.data@1, r.tune@1")):
        assert said(resolve, "zzz@9", kinds, workspace, {}).endswith(f" | known names: {names}")


def test_a_built_in_model_is_an_input_of_its_files(workspace):
    path = built_ins()["pocket"]
    assert resolve("builtin:pocket", ("model",), workspace, {}) == Input(
        "builtin:pocket", "model", path, of_path(path, {}, "model")
    )
    assert said(resolve, "builtin:poket", ("model",), workspace, {}) == (
        "ask.bad-reference | there is no built-in model 'poket' | did you mean 'pocket'?"
    )


def test_only_an_adapters_base_is_fetched_with_it(tmp_path):
    pinned = Input("hub:a/b", "hub-model", Path(), "f", revision="0" * 40)
    for value in (
        Input("r.merged@1", "model", tmp_path, "f", {"base": pinned}),
        Input("file:x", "adapter", tmp_path, "f"),
        Input("file:x", "adapter", tmp_path, "f", {"data": pinned, "base": Input("file:y", "model", tmp_path)}),
    ):
        assert fetched(value) == value


def test_the_fingerprints_of_inputs_keep_their_names(tmp_path):
    inputs = {"data": Input("file:x", "file", tmp_path, "f1"), "source.0.ref": Input("file:y", "file", tmp_path)}
    assert inputs_as_fingerprints(inputs) == {"data": "f1", "source.0.ref": ""}
