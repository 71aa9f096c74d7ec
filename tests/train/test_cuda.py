"""What only a CUDA device can confirm of the host beside it: it waits for nothing, and copies arrive whole."""

import threading

import numpy as np
import pytest
import torch

from burnish.core.errors import RunError
from burnish.models.load import load_model
from burnish.train.batches import make_batch
from burnish.train.checkpoints.checkpoint import CheckpointFolder, read
from burnish.train.checkpoints.saving import StateCopy
from burnish.train.loop import Loop

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
LORA = {"kind": "lora", "rank": 4, "dropout": 0.1}
METHODS = pytest.mark.parametrize("method", [LORA, {"kind": "full"}], ids=["lora", "full"])


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name].cpu(), right[name].cpu()) for name in left)


@METHODS
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_torch_sees_no_wait_between_logged_steps(run_fit, monkeypatch, method, optimizer):
    step = Loop._step

    def guarded(self):
        number = self.state.step + 1
        is_read = number % self.settings.log_every == 0 or number == self.settings.total_steps
        torch.cuda.set_sync_debug_mode("default" if is_read or number == 1 else "error")  # the first one compiles
        try:
            step(self)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Loop, "_step", guarded)
    settings = {"device": "cuda", "dtype": torch.bfloat16, "log_every": 4, "max_steps": 8, "checkpoint": {"every": 8}}
    run_fit("run", method=method, optimizer={"kind": optimizer}, **settings)


@METHODS
def test_a_checkpoint_that_is_written_late_holds_the_state_of_its_own_step(run_fit, monkeypatch, method):
    settings = {"method": method, "device": "cuda", "dtype": torch.bfloat16, "checkpoint": {"every": 3, "keep": 9}}
    save, sixth = CheckpointFolder.save, threading.Event()
    held = []

    def late(self, step, checkpoint, *others):
        if step == 3:
            before = {name: tensor.clone() for name, tensor in checkpoint.weights.items()}
            assert sixth.wait(60)
            held.append(same(before, checkpoint.weights))
        return save(self, step, checkpoint, *others)

    step = Loop._step

    def told(self):
        step(self)
        if self.state.step == 6:
            sixth.set()

    monkeypatch.setattr(CheckpointFolder, "save", late)
    monkeypatch.setattr(Loop, "_step", told)
    run_fit("late", **settings)
    assert held == [True]
    assert read(run_fit.last.folder / "scratch/checkpoints/step-00000003").state["standing"]["step"] == 3


def test_tensors_may_change_on_the_device_while_they_are_copied():
    copy, tensors = StateCopy(), {"large": torch.ones(1 << 26, device="cuda")}
    for _ in range(3):
        tensors["large"].fill_(1.0)
        taken = copy.take(tensors)
        copy.before_change()
        tensors["large"].fill_(2.0)
        copy.wait()
        assert taken["large"].is_pinned()
        assert taken["large"].eq(1.0).all()


def test_a_resumed_run_goes_on_from_its_state(run_fit):
    settings = {"method": LORA, "device": "cuda"}
    whole = run_fit("whole", **settings)
    with pytest.raises(RunError):
        run_fit("stopped", stop_before=5, **settings)
    resumed = run_fit("stopped", **settings)
    assert resumed.measures["resumed_from"] == 5
    for name, weight in whole.weights.items():
        torch.testing.assert_close(resumed.weights[name], weight, rtol=1e-3, atol=1e-5)


def test_a_batch_that_went_in_one_copy_is_the_batch_of_the_host(random_rows):
    rows = random_rows()
    here, there = (make_batch(rows, np.arange(9), device) for device in ("cpu", "cuda"))
    tensors = {name: value for name, value in vars(here).items() if isinstance(value, torch.Tensor)}
    assert len(tensors) == 8
    for name, one in tensors.items():
        other = getattr(there, name)
        assert other.is_cuda
        assert one.dtype == other.dtype
        assert torch.equal(one, other.cpu()), name


def test_weights_on_the_device_are_those_of_the_host(base):
    there = load_model(base, dtype=torch.bfloat16, device="cuda")
    assert same(dict(load_model(base, dtype=torch.bfloat16).state_dict()), dict(there.state_dict()))
