"""Export to one file and import elsewhere: every byte is checked, and an archive writes nowhere else."""

import hashlib
import io
import json
import os
import tarfile

import pytest

import artifacts
import burnish
from burnish.core.context import Input
from burnish.core.fingerprint import of_value
from burnish.core.inputs.references import built_ins, resolve
from burnish.core.runs.workspace import Workspace
from burnish.studio.findings import check_workspace

SUFFIXES = (".tar", ".tar.gz", ".tgz", "")


@pytest.fixture
def there(tmp_path):
    """The workspace that imports."""
    root = tmp_path / "there"
    root.mkdir()
    return Workspace(root)


@pytest.fixture
def support(registry, workspace):
    """An adapter of the built-in model, in production."""
    base = resolve("builtin:pocket", ("model",), workspace, {})
    rows = Input("file:rows", "file", workspace.root / "secret-folder" / "rows", "rr")
    files = {**artifacts.ADAPTER, "proof.json": artifacts.PROOF, "notes ä 你好.txt": "x"}
    artifacts.write_artifact(workspace, inputs={"base": base, "data": rows}, files=files)
    artifacts.evaluation(workspace)
    registry.register("r.tune@1", name="support", because="first")
    registry.promote("support@latest", to="production")
    registry.tag("support@latest", "best")
    return "support@1"


@pytest.mark.parametrize("suffix", SUFFIXES, ids=["tar", "gz", "tgz", "folder"])
def test_what_is_exported_is_imported(registry, support, there, tmp_path, suffix):
    path = registry.export(support, tmp_path / f"support{suffix}")
    found = registry.import_(path, workspace=there.root)
    assert (found["ref"], found["stage"], found["tags"], found["new"]) == ("support@1", "candidate", [], True)
    shown = registry.show("support@1", workspace=there.root)
    before = registry.show(support)
    for key in ("fingerprint", "digest", "settings", "measures", "base", "data", "licences", "tokenizer", "made_by"):
        assert shown[key] == before[key], key
    assert shown["damage"] == ""
    assert (shown["imported"]["stage"], shown["imported"]["tags"]) == ("production", ["best"])
    assert {one["kind"] for one in shown["imported"]["evidence"]} == {"proof", "verdict", "score"}
    assert [one["kind"] for one in shown["evidence"]] == ["proof"]  # evidence that stayed there counts for nothing here
    assert shown["path"] == str(there.root / "runs/imported/1/support/out")
    value = resolve("support@1", ("adapter",), there, {})
    assert value.inputs["base"].path == built_ins()["pocket"]
    assert not value.inputs["data"].path.exists()
    assert registry.import_(path, workspace=there.root)["new"] is False
    assert registry.import_(path, name="again", workspace=there.root)["ref"] == "again@1"
    assert [f for f in check_workspace(there, deep=True) if f.level == "problem"] == []
    assert not any(".partial" in name for name in os.listdir(tmp_path))


def test_other_files_with_a_known_fingerprint_are_a_version_without_evidence(registry, support, there, tmp_path):
    files = {**artifacts.ADAPTER, "adapter_model.safetensors": "other weights", "proof.json": artifacts.PROOF}
    artifacts.write_artifact(there, files=files)
    artifacts.evaluation(there)
    registry.register("r.tune@1", name="support", workspace=there.root)
    said, path = [], registry.export(support, tmp_path / "s.tar")
    found = registry.import_(path, workspace=there.root, say=said.append)
    assert (found["ref"], found["new"]) == ("support@2", True)
    assert "support@2 has the same fingerprint as support@1, and other files" in said
    shown = registry.show("support@2", workspace=there.root)
    assert shown["path"] == str(there.root / "runs/imported/1/support/out")
    assert {one["kind"] for one in shown["evidence"]} == {"proof"}
    assert "e/1/evaluate is on other files" in shown["left_out"][0]
    with pytest.raises(burnish.BurnishError, match="no verdict"):
        registry.promote("support@2", workspace=there.root)


def test_an_import_that_another_process_registered_meanwhile_leaves_no_files(
    registry, support, there, tmp_path, monkeypatch
):
    from burnish.studio.registry import transfer

    path = registry.export(support, tmp_path / "s.tar")
    extract = transfer.extract

    def slow(*arguments):
        monkeypatch.setattr(transfer, "extract", extract)
        registry.import_(path, workspace=there.root)
        extract(*arguments)

    monkeypatch.setattr(transfer, "extract", slow)
    found = registry.import_(path, workspace=there.root)
    assert (found["ref"], found["new"]) == ("support@1", False)
    assert [str(one.relative_to(there.runs)) for one in there.runs.glob("imported/*/*/out")] == [
        "imported/2/support/out"
    ]


def test_an_export_holds_no_path_of_the_machine(registry, support, workspace, tmp_path):
    path = registry.export(support, tmp_path / "support")
    text = (path / "burnish-registry.json").read_text()
    assert "secret-folder" not in text
    assert str(workspace.root) not in text


def test_an_import_is_not_reused_by_a_recipe(registry, support, there, tmp_path):
    registry.import_(registry.export(support, tmp_path / "s.tar"), workspace=there.root)
    (run,) = there.all_runs()
    assert run.record["fingerprint"] == "imported f"


def test_an_existing_target_and_a_damaged_artifact_are_refused(registry, support, workspace, tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(burnish.BurnishError, match="exists"):
        registry.export(support, tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"
    weights = workspace.root / "runs/r/1/tune/out/adapter_model.safetensors"
    status = weights.stat()
    weights.write_text("weightz")
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))  # only the hash tells
    for target in ("new.tar", "new.tgz", "new"):
        with pytest.raises(burnish.BurnishError) as caught:
            registry.export(support, tmp_path / target)
        assert caught.value.code == "run.damaged-artifact"
    assert sorted(os.listdir(tmp_path)) == ["taken", "work"]


def test_a_model_of_a_hub_has_no_files_to_export(registry, workspace):
    from burnish.core.registry.registry import Registry

    place = {"ref": "hub:a/b", "run": None, "path": "", "revision": "c" * 40}
    record = {"kind": "model", "fingerprint": "h", "digest": "h", "artifact": place, "files": None}
    Registry(workspace).register("big", record, "w")
    with pytest.raises(burnish.BurnishError, match="is on a hub"):
        registry.export("big")
    value = resolve("big@1", ("model",), workspace, {})
    assert (value.ref, value.kind, value.revision) == (f"hub:a/b@{'c' * 40}", "hub-model", "c" * 40)


def written(path, change=lambda content: None, members=None, *, seal=True):
    """An archive with a changed record, and other members than it says."""
    files = {"adapter_config.json": b"{}"}
    record = {"kind": "adapter", "fingerprint": "f", "digest": "d", "artifact": {"path": "", "run": None, "ref": "x"}}
    record["files"] = {
        name: {"size": len(raw), "mtime_ns": 1, "sha256": hashlib.sha256(raw).hexdigest()}
        for name, raw in files.items()
    }
    record["digest"] = of_value({name: file["sha256"] for name, file in record["files"].items()})
    content = {"format": 1, "name": "evil", "version": 1, "record": record, "artifact": None}
    change(content)
    if seal:
        content["sha256"] = of_value(content)
    with tarfile.open(path, "w") as archive:
        add(archive, "burnish-registry.json", json.dumps(content).encode())
        for member, raw in members or [("files/adapter_config.json", b"{}")]:
            add(archive, member, raw)
    return path


def add(archive, member, raw):
    if isinstance(member, str):
        member = tarfile.TarInfo(member)
        member.size = len(raw)
    archive.addfile(member, io.BytesIO(raw))


def link(name, target, kind=tarfile.SYMTYPE):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def named(name):
    """An archive whose record and member agree on a name."""
    raw = hashlib.sha256(b"x").hexdigest()

    def change(content):
        content["record"]["files"] = {name: {"size": 1, "mtime_ns": 1, "sha256": raw}}

    return change, [(f"files/{name}", b"x")]


ADAPTER = ("files/adapter_config.json", b"{}")
HOSTILE = {
    **{
        f"a name {name!r}": named(name)
        for name in (
            "../x",
            "/etc/x",
            "a/../../x",
            "a\\..\\x",
            "C:x",
            "a/./b",
            "a//b",
            "x\x1b[2J",
            "\u202ex",
            "x ",
            "..",
        )
    },
    "a symlink": (None, [ADAPTER, (link("files/x", "/etc/passwd"), b"")]),
    "a hard link": (None, [ADAPTER, (link("files/x", "burnish-registry.json", tarfile.LNKTYPE), b"")]),
    "a device": (None, [ADAPTER, (link("files/x", "", tarfile.CHRTYPE), b"")]),
    "a pipe": (None, [ADAPTER, (link("files/x", "", tarfile.FIFOTYPE), b"")]),
    "a folder": (None, [ADAPTER, (link("files/x", "", tarfile.DIRTYPE), b"")]),
    "a file outside": (None, [ADAPTER, ("../../evil", b"x")]),
    "an absolute file": (None, [ADAPTER, ("/tmp/evil", b"x")]),
    "a file that is not in the record": (None, [ADAPTER, ("files/evil.py", b"x")]),
    "a file twice": (None, [ADAPTER, ADAPTER]),
    "a missing file": (None, [("files/other", b"")]),
    "other bytes": (None, [("files/adapter_config.json", b"[]")]),
    "more bytes": (None, [("files/adapter_config.json", b"{}" * 9)]),
    "a kind of its own": (lambda content: content["record"].update(kind="dataset"), None),
    "a name with a path": (lambda content: content.update(name="../evil"), None),
    "a name that is a number": (lambda content: content.update(name=3), None),
    "a future format": (lambda content: content.update(format=2), None),
    "a record that is a list": (lambda content: content.update(record=[]), None),
    "files that are a list": (lambda content: content["record"].update(files=[]), None),
    "another digest": (lambda content: content["record"].update(digest="d"), None),
    "no files": (lambda content: content["record"].update(files=None), None),
    "a negative size": (lambda content: content["record"]["files"]["adapter_config.json"].update(size=-1), None),
    "inputs that are no inputs": (lambda content: content.update(artifact={"inputs": {"base": 3}}), None),
    "a spec that is no spec": (lambda content: content.update(artifact={"inputs": {}, "spec": 3}), None),
    "two names of one file": (
        lambda content: content["record"]["files"].update(
            {"Adapter_config.json": content["record"]["files"]["adapter_config.json"]}
        ),
        [ADAPTER, ("files/Adapter_config.json", b"{}")],
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing(registry, there, tmp_path, name):
    change, members = HOSTILE[name]
    path = written(tmp_path / "evil.tar", change or (lambda _: None), members)
    before = {file: os.lstat(file).st_mtime_ns for file in ("/tmp", "/etc")}
    with pytest.raises(burnish.BurnishError) as caught:
        registry.import_(path, workspace=there.root)
    assert caught.value.code in ("ask.wrong-value", "data.unreadable", "run.damaged-artifact", "run.broken-record")
    assert os.lstat("/etc").st_mtime_ns == before["/etc"]
    left = [file for file in there.root.rglob("*") if file.is_file() and ".lock" not in file.name]
    assert left == []
    assert sorted(os.listdir(tmp_path)) == ["evil.tar", "there", "work"]
    assert registry.listing(workspace=there.root) == []


def test_the_plain_archive_of_these_tests_is_imported(registry, there, tmp_path):
    assert registry.import_(written(tmp_path / "good.tar"), workspace=there.root)["ref"] == "evil@1"


def test_a_record_that_was_changed_is_refused(registry, there, tmp_path):
    path = written(tmp_path / "x.tar", lambda content: content.update(sha256="0" * 64), seal=False)
    with pytest.raises(burnish.BurnishError, match="was changed since it was exported"):
        registry.import_(path, workspace=there.root)


@pytest.mark.parametrize("suffix", [".tar", ".tgz"])
def test_a_truncated_or_other_file_is_refused(registry, support, there, tmp_path, suffix):
    path = registry.export(support, tmp_path / f"s{suffix}")
    raw = path.read_bytes()
    with tarfile.open(path) as archive:
        last = archive.getmembers()[-1].offset_data
    for size in (0, 1, 100, 600, *((last, last - 1) if suffix == ".tar" else (len(raw) // 2,))):
        path.write_bytes(raw[:size])
        with pytest.raises(burnish.BurnishError) as caught:
            registry.import_(path, workspace=there.root)
        assert caught.value.code in ("data.unreadable", "run.damaged-artifact")
    with pytest.raises(burnish.BurnishError, match="there is no file"):
        registry.import_(tmp_path / "none.tar", workspace=there.root)
    with pytest.raises(burnish.BurnishError, match="cannot be read"):
        registry.import_(there.root, workspace=there.root)


@pytest.mark.parametrize("change", [lambda raw: raw + b"x", lambda raw: raw[:-1], lambda raw: raw[:-1] + b"y"])
def test_a_file_of_a_folder_with_other_bytes_is_refused(registry, support, there, tmp_path, change):
    path = registry.export(support, tmp_path / "out")
    weights = path / "files" / "adapter_model.safetensors"
    weights.write_bytes(change(weights.read_bytes()))
    with pytest.raises(burnish.BurnishError, match="is not the file that was registered"):
        registry.import_(path, workspace=there.root)
    assert registry.listing(workspace=there.root) == []


def test_a_folder_with_more_files_than_were_exported_is_refused(registry, support, there, tmp_path):
    path = registry.export(support, tmp_path / "out")
    (path / ".DS_Store").write_text("of the desktop")
    for name in ("extra.txt", "files/evil.py"):
        (path / name).write_text("x")
        with pytest.raises(burnish.BurnishError, match=rf"'{name}' is not in its record"):
            registry.import_(path, workspace=there.root)
        (path / name).unlink()
    assert registry.import_(path, workspace=there.root)["new"]


def test_a_target_that_cannot_be_written_is_named(registry, support, tmp_path):
    with pytest.raises(burnish.BurnishError, match=r"^/proc/x\.tar cannot be written") as caught:
        registry.export(support, "/proc/x.tar")
    assert "--to" in caught.value.fix
    for name in ("m.zip", "m.tar.zst", "m.gz"):
        with pytest.raises(burnish.BurnishError, match="is not a form of archive that is written"):
            registry.export(support, tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["work"]


def test_a_link_in_a_folder_is_refused(registry, support, there, tmp_path):
    path = registry.export(support, tmp_path / "folder")
    target = path / "files" / "adapter_config.json"
    moved = target.rename(tmp_path / "outside.json")
    target.symlink_to(moved)
    with pytest.raises(burnish.BurnishError, match="is a link"):
        registry.import_(path, workspace=there.root)


def test_a_base_that_is_elsewhere_is_named_and_can_be_given(registry, workspace, there, tmp_path):
    (workspace.root / "base").mkdir()
    (workspace.root / "base" / "config.json").write_text('{"model_type": "x"}')
    base = resolve("file:base", ("model",), workspace, {})
    sha = hashlib.sha256(b'{"model_type": "x"}').hexdigest()
    files = {**artifacts.ADAPTER, "burnish_base.json": {"base": "file:base", "files": {"config.json": sha}}}
    artifacts.write_artifact(workspace, inputs={"base": base}, files=files)
    registry.register("r.tune@1", name="support")
    path, said = registry.export("support", tmp_path / "s.tar"), []
    registry.import_(path, name="without", workspace=there.root, say=said.append)
    assert "its base file:base is not in this workspace" in said[0]
    with pytest.raises(burnish.BurnishError) as caught:
        registry.import_(path, base="builtin:pocket", workspace=there.root)
    assert caught.value.code == "model.wrong-adapter"
    copy = there.root / "copy"
    copy.mkdir()
    (copy / "config.json").write_text('{"model_type": "x"}')
    registry.import_(path, base="file:copy", workspace=there.root)
    plan = burnish.plan({"name": "u", "steps": {"m": {"stage": "merge", "model": "support@1"}}}, workspace=there.root)
    assert plan.steps[0].inputs["model"].inputs["base"].path == copy
