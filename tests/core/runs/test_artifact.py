"""An artifact is what its step wrote, or it is damaged, and then every file that is not is named."""

import hashlib
import os
import random
import shutil

import pytest

from burnish.core import fingerprint
from burnish.core.context import Input
from burnish.core.errors import RunError
from burnish.core.files import write_json
from burnish.core.inputs.checks import check_input
from burnish.core.runs.artifact import Artifact, Damage, digest_of, record_files, summary
from burnish.core.runs.run import Run

LAYOUTS = {
    "dataset": ("train.parquet", "test.parquet", "quarantine.jsonl", "sample.jsonl", "stats.json"),
    "adapter": ("adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "trackers/run/events.out"),
    "model": ("config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json", "tokenizer.json"),
    "tokenizer": ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "empty.txt"),
    "evaluation": ("metrics.json", "items.jsonl", "scores.png"),
}


@pytest.fixture
def made(finished):
    """An artifact of a kind, with random bytes in the files that such an artifact has."""

    def made(kind, dice, number=1):
        names = LAYOUTS[kind]
        files = {name: "" if name == "empty.txt" else dice.randbytes(dice.randint(1, 3000)).hex() for name in names}
        return finished("r", number, "s", kind=kind, files=files)

    return made


def strike(run, dice, how):
    """Damage one file; returns its name."""
    paths = sorted(path for path in run.out.rglob("*") if path.is_file())
    path = dice.choice([path for path in paths if path.stat().st_size])
    content = bytearray(path.read_bytes())
    if how == "byte":
        content[dice.randrange(len(content))] ^= dice.randrange(1, 256)
        later = path.stat().st_mtime_ns + dice.randrange(1, 10**9)
        path.write_bytes(content)
        os.utime(path, ns=(later, later))
    elif how == "truncate":
        path.write_bytes(content[: dice.randrange(len(content))])
    elif how == "delete":
        path.unlink()
    elif how == "add":
        path = path.with_name(f"{dice.randrange(10**6)}.bin")
        path.write_bytes(b"" if dice.random() < 0.5 else b"more")
    elif how == "replace":
        path.unlink()
        path.mkdir()
    else:
        before = path.stat()
        content[dice.randrange(len(content))] ^= dice.randrange(1, 256)
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return path.relative_to(run.out).as_posix()


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("how", ["byte", "byte with its old time", "truncate", "delete", "add", "replace"])
def test_any_change_of_any_file_is_found_and_named(made, kind, how):
    for seed in range(3):
        dice = random.Random(f"{kind} {how} {seed}")
        run = made(kind, dice, seed + 1)
        assert run.artifact().damage({}) == []
        name = strike(run, dice, how)
        assert [damage.file for damage in run.artifact().damage({})] == [name]
        with pytest.raises(RunError) as caught:
            check_input(run.artifact().as_input("r.s@1"), {})
        assert caught.value.code == "run.damaged-artifact"
        assert name in caught.value.what
        assert f"burnish runs resume r/{seed + 1}" in caught.value.fix


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_bit_that_flips_on_the_disk_is_found_by_a_deep_check(made, kind):
    for seed in range(3):
        dice = random.Random(f"{kind} {seed}")
        run = made(kind, dice, seed + 1)
        known = {}
        assert run.artifact().damage(known, deep=True) == []
        name = strike(run, dice, "byte with its old time")
        record, status = run.record_of("artifact.json"), (run.out / name).stat()
        record["files"][name] |= {"mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns}
        write_json(run.folder / "artifact.json", record)
        assert run.artifact().damage(known) == []
        assert [damage.file for damage in run.artifact().damage(known, deep=True)] == [name]


def test_a_file_whose_record_has_no_ctime_is_hashed(made):
    run = made("adapter", random.Random(0))
    record = run.record_of("artifact.json")
    for file in record["files"].values():
        del file["ctime_ns"]
    write_json(run.folder / "artifact.json", record)
    assert run.artifact().damage({}) == []
    name = strike(run, random.Random(0), "byte with its old time")
    assert [damage.file for damage in run.artifact().damage({})] == [name]


def test_a_copied_workspace_is_hashed_once(made, workspace, tmp_path, monkeypatch):
    run = made("model", random.Random(0))
    shutil.copytree(workspace.root, tmp_path / "copy", copy_function=shutil.copy)  # without the times
    monkeypatch.setattr(fingerprint, "_SETTLED_NS", -1)
    copied, known = Run(tmp_path / "copy" / "runs/r/1/s").artifact(), {}
    assert copied.path != run.out
    assert copied.damage(known) == []
    assert len(known) == len(LAYOUTS["model"])
    monkeypatch.setattr("pathlib.Path.open", None)
    assert copied.damage(known) == []


def test_missing_output_is_damage(made):
    run = made("dataset", random.Random(0))
    shutil.rmtree(run.out)
    assert [str(damage) for damage in run.artifact().damage({})] == ["out/ is missing"]


def test_a_file_created_by_the_desktop_is_ignored(made):
    run = made("dataset", random.Random(0))
    (run.out / ".DS_Store").write_text("x")
    assert run.artifact().damage({}) == []


def test_an_artifact_of_an_older_version_has_no_hashes_and_counts_as_intact(made):
    run = made("dataset", random.Random(0))
    record = run.record_of("artifact.json")
    del record["files"]
    write_json(run.folder / "artifact.json", record)
    (run.out / "train.parquet").write_text("other")
    assert run.artifact().files is None
    assert run.artifact().damage({}) == []


def test_a_file_that_cannot_be_read_is_damage(finished, bound_by_permissions):
    run = finished(files={"a.txt": "a", "b.txt": "b"})
    artifact = run.artifact()
    (run.out / "a.txt").chmod(0)
    with bound_by_permissions():
        damage = artifact.damage({}, deep=True)
    assert [(found.file, "cannot be read" in found.problem) for found in damage] == [("a.txt", True)]


def test_an_artifact_is_its_record_and_its_folder(finished, workspace):
    base = Input("file:base", "model", workspace.root / "base", "b")
    run = finished("r", 3, "tune", kind="adapter", fingerprint="t", inputs={"base": base}, files={"a.txt": "abc"})
    artifact = run.artifact()
    status = (run.out / "a.txt").stat()
    assert artifact == Artifact(
        kind="adapter",
        name="r.tune",
        version="3",
        fingerprint="t",
        path=run.out,
        inputs={"base": base},
        spec={"word": "w", "times": 1},
        measures={"words": 1},
        provenance={},
        files={
            "a.txt": {
                "size": 3,
                "mtime_ns": status.st_mtime_ns,
                "ctime_ns": status.st_ctime_ns,
                "sha256": hashlib.sha256(b"abc").hexdigest(),
            }
        },
    )
    assert artifact.run == "r/3/tune"
    assert artifact.as_input("r.tune@3") == Input(
        "r.tune@3", "adapter", run.out, "t", {"base": base}, digest=digest_of(artifact.files)
    )
    assert artifact.repair == "burnish runs resume r/3 repeats the damaged steps, as a new run of the recipe"
    write_json(run.folder / "artifact.json", {**run.record_of("artifact.json"), "provenance": {"host": "h"}})
    assert run.artifact().provenance == {"host": "h"}


def test_all_damage_is_listed_in_order_and_the_error_names_three_files(finished):
    names = ("a", "b", "c", "d")
    run = finished(files={**dict.fromkeys(names, "1234"), "deep/e": "5"})
    artifact = run.artifact()
    artifact.refuse_damage({})
    (run.out / "a").unlink()
    (run.out / "b").write_text("1" * 1234)
    (run.out / "c").write_text("4321")
    os.utime(run.out / "c", ns=(1, 1))
    os.utime(run.out / "d", ns=(1, 1))  # the same content at another time
    for name in ("z", "x", "deep/y", "w", "v"):
        (run.out / name).write_text("")
    added = "was added after the step ended"
    assert [str(damage) for damage in artifact.damage({})] == [
        "a is missing",
        "b has 1,234 bytes instead of 4",
        "c has changed since the step wrote it",
        *(f"{name} {added}" for name in ("deep/y", "v", "w", "x", "z")),
    ]
    listed = "a is missing, b has 1,234 bytes instead of 4, c has changed since the step wrote it (and 5 more files)"
    for ref, named in (("r.s@1", f"r.s@1 ({run.out})"), ("", str(run.out))):
        with pytest.raises(RunError) as caught:
            artifact.refuse_damage({}, ref)
        assert caught.value.what == f"the artifact {named} is damaged: {listed}"
        assert caught.value.fix == "burnish runs resume r/1 repeats the damaged steps, as a new run of the recipe"


def test_a_summary_names_the_first_three_or_as_many_as_asked():
    damage = [Damage(name, "is missing") for name in "abcd"]
    assert summary(damage[:1]) == "a is missing"
    assert summary(damage[:3]) == "a is missing, b is missing, c is missing"
    assert summary(damage) == "a is missing, b is missing, c is missing (and 1 more files)"
    assert summary(damage, most=1) == "a is missing (and 3 more files)"


def test_every_file_and_link_of_a_folder_is_recorded_in_order(tmp_path):
    for name in ("c", "a/b/d", "a/b/c", "a/.DS_Store", "z", "B"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("c")
    (tmp_path / "empty").mkdir()
    found = record_files(tmp_path)
    assert list(found) == ["B", "a/b/c", "a/b/d", "c", "link", "z"]
    for name, record in found.items():
        content = (tmp_path / name).read_bytes()
        status = (tmp_path / name).stat()
        assert record == {
            "size": len(content),
            "mtime_ns": status.st_mtime_ns,
            "ctime_ns": status.st_ctime_ns,
            "sha256": hashlib.sha256(content).hexdigest(),
        }


def test_a_link_that_leads_nowhere_or_to_a_folder_is_damage(finished):
    run = finished(files={"a": "a", "b": "b"})
    (run.out / "a").unlink()
    (run.out / "a").symlink_to("nowhere")
    (run.out / "folder").mkdir()
    (run.out / "linked").symlink_to("folder")
    assert [str(damage) for damage in run.artifact().damage({})] == [
        "a has 7 bytes instead of 1",
        "linked was added after the step ended",
    ]


def test_a_file_that_cannot_be_read_does_not_hide_the_next_one(finished, bound_by_permissions):
    run = finished(files={"a": "a", "b": "b", "c": "c"})
    artifact = run.artifact()
    (run.out / "a").chmod(0)
    (run.out / "c").write_text("d")
    with bound_by_permissions():
        found = [str(damage) for damage in artifact.damage({}, deep=True)]
    assert found == ["a cannot be read (Permission denied)", "c has changed since the step wrote it"]


def test_only_a_deep_check_ignores_remembered_hashes(finished, monkeypatch):
    run = finished(files={"a": "abc"})
    artifact = run.artifact()
    monkeypatch.setattr(fingerprint, "_SETTLED_NS", -1)
    known = {}
    assert artifact.damage(known) == []
    assert known == {}, "the time is the recorded one: nothing is read"
    os.utime(run.out / "a", ns=(1, 1))
    assert artifact.damage(known, deep=True) == []
    assert known == {}
    assert artifact.damage(known) == []
    [(path, (stamp, digest))] = known.items()
    assert (path, digest) == (str(run.out / "a"), hashlib.sha256(b"abc").hexdigest())
    known[path] = [stamp, "0" * 64]
    assert [str(damage) for damage in artifact.damage(known)] == ["a has changed since the step wrote it"]
    assert artifact.damage(known, deep=True) == []
