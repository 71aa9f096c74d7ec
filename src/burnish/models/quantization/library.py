"""Imports bitsandbytes where a setting needs it, with an error that names the setting and the fix."""

from typing import Any

import torch

from burnish.core.errors import MachineError
from burnish.core.faults import reason

_NOT_LOADED = "ErrorHandlerMockBNBNativeLibrary"


def require(what: str, device: str = "cpu") -> Any:
    """The package; `what` needs it, on `device`.

    Errors: MachineError `machine.no-package`, `machine.no-device`.
    """
    if device == "mps":
        raise MachineError(
            "machine.no-device",
            f"{what} does not run on an Apple GPU here: bitsandbytes was not tested there",
            "set device: cpu, or use method: lora and optimizer: adamw",
        )
    try:
        import bitsandbytes
    except ImportError as error:
        raise MachineError(
            "machine.no-package",
            f"{what} needs the package bitsandbytes: {reason(error)}",
            "pip install 'burnish[qlora]'",
        ) from error
    native = getattr(getattr(bitsandbytes, "cextension", None), "lib", None)
    if type(native).__name__ == _NOT_LOADED:  # it would fail at its first use
        raise MachineError(
            "machine.no-package",
            f"{what} needs bitsandbytes, whose library does not load for this machine and torch {torch.__version__}",
            "python -m bitsandbytes says why; or use method: lora and optimizer: adamw",
        )
    return bitsandbytes
