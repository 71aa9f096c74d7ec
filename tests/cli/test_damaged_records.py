"""Every small file of a workspace, damaged in every way, met by every command: named where it matters, no fault."""

import json
import random
import shutil

import pytest

import burnish as api
from burnish.core.runs.records import LOGS
from burnish.core.runs.workspace import Workspace
from burnish.studio import machine

FILES = {
    "run.json": "r/1/make/run.json",
    "artifact.json": "r/1/make/artifact.json",
    "job.json": "r/1/make/job.json",
    "spec.json": "r/1/make/spec.json",
    "plan.json": "r/1/plan.json",
    "latest.txt": "latest.txt",
    "hashes.json": "../.burnish/hashes.json",
}
FAULTS = ("empty", "truncated", "binary", "a list", "no keys", "not UTF-8", "a folder", "unreadable")
COMMANDS = {
    "plan": ("plan", "r.yaml"),
    "list": ("runs", "list"),
    "list as JSON": ("--json", "runs", "list"),
    "show": ("runs", "show"),
    "doctor": ("doctor",),
    "doctor RUN": ("doctor", "r/1/make"),
    "chat": ("chat", "r.make@1", "--ask", "?"),
    "inspect": ("inspect", "r.make@1"),
    "run": ("run", "r.yaml"),
}
NAMES = {
    "run.json": {"plan", "list", "list as JSON", "show", "doctor", "doctor RUN", "run"},
    "artifact.json": set(COMMANDS),
    "job.json": {"doctor", "doctor RUN"},
    "spec.json": {"show", "doctor", "doctor RUN"},
    "plan.json": {"show", "doctor", "doctor RUN", "chat", "inspect"},
    "latest.txt": {"doctor"},
    "hashes.json": {"doctor"},
}
"""The commands that need the file. What another command does is as it was before the damage."""
SLOW = {"inspect", "run"}
"""Commands that start processes: where nothing of the file is theirs, one fault of it is enough."""


@pytest.fixture(scope="module")
def made(quick_site, tmp_path_factory):
    """A workspace in which the recipe of two steps ran once."""
    root = tmp_path_factory.mktemp("made") / "work"
    root.mkdir()
    steps = {"make": {"stage": "quick-make"}, "join": {"stage": "quick-join", "source": "step:make"}}
    (root / "r.yaml").write_text(json.dumps({"name": "r", "steps": steps}))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(quick_site))
        patch.setenv("PYTHONPATH", str(quick_site), prepend=":")
        from burnish.core.catalog import stages

        stages.cache_clear()
        api.run(root / "r.yaml", workspace=root)
        stages.cache_clear()
    Workspace(root).remember_hashes({str(root): [[1, 2, 3, 4], "0" * 64]})
    return root


@pytest.fixture
def workspace(made, tmp_path):
    shutil.copytree(made, tmp_path / "work", copy_function=shutil.copy2)
    return Workspace(tmp_path / "work")


def damage(path, fault):
    raw = path.read_bytes()
    match fault:
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(raw[: len(raw) // 2] if path.suffix == ".json" else raw[:2])
        case "binary":
            path.write_bytes(random.Random(path.name).randbytes(300))
        case "a list":
            path.write_text("[]")
        case "no keys":
            path.write_text("{}")
        case "not UTF-8":
            path.write_bytes(raw[:-2] + b"\xff\xfe")
        case "a folder":
            path.unlink()
            path.mkdir()
        case "unreadable":
            path.chmod(0)


def whole_with(name, fault):
    """An object without keys is all that these two need."""
    return fault == "no keys" and name in ("spec.json", "hashes.json")


@pytest.mark.some
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_no_command_meets_a_fault_of_its_own(
    burnish, workspace, monkeypatch, bound_by_permissions, name, fault
):
    monkeypatch.setattr(machine, "_devices", lambda: {"names": ["cpu"]})
    path = (workspace.runs / FILES[name]).resolve()
    damage(path, fault)
    for command, words in COMMANDS.items():
        needed = command in NAMES[name] and not whole_with(name, fault)
        if command in SLOW and fault != "empty" and (command == "run" or not needed):
            continue
        with bound_by_permissions():
            found = burnish(*words)
        said = "".join((found.out + found.err).split())  # however it is broken into lines
        assert "faultofitsown" not in said, (command, found.err)
        assert "Traceback" not in said, (command, found.err)
        if needed:
            assert str(path) in said, (command, found.out, found.err)
        elif command == "chat":
            assert found.status == 2, (command, found.err)  # a dataset is no model
        else:
            assert found.status == 0 or command == "doctor", (command, found.out, found.err)
        if needed and command in ("list", "list as JSON"):
            assert "damaged" in found.out
            assert "1 of 2 runs" in found.err
        if needed and command.startswith("doctor"):
            assert found.status == 1
    if fault == "empty" and name in ("run.json", "artifact.json"):  # left for the person to look at
        assert path.read_bytes() == b""
        assert (workspace.runs / "r/2/make/artifact.json").is_file()


@pytest.mark.parametrize("name", LOGS)
def test_a_folder_in_the_place_of_a_log_is_named(burnish, workspace, monkeypatch, name):
    monkeypatch.setattr(machine, "_devices", lambda: {"names": ["cpu"]})
    path = workspace.runs / "r/1/make" / name
    path.unlink(missing_ok=True)
    path.mkdir()
    for words in (("doctor",), ("doctor", "r/1/make")):
        found = burnish(*words)
        assert found.status == 1
        assert f"{path}isafolder" in "".join((found.out + found.err).split())
    record = json.loads((workspace.runs / "r/1/make/run.json").read_text())
    (workspace.runs / "r/1/make/artifact.json").unlink()
    (workspace.runs / "r/1/make/scratch/checkpoints/1").mkdir(parents=True)
    (workspace.runs / "r/1/make/run.json").write_text(json.dumps({**record, "state": "interrupted"}))
    found = burnish("run", "r.yaml")
    assert found.status == 6
    assert f"{path}isafolder" in "".join(found.err.split())


def test_doctor_finds_nothing_wrong_with_a_whole_workspace(burnish, workspace, monkeypatch):
    monkeypatch.setattr(machine, "_devices", lambda: {"names": ["cpu"]})
    for words in ((), ("--deep",)):
        found = json.loads(burnish("--json", "doctor", *words).out)
        assert {finding["level"] for finding in found if finding["subject"] in ("artifacts", "workspace")} == {"ok"}
