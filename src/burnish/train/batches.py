"""From tokenised rows to batches: the order of an epoch, the rows of a step, the sequences of a micro-batch.

Everything here is a pure function of the rows, the settings and (seed, epoch), so a run can be
resumed from two integers: the epoch and the step in it. A batch is one flat row of whole
sequences without any padding; attention keeps them apart by `cu_seqlens`.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, count, islice, pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.core.errors import AskError
from burnish.core.naming import nearest
from burnish.tokens.tokenised import Indices, TokenisedRows

_ALIGNED = 256
"""Alignment in bytes of an array in the shared buffer, for the widest loads of kernels."""
_TORCH = {np.dtype(np.int64): torch.int64, np.dtype(np.int32): torch.int32, np.dtype(np.float32): torch.float32}


@dataclass(frozen=True)
class Batch:
    """Complete sequences in one flat row, and the positions whose next token is learned.

    Where `gather` is given, the sequences of a row share the tokens of their prompt: the flat row holds them once, and
    attention runs on `states[gather]`, of which it keeps `[keep]`.
    """

    input_ids: torch.Tensor  # [1, T]
    position_ids: torch.Tensor  # [1, T], from 0 in each sequence
    cu_seqlens: torch.Tensor  # [S + 1] int32, of the sequences before any tokens are shared
    bounds: tuple[int, ...]  # cu_seqlens as plain integers
    positions: torch.Tensor  # [K], hidden states that predict a learned token
    targets: torch.Tensor  # [K], the learned tokens
    weights: torch.Tensor  # [K] float32
    sequences: torch.Tensor  # [K], the sequence each belongs to
    owners: torch.Tensor  # [T] int32, row · width + sequence in the row: names each token's dropout mask
    values: Mapping[str, torch.Tensor]  # float32 [R, …], the rows' values
    rows: Indices  # [R], indices into the TokenisedRows, on the host
    learned: Indices  # [R], learned tokens of each row
    token_values: Mapping[str, torch.Tensor]  # float32 [K], the values of the learned tokens
    width: int = 1
    gather: torch.Tensor | None = None  # [bounds[-1]]
    keep: torch.Tensor | None = None  # [T]

    @property
    def tokens(self) -> int:
        """T, the tokens of the flat row."""
        return self.input_ids.shape[1]

    def sums(self, numbers: torch.Tensor) -> torch.Tensor:
        """The sum of a number of each learned token [K] over each sequence [S]; differentiable."""
        return numbers.new_zeros(len(self.bounds) - 1).index_add(0, self.sequences, numbers)

    @property
    def last(self) -> torch.Tensor:
        """The place of the last token of each sequence in the flat row, [S]."""
        ends = self.cu_seqlens[1:].long() - 1
        return ends if self.gather is None else self.gather[ends]

    def alone(self) -> "list[Batch]":
        """Each sequence as a batch by itself, for a model that cannot compute several at once; [S]."""
        return [self._alone(place, start, end) for place, (start, end) in enumerate(pairwise(self.bounds))]

    def _alone(self, place: int, start: int, end: int) -> "Batch":
        mine = self.sequences == place
        return replace(
            self,
            input_ids=self.input_ids[:, start:end],
            position_ids=self.position_ids[:, start:end],
            cu_seqlens=self.cu_seqlens[place : place + 2] - start,
            bounds=(0, end - start),
            positions=self.positions[mine] - start,
            targets=self.targets[mine],
            weights=self.weights[mine],
            sequences=self.sequences[mine] - place,
            owners=self.owners[start:end],
            token_values={name: numbers[mine] for name, numbers in self.token_values.items()},
        )

    @property
    def counts(self) -> torch.Tensor:
        """Learned tokens of each sequence [S], float32."""
        return self.sums(torch.ones_like(self.weights))


def make_batch(
    data: TokenisedRows, rows: Indices, device: torch.device | str = "cpu", *, share_prompts: bool = False
) -> Batch:
    """Concatenate the rows with these indices; to a CUDA device they are sent in one copy, without waiting for it.

    `share_prompts` lays out the common tokens before the first learned one of a row's sequences once.
    """
    width = data.width
    spans = [span for row in rows.tolist() for span in data.spans(row)]
    ids = np.concatenate([data.ids[span] for span in spans])
    weights = np.concatenate([data.weights[span] for span in spans])
    lengths = data.sequence_lengths.reshape(-1, width)[rows].reshape(-1)
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    sequences = np.repeat(np.arange(len(spans)), lengths)
    arrays: dict[str, NDArray[np.generic]] = {
        "position_ids": (np.arange(len(ids)) - bounds[sequences]).astype(np.int64),
        "owners": (rows[sequences // width] * width + sequences % width).astype(np.int32),
    }
    learned = np.flatnonzero(weights)
    before, gather = learned - 1, None
    if share_prompts and width > 1:
        gather, keep = _shared(ids, weights, bounds, width)
        before = gather[before]
        arrays = {name: array[keep] for name, array in arrays.items()} | {"gather": gather, "keep": keep}
    arrays |= {
        "input_ids": (ids if gather is None else ids[arrays["keep"].astype(np.int64)]).astype(np.int64)[None],
        "position_ids": arrays["position_ids"][None],
        "cu_seqlens": bounds.astype(np.int32),
        "positions": before.astype(np.int64),
        "targets": ids[learned].astype(np.int64),
        "weights": weights[learned].astype(np.float32),
        "sequences": sequences[learned].astype(np.int64),
    }
    arrays |= {f"values/{name}": array[rows].astype(np.float32) for name, array in data.values.items()}
    if data.token_values:
        places = data.learned_tokens(rows)
        arrays |= {f"token/{name}": array[places].astype(np.float32) for name, array in data.token_values.items()}
    device = torch.device(device)
    if device.type == "cuda":
        tensors = in_one_copy(arrays, device)
    else:
        tensors = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
    values = {name: tensors.pop(f"values/{name}") for name in data.values}
    token_values = {name: tensors.pop(f"token/{name}") for name in data.token_values}
    counts = np.bincount(sequences[learned] // width, minlength=len(rows))
    return Batch(
        **tensors,
        values=values,
        token_values=token_values,
        bounds=tuple(bounds.tolist()),
        rows=rows,
        learned=counts,
        width=width,
    )


def _shared(
    ids: NDArray[np.int32], weights: NDArray[np.float32], bounds: Indices, width: int
) -> tuple[Indices, Indices]:
    """(gather, keep): where each token is in the flat row that holds common prompts once, and which tokens it holds."""
    at = np.arange(len(ids))
    first = at.copy()  # the token that stands for each token
    for row in range(0, len(bounds) - 1, width):
        starts, ends = bounds[row : row + width], bounds[row + 1 : row + width + 1]
        shared = min(
            int(np.argmax(weights[start:end] > 0)) if weights[start:end].any() else int(end - start)
            for start, end in zip(starts, ends, strict=True)
        )
        for start in starts[1:]:
            same = ids[starts[0] : starts[0] + shared] == ids[start : start + shared]
            shared = shared if same.all() else int(np.argmin(same))
        for start in starts[1:]:
            first[start : start + shared] = at[starts[0] : starts[0] + shared]
    keep = np.flatnonzero(first == at)
    return np.searchsorted(keep, first), keep


def in_one_copy(arrays: Mapping[str, NDArray[np.generic]], device: torch.device) -> dict[str, torch.Tensor]:
    """The arrays on a device, as views of one buffer; the copy to CUDA is from pinned memory and not waited for."""
    starts = np.cumsum([0] + [-(-array.nbytes // _ALIGNED) * _ALIGNED for array in arrays.values()]).tolist()
    host = torch.empty(starts[-1], dtype=torch.uint8, pin_memory=device.type == "cuda")
    parts = list(zip(arrays.items(), starts, strict=False))
    for (_, array), start in parts:
        host.numpy()[start : start + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    there = host.to(device, non_blocking=host.is_pinned())
    return {
        name: there[start : start + array.nbytes].view(_TORCH[array.dtype]).view(array.shape)
        for (name, array), start in parts
    }


@dataclass(frozen=True)
class Cursor:
    """The position of a run in its data: an epoch and the number of its finished steps."""

    epoch: int = 0
    step: int = 0


@dataclass(frozen=True)
class Visits:
    """What a run reads of a split: its rows, ascending, and the rows of each step."""

    rows: Indices
    steps: Callable[[], Iterable[Indices]]
    sample: Indices | None = None
    """The rows that checks use, where nothing else is made; None for a training."""

    @property
    def used(self) -> "Visits":
        """What is computed: everything, or the sample as one step."""
        sample = self.sample
        return self if sample is None else Visits(sample, lambda: [sample] if len(sample) else [])

    @classmethod
    def once(cls, rows: int) -> "Visits":
        """All rows in one step, as in an evaluation."""
        every = np.arange(rows)
        return cls(every, lambda: [every])


class StepPlan:
    """Which rows form which optimizer step, in every epoch.

    `batch_size` counts rows, `batch_tokens` tokens (rows are added until the next would exceed it); one of
    them is given. The last step of an epoch takes the remainder. Rows in `without` are left out of their steps, which
    keep their other rows: a step may be empty.
    """

    def __init__(
        self,
        lengths: Indices,
        *,
        seed: int,
        shuffle: bool = True,
        batch_size: int | None = None,
        batch_tokens: int | None = None,
        without: Indices | None = None,
    ):
        if (batch_size is None) == (batch_tokens is None):
            raise ValueError("give either batch_size or batch_tokens")
        self._lengths, self._seed, self._shuffle = lengths, seed, shuffle
        self._batch_size, self._batch_tokens = batch_size, batch_tokens
        self.without = np.array([], np.int64) if without is None else without
        self.epoch = lru_cache(maxsize=2)(self._epoch)

    def _epoch(self, epoch: int) -> tuple[Indices, ...]:
        """The row indices of each step of an epoch."""
        rows = len(self._lengths)
        if self._shuffle:
            order = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self._seed, epoch]))).permutation(rows)
        else:
            order = np.arange(rows)
        if self._batch_size is not None:
            cuts = np.arange(self._batch_size, rows, self._batch_size)
        else:
            cuts = np.array(list(self._cuts(self._lengths[order])), dtype=np.int64)
        steps = np.split(order, cuts)
        if len(self.without):
            is_left_out = np.zeros(rows, bool)
            is_left_out[self.without] = True
            steps = [some[~is_left_out[some]] for some in steps]
        return tuple(steps)

    def _cuts(self, lengths: Indices) -> Iterator[int]:
        assert self._batch_tokens is not None
        filled = 0
        for place, length in enumerate(lengths.tolist()):
            if filled and filled + length > self._batch_tokens:
                yield place
                filled = 0
            filled += length

    def rows(self, cursor: Cursor) -> Indices:
        """The rows of the step at the cursor."""
        return self.epoch(cursor.epoch)[cursor.step]

    def after(self, cursor: Cursor) -> Cursor:
        """The cursor of the next step."""
        if cursor.step + 1 < len(self.epoch(cursor.epoch)):
            return Cursor(cursor.epoch, cursor.step + 1)
        return Cursor(cursor.epoch + 1, 0)

    def total_steps(self, epochs: float) -> int:
        """The number of steps of `epochs` epochs; a fraction of an epoch is rounded up to a whole step."""
        whole = int(epochs)
        if self._batch_size is not None:  # every epoch has as many
            steps = whole * len(self.epoch(0))
        else:
            steps = sum(len(self._epoch(epoch)) for epoch in range(whole))
        if epochs > whole:
            steps += int(np.ceil((epochs - whole) * len(self.epoch(whole)) - 1e-9))
        return max(1, steps)

    def visits(self, steps: int) -> "Visits":
        """What the first `steps` steps read."""
        first = self.epoch(0)
        return Visits(np.sort(np.concatenate(first[:steps])), lambda: islice(self._steps(), steps))

    def _steps(self) -> Iterator[Indices]:
        return chain.from_iterable(self._epoch(epoch) for epoch in count())

    def epochs_done(self, cursor: Cursor) -> float:
        """The number of finished epochs, with a fraction."""
        return cursor.epoch + cursor.step / len(self.epoch(cursor.epoch))


def indices_of(ids: Sequence[str], row_ids: Sequence[str]) -> Indices:
    """The indices of the rows with these ids, ascending; pieces of a row, `ID#2`, belong to it.

    Errors: AskError `ask.wrong-value` for an id that no row has.
    """
    if not ids:
        return np.array([], np.int64)
    places: dict[str, list[int]] = {name: [] for name in ids}
    for index, name in enumerate(row_ids):
        for known in dict.fromkeys((name, name.partition("#")[0])):
            if known in places:
                places[known].append(index)
    if unknown := [name for name, found in places.items() if not found]:
        what = f"without_rows names {unknown[0]}, which is no row with learned tokens"
        raise AskError("ask.wrong-value", what, f"{nearest(unknown[0], row_ids)}; `burnish runs rows` lists ids")
    return np.unique(np.array([index for found in places.values() for index in found], np.int64))


class Material(Protocol):
    """What the steps of a run are made of."""

    is_fixed: bool
    """True if the rows of a step are known before the steps before it are done."""

    def at(self, cursor: Cursor) -> tuple[TokenisedRows, Indices]:
        """The rows of a step: indices into tokenised rows."""
        ...

    def of_dataset(self, cursor: Cursor, rows: Indices) -> Indices:
        """The rows of the dataset that these rows of the step at the cursor are made of."""
        ...

    def metrics(self, cursor: Cursor) -> Mapping[str, float]:
        """Metrics of the rows of a step, beside those of the objective."""
        ...

    def digest(self, step: int) -> str:
        """The digest, for a checkpoint, of what was made during the run for its first steps; "" for nothing."""
        ...

    def begin(self, step: int, beside: Path | None = None, digest: str = "") -> None:
        """Called once before the first step of an attempt, with the number of finished steps.

        `beside` is the scratch folder of the named checkpoint that the run resumes from, if any, and `digest` that in
        the checkpoint, if it has one. Errors: RunError `run.broken-checkpoint` when the rows that the steps before have
        used are missing, damaged or of another digest.
        """

    def saved(self, steps: Iterable[int]) -> None:
        """Called when a checkpoint is saved, with the steps of all checkpoints that a run may be resumed from."""


@dataclass(frozen=True)
class FixedRows:
    """The same rows in every epoch, in the order of a plan."""

    data: TokenisedRows
    plan: StepPlan
    is_fixed = True

    def at(self, cursor: Cursor) -> tuple[TokenisedRows, Indices]:
        return self.data, self.plan.rows(cursor)

    def of_dataset(self, cursor: Cursor, rows: Indices) -> Indices:
        return rows

    def metrics(self, cursor: Cursor) -> Mapping[str, float]:
        return {}

    def digest(self, step: int) -> str:
        return ""

    def begin(self, step: int, beside: Path | None = None, digest: str = "") -> None:
        """Nothing: the rows are those of the dataset."""

    def saved(self, steps: Iterable[int]) -> None:
        """Nothing: every row stays."""


def micro_batches(lengths: Indices, rows: Indices, limit: int, one_by_one: bool = False) -> list[Indices]:
    """Split a step's rows into micro-batches of at most `limit` tokens: best fit, longest first.

    A row longer than the limit gets its own micro-batch. `one_by_one` does so for every row, for models whose layers
    read across sequences.
    """
    if one_by_one:
        return [rows[i : i + 1] for i in range(len(rows))]
    parts: list[list[int]] = []
    free: list[tuple[int, int]] = []  # (room, part), ascending: a search, not a walk, for the validation split is long
    by_length = rows[np.argsort(-lengths[rows], kind="stable")]
    for row, length in zip(by_length.tolist(), lengths[by_length].tolist(), strict=True):
        place = bisect_left(free, (length, -1))
        room, part = free.pop(place) if place < len(free) else (limit, len(parts))
        if part == len(parts):
            parts.append([])
        parts[part].append(row)
        insort(free, (room - length, part))
    return [np.array(part, dtype=np.int64) for part in parts]
