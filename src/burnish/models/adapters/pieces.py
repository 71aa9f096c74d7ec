"""One tensor of a merged model, made of a tensor of the base and an adapter's changes, and written.

The arithmetic is in float32 and in PEFT's order.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf, isfinite
from threading import Lock, local

import torch

from burnish.core.errors import ModelError
from burnish.core.memory import share_freed_memory
from burnish.models.adapters.changes import Change, Dequantized, LowRank, TrainedRows
from burnish.models.layout import Place, Rows
from burnish.models.tensors import DTYPES, is_finite, read_tensor, refuse_not_finite
from burnish.models.weights import StreamedWriter, TensorInfo, broken, size_in_bytes

Squares = tuple[float, float]
_ROWS = 256
_BLOCK = 1 << 18
"""Values merged at a time: they stay in the cache of one core, and two threads seldom wait for Python's lock."""
_BUFFERS = local()
"""Of each thread, the memory of its last product: a new one for each would be kept, too."""
_ONE_WHOLE = Lock()
"""Held while a tensor is in memory as a whole: only one at a time is."""


@dataclass(frozen=True)
class Piece:
    """One tensor of the merged model: its source and its changes."""

    name: str
    dtype: str
    source: TensorInfo
    changes: tuple[tuple[Place, Change], ...] = ()
    """Each with the part of the tensor that it applies to."""

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the source, with the rows of new tokens."""
        rows = [change.rows for _, change in self.changes if isinstance(change, TrainedRows)]
        return (max(rows), *self.source.shape[1:]) if rows else self.source.shape

    @property
    def bytes(self) -> int:
        return size_in_bytes(self.dtype, self.shape)

    @property
    def is_low_rank(self) -> bool:
        return any(isinstance(change, LowRank) for _, change in self.changes)


def two_at_a_time(work: Callable[[Piece], Squares], pieces: Sequence[Piece]) -> Iterator[Squares]:
    """What `work` returns for each piece, in their order; two threads share the cores that torch may use.

    Errors: those of the first piece that fails; no further piece is begun then.
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(pieces) == 1:
        try:
            yield from map(work, pieces)
        finally:
            _BUFFERS.__dict__.clear()
        return
    torch.set_num_threads(threads // 2)
    share_freed_memory()
    pool = ThreadPoolExecutor(2)
    try:
        yield from pool.map(work, pieces)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def write_piece(piece: Piece, writer: StreamedWriter) -> Squares:
    """Write a tensor; return ‖rounding‖² and ‖change‖² of a low-rank change, else zeros.

    Errors: ModelError `model.broken` for values that are not finite, before or after the change.
    """
    source = piece.source
    if not piece.changes and piece.dtype == source.dtype:
        dtype = DTYPES.get(source.dtype)

        def look(block: memoryview) -> None:
            if dtype is not None and not is_finite(torch.frombuffer(block, dtype=dtype)):
                refuse_not_finite(source.file, {source.name: read_tensor(source)})

        writer.copy(source, piece.name, look)
        return 0.0, 0.0
    if (plain := _plain_change(piece)) is not None:
        return _merge_in_blocks(piece, *plain, writer)
    with _ONE_WHOLE:
        tensor, before = _merged(piece)
        written = tensor.to(DTYPES[piece.dtype])
        if not is_finite(written):
            raise _overflow(piece)
        flat = written.contiguous().reshape(-1)
        writer.write(piece.name, flat.view(torch.uint8).numpy().data)
        return _squares(piece, tensor, written, before)


def _plain_change(piece: Piece) -> tuple[LowRank, Rows | None] | None:
    """The change of a piece that is the sum of the matrix in the file and a product, or rows of it."""
    if len(piece.changes) != 1 or piece.source.dtype not in DTYPES or piece.dtype not in DTYPES:
        return None
    [(place, change)] = piece.changes
    if not isinstance(change, LowRank) or change.magnitude is not None or change.experts is not None:
        return None
    is_part = place.block is not None or place.expert is not None or len(piece.source.shape) != 2
    return None if is_part or "F64" in (piece.source.dtype, piece.dtype) else (change, place.rows)


def _merge_in_blocks(piece: Piece, change: LowRank, part: Rows | None, writer: StreamedWriter | None) -> Squares:
    """As `write_piece`, in blocks of rows that stay in a processor's cache; nothing is written without a writer.

    The product is of the whole matrices: that of a part may be rounded in another way.
    """
    source, dtype = piece.source, DTYPES[piece.source.dtype]
    product = change.product(into=_room_for(change))[slice(None) if part is None else slice(*part)]
    height, width = source.shape
    rows = max(1, _BLOCK // width)
    block = bytearray(min(rows, height) * width * dtype.itemsize)
    held = torch.frombuffer(block, dtype=dtype).view(-1, width)
    merged, rest, scaled = (torch.empty(held.shape) for _ in range(3))
    written = torch.empty(held.shape, dtype=DTYPES[piece.dtype])
    rounding = changed = 0.0
    with source.file.open("rb") as file:
        file.seek(source.start)
        for first in range(0, height, rows):
            count = min(rows, height - first)
            if file.readinto(part_of := memoryview(block)[: count * width * dtype.itemsize]) != len(part_of):
                raise broken(source.file, f"ends inside '{source.name}': it was changed while it was read")
            now, out, lost, delta = merged[:count], written[:count], rest[:count], scaled[:count]
            torch.mul(product[first : first + count], change.scale, out=delta)
            torch.add(now.copy_(held[:count]), delta, out=now)
            out.copy_(now)
            torch.sub(now, lost.copy_(out), out=lost)
            squares = float(torch.dot(lost.view(-1), lost.view(-1)))  # NaN if a value is not finite
            if not isfinite(squares):
                refuse_not_finite(source.file, {source.name: read_tensor(source)})
                if not is_finite(out):
                    if writer is None:
                        return inf, 1.0
                    raise _overflow(piece)
                squares = float(lost.double().square().sum())
            rounding += squares
            squares = float(torch.dot(delta.view(-1), delta.view(-1)))
            changed += squares if isfinite(squares) else float(delta.double().square().sum())
            if writer is not None:
                writer.write_part(piece.name, out.view(-1).view(torch.uint8).numpy().data)
    return rounding, changed


def _room_for(change: LowRank) -> torch.Tensor:
    """Memory [out, in] for a product, the same for all of a thread."""
    rows, columns = change.b.shape[0], change.a.shape[1]
    held = getattr(_BUFFERS, "held", None)
    if held is None or len(held) < rows * columns:
        held = _BUFFERS.held = torch.empty(rows * columns)
    return held[: rows * columns].view(rows, columns)


def measure_piece(piece: Piece) -> Squares:
    """What `write_piece` returns; nothing is written, and ‖rounding‖² is infinite where merged values overflow."""
    if (plain := _plain_change(piece)) is not None:
        return _merge_in_blocks(piece, *plain, None)
    with _ONE_WHOLE:
        tensor, before = _merged(piece)
        return _squares(piece, tensor, tensor.to(DTYPES[piece.dtype]), before)


def _overflow(piece: Piece) -> ModelError:
    return ModelError(
        "model.broken",
        f"'{piece.source.name}' of {piece.source.file}: merged values overflow {piece.dtype}",
        "store the merged weights in a dtype with a larger range: set `dtype: float32` in the merge step, or "
        "--dtype float32",
    )


def _merged(piece: Piece) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The merged tensor, and the values that an adapter of a quantized base starts from; None: those of the file.

    Errors: ModelError `model.broken` for values of the file that are not finite.
    """
    source = piece.source
    tensor = read_tensor(source)
    refuse_not_finite(source.file, {source.name: tensor})
    before: torch.Tensor | None = None
    for place, change in piece.changes:
        if not isinstance(change, Dequantized) and before is None:
            before = tensor.clone() if any(isinstance(other, Dequantized) for _, other in piece.changes) else None
        if place.block is None:
            tensor = change.apply(tensor, place.expert, place.rows)
        else:
            tensor = tensor.float()
            tensor[slice(*place.block)] = change.apply(tensor[slice(*place.block)], place.expert, place.rows)
    return tensor, before


def _squares(piece: Piece, tensor: torch.Tensor, written: torch.Tensor, before: torch.Tensor | None) -> Squares:
    """‖rounding‖² and ‖change‖² of a low-rank change, else zeros."""
    if not piece.is_low_rank:
        return 0.0, 0.0
    return _distance(tensor, written), _distance(tensor, read_tensor(piece.source) if before is None else before)


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """‖one - other‖², in blocks of rows to bound memory."""
    rows = zip(one.split(_ROWS), other.split(_ROWS), strict=True)
    return sum(float((a.float() - b.float()).square().sum()) for a, b in rows)
