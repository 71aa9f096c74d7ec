"""Every file of the registry, damaged in every way, met by every command: named where it matters, and repaired."""

import json
import random
import shutil

import pytest

import artifacts
import burnish as api
from burnish.core.registry.entries import read_entry
from burnish.core.runs.workspace import Workspace
from burnish.studio import machine

FILES = ("history.jsonl", "1.json", "2.json")
FAULTS = ("empty", "truncated", "binary", "a list", "no keys", "not UTF-8", "a folder", "missing", "unreadable")
FLIPS = tuple(f"bit flip {seed}" for seed in range(1))
COMMANDS = {
    "list": ("adapters", "list"),
    "list NAME": ("adapters", "list", "support"),
    "show": ("adapters", "show", "support@2"),
    "show production": ("adapters", "show", "support@production"),
    "promote": ("adapters", "promote", "support@1", "--because", "x"),
    "demote": ("adapters", "demote", "support@2"),
    "tag": ("adapters", "tag", "support@1", "new"),
    "untag": ("adapters", "untag", "support@2", "best"),
    "remove": ("adapters", "remove", "support@1"),
    "register": ("adapters", "register", "r.tune@3", "--name", "support"),
    "plan": ("plan", "r.yaml"),
    "run of a stage": ("quick-model", "--base", "support@2", "--dry-run"),
    "doctor": ("doctor",),
    "another name": ("adapters", "show", "other"),
    "reindex": ("reindex",),
}
UNTOUCHED = {"another name", "plan"}
CHANGES = {"promote", "demote", "tag", "untag", "remove", "register"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workspace with two versions of `support`, the second in production and tagged, and another name."""
    workspace = Workspace(tmp_path_factory.mktemp("made") / "work")
    workspace.root.mkdir()
    registry, options = api.registry, {"workspace": workspace.root, "who": "w"}
    for number in (1, 2, 3):
        artifacts.write_artifact(workspace, number=number, fingerprint=f"f{number}")
    for number in (1, 2):
        registry.register(f"r.tune@{number}", name="support", **options)
    registry.register("r.tune@3", name="other", **options)
    registry.promote("support@1", to="production", because="first", **options)
    registry.promote("support@2", to="production", because="better", **options)
    registry.tag("support@2", "best", **options)
    steps = {"next": {"stage": "quick-model", "base": "other@1"}}
    (workspace.root / "r.yaml").write_text(json.dumps({"name": "n", "steps": steps}))
    return workspace.root


@pytest.fixture
def workspace(made, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_devices", lambda: {"names": ["cpu"]})  # asking torch takes seconds
    monkeypatch.setenv("BURNISH_AUTHOR", "w")
    shutil.copytree(made, tmp_path / "work", copy_function=shutil.copy2)
    return Workspace(tmp_path / "work")


def damage(path, fault):
    raw = path.read_bytes()
    match fault:
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(raw[: len(raw) // 2])
        case "binary":
            path.write_bytes(bytes(random.Random(1).randbytes(300)) + b"\n")
        case "a list":
            path.write_text("[1, 2]\n")
        case "no keys":
            path.write_text("{}\n")
        case "not UTF-8":
            path.write_bytes(raw[:50] + b"\xff\xfe" + raw[50:])
        case "a folder":
            path.unlink()
            path.mkdir()
        case "missing":
            path.unlink()
        case "unreadable":
            path.chmod(0)
        case _:
            flipped, source = bytearray(raw), random.Random(fault)
            flipped[source.randrange(len(raw) - 2)] ^= 1 << source.randrange(8)
            path.write_bytes(bytes(flipped))


def state(folder):
    return {number: (v.stage, v.tags, v.removed) for number, v in read_entry(folder).versions.items()}


@pytest.mark.some
@pytest.mark.parametrize("fault", [*FAULTS, *FLIPS])
@pytest.mark.parametrize("file", FILES[::2])
def test_damage_is_named_by_the_commands_that_need_the_file(
    burnish, workspace, made, bound_by_permissions, file, fault, subtests
):
    path = workspace.root / "registry" / "support" / file
    for name, words in COMMANDS.items():
        shutil.rmtree(workspace.root / "registry")
        shutil.copytree(made / "registry", workspace.root / "registry", copy_function=shutil.copy2)
        damage(path, fault)
        with bound_by_permissions(), subtests.test(name):
            found = burnish(*words)
            text = found.out + found.err
            assert "internal error" not in text
            assert "Traceback" not in text
            if file == "history.jsonl" and name not in UNTOUCHED:
                assert file in text, text
                wanted = {"list": 0, "reindex": 0, "doctor": 1}.get(name, 6)
                assert found.status == wanted or fault == "unreadable", text
                assert name in ("reindex",) or "reindex" in text
            elif name not in UNTOUCHED:  # the history has all that the file shows
                assert found.status == (1 if name == "doctor" and fault != "missing" else 0), text
                if name in ("list", "doctor", "reindex") and fault != "missing":
                    assert file in text, text
            else:
                assert found.status == 0, text
        path.chmod(0o700) if path.exists() else None


@pytest.mark.some
@pytest.mark.parametrize("fault", [*FAULTS, *(f"bit flip {seed}" for seed in range(6))])
@pytest.mark.parametrize("file", FILES)
def test_reindex_leaves_what_was(workspace, file, fault):
    folder = workspace.root / "registry" / "support"
    before = state(folder)
    damage(folder / file, fault)
    if fault == "unreadable":
        (folder / file).chmod(0o600)
    done = api.registry.reindex(workspace=workspace.root)
    assert done or fault == "unreadable"
    assert state(folder) == before
    assert api.registry.reindex(workspace=workspace.root) == []
    aside = [path.name for path in folder.iterdir() if "damaged" in path.name]
    assert len(aside) == (fault not in ("missing", "unreadable"))
    api.registry.promote("support@1", to="production", because="after", workspace=workspace.root)
    assert {number: stage for number, (stage, *_) in state(folder).items()} == {1: "production", 2: "retired"}


LEFT = ([0, 1, 2, 3], [0, 1], [0, 1, 3, 4], [1, 0, 2, 3, 4], [1, 2, 3, 4], [])


@pytest.mark.parametrize("left", LEFT, ids=str)
def test_lines_that_were_lost_or_moved_are_noticed_and_rebuilt(workspace, left):
    folder = workspace.root / "registry" / "support"
    before, path = state(folder), folder / "history.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 5
    path.write_text("".join(lines[place] for place in left))
    with pytest.raises(api.BurnishError) as caught:
        api.registry.show("support@production", workspace=workspace.root)
    assert caught.value.code == "run.broken-record"
    api.registry.reindex(workspace=workspace.root)
    assert state(folder) == before
    assert api.registry.reindex(workspace=workspace.root) == []


def mutated(raw, source):
    """Bytes flipped, removed, doubled, moved or overwritten at random."""
    start = source.randrange(len(raw))
    end = min(len(raw), start + source.choice((1, 1, 3, 40, 900)))
    part = raw[start:end]
    match source.randrange(5):
        case 0:
            return raw[:start] + bytes([raw[start] ^ (1 << source.randrange(8))]) + raw[start + 1 :]
        case 1:
            return raw[:start] + raw[end:]
        case 2:
            return raw[:start] + part + raw[start:]
        case 3:
            place = source.randrange(len(raw))
            return raw[:place] + part + raw[place:]
        case _:
            return raw[:start] + source.randbytes(len(part)) + raw[end:]


def test_a_damaged_history_never_gives_another_state(workspace):
    folder, source = workspace.root / "registry" / "support", random.Random(0)
    before, path = state(folder), folder / "history.jsonl"
    raw, codes = path.read_bytes(), []
    for _ in range(400):
        path.write_bytes(mutated(raw, source))
        try:
            assert state(folder) == before
        except api.BurnishError as error:
            codes.append(error.code)
    assert set(codes) == {"run.broken-record"}
    assert len(codes) > 300


def test_a_line_that_a_killed_writer_left_half_is_no_change(workspace):
    folder = workspace.root / "registry" / "support"
    before, path = state(folder), folder / "history.jsonl"
    whole = path.read_bytes()
    for size in (1, 40, 400):
        path.write_bytes(whole + whole[:size])
        assert state(folder) == before
    api.registry.tag("support@1", "next", workspace=workspace.root)
    assert path.read_bytes().startswith(whole)
    assert state(folder)[1][1] == ("next",)


def test_a_removed_version_stays_removed(workspace):
    folder = workspace.root / "registry" / "support"
    api.registry.remove("support@1", workspace=workspace.root)
    (folder / "history.jsonl").write_text("{}\n")
    api.registry.reindex(workspace=workspace.root)
    assert [row["ref"] for row in api.registry.listing(workspace=workspace.root)] == ["support@2", "other@1"][::-1]
    assert api.registry.register("r.tune@1", name="support", workspace=workspace.root)["version"] == 3


def test_what_cannot_be_read_at_all_is_kept(workspace):
    folder = workspace.root / "registry" / "support"
    for path in folder.iterdir():
        path.write_text("?")
    done = api.registry.reindex(workspace=workspace.root)
    assert "nothing of it can be read" in " ".join(one.what for one in done)
    assert sorted(path.name for path in folder.iterdir()) == ["1.json", "2.json", "history.jsonl.damaged-1"]


@pytest.mark.parametrize("name", ["registry", "registry/support"])
def test_a_file_where_a_folder_should_be(burnish, workspace, name):
    path = workspace.root / name
    shutil.rmtree(path)
    path.write_text("?")
    for words in COMMANDS.values():
        found = burnish(*words)
        assert "internal error" not in found.out + found.err


def test_a_workspace_that_was_moved_or_copied_resolves(workspace, tmp_path):
    shutil.copytree(workspace.root, tmp_path / "copy")  # other times
    shutil.move(workspace.root, tmp_path / "moved")
    for root in (tmp_path / "copy", tmp_path / "moved"):
        found = api.registry.show("support@production", workspace=root)
        assert (found["ref"], found["damage"]) == ("support@2", "")
        assert found["path"] == str(root / "runs/r/2/tune/out")
        plan = api.plan({"name": "u", "steps": {"m": {"stage": "merge", "model": "support@best"}}}, workspace=root)
        assert plan.steps[0].inputs["model"].path == root / "runs/r/2/tune/out"
