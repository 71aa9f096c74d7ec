"""An artifact is what its step wrote, or it is damaged, and then every file that is not is named."""

import os
import random
import shutil

import pytest

from burnish.core import fingerprint
from burnish.core.errors import RunError
from burnish.core.files import write_json
from burnish.core.inputs.checks import check_input
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
@pytest.mark.parametrize("how", ["byte", "truncate", "delete", "add", "replace"])
def test_any_change_of_any_file_is_found_and_named(made, kind, how):
    for seed in range(10):
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
def test_a_change_that_keeps_size_and_time_is_found_by_a_deep_check(made, kind):
    for seed in range(10):
        dice = random.Random(f"{kind} {seed}")
        run = made(kind, dice, seed + 1)
        known = {}
        assert run.artifact().damage(known, deep=True) == []
        name = strike(run, dice, "in secret")
        assert [damage.file for damage in run.artifact().damage(known, deep=True)] == [name]


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
