"""The folder of a run's checkpoints, operation by operation: what is there afterwards, and what is refused."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from burnish.core.errors import MachineError
from burnish.train.checkpoints import checkpoint as module
from burnish.train.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointFolder,
    capture_randomness,
    damage,
    load,
    restore_randomness,
)


def checkpoint(step=1) -> Checkpoint:
    state = {"standing": {"step": step}, "lineage": []}
    weights, optimizer = {"w": torch.full((3,), float(step))}, {"w|m": torch.zeros(2)}
    return Checkpoint("identity", state, weights, optimizer, capture_randomness())


@pytest.fixture
def folder(tmp_path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "a/checkpoints", keep=99)


def names(folder):
    return sorted(path.name for path in folder.path.iterdir())


@pytest.mark.parametrize("keep", [1, 2, 3])
@pytest.mark.parametrize("best", [None, 2, 5])
def test_the_newest_and_the_best_checkpoint_are_kept(tmp_path, keep, best):
    folder, saved = CheckpointFolder(tmp_path, keep), []
    for step in (1, 2, 3, 5, 8, 9):
        known = best if best is not None and best <= step else None
        assert folder.save(step, checkpoint(step), known) == tmp_path / f"step-{step:08d}"
        saved.append(step)
        kept = {one for one in saved if one in saved[-keep:] or one == known}
        saved = sorted(kept)
        assert folder.steps() == saved
        assert names(folder) == [f"step-{one:08d}" for one in saved]
    assert CheckpointFolder(tmp_path).keep == 2


def test_steps_are_counted_as_numbers_and_other_names_are_none(folder):
    folder.path.mkdir(parents=True)
    for name in ("step-00000007", "step-00000010", "step-123456789", "step-99999999", "step-", "step-x1", "other-3"):
        (folder.path / name).mkdir()
    assert folder.steps() == [7, 10, 99_999_999, 123_456_789]
    assert CheckpointFolder(folder.path / "none").steps() == []


def test_later_checkpoints_are_forgotten_and_all_are_cleared(folder):
    for step in (0, 1, 2, 3):
        folder.save(step, checkpoint(step))
    folder.forget_after(2)
    assert names(folder) == ["step-00000000", "step-00000001", "step-00000002"]
    folder.clear()
    assert names(folder) == []
    folder.forget_after(0)


def test_what_a_kill_left_behind_is_in_nobodys_way(folder):
    folder.save(1, checkpoint(1))
    for name in (".saving-00000002", ".removed-step-00000001", ".saving-step-00000005"):
        (folder.path / name).mkdir()
        (folder.path / name / "half").write_text("x")
    folder.forget_after(0)
    assert names(folder) == [".saving-00000002", ".saving-step-00000005"]
    folder.save(2, checkpoint(2))
    assert names(folder) == ["step-00000002"]
    (folder.path / ".saving-00000009").mkdir()
    (folder.path / ".removed-x").mkdir()
    folder.refuse_without_room(0)
    assert names(folder) == ["step-00000002"]


def test_a_save_that_fails_changes_nothing(folder, monkeypatch):
    folder.save(1, checkpoint(1))
    monkeypatch.setattr(
        module, "publish_folder", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(MachineError, match="the checkpoint of step 2 could not be written") as caught:
        folder.save(2, checkpoint(2))
    assert "it resumes from step 1" in caught.value.fix
    assert names(folder) == ["step-00000001"]
    with pytest.raises(MachineError) as caught:
        CheckpointFolder(folder.path.parent / "new").save(2, checkpoint(2))
    assert "it resumes from the beginning" in caught.value.fix


def test_a_new_folder_is_as_durable_as_its_contents(folder, monkeypatch):
    synced = []
    monkeypatch.setattr(module, "sync", synced.append)
    for _ in range(2):
        folder.refuse_without_room(0)
    assert synced == [folder.path.parent]
    assert folder.path.is_dir()


@pytest.mark.parametrize(
    ("steps", "free", "fits"),
    [((), 1999, False), ((), 2000, True), ((1,), 999, False), ((1,), 1000, True), ((1, 2, 3), 999, False)],
)
def test_the_first_two_saves_less_those_that_exist_must_fit(folder, monkeypatch, steps, free, fits):
    for step in steps:
        folder.save(step, checkpoint(step))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    if fits:
        folder.refuse_without_room(1000)
        return
    what = "one more checkpoint" if steps else "two more checkpoints"
    with pytest.raises(MachineError, match=f"{what} of .* would not fit into the .* that are free below") as caught:
        folder.refuse_without_room(1000)
    assert caught.value.code == "machine.no-disk"


def test_a_checkpoint_of_another_run_is_adopted_where_it_is_whole_and_lacking(folder, tmp_path):
    theirs = CheckpointFolder(tmp_path / "theirs", keep=99)
    for step in (3, 4):
        theirs.save(step, checkpoint(step))
    folder.adopt(theirs.path / "step-00000003")
    assert names(folder) == ["step-00000003"]
    assert load(folder.path / "step-00000003").weights["w"].tolist() == [3.0] * 3
    (theirs.path / "step-00000004/state.json").write_text("{}")
    folder.adopt(theirs.path / "step-00000004")
    assert folder.steps() == [3]
    own = CheckpointFolder(tmp_path / "own", keep=99)
    own.save(3, checkpoint(7))
    (own.path / ".saving-step-00000005").mkdir()
    own.adopt(theirs.path / "step-00000003")
    assert load(own.path / "step-00000003").weights["w"].tolist() == [7.0] * 3
    theirs.save(5, checkpoint(5))
    own.adopt(theirs.path / "step-00000005")
    assert own.steps() == [3, 5]


def test_everything_of_a_checkpoint_is_read_back(folder):
    given = checkpoint(6)
    path = folder.save(6, given)
    assert sorted(file.name for file in path.iterdir()) == [
        "manifest.json", "optimizer.safetensors", "random.safetensors", "state.json", "weights.safetensors",
    ]  # fmt: skip
    found = load(path)
    assert (found.identity, found.state) == ("identity", {"standing": {"step": 6}, "lineage": []})
    assert torch.equal(found.weights["w"], given.weights["w"])
    assert torch.equal(found.optimizer["w|m"], given.optimizer["w|m"])
    assert found.randomness["python"] == json.loads(json.dumps(given.randomness["python"]))
    assert found.randomness["numpy"] == given.randomness["numpy"]
    assert torch.equal(found.randomness["torch"]["cpu"], given.randomness["torch"]["cpu"])
    assert "torch" in given.randomness
    assert folder.at(6) == path
    assert folder.at(7) is None
    manifest = json.loads((path / "manifest.json").read_text())
    assert sorted(manifest["files"]) == [
        "optimizer.safetensors",
        "random.safetensors",
        "state.json",
        "weights.safetensors",
    ]


def changed(path, **changes):
    manifest = json.loads((path / "manifest.json").read_text())
    for name, value in changes.items():
        manifest.pop(name) if value is None else manifest.update({name: value})
    (path / "manifest.json").write_text(json.dumps(manifest))


DAMAGE = {
    "its manifest cannot be read (No such file or directory)": lambda path: (path / "manifest.json").unlink(),
    "its manifest is not readable JSON": lambda path: (path / "manifest.json").write_text("{"),
    "its manifest is not readable JSON ": lambda path: (path / "manifest.json").write_text("[1]"),
    "its manifest is not readable JSON  ": lambda path: changed(path, digest=None),
    "its manifest is not readable JSON   ": lambda path: changed(path, files=None),
    "its manifest is not readable JSON    ": lambda path: changed(path, files=[]),
    "its manifest was changed": lambda path: changed(path, identity="other"),
    "its manifest was changed ": lambda path: changed(path, digest="0" * 64),
    "state.json has 2 bytes instead of": lambda path: (path / "state.json").write_text("{}"),
    "weights.safetensors cannot be read (No such file": lambda path: (path / "weights.safetensors").unlink(),
    "the contents of optimizer.safetensors do not match its sha256": lambda path: flip(path / "optimizer.safetensors"),
}  # fmt: skip


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("why", DAMAGE)
def test_damage_is_named(folder, why):
    path = folder.save(6, checkpoint(6))
    assert damage(path) is None
    folder.save(4, checkpoint(4))
    DAMAGE[why](path)
    assert damage(path).startswith(why.rstrip())
    assert folder.at(6) is None
    newest, told = folder.newest()
    assert newest == folder.path / "step-00000004"
    [text] = told
    assert text.startswith(f"checkpoint step-00000006 is damaged and skipped: {why.rstrip()}")
    folder.forget_after(4)
    DAMAGE["its manifest cannot be read (No such file or directory)"](newest)
    assert folder.newest()[0] is None
    assert len(folder.newest()[1]) == 1


def test_the_generators_of_cuda_devices_are_kept_and_restored_on_those_that_are_there(monkeypatch):
    state = torch.get_rng_state()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: [torch.tensor([5]), torch.tensor([6])])
    captured = capture_randomness()
    assert list(captured["torch"]) == ["cpu", "cuda:0", "cuda:1"]
    assert [int(captured["torch"][f"cuda:{number}"]) for number in (0, 1)] == [5, 6]
    for count in (0, 1, 2, 3):
        restored = []
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        monkeypatch.setattr(
            torch.cuda, "set_rng_state", lambda state, device, to=restored: to.append((int(state), device))
        )
        torch.rand(3)
        np.random.rand(2)
        restore_randomness(captured)
        assert restored == [(5, "cuda:0"), (6, "cuda:1")][:count]
        assert torch.equal(torch.get_rng_state(), state)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert list(capture_randomness()["torch"]) == ["cpu"]
