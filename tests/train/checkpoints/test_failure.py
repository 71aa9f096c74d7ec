"""What the system reports when a checkpoint cannot be written is what the error says."""

import errno
import os

import pytest
import torch

from burnish.core.errors import BurnishError, ModelError
from burnish.train.checkpoints.checkpoint import Checkpoint, CheckpointFolder, capture_randomness
from burnish.train.checkpoints.failure import save_error

FULL = (errno.ENOSPC, errno.EDQUOT)


@pytest.mark.parametrize("number", sorted(errno.errorcode), ids=errno.errorcode.get)
def test_only_a_full_disk_or_quota_is_reported_as_one(tmp_path, number):
    path = tmp_path / "x"
    for error in (OSError(number, os.strerror(number)), OSError(number, os.strerror(number), str(path))):
        found = save_error(7, tmp_path, error, "step 6")
        assert (found.code == "machine.no-disk") == (number in FULL)
        assert (found.code == "machine.no-memory") == (number == errno.ENOMEM)
        assert found.what.startswith(f"the checkpoint of step 7 could not be written to {tmp_path}: ")
        if "expected a file" not in found.what:
            assert os.strerror(number) in found.what
            assert (str(path) in found.what) == (error.filename is not None)
        assert "it resumes from step 6" in found.fix
        assert ("disk" in found.fix.split(", and")[0] and "free" in found.fix) == (number in FULL)


def test_a_full_disk_is_recognised_where_a_library_sets_no_number(tmp_path):
    assert save_error(1, tmp_path, OSError("IOError: No space left on device"), "").code == "machine.no-disk"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MemoryError("12 GB"), "machine.no-memory", "memory ran out: 12 GB"),
        (RuntimeError("CUDA error: out of memory"), "machine.no-memory", "memory ran out: CUDA error"),
        (RuntimeError("CUDA error: unspecified launch failure"), "run.failed", "RuntimeError: CUDA error: unspecified"),
        (SystemExit(3), "run.failed", "SystemExit: 3"),
        (KeyError("x"), "run.failed", "KeyError: 'x'"),
    ],
)
def test_any_other_error_names_the_checkpoint_too(tmp_path, error, code, words):
    found = save_error(7, tmp_path, error, "the beginning")
    assert found.code == code
    assert found.what == f"the checkpoint of step 7 could not be written to {tmp_path}: {found.what.split(': ', 1)[1]}"
    assert words in found.what
    assert "the beginning" in found.fix


def test_an_error_with_a_code_is_kept(tmp_path):
    error = ModelError("model.broken", "what", "fix")
    assert save_error(7, tmp_path, error, "") is error


def checkpoint() -> Checkpoint:
    return Checkpoint("same", {}, {"w": torch.ones(3)}, {}, capture_randomness())


def test_a_file_in_the_place_of_the_checkpoints_is_named(tmp_path):
    place = tmp_path / "checkpoints"
    place.write_text("x")
    with pytest.raises(BurnishError, match=f"{place} is a file, expected a folder"):
        CheckpointFolder(place).save(1, checkpoint())


def test_a_folder_that_may_not_be_written_is_not_a_full_disk(tmp_path, bound_by_permissions):
    folder = CheckpointFolder(tmp_path / "checkpoints")
    folder.save(1, checkpoint())
    folder.path.chmod(0o500)
    with bound_by_permissions(), pytest.raises(BurnishError) as caught:
        folder.save(2, checkpoint())
    folder.path.chmod(0o700)
    assert caught.value.code == "machine.no-access"
    assert f"Permission denied: {folder.path / '.saving-00000002'}" in caught.value.what
    assert caught.value.fix.startswith("give this user the right to write there")


def test_an_old_checkpoint_that_cannot_be_removed_is_named(tmp_path, monkeypatch):
    folder, rename = CheckpointFolder(tmp_path / "checkpoints", keep=1), os.rename

    def refuses(source, target):
        if ".removed" in str(target):
            raise OSError(errno.EIO, "Input/output error", str(source))
        rename(source, target)

    folder.save(1, checkpoint())
    monkeypatch.setattr(os, "rename", refuses)
    with pytest.raises(BurnishError) as caught:
        folder.save(2, checkpoint())
    assert caught.value.what == (
        f"the old checkpoint {folder.path / 'step-00000001'} could not be removed: Input/output error"
    )
    assert "resumes from step 2" in caught.value.fix
