"""Combined layers on disk, so that a killed run continues after the last of them: a decomposition may take a minute.

combining/<digest of adapters and settings>/<layer>.safetensors    A, B and the state of torch's generator after them
"""

import hashlib
import shutil
from pathlib import Path

import torch
from torch import Tensor

from burnish.core.fingerprint import of_value

_FOLDER = "combining"


class KeptLayers:
    """The layers of one combination; `key` is whatever determines them, as plain JSON."""

    def __init__(self, cache: Path, key: object):
        self._folder = cache / _FOLDER / of_value(key)

    def get(self, layer: int) -> tuple[Tensor, Tensor] | None:
        """A and B of a layer, with torch's generator set to what it was after them; None if they are to be computed.

        A damaged file is computed again.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._folder / f"{layer}.safetensors", framework="pt") as file:
                a, b, state = (file.get_tensor(name) for name in ("a", "b", "state"))
                expected = (file.metadata() or {}).get("sha256")
        except (OSError, SafetensorError):
            return None
        if expected != _digest(a, b, state):
            return None
        torch.set_rng_state(state)
        return a, b

    def put(self, layer: int, a: Tensor, b: Tensor) -> None:
        """Keep a layer."""
        from safetensors.torch import save_file

        self._folder.mkdir(parents=True, exist_ok=True)
        tensors = {"a": a.contiguous(), "b": b.contiguous(), "state": torch.get_rng_state()}
        partial = self._folder / f"{layer}.partial"
        save_file(tensors, partial, {"sha256": _digest(*tensors.values())})
        partial.rename(self._folder / f"{layer}.safetensors")

    def forget(self) -> None:
        """Remove them all."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _digest(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
