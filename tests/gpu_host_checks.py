"""What a GPU can confirm of the host beside it: it waits for nothing between logged steps, and copies arrive whole.

A part of `gpu_checks`, whose `Place` says where a check runs.
"""

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from burnish.models.load import load_model
from burnish.train.batches import make_batch
from burnish.train.checkpoints.checkpoint import CheckpointFolder, read
from burnish.train.checkpoints.saving import StateCopy
from burnish.train.loop import Loop

if TYPE_CHECKING:
    from gpu_checks import Measured, Place

METHODS: dict[str, dict[str, Any]] = {"lora": {"kind": "lora", "rank": 4, "dropout": 0.1}, "full": {"kind": "full"}}


def the_host_waits_for_nothing_between_logged_steps(place: "Place") -> "Measured":
    """torch itself raises an error where the host would wait; on a CPU, `tests/train/test_waiting.py` looks for it."""
    from gpu_checks import train

    guarded, step = [], Loop._step
    set_mode = torch.cuda.set_sync_debug_mode if place.is_cuda else lambda mode: None

    def watched(loop: Loop) -> None:
        number = loop.state.step + 1
        is_read = number % loop.settings.log_every == 0 or number == loop.settings.total_steps
        if not is_read and number > 1:  # the first step compiles kernels
            guarded.append(number)
            set_mode("error")
        try:
            step(loop)
        finally:
            set_mode("default")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "_step", watched)
        for name, method in METHODS.items():
            for optimizer in ("adamw", "muon"):
                settings = {
                    "max_steps": 8,
                    "log_every": 4,
                    "checkpoint": {"every": 8},
                    "optimizer": {"kind": optimizer},
                }
                train(place, f"waits-{name}-{optimizer}", method=method, **settings)
    assert len(guarded) == 4 * 5
    return {"steps watched": len(guarded)}


def a_checkpoint_in_flight_holds_the_state_of_its_step(place: "Place") -> "Measured":
    """The checkpoint of step 3 is written after step 6."""
    from gpu_checks import train

    step, save, sixth = Loop._step, CheckpointFolder.save, threading.Event()
    first: dict[str, torch.Tensor] = {}

    def told(loop: Loop) -> None:
        step(loop)
        if loop.state.step == 3:
            first.update({name: tensor.detach().cpu().clone() for name, tensor in loop.optimizer.weights().items()})
        if loop.state.step == 6:
            sixth.set()

    def late(folder: CheckpointFolder, step: int, *others: Any) -> Any:
        assert step != 3 or sixth.wait(60)
        return save(folder, step, *others)

    for name, method in METHODS.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Loop, "_step", told)
            patch.setattr(CheckpointFolder, "save", late)
            train(place, f"flight-{name}", method=method, max_steps=7, checkpoint={"every": 3, "keep": 9})
        found = read(place.folder / f"flight-{name}/scratch/checkpoints/step-00000003").weights
        assert found.keys() == first.keys()
        assert all(torch.equal(found[key], weight) for key, weight in first.items()), name
        first.clear(), sixth.clear()
    return {"methods": len(METHODS)}


def tensors_change_while_they_are_copied(place: "Place") -> "Measured":
    """`before_change` holds back the device's next kernels, and the copy is whole."""
    copy, tensor = StateCopy(), torch.empty(place.size(1 << 28, 1 << 16), device=place.device)
    for value in (1.0, 3.0, 5.0):
        tensor.fill_(value)
        taken = copy.take({"tensor": tensor})["tensor"]
        copy.before_change()
        tensor.fill_(-value)
        copy.wait()
        assert taken.is_pinned() == place.is_cuda
        assert bool(taken.eq(value).all())
    return {"bytes": tensor.nbytes}


def a_batch_that_went_in_one_copy_is_that_of_the_host(place: "Place") -> "Measured":
    rows = place.rows([17, 90, 41, 64])
    every = np.arange(4)
    here, there = make_batch(rows, every), make_batch(rows, every, place.device)
    tensors = {name: value for name, value in vars(here).items() if isinstance(value, torch.Tensor)}
    for name, tensor in tensors.items():
        other = getattr(there, name)
        assert (other.device.type, other.dtype) == (place.device.type, tensor.dtype), name
        assert torch.equal(other.cpu(), tensor), name
    return {"tensors": len(tensors)}


def weights_read_onto_the_device_are_those_of_the_host(place: "Place") -> "Measured":
    folder = place.folder / "saved"
    place.model().save_pretrained(folder)
    here, there = (load_model(folder, dtype=torch.bfloat16, device=at).state_dict() for at in ("cpu", place.device))
    assert here.keys() == there.keys()
    for name, weight in there.items():
        assert weight.device.type == place.device.type, name
        assert torch.equal(weight.cpu(), here[name]), name
    return {"tensors": len(there)}


HOST_CHECKS = (
    the_host_waits_for_nothing_between_logged_steps,
    a_checkpoint_in_flight_holds_the_state_of_its_step,
    tensors_change_while_they_are_copied,
    a_batch_that_went_in_one_copy_is_that_of_the_host,
    weights_read_onto_the_device_are_those_of_the_host,
)
