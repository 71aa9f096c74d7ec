"""Selects the device from the setting and what is available."""

import json
import os

import torch

from burnish.core.errors import MachineError


def pick_device(requested: str) -> torch.device:
    """The device of `auto`, `cpu`, `cuda` or `mps`; `auto` selects the fastest one available.

    Of several processes of a step, each takes the CUDA device of its place among those of this machine.

    Errors: MachineError `machine.no-device` when cuda or mps is requested but not available, or too few devices are.
    """
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if requested == "auto":
        requested = next((name for name, is_there in there.items() if is_there()), "cpu")
    elif requested in there and not there[requested]():
        raise no_device(requested)
    if requested == "cuda" and "LOCAL_RANK" in os.environ:
        _take_own_device()
    return torch.device(requested)


def _take_own_device() -> None:
    place, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if place >= count:
        processes = os.environ.get("LOCAL_WORLD_SIZE", str(place + 1))
        raise MachineError(
            "machine.no-device",
            f"{processes} processes were requested, each with a CUDA device, and this machine has {count}",
            f"set launch.processes: {count}, or device: cpu",
        )
    torch.cuda.set_device(place)


def no_device(requested: str) -> MachineError:
    """The error for a requested device that is not available."""
    return MachineError(
        "machine.no-device",
        f"device {requested} was requested, but torch {torch.__version__} finds none on this machine",
        "set device: auto or device: cpu, or install a torch build that supports it",
    )


def use_threads(requested: int | str) -> int:
    """Set torch's number of CPU threads (`auto` keeps torch's default) and return it."""
    if isinstance(requested, int):
        torch.set_num_threads(requested)
    return torch.get_num_threads()


def set_float32_precision(dtype: torch.dtype) -> None:
    """Allow TF32 for float32 products on CUDA, unless `dtype` is float32.

    TF32 has 10 mantissa bits, bfloat16 7, float32 23. torch allows it for convolutions by default. CUDA only.
    """
    # setting torch's newer names makes the older ones, which libraries read, raise errors
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = dtype != torch.float32


def inference_dtype(device: torch.device) -> torch.dtype | None:
    """The dtype for inference: float32 on a CPU, where it is faster and more exact than bfloat16.

    The same on a GPU without bfloat16. On other devices None: the dtype of the files is kept.
    """
    return torch.float32 if device.type == "cpu" or not has_bfloat16(device) else None


def has_bfloat16(device: torch.device) -> bool:
    """False for a CUDA device that has bfloat16 in software only: below compute capability 8.0."""
    if device.type != "cuda":
        return True
    with torch.cuda.device(device):
        return torch.cuda.is_bf16_supported(including_emulation=False)


def describe() -> dict[str, object]:
    """The devices of this machine and torch's build; shown by `burnish env`."""
    names = [f"cpu ({torch.get_num_threads()} threads)"]
    cuda = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    names += [f"cuda:{index} {found.name}, {found.total_memory / 2**30:.0f} GiB" for index, found in enumerate(cuda)]
    names += ["mps"] if torch.backends.mps.is_available() else []
    return {"names": names, "torch": torch.__version__, "cuda": torch.version.cuda}


if __name__ == "__main__":
    print(json.dumps(describe()))
