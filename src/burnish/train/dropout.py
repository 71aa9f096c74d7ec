"""Dropout with a mask for each token: the same for every split of a step into micro-batches, and when it is repeated.

Whether an element is dropped is a hash of (seed, step, row, position in the row, layer, feature), not the next draw of
a generator. It replaces every `nn.Dropout` whose input has one vector for each token of a batch. Other dropout of a
model (inside attention, functional, on the inputs of an expert) still draws from the generator.
"""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from burnish.train.batches import Batch

_GOLDEN = 0x9E3779B9
_AT_ONCE = {"cpu": 1 << 18}
"""Elements hashed at once: what fits a CPU's cache, on other devices memory."""
_AT_ONCE_ELSEWHERE = 1 << 24


class TokenDropout:
    """Replaces the forward of a model's dropout modules until `remove`; `begin` names the next batch."""

    def __init__(self, model: nn.Module, seed: int):
        self._seed = seed
        self.keys: Tensor | None = None  # [T] int32, of the batch of the next passes
        self.lengths: Tensor | None = None  # [T] float32, of the sequence that each token is in
        self._modules = [
            module for path, module in model.named_modules() if type(module) is nn.Dropout and "expert" not in path
        ]
        for place, module in enumerate(self._modules):
            module.forward = partial(self._drop, module, place)  # pyright: ignore[reportAttributeAccessIssue]

    def begin(self, step: int, batch: Batch) -> None:
        """Set the batch of the next forward and backward pass, and its optimizer step."""
        keys = _hash(_hash(batch.owners ^ _word(self._seed)) ^ _word(step))
        self.keys = _hash(keys ^ _hash(batch.position_ids[0].int()))
        each = batch.cu_seqlens.diff()
        # without the size, the host waits for the device to count it
        lengths = torch.repeat_interleave(each.float(), each.long(), output_size=batch.bounds[-1])
        self.lengths = lengths if batch.keep is None else lengths[batch.keep]

    def remove(self) -> None:
        """Restore the modules' own forward."""
        for module in self._modules:
            del module.forward

    def _drop(self, module: nn.Dropout, place: int, states: Tensor) -> Tensor:
        if not module.training or module.p == 0.0:
            return states
        keys = self.keys
        if keys is None or states.ndim < 2 or states.shape[-2] != len(keys):
            return nn.functional.dropout(states, module.p)
        return torch.where(_kept(keys, states.shape, place, module.p), states / (1 - module.p), 0.0)


def _kept(keys: Tensor, shape: torch.Size, place: int, p: float) -> Tensor:
    """True for elements that are kept; `shape` is [..., T, features], keys are [T]."""
    tokens, width = shape[-2], shape[-1]
    features = shape.numel() // tokens
    least = int(p * 2**32) - 2**31
    kept = torch.cat([words >= least for words in _words(keys, features, place)])  # [T, features]
    return kept.view(tokens, -1, width).movedim(0, 1).reshape(shape)


def hashed_words(keys: Tensor, features: int, place: int) -> Tensor:
    """A random word [T, features] int32 for each feature of each token; `place` tells apart who asks."""
    return torch.cat(list(_words(keys, features, place)))


def _words(keys: Tensor, features: int, place: int) -> Iterator[Tensor]:
    """`hashed_words` in parts, in order."""
    columns = _hash(torch.arange(features, dtype=torch.int32, device=keys.device) ^ _word((place + 1) * _GOLDEN))
    rows = max(1, _AT_ONCE.get(keys.device.type, _AT_ONCE_ELSEWHERE) // features)
    return (_hash(part[:, None] ^ columns) for part in keys.split(rows))


def _hash(words: Tensor) -> Tensor:
    """The finaliser of MurmurHash3 on int32: each bit of the result depends on every bit of the word."""
    steps: tuple[tuple[int, int], ...] = ((16, 0x85EBCA6B), (13, 0xC2B2AE35))
    for shift, factor in steps:
        words = words ^ ((words >> shift) & ((1 << (32 - shift)) - 1))
        words.mul_(_word(factor))
    return words.bitwise_xor_((words >> 16) & 0xFFFF)


def _word(number: int) -> int:
    """The lowest 32 bits as a signed integer; higher bits are folded in."""
    folded = 0
    while True:
        folded ^= number & 0xFFFFFFFF
        number >>= 32
        if not number:
            return folded - (1 << 32) if folded >= 1 << 31 else folded


def generator_states(device: torch.device) -> list[Tensor]:
    """The states of the generators used by dropout on a device."""
    states = [torch.get_rng_state()]
    return states + ([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])
