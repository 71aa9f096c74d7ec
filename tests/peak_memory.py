"""Counts the bytes of all tensors that live at once: what an allocator of a GPU would say, on a machine without one.

with peak_memory() as peak:
    train()
print(peak.bytes)
"""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only


class peak_memory(TorchDispatchMode):  # noqa: N801, it reads as a function
    """`bytes` is the largest sum so far, `now` the sum at present, of storages that were made inside or `holding`."""

    def __init__(self, holding: Any = ()):
        super().__init__()
        self.now = self.bytes = 0
        self._seen: dict[int, weakref.finalize[Any, Any]] = {}
        tree_map_only(torch.Tensor, self._count, list(holding))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        tree_map_only(torch.Tensor, self._count, found)
        return found

    def _count(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.device.type != "meta":
            storage = tensor.untyped_storage()
            if (known := self._seen.get(id(storage))) is None or not known.alive:
                size = storage.nbytes()
                self._seen[id(storage)] = weakref.finalize(storage, self._forget, size)
                self.now += size
                self.bytes = max(self.bytes, self.now)
        return tensor

    def _forget(self, size: int) -> None:
        self.now -= size
