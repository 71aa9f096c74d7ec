"""CSV and TSV: a header, then one row per record, every cell a text. A quoted cell may run over several lines."""

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from burnish.core.errors import DataError
from burnish.data.files.opening import Line, opened
from burnish.data.readers.json_lines import text_of
from burnish.data.record import MAX_ROW_BYTES, Bad, ReadReport, Record, RowError, cut

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def read_csv(path: Path, name: str, reading: ReadReport) -> Iterator[Record | Bad]:
    """Records of a .csv: commas, or another separator found in the header, which is then reported."""
    yield from _read(path, name, reading, ",")


def read_tsv(path: Path, name: str, reading: ReadReport) -> Iterator[Record | Bad]:
    """Records of a .tsv: tabs."""
    yield from _read(path, name, reading, "\t")


def _read(path: Path, name: str, reading: ReadReport, delimiter: str) -> Iterator[Record | Bad]:
    csv.field_size_limit(MAX_ROW_BYTES)
    with opened(path, name, reading) as stream:
        lines = _Lines(stream.lines())
        header = _header(lines, name)
        if header is None:
            return
        if delimiter not in header:
            found = max(_DELIMITERS, key=header.count)
            if found in header:
                delimiter = found
                reading.note(f"{name} is separated by {_DELIMITERS[found]}, detected from its header")
        columns = _columns(header, delimiter, name, reading)
        while (start := lines.next_number()) is not None:
            yield from _record(lines, start, columns, delimiter, name, reading)


class _Lines:
    """The lines of a file, of which those of a broken record can be put back."""

    def __init__(self, lines: Iterator[Line]):
        self._lines, self._back = lines, deque[Line]()
        self.taken: list[Line] = []
        """The lines of the current record."""
        self._size = 0
        """Their bytes."""

    def next_number(self) -> int | None:
        """The number of the next line, at which a new record starts; None at the end."""
        self.taken, self._size = [], 0
        if not self._back and (line := next(self._lines, None)) is not None:
            self._back.append(line)
        return self._back[0].number if self._back else None

    def put_back_all_but_first(self) -> None:
        self._back.extendleft(reversed(self.taken[1:]))

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        self.taken.append(line)
        self._size += line.size
        text = text_of(line)
        if self._size > MAX_ROW_BYTES:
            raise RowError("", f"the row has more than {MAX_ROW_BYTES:,} bytes: a quote may be open")
        if "\0" in text:
            raise RowError("", "the row holds a NUL byte")
        return text + line.end.decode()


def _record(
    lines: _Lines, start: int, columns: list[str], delimiter: str, name: str, reading: ReadReport
) -> Iterator[Record | Bad]:
    source = f"{name}:{start}"
    try:
        cells = next(csv.reader(lines, delimiter=delimiter, strict=True))
        if not cells:
            reading.blank += 1
            return
        if len(cells) != len(columns):
            raise RowError("", f"the row has {len(cells)} cells, and the header {len(columns)}")
        yield Record(dict(zip(columns, cells, strict=True)), source)
    except (csv.Error, RowError) as error:
        lines.put_back_all_but_first()
        field, reason = (error.field, error.reason) if isinstance(error, RowError) else ("", f"no valid CSV: {error}")
        yield Bad(source, field, reason, cut(lines.taken[0].data.decode("utf-8", "backslashreplace")))


def _header(lines: _Lines, name: str) -> str | None:
    """The first line that is not blank."""
    while lines.next_number() is not None:
        try:
            text = next(lines)
        except RowError as error:
            what = f"{name}: its header cannot be read: {error.reason}"
            raise DataError("data.unreadable", what, "save the file as UTF-8") from None
        if text.strip():
            return text
    return None


def _columns(header: str, delimiter: str, name: str, reading: ReadReport) -> list[str]:
    try:
        columns = next(csv.reader([header], delimiter=delimiter, strict=True))
    except csv.Error as error:
        what = f"{name}: its header is not valid CSV: {error}"
        raise DataError("data.unreadable", what, "write the column names on one line") from None
    for i, column in enumerate(columns):
        if not column.strip():
            columns[i] = f"unnamed_{i + 1}"
            reading.note(f"{name}: column {i + 1} has no name and is named{columns[i]}")
    refuse_same_names(columns, name)
    return columns


def refuse_same_names(columns: list[str], name: str) -> None:
    """DataError `data.unreadable` when two columns have one name: a row can hold only one of them."""
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        what = f"{name}: two columns are called '{twice}'"
        raise DataError("data.unreadable", what, "give each column a name of its own")
