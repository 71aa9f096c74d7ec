"""A registry that cannot be seen, in every way, met by every command: named, and nothing it needs is deleted."""

import os
import shutil

import pytest

import artifacts
import burnish
from burnish.studio import findings


def _away(folder):
    folder.rename(folder.with_name(".away"))


def _file(folder):
    shutil.rmtree(folder)
    folder.write_text("x")


def _dangling(folder):
    shutil.rmtree(folder)
    folder.symlink_to("/there/is/no/such/folder")


def _foreign(folder):
    """A link to a folder that exists and is empty, such as a mount point without its disk."""
    shutil.rmtree(folder)
    other = folder.parent / f".other-{folder.name}"
    other.mkdir()
    folder.symlink_to(other)


def _emptied(folder):
    for path in (folder, *folder.glob("*")):
        for file in path.glob("*.json*"):
            file.unlink()


def _locked(folder):
    folder.chmod(0)


def _history(content):
    def damage(folder):
        for name in (folder, *folder.glob("*")):
            if (name / "history.jsonl").is_file():
                [file.unlink() for file in name.glob("*.json")]
                raw = (name / "history.jsonl").read_bytes()
                (name / "history.jsonl").write_bytes(content(raw))

    return damage


DAMAGE = {
    "moved away": _away,
    "removed": shutil.rmtree,
    "a file": _file,
    "a link to nothing": _dangling,
    "a link to an empty folder": _foreign,
    "emptied": _emptied,
    "not readable": _locked,
    "a history of NUL": _history(lambda _: b"\0" * 4),
    "a history without a whole line": _history(lambda raw: raw[:200]),
    "an empty history": _history(lambda _: b""),
    "a history without its first line": _history(lambda raw: raw[raw.index(b"\n") + 1 :]),
}
COMMANDS = ("listing", "check", "reindex", "gc")


@pytest.fixture
def kept(registry, workspace):
    """`support@1` is of the run r/1, which nothing but the registry needs."""
    for number in (1, 2):
        artifacts.write_artifact(workspace, number=number, fingerprint=f"f{number}")
    registry.register("r.tune@1", name="support")
    return workspace


def said_by(command, registry, workspace):
    said = []
    try:
        match command:
            case "check":
                said += [found.what for found in findings.check_workspace(workspace, deep=False) if found.level != "ok"]
            case "reindex":
                said += [one.what for one in registry.reindex()]
            case _:
                getattr(registry, command)(say=said.append)
    except burnish.BurnishError as error:
        said.append(error.what)
    return " ".join(said)


@pytest.mark.parametrize("place", ["registry", "registry/support"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_what_a_lost_registry_protects_is_named_and_stays(
    registry, kept, bound_by_permissions, place, damage, subtests
):
    DAMAGE[damage](kept.root / place)
    with bound_by_permissions():
        for command in COMMANDS:
            with subtests.test(command):
                assert str(kept.root / "registry") in said_by(command, registry, kept)
        assert registry.gc(say=lambda _: None)["garbage"] == []
        with pytest.raises(burnish.BurnishError, match="nothing is removed"):
            registry.gc(delete=True)
    assert (kept.runs / "r/1/tune/out").is_dir()
    os.chmod(kept.root / place, 0o700) if damage == "not readable" else None


@pytest.mark.parametrize("kind", ["adapter", "model"])
def test_a_version_that_was_lost_is_registered_again_or_removed(registry, workspace, kind):
    for number in (1, 2):
        artifacts.write_artifact(workspace, number=number, kind=kind, fingerprint=f"f{number}")
    registry.register("r.tune@1", name="support")
    shutil.rmtree(workspace.root / "registry")
    fix = next(found.fix for found in findings.check_workspace(workspace, deep=False) if found.level == "problem")
    assert f"burnish {kind}s register r.tune@1 --name support" in fix
    registry.register("r.tune@1", name="other")
    assert registry.gc()["garbage"] == []
    registry.remove("other@1")
    assert registry.gc(delete=True)["removed"] == ["r/1/tune"]


def test_versions_of_before_the_mark_get_it_from_reindex(registry, kept):
    run = kept.run("r", 1, "tune")
    path = run.folder / "run.json"
    before = path.read_text()
    path.write_text(before.replace('"registered"', '"other"'))
    assert [one.subject for one in registry.reindex()] == ["support@1"]
    assert run.record["registered"] == ["support@1"]
    assert registry.reindex() == []
    path.write_text(before.replace('"registered"', '"other"'))
    assert registry.register("r.tune@1", name="support")["new"] is False
    assert run.record["registered"] == ["support@1"]


def test_a_registry_that_is_a_link_to_its_folder_is_whole(registry, kept):
    folder = kept.root / "registry"
    shutil.move(folder, kept.root / "elsewhere")
    folder.symlink_to(kept.root / "elsewhere")
    assert registry.reindex() == []
    assert [row["ref"] for row in registry.listing()] == ["support@1"]
    assert registry.gc(delete=True)["removed"] == []
