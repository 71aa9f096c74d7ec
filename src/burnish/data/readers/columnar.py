"""Parquet and Arrow files, read in small batches. Dates, decimals and the like become text, which is reported."""

import math
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from burnish.core.errors import DataError
from burnish.data.files.opening import opened, unreadable
from burnish.data.readers.tables import refuse_same_names
from burnish.data.record import Bad, ReadReport, Record, RowError, cut
from burnish.data.shards.columns import restored, words_of

_BATCH_ROWS = 64


def read_parquet(path: Path, name: str, reading: ReadReport) -> Iterator[Record | Bad]:
    """Rows of a parquet file, numbered from 1 (`file#12`)."""
    if path.suffix.lower() != ".parquet":
        what = f"{name}: parquet is read from its end, which a compressed file does not allow"
        raise DataError("data.unreadable", what, "decompress it: parquet is compressed internally")
    yield from read_row_groups(path, name, reading, None, 0)


def read_row_groups(
    path: Path, name: str, reading: ReadReport, groups: range | None, before: int
) -> Iterator[Record | Bad]:
    """Rows of some row groups of a parquet file, or of all; `before` rows stand before them."""
    remote: Any = None if isinstance(path, Path) else path
    size = path.stat().st_size if remote is None else remote.size
    try:
        with pq.ParquetFile(path if remote is None else remote.open_random(), pre_buffer=remote is not None) as parquet:
            total, number = parquet.metadata.num_rows, before
            chosen = [None if groups is None else list(groups)]
            if remote is not None:  # each group is requested when its first row is
                chosen = [[group] for group in groups or range(parquet.num_row_groups)]
            for batch in chain.from_iterable(_batches_of(parquet, some) for some in chosen):
                yield from _rows(batch, number, name, reading)
                number += batch.num_rows
                reading.at(size * number // max(1, total))
    except (pa.ArrowException, OSError) as error:
        raise unreadable(name, error) from error


def _batches_of(parquet: pq.ParquetFile, groups: list[int] | None) -> Iterator[pa.RecordBatch]:
    yield from parquet.iter_batches(batch_size=_BATCH_ROWS, row_groups=groups, use_threads=False)


def read_arrow(path: Path, name: str, reading: ReadReport) -> Iterator[Record | Bad]:
    """Rows of an Arrow file or stream (what `datasets` saves), numbered from 1 (`file#12`)."""
    number = 0
    try:
        with opened(path, name, reading) as stream:
            for batch in _batches(path, stream.buffer):
                for start in range(0, batch.num_rows, _BATCH_ROWS):
                    yield from _rows(batch.slice(start, _BATCH_ROWS), number + start, name, reading)
                number += batch.num_rows
    except pa.ArrowException as error:
        raise unreadable(name, error) from error


def _batches(path: Path, stream: Any) -> Iterator[pa.RecordBatch]:
    if stream.peek(6).startswith(b"ARROW1"):
        with pa.ipc.open_file(pa.memory_map(str(path))) as file:
            for index in range(file.num_record_batches):
                yield file.get_batch(index)
    else:
        with pa.ipc.open_stream(stream) as batches:
            yield from batches


def _rows(batch: pa.RecordBatch, before: int, name: str, reading: ReadReport) -> Iterator[Record | Bad]:
    refuse_same_names(batch.schema.names, name)
    for field in batch.schema:
        if not _is_plain(field.type):
            reading.note(f"{name}: column '{field.name}' is {field.type}: values without a JSON type are kept as text")
        if _has_filled_arguments(field.type):
            reading.note(
                f"{name}: column '{field.name}' keeps arguments of calls as structs: the program that wrote the file"
                " may have put null for every argument that a call lacks: they are kept as they are"
            )
    marked = {field.name: words for field in batch.schema if (words := words_of(field))}
    for i, row in enumerate(_values(batch)):
        source = f"{name}#{before + i + 1}"
        try:
            if isinstance(row, Exception):
                raise RowError("", f"a value cannot be read: {row.args[0] if isinstance(row, KeyError) else row}")
            raw = {key: _plain(value, key) for key, value in row.items()}
            yield Record(restored(raw, marked) if marked else raw, source)
        except RowError as error:
            shown = repr(row) if isinstance(row, dict) else str(batch.slice(i, 1))
            yield Bad(source, error.field, error.reason, cut(shown))


def _values(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | Exception]:
    """The rows; of one that Python cannot represent (text that is not UTF-8, a map with one key twice) the error."""
    try:
        yield from batch.to_pylist(maps_as_pydicts="strict")
    except (ValueError, KeyError, OverflowError) as error:
        if batch.num_rows == 1:
            yield error
        else:
            for i in range(batch.num_rows):
                yield from _values(batch.slice(i, 1))


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_map(kind):
        return _is_text(kind.key_type) and _is_plain(kind.item_type)
    if pa.types.is_nested(kind):
        return all(_is_plain(kind.field(i).type) for i in range(kind.num_fields))
    if pa.types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    others = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_null)
    return _is_text(kind) or any(test(kind) for test in others)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _has_filled_arguments(kind: pa.DataType) -> bool:
    """A struct called `arguments` is somewhere in the type: Arrow gives all of a column's structs the same fields."""
    if not pa.types.is_nested(kind):
        return False
    inner = [kind.field(i) for i in range(kind.num_fields)]
    return any(
        (field.name == "arguments" and pa.types.is_struct(field.type)) or _has_filled_arguments(field.type)
        for field in inner
    )


def _plain(value: Any, field: str) -> Any:
    """A value as JSON can represent it. A missing float, which pandas writes as NaN, is null."""
    if isinstance(value, dict):
        return {_key(key, field): _plain(child, f"{field}.{key}") for key, child in value.items()}
    if isinstance(value, list):
        return [_plain(child, f"{field}.{i}") for i, child in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return None
        raise RowError(field, "Infinity is not a JSON number")
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise RowError(field, f"{len(value):,} bytes that are not text") from None
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _key(key: Any, field: str) -> str:
    """The key of a struct, or of a map, whose keys may be of any type."""
    return key if isinstance(key, str) else str(_plain(key, field))
