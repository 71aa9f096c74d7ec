"""A checkpoint that can be seen is complete, and a damaged one is found."""

import errno
import os
import random

import numpy as np
import pytest
import torch

from burnish.core.errors import MachineError, RunError
from burnish.core.runs.checkpoints import KeptCheckpoint, held
from burnish.train.checkpoints import checkpoint as module
from burnish.train.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointFolder,
    capture_randomness,
    damage,
    read,
    restore_randomness,
)


def state_of(step: int) -> Checkpoint:
    torch.manual_seed(step)
    return Checkpoint(
        identity="same",
        state={"standing": {"step": step}, "ledger_offset": 20},
        weights={"layer.weight": torch.randn(3, 4)},
        optimizer={"layer.weight|exp_avg": torch.randn(3, 4), "layer.weight|step": torch.tensor(2.0)},
        randomness=capture_randomness(),
    )


@pytest.fixture
def folder(tmp_path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "checkpoints", keep=2)


def test_what_is_saved_is_read_back(folder):
    saved = state_of(3)
    path = folder.save(3, saved)
    found = read(path)
    assert found.identity == "same"
    assert found.state == saved.state
    for kind in ("weights", "optimizer"):
        ours, theirs = getattr(found, kind), getattr(saved, kind)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_every_random_number_generator_goes_on_where_it_was(folder):
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    path = folder.save(1, Checkpoint("", {}, {}, {}, capture_randomness()))
    expected = (random.gauss(0, 1), np.random.normal(size=3).tolist(), torch.randn(3).tolist())
    restore_randomness(read(path).randomness)
    assert (random.gauss(0, 1), np.random.normal(size=3).tolist(), torch.randn(3).tolist()) == expected


def test_old_checkpoints_go_and_the_best_one_stays(folder):
    for step in range(1, 7):
        folder.save(step, state_of(step), best=2 if step >= 2 else None)
    assert folder.steps() == [2, 5, 6]
    assert sorted(path.name for path in folder.path.iterdir()) == [f"step-{step:08d}" for step in (2, 5, 6)]


def test_a_checkpoint_that_is_read_is_not_removed_until_it_was(folder):
    for step in range(1, 4):
        folder.save(step, state_of(step))
    with held([KeptCheckpoint(folder.path / "step-00000002")]):
        folder.save(4, state_of(4))
        folder.save(5, state_of(5))
        assert folder.steps() == [2, 4, 5]
    folder.save(6, state_of(6))
    assert folder.steps() == [5, 6]
    with held([KeptCheckpoint(folder.path / "step-00000002")]):  # gone: reading it reports that
        pass


def test_files_are_flushed_before_the_folder_gets_its_name_and_its_parent_after(folder, monkeypatch):
    calls, fsync, rename = [], os.fsync, os.rename

    def told_fsync(descriptor):
        calls.append(("fsync", os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def told_rename(source, target):
        calls.append(("rename", str(source), str(target)))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", told_fsync)
    monkeypatch.setattr(os, "rename", told_rename)
    path = folder.save(4, state_of(4))
    partial = str(folder.path / ".saving-00000004")
    renamed = calls.index(("rename", partial, str(path)))
    flushed_before = {call[1] for call in calls[:renamed] if call[0] == "fsync"}
    assert flushed_before >= {f"{partial}/{file.name}" for file in path.iterdir()} | {partial}
    assert ("fsync", str(folder.path)) in calls[renamed:]


def test_damage_is_found_wherever_a_bit_flips_or_a_file_ends(folder, offsets):
    path = folder.save(1, state_of(1))
    files = sorted(path.iterdir())
    draw = random.Random(0)
    for number in range(offsets):
        file = files[number % len(files)]
        whole = file.read_bytes()
        place = draw.randrange(len(whole))
        flipped = bytearray(whole)
        flipped[place] ^= 1 << draw.randrange(8)
        for broken in (bytes(flipped), whole[:place]):
            file.write_bytes(broken)
            assert damage(path) is not None, f"{file.name}, byte {place}"
        file.write_bytes(whole)
    assert damage(path) is None


@pytest.fixture(params=[50, pytest.param(200, marks=pytest.mark.torture)])
def offsets(request) -> int:
    return request.param


def test_a_missing_file_is_damage(folder):
    path = folder.save(1, state_of(1))
    (path / "optimizer.safetensors").unlink()
    assert "optimizer.safetensors cannot be read" in (damage(path) or "")


def test_the_newest_valid_one_is_found_and_each_damaged_one_named(folder):
    folder.keep = 5
    for step in (1, 2, 3):
        folder.save(step, state_of(step))
    (folder.path / "step-00000003" / "manifest.json").unlink()
    (folder.path / "step-00000002" / "weights.safetensors").write_bytes(b"")
    newest, damaged = folder.newest()
    assert newest is not None
    assert newest.name == "step-00000001"
    assert [sentence.split()[1] for sentence in damaged] == ["step-00000003", "step-00000002"]
    assert CheckpointFolder(folder.path / "none").newest() == (None, [])


def test_a_half_written_checkpoint_is_never_seen(folder, monkeypatch):
    folder.save(1, state_of(1))

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "publish_folder", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.save(2, state_of(2))
    assert folder.steps() == [1]
    monkeypatch.undo()
    folder.save(2, state_of(2))
    assert folder.steps() == [1, 2]
    assert not list(folder.path.glob(".saving-*"))


def test_a_full_disk_leaves_the_last_checkpoint_and_says_what_to_do(folder, monkeypatch):
    folder.save(1, state_of(1))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_tensors", full)
    with pytest.raises(MachineError) as caught:
        folder.save(2, state_of(2))
    assert caught.value.code == "machine.no-disk"
    assert "resumes from step 1" in caught.value.fix
    assert [path.name for path in folder.path.iterdir()] == ["step-00000001"]
    assert damage(folder.path / "step-00000001") is None


def test_a_run_whose_first_two_saves_would_not_fit_is_refused(folder):
    folder.refuse_without_room(1000)
    with pytest.raises(MachineError, match="two more checkpoints of"):
        folder.refuse_without_room(10**18)
    folder.save(1, state_of(1))
    with pytest.raises(MachineError, match="one more checkpoint of"):
        folder.refuse_without_room(10**18)


def test_a_damaged_step_is_replaced_when_it_is_made_again(folder):
    path = folder.save(1, state_of(1))
    (path / "weights.safetensors").write_bytes(b"")
    folder.save(1, state_of(1))
    assert damage(path) is None


def test_reading_what_is_damaged_or_missing_is_an_error(folder):
    path = folder.save(1, state_of(1))
    (path / "state.json").write_text("{}")
    with pytest.raises(RunError) as caught:
        read(path)
    assert caught.value.code == "run.broken-checkpoint"
    with pytest.raises(RunError) as caught:
        read(folder.path / "step-00000009")
    assert caught.value.code == "run.no-checkpoint"


def refusal(path) -> RunError:
    with pytest.raises(RunError) as caught:
        read(path)
    assert caught.value.code == "run.no-checkpoint"
    return caught.value


def test_a_folder_around_checkpoints_is_refused_with_the_newest_whole_one(tmp_path):
    run = tmp_path / "runs/demo/1/tune"
    folder = CheckpointFolder(run / "scratch/checkpoints", keep=9)
    for step in (1, 2, 3):
        folder.save(step, state_of(step))
    (folder.path / "step-00000003/weights.safetensors").write_bytes(b"")
    named = folder.path / "step-00000002"
    for path in (folder.path, run / "scratch", run, folder.path / "step-00000009", folder.path / "last"):
        error = refusal(path)
        assert str(path) in error.what
        assert "damaged" not in error.what
        assert error.fix == f"set resume: {named}, the newest undamaged one"
    assert refusal(folder.path).what.endswith("is not a checkpoint; it is a folder of checkpoints")
    assert refusal(run).what.endswith(f"is not a checkpoint; the checkpoints are in {folder.path}")
    for step in (1, 2):
        (folder.path / f"step-0000000{step}/weights.safetensors").write_bytes(b"")
    assert refusal(run).what.endswith(f"; all checkpoints in {folder.path} are damaged")
    (tmp_path / "model").mkdir()
    assert refusal(tmp_path / "model").what == f"{tmp_path / 'model'} is not a checkpoint"
    assert refusal(tmp_path / "none").what == f"there is no checkpoint {tmp_path / 'none'}"


def test_a_damaged_checkpoint_is_refused_with_another(folder):
    for step in (1, 2):
        path = folder.save(step, state_of(step))
    (path / "manifest.json").unlink()
    with pytest.raises(RunError, match=f"{path} is damaged") as caught:
        read(path)
    assert caught.value.fix == f"set resume: {folder.path / 'step-00000001'}, the newest undamaged one there"


def test_nothing_in_a_checkpoint_is_a_pickle(folder):
    names = {path.name for path in folder.save(1, state_of(1)).iterdir()}
    assert names == {
        "manifest.json",
        "state.json",
        "weights.safetensors",
        "optimizer.safetensors",
        "random.safetensors",
    }
