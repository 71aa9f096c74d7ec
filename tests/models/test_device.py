"""Devices, threads and precisions: what a machine has decides, and a GPU is played where there is none."""

import contextlib
from types import SimpleNamespace

import pytest
import torch

from burnish.core.errors import MachineError
from burnish.models.device import (
    describe,
    has_bfloat16,
    inference_dtype,
    pick_device,
    set_float32_precision,
    use_threads,
)


@pytest.fixture
def gpu(monkeypatch):
    """`gpu(bfloat16)`: a CUDA device with bfloat16 in hardware or in software only."""

    def make(bfloat16: bool) -> torch.device:
        entered = []

        @contextlib.contextmanager
        def within(device):
            entered.append(device)
            yield
            entered.pop()

        def is_supported(including_emulation: bool = True) -> bool:
            return including_emulation or (bfloat16 and entered == [torch.device("cuda:1")])

        monkeypatch.setattr(torch.cuda, "device", within)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
        return torch.device("cuda:1")

    return make


@pytest.mark.parametrize(("there", "picked"), [("cuda mps", "cuda"), ("mps", "mps"), ("cuda", "cuda"), ("", "cpu")])
def test_auto_is_the_fastest_device_that_is_there(monkeypatch, there, picked):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in there)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in there)
    assert pick_device("auto") == torch.device(picked)
    assert pick_device("cpu") == torch.device("cpu")
    for name in ("cuda", "mps"):
        if name in there:
            assert pick_device(name) == torch.device(name)
        else:
            with pytest.raises(MachineError) as caught:
                pick_device(name)
            assert caught.value.code == "machine.no-device"
            assert f"device {name} was requested" in caught.value.what


def test_threads_are_set_to_a_number_and_left_alone_otherwise():
    before = torch.get_num_threads()
    try:
        assert use_threads(before + 2) == torch.get_num_threads() == before + 2
        assert use_threads("auto") == torch.get_num_threads() == before + 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_tf32_is_for_models_of_less_precision(dtype):
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        set_float32_precision(dtype)
        found = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        assert found == ((dtype != torch.float32),) * 2
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def test_answers_are_computed_in_float32_without_bfloat16_in_hardware(gpu):
    assert inference_dtype(torch.device("cpu")) == torch.float32
    assert has_bfloat16(torch.device("cpu"))
    assert inference_dtype(torch.device("mps")) is None
    assert has_bfloat16(torch.device("mps"))
    new = gpu(bfloat16=True)
    assert (has_bfloat16(new), inference_dtype(new)) == (True, None)
    old = gpu(bfloat16=False)
    assert (has_bfloat16(old), inference_dtype(old)) == (False, torch.float32)


def test_the_devices_of_a_machine_are_listed(monkeypatch):
    cards = [SimpleNamespace(name="Small", total_memory=8 * 2**30), SimpleNamespace(name="Big", total_memory=2**36)]
    cpu = f"cpu ({torch.get_num_threads()} threads)"
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda}
    monkeypatch.setattr(torch.cuda, "get_device_properties", cards.__getitem__)
    for count, has_mps, others in (
        (0, False, []),
        (0, True, ["mps"]),
        (2, False, ["cuda:0 Small, 8 GiB", "cuda:1 Big, 64 GiB"]),
    ):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda has_mps=has_mps: has_mps)
        assert describe() == {"names": [cpu, *others], **versions}
