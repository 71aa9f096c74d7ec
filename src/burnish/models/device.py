"""Which device the work runs on, told from what was asked for and what is there."""

import json

import torch

from burnish.core.errors import MachineError


def pick_device(asked: str) -> torch.device:
    """The device of `auto`, `cpu`, `cuda` or `mps`; `auto` takes the fastest that is there.

    Errors: MachineError `machine.no-device` when cuda or mps was asked for and is not there.
    """
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if asked == "auto":
        asked = next((name for name, is_there in there.items() if is_there()), "cpu")
    elif asked in there and not there[asked]():
        raise MachineError(
            "machine.no-device",
            f"device {asked} was asked for, but torch {torch.__version__} finds none on this machine",
            "set device: auto or device: cpu, or install a torch that knows the device",
        )
    return torch.device(asked)


def use_threads(asked: int | str) -> int:
    """Let torch compute with that many CPU threads (`auto` leaves its own choice) and say how many they are."""
    if isinstance(asked, int):
        torch.set_num_threads(asked)
    return torch.get_num_threads()


def inference_dtype(device: torch.device) -> torch.dtype | None:
    """Of weights that only answer: float32 on a CPU, which computes it faster and more exactly than bfloat16.

    None, elsewhere, keeps the dtype of the files.
    """
    return torch.float32 if device.type == "cpu" else None


def describe() -> dict[str, object]:
    """The devices of this machine in words, and what torch was built for; `burnish env` shows it."""
    names = [f"cpu ({torch.get_num_threads()} threads)"]
    cuda = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    names += [f"cuda:{index} {found.name}, {found.total_memory / 2**30:.0f} GiB" for index, found in enumerate(cuda)]
    names += ["mps"] if torch.backends.mps.is_available() else []
    return {"names": names, "torch": torch.__version__, "cuda": torch.version.cuda}


if __name__ == "__main__":
    print(json.dumps(describe()))
