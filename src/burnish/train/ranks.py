"""The processes of a training: each computes a share of every step, and all hold the same weights.

The shares follow from the rows of the step alone, and divisors are over the whole step, so any number of processes
makes the same steps up to rounding. What the processes decide (a stop, a repetition in smaller parts, which checkpoint
to resume from) they decide together. Alone, nothing is sent.
"""

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from heapq import heapreplace
from itertools import chain
from typing import Any, TypeVar, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils import _pytree as pytree  # the only door to nested results; torch documents it for its own modules

from burnish.core.context import StopRequestedError
from burnish.core.errors import RunError
from burnish.core.faults import first_line, is_out_of_memory
from burnish.tokens.tokenised import Indices

Found = TypeVar("Found")

_BUCKET = 32 << 20
"""Bytes of small tensors that are summed in one message; a larger tensor is a message of its own."""
_SILENT = timedelta(hours=12)
"""How long one process may compute while others wait: those that died or hang are seen by their launcher."""
_GOES_ON, _NO_MEMORY, _STOPS = range(3)


class NoMemoryError(Exception):
    """Memory ran out in this process or in another one: all repeat the work in smaller parts. The text says why."""


@dataclass(frozen=True)
class Ranks:
    """One of `size` processes; `rank` counts from 0, and the first one reports and writes."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        return self.size == 1

    def together(self, work: Callable[[], Found]) -> Found:
        """The result of this process's part of some work that is done in all processes.

        Errors, in all of them if in one: StopRequestedError; NoMemoryError. Another error ends this process alone, and
        the launcher the others.
        """
        state, reason = _GOES_ON, "memory ran out in another process"
        found: Found | None = None
        try:
            found = work()
        except StopRequestedError:
            state = _STOPS
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            state, reason = _NO_MEMORY, first_line(error)
        (state,) = self.largest([state])
        if state == _STOPS:
            raise StopRequestedError
        if state == _NO_MEMORY:
            raise NoMemoryError(reason)
        return cast(Found, found)

    def largest(self, numbers: Sequence[int]) -> list[int]:
        """The largest of each number over the processes; the host does not wait for the device."""
        if self.is_alone:
            return list(numbers)
        found = torch.tensor(list(numbers))
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return found.tolist()

    def sum(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over the processes: the same bits in each of them."""
        if not self.is_alone:
            for bucket in _buckets(tensors):
                _sum(bucket)

    def gathered(self, value: Found) -> list[Found]:
        """The values of all processes, in their order; tensors arrive on this process's device.

        Errors: those of pickle.
        """
        if self.is_alone:
            return [value]
        devices = [leaf.device for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor)]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, pytree.tree_map_only(Tensor, Tensor.cpu, value))
        if devices:
            found = [pytree.tree_map_only(Tensor, lambda leaf: leaf.to(devices[0]), one) for one in found]
        return found

    def of_first(self, decide: Callable[[], Found]) -> Found:
        """What the first process decides."""
        if self.is_alone:
            return decide()
        decided: list[Any] = [decide() if self.is_first else None]
        dist.broadcast_object_list(decided, src=0)
        return decided[0]

    def refuse_differences(self, what: str, value: Any) -> None:
        """RunError `run.ranks-differ` if a value is not the same in all processes."""
        found = self.gathered(value)
        if any(other != found[0] for other in found):
            shown = "; ".join(f"process {number}: {one}" for number, one in enumerate(found, 1))
            raise RunError(
                "run.ranks-differ",
                f"{what} is not the same in all processes: {shown}",
                "use machines and devices of one kind, with the same versions of all packages",
            )


ALONE = Ranks()


@contextmanager
def joined(rank: int, size: int, device: str) -> Generator[Ranks]:
    """The processes of a training, connected; alone if there is one. Messages of the host pass by gloo: it does not
    wait for the device.

    They meet at the file BURNISH_MEETING, or else where torchrun's variables say. Errors: RunError `run.ranks-differ`
    when another number of processes came.
    """
    if size == 1:
        yield ALONE
        return
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    meeting = os.environ.get("BURNISH_MEETING")
    place = "env://" if meeting is None else f"file://{meeting}"
    dist.init_process_group(backend, init_method=place, rank=rank, world_size=size, timeout=_SILENT)
    try:
        if (dist.get_rank(), dist.get_world_size()) != (rank, size):
            what = f"this is process {dist.get_rank()} of {dist.get_world_size()}, and {rank} of {size} was started"
            raise RunError("run.ranks-differ", what, "unset RANK and WORLD_SIZE, and run again")
        yield Ranks(rank, size)
    finally:
        dist.destroy_process_group()


def shares(lengths: Indices, rows: Indices, count: int) -> list[Indices]:
    """A step's rows as `count` shares of about as many tokens, longest first; all rows in their order for one share."""
    if count == 1:
        return [rows]
    parts: list[list[int]] = [[] for _ in range(count)]
    filled = [(0, part) for part in range(count)]
    by_length = rows[np.argsort(-lengths[rows], kind="stable")]
    for row, length in zip(by_length.tolist(), lengths[by_length].tolist(), strict=True):
        tokens, part = filled[0]
        parts[part].append(row)
        heapreplace(filled, (tokens + length, part))
    return [np.array(part, np.int64) for part in parts]


def _buckets(tensors: Iterable[Tensor]) -> Iterable[Sequence[Tensor]]:
    """Tensors of one type and device, in their order, together while they are small."""
    bucket, kind, size = list[Tensor](), None, 0
    for tensor in tensors:
        its_kind = tensor.dtype, tensor.device
        if bucket and (its_kind != kind or size + tensor.nbytes > _BUCKET):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        kind, size = its_kind, size + tensor.nbytes
    if bucket:
        yield bucket


def _sum(bucket: Sequence[Tensor]) -> None:
    if len(bucket) == 1 and bucket[0].is_contiguous():
        dist.all_reduce(bucket[0])
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
    dist.all_reduce(flat)
    parts = flat.split([tensor.numel() for tensor in bucket])
    torch._foreach_copy_(list(bucket), [part.view_as(tensor) for part, tensor in zip(parts, bucket, strict=True)])


def flattened(found: Iterable[Sequence[Found]]) -> list[Found]:
    """The lists of all processes as one."""
    return list(chain.from_iterable(found))
