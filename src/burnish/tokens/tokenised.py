"""Tokenised rows of a split as flat arrays, in memory or memory-mapped from a rendering on disk.

A row is one sequence, or several that belong together: the chosen and the rejected answer to a prompt. A rendering is a
folder that is written once and read by every training that needs the same tokens:

ids.bin     int32 [tokens]      offsets.bin   int64 [sequences + 1]   rows.json       the names of the rows
weights.bin float32 [tokens]    ordinals.bin  int64 [rows]            rendering.json  origin, counts, digest
NAME.bin    float32 [rows]      for each value of the rows, such as label
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import BurnishError
from burnish.core.files import publish_folder, read_json, write_json

Indices = NDArray[np.int64]
_EMPTY_RECORD: Mapping[str, Any] = MappingProxyType({"counts": {}, "read": (), "notes": ()})
_NO_VALUES: Mapping[str, NDArray[np.float32]] = MappingProxyType({})
_ARRAYS: Mapping[str, Any] = {"ids": np.int32, "weights": np.float32, "offsets": np.int64, "ordinals": np.int64}


@dataclass(frozen=True)
class TokenisedRows:
    """All rows of a split in three flat arrays; sequence s is `ids[offsets[s]:offsets[s + 1]]`.

    Row r is the sequences from `r · width` up to `(r + 1) · width`, which a micro-batch never separates.
    """

    ids: NDArray[np.int32]  # [tokens]
    weights: NDArray[np.float32]  # [tokens], of predicting each token from the previous ones; 0 is not learned
    offsets: NDArray[np.int64]  # [sequences + 1]
    row_ids: tuple[str, ...]
    width: int = 1
    """Sequences of each row."""
    values: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Further numbers of each row by name, [rows] or [rows, width], such as `label`."""
    token_values: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Further numbers of each token by name, [tokens]; a batch has those of its learned tokens."""
    may_part: bool = False
    """True if the sequences of a row need not be computed together."""

    @classmethod
    def of(cls, rows: Iterable[tuple[str, NDArray[np.int32], NDArray[np.float32]]]) -> "TokenisedRows":
        """Collect (row id, ids [T], weights [T]); the first token of a row is never learned."""
        return cls.of_groups((name, [(ids, weights)]) for name, ids, weights in rows)

    @classmethod
    def of_groups(
        cls,
        rows: Iterable[tuple[str, Sequence[tuple[NDArray[np.int32], NDArray[np.float32]]]]],
        width: int = 1,
        values: Mapping[str, NDArray[np.float32]] = _NO_VALUES,
    ) -> "TokenisedRows":
        """Collect (row id, `width` sequences of ids [T] and weights [T])."""
        ids, weights, lengths, names = [], [], [0], []
        for name, sequences in rows:
            for sequence, weight in checked_group(name, sequences, width):
                ids.append(sequence)
                weights.append(weight)
                lengths.append(len(sequence))
            names.append(name)
        empty = [np.array([])]
        return cls(
            np.concatenate(ids or empty).astype(np.int32),
            np.concatenate(weights or empty).astype(np.float32),
            np.cumsum(lengths),
            tuple(names),
            width,
            values,
        )

    def __len__(self) -> int:
        return len(self.row_ids)

    @cached_property
    def lengths(self) -> Indices:
        """The number of tokens of each row, [rows]."""
        return self.sequence_lengths.reshape(-1, self.width).sum(1)

    @cached_property
    def sequence_lengths(self) -> Indices:
        """The number of tokens of each sequence, [rows · width]."""
        return np.diff(self.offsets)

    def learned_of(self, rows: Indices) -> Indices:
        """The number of learned tokens of each sequence of the given rows, [len(rows), width]."""
        counts = [np.count_nonzero(self.weights[span]) for row in rows.tolist() for span in self.spans(row)]
        return np.array(counts, np.int64).reshape(-1, self.width)

    @property
    def learned(self) -> int:
        """The number of tokens with a weight above 0."""
        return int(np.count_nonzero(self.weights))

    def digest(self) -> str:
        """sha256 over ids, weights, offsets, row ids and values."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        total = hashlib.sha256()
        for array in (self.ids, self.weights, self.offsets):
            total.update(np.ascontiguousarray(array).data)
        total.update("\0".join(self.row_ids).encode())
        for name, array in sorted([*self.values.items(), *self.token_values.items()]):
            total.update(name.encode())
            total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()

    def span(self, row: int) -> slice:
        """The slice of a row in the flat arrays."""
        return slice(self.offsets[row * self.width], self.offsets[(row + 1) * self.width])

    def spans(self, row: int) -> list[slice]:
        """The slices of a row's sequences, [width]."""
        bounds = self.offsets[row * self.width : (row + 1) * self.width + 1].tolist()
        return [slice(start, end) for start, end in pairwise(bounds)]

    def with_values(self, **values: NDArray[np.float32]) -> "TokenisedRows":
        """The same rows with further values."""
        return replace(self, values={**self.values, **values})

    def apart(self) -> "TokenisedRows":
        """Each sequence as a row by itself: sequence s becomes row s, with its values."""
        values = {
            name: array.reshape(-1, 1) if array.ndim > 1 else np.repeat(array, self.width)
            for name, array in self.values.items()
        }
        names = tuple(name for name in self.row_ids for _ in range(self.width))
        return replace(self, row_ids=names, width=1, values=values)

    def with_token_values(self, **values: NDArray[np.float32]) -> "TokenisedRows":
        """The same rows with further values of their tokens."""
        return replace(self, token_values={**self.token_values, **values})

    def learned_tokens(self, rows: Indices) -> Indices:
        """The places in the flat arrays of the learned tokens of the given rows, in their order."""
        places = [np.flatnonzero(self.weights[span]) + span.start for span in map(self.span, rows.tolist())]
        return np.concatenate([*places, np.zeros(0, np.int64)]).astype(np.int64)

    def first(self, rows: int) -> "TokenisedRows":
        """The first `rows` rows, as views."""
        rows = min(rows, len(self))
        end = int(self.offsets[rows * self.width])
        return TokenisedRows(
            self.ids[:end],
            self.weights[:end],
            self.offsets[: rows * self.width + 1],
            self.row_ids[:rows],
            self.width,
            {name: array[:rows] for name, array in self.values.items()},
            {name: array[:end] for name, array in self.token_values.items()},
        )


def checked_row(
    name: str, ids: NDArray[np.int32], weights: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Check that ids and weights of a row have the same length, and set the first weight to 0."""
    if len(ids) != len(weights):
        raise ValueError(f"row {name} has {len(ids)} ids but {len(weights)} weights")
    weights = np.array(weights, np.float32)
    weights[:1] = 0.0
    return np.asarray(ids, np.int32), weights


def checked_group(
    name: str, sequences: Sequence[tuple[NDArray[np.int32], NDArray[np.float32]]], width: int
) -> list[tuple[NDArray[np.int32], NDArray[np.float32]]]:
    """Check that a row has `width` sequences, and each of them."""
    if len(sequences) != width:
        raise ValueError(f"row {name} has {len(sequences)} sequences instead of {width}")
    return [checked_row(name, ids, weights) for ids, weights in sequences]


@dataclass(frozen=True)
class Rendering:
    """A split's tokenised rows, and the counts of their rendering.

    `ordinals` [rows] are the positions in the dataset of the source rows: a row may be rendered as several pieces, or
    none. `read` names the settings that the rendering depends on; `notes` are the messages reported while rows were
    read, which a training that reuses the rendering reports again.
    """

    rows: TokenisedRows
    ordinals: Indices
    counts: Mapping[str, int]
    read: tuple[str, ...]
    notes: tuple[str, ...]

    def of_first(self, rows: int | None) -> TokenisedRows:
        """The tokenised rows from the first `rows` rows of the dataset; all rows for None."""
        if rows is None:
            return self.rows
        return self.rows.first(int(np.searchsorted(self.ordinals, rows)))


class RenderingWriter:
    """Writes rows to the folder `partial` as they arrive, and publishes the complete rendering atomically.

    Every row has `width` sequences, and a number for each of `values`.
    """

    def __init__(self, partial: Path, width: int = 1, values: Sequence[str] = ()):
        self._partial, self._width, self._values = partial, width, tuple(values)
        self._names: list[str] = []
        self._end = 0

    def __enter__(self) -> "RenderingWriter":
        remove_rendering(self._partial)  # left by a killed process
        self._partial.mkdir(parents=True)
        self._stack = ExitStack()
        self._files: dict[str, IO[bytes]] = {
            name: self._stack.enter_context((self._partial / f"{name}.bin").open("wb"))
            for name in (*_ARRAYS, *self._values)
        }
        self._append("offsets", 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        remove_rendering(self._partial)

    def add(self, name: str, ordinal: int, ids: NDArray[np.int32], weights: NDArray[np.float32]) -> None:
        """Add one piece [T] of row `ordinal` of the dataset; ordinals must not decrease."""
        self.add_group(name, ordinal, [(ids, weights)])

    def add_group(
        self,
        name: str,
        ordinal: int,
        sequences: Sequence[tuple[NDArray[np.int32], NDArray[np.float32]]],
        values: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Add the sequences (ids [T], weights [T]) of row `ordinal` of the dataset, with its values."""
        for ids, weights in checked_group(name, sequences, self._width):
            self._files["ids"].write(ids.tobytes())
            self._files["weights"].write(weights.tobytes())
            self._end += len(ids)
            self._append("offsets", self._end)
        self._append("ordinals", ordinal)
        for value in self._values:
            self._files[value].write(np.float32(values[value]).tobytes())
        self._names.append(name)

    def publish(
        self, folder: Path, origin: str, counts: Mapping[str, int], read: Iterable[str], notes: Iterable[str] = ()
    ) -> Rendering:
        """Move the rendering to its folder; `origin` is the fingerprint of all its inputs."""
        record = {"origin": origin, "counts": dict(counts), "read": sorted(read), "notes": list(notes)}
        record |= self._layout
        rendering = self.mapped(record)
        write_json(self._partial / "rendering.json", {**record, "digest": _digest(rendering, origin)})
        remove_rendering(folder)
        publish_folder(self._partial, folder)
        return rendering

    def mapped(self, record: Mapping[str, Any] = _EMPTY_RECORD) -> Rendering:
        """The rows added so far."""
        for file in self._files.values():
            file.flush()
        write_json(self._partial / "rows.json", self._names)
        return _mapped(self._partial, {**record, **self._layout})

    @property
    def _layout(self) -> dict[str, Any]:
        return {"width": self._width, "values": list(self._values)}

    def _append(self, name: str, number: int) -> None:
        self._files[name].write(np.int64(number).tobytes())


def open_rendering(folder: Path, origin: str) -> Rendering | None:
    """Memory-map the rendering in a folder; None if it is missing, has another origin, or is damaged."""
    try:
        record = read_json(folder / "rendering.json")
        if record["origin"] != origin:
            return None
        rendering = _mapped(folder, record)
        return rendering if _digest(rendering, origin) == record["digest"] else None
    except (OSError, ValueError, KeyError, TypeError, BurnishError):
        return None


def _mapped(folder: Path, record: Mapping[str, Any]) -> Rendering:
    arrays = {name: _map(folder / f"{name}.bin", dtype) for name, dtype in _ARRAYS.items()}
    names = tuple(read_json(folder / "rows.json"))
    values = {name: _map(folder / f"{name}.bin", np.float32) for name in record["values"]}
    rows = TokenisedRows(arrays["ids"], arrays["weights"], arrays["offsets"], names, record["width"], values)
    return Rendering(rows, arrays["ordinals"], record["counts"], tuple(record["read"]), tuple(record["notes"]))


def _map(file: Path, dtype: Any) -> NDArray[Any]:
    if not file.stat().st_size:
        return np.array([], dtype)
    return np.memmap(file, dtype, "r").view(np.ndarray)


def _digest(rendering: Rendering, origin: str) -> str:
    """The digest of a rendering. It includes the digest of its rows, which training needs anyway."""
    about = [origin, dict(rendering.counts), rendering.read, rendering.notes, rendering.rows.width]
    about.append(rendering.rows.digest())
    total = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    total.update(np.ascontiguousarray(rendering.ordinals).data)
    return total.hexdigest()


def remove_rendering(folder: Path) -> None:
    """Delete a rendering's folder; existing memory maps stay valid."""
    shutil.rmtree(folder, ignore_errors=True)
