"""A disk that is truly full: the last checkpoint stays whole, the error says what to do, and the run goes on later."""

import os
import subprocess

import pytest

from burnish.core.errors import MachineError
from burnish.train.checkpoints.checkpoint import CheckpointFolder, damage

LORA = {"kind": "lora", "rank": 4}


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own of two megabytes; needs a root that may mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_leaves_the_last_checkpoint_and_the_run_goes_on_when_there_is_room(
    run_fit, small_disk, monkeypatch
):
    whole = run_fit("whole", method=LORA)
    ballast, save = small_disk / "ballast", CheckpointFolder.save

    def fill_before_the_sixth_step(self, step, *others, **named):
        if step == 6 and not ballast.exists():
            free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
            ballast.write_bytes(b"\0" * (free - 20_000))  # less than the weights need
        return save(self, step, *others, **named)

    monkeypatch.setattr(CheckpointFolder, "save", fill_before_the_sixth_step)
    with pytest.raises(MachineError) as caught:
        run_fit(str(small_disk / "run"), method=LORA)
    assert caught.value.code == "machine.no-disk"
    assert "step 6 could not be written" in caught.value.what
    assert "resumes from step 5" in caught.value.fix
    checkpoints = small_disk / "run/scratch/checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["step-00000004", "step-00000005"]
    assert damage(checkpoints / "step-00000005") is None
    ballast.unlink()
    ballast.mkdir()
    resumed = run_fit(str(small_disk / "run"), method=LORA)
    assert resumed.measures["resumed_from"] == 5
    assert all((whole.weights[name] == weight).all() for name, weight in resumed.weights.items())


def test_a_disk_that_is_full_to_the_last_byte_is_told_as_such(run_fit, small_disk, monkeypatch):
    save = CheckpointFolder.save

    def fill_before_the_sixth_step(self, step, *others, **named):
        if step == 6:
            with (small_disk / "ballast").open("wb", buffering=0) as file:
                while os.statvfs(small_disk).f_bavail:
                    file.write(b"\0" * 4096)
        return save(self, step, *others, **named)

    monkeypatch.setattr(CheckpointFolder, "save", fill_before_the_sixth_step)
    with pytest.raises(MachineError) as caught:
        run_fit(str(small_disk / "run"), method=LORA)
    assert caught.value.code == "machine.no-disk"
    assert damage(small_disk / "run/scratch/checkpoints/step-00000005") is None
