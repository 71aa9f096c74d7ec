"""JSON lines: one object a line."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from burnish.data.files.opening import Line, opened, opened_between
from burnish.data.record import MAX_ROW_BYTES, Bad, ReadReport, Record, RowError, cut, kind_of
from burnish.data.strict_json import parse, plain_object


def read_json_lines(path: Path, name: str, reading: ReadReport) -> Iterator[Record | Bad]:
    """Each line that is not blank is one row: a Record, or Bad with its line number."""
    with opened(path, name, reading) as stream:
        yield from _rows(stream.lines(), name, reading)


def read_json_lines_between(
    path: Path, name: str, reading: ReadReport, start: int, stop: int, before: int
) -> Iterator[Record | Bad]:
    """The rows of the lines in a range of bytes of a file that `opening.is_plain`; `before` lines stand before it."""
    with opened_between(path, name, reading, start, stop) as stream:
        yield from _rows(stream.lines(), name, reading, before)


def _rows(lines: Iterable[Line], name: str, reading: ReadReport, before: int = 0) -> Iterator[Record | Bad]:
    for line in lines:
        if not line.data.strip():
            reading.blank += 1
            continue
        source = f"{name}:{before + line.number}"
        try:
            plain = plain_object(line.data) if line.size <= MAX_ROW_BYTES else None
            yield Record(plain or as_object(parse(text_of(line))), source)
        except RowError as error:
            yield Bad(source, error.field, error.reason, cut(line.data.decode("utf-8", "backslashreplace")))


def text_of(line: Line) -> str:
    """A line's text, or RowError when it is too long or not UTF-8."""
    if line.size > MAX_ROW_BYTES:
        raise RowError("", f"the row has {line.size:,} bytes, more than {MAX_ROW_BYTES:,}")
    try:
        return line.data.decode()
    except UnicodeDecodeError as error:
        raise RowError("", f"not UTF-8: byte 0x{line.data[error.start]:02x} at byte {error.start + 1:,}") from None


def as_object(value: object) -> dict:
    """A row is an object with at least one key."""
    if not isinstance(value, dict):
        hint = "; one JSON list of rows belongs into a .json file" if isinstance(value, list) else ""
        raise RowError("", f"a row is an object of columns, not {kind_of(value)}{hint}")
    if not value:
        raise RowError("", "the row has no columns")
    return value
