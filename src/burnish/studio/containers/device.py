"""CPU or GPU: what containers on this machine can use, and why."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Literal, cast

from burnish.core.errors import AskError, MachineError

Device = Literal["cpu", "cuda"]
_TOOLKIT = (
    "install nvidia-container-toolkit, then: sudo nvidia-ctk runtime configure --runtime=docker && "
    "sudo systemctl restart docker; or go on without the GPU: --device cpu"
)


def choose_device(requested: str, info: Mapping[str, Any] | None) -> tuple[Device, str]:
    """The device of containers, and why. `info` is what docker says of itself; None if it is not asked.

    Errors: MachineError `machine.no-device` if CUDA is requested and there is no GPU, or docker cannot use the one
    that is there.
    """
    if requested not in ("auto", "cpu", "cuda"):
        raise AskError("ask.wrong-value", f"--device: '{requested}' is unknown", "write auto, cpu or cuda")
    if requested == "cpu":
        return "cpu", "requested"
    names, none = _gpus()
    if not names:
        if requested == "cuda":
            raise MachineError("machine.no-device", f"--device cuda: {none}", "use --device cpu, or install the driver")
        return "cpu", none
    if info is not None and not _has_runtime(info):
        what = f"this machine has an NVIDIA GPU ({names[0]}), and docker has no NVIDIA runtime"
        raise MachineError("machine.no-device", what, _TOOLKIT)
    return "cuda", ", ".join(dict.fromkeys(names))


def _gpus() -> tuple[list[str], str]:
    """The names of the NVIDIA GPUs, and why there is none."""
    if sys.platform == "darwin":
        return [], "containers on macOS have no GPU"
    program = shutil.which("nvidia-smi") or shutil.which("nvidia-smi.exe")
    if program is None:
        return [], "there is no NVIDIA driver (no nvidia-smi)"
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return [], "nvidia-smi does not answer"
    names = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not names:
        said = (done.stderr or done.stdout).strip().splitlines()
        return [], f"nvidia-smi finds no GPU{f': {said[0]}' if said else ''}"
    return names, ""


def _has_runtime(info: Mapping[str, Any]) -> bool:
    devices = cast(list[dict[str, Any]], info.get("DiscoveredDevices") or [])
    return (
        "nvidia" in (info.get("Runtimes") or {})
        or any("nvidia" in str(device.get("ID", "")) for device in devices)
        or "Docker Desktop" in str(info.get("OperatingSystem", ""))
    )
