"""Plain text: a .txt of many documents, or whole files of text, Markdown and source code, one row each."""

from collections.abc import Iterator
from pathlib import Path

from burnish.data.files.opening import Line, opened
from burnish.data.readers.json_lines import text_of
from burnish.data.record import MAX_ROW_BYTES, Bad, ReadReport, Record, RowError, cut
from burnish.data.strict_json import check_characters

_HEAD = 1 << 20


def read_text(path: Path, name: str, reading: ReadReport) -> Iterator[Record | Bad]:
    """Documents of a .txt, by a rule that is reported: blank lines part documents if its first MiB has any; else
    each line is one. A file of a single line, or without a line's end, is one document by either rule."""
    by_block = _has_blank_line(path, name, reading)
    rule = "documents are parted by blank lines" if by_block else "each line is one document"
    reading.note(f"{name}: {rule}")
    with opened(path, name, reading) as stream:
        block: list[Line] = []
        for line in stream.lines():
            if not line.data.strip():
                reading.blank += 1
                if block:
                    yield _document(block, name)
                    block = []
            elif not by_block:
                yield _document([line], name)
            else:
                if sum(held.size for held in block) <= MAX_ROW_BYTES:
                    block.append(line)
                else:
                    block[-1].size += line.size  # too long already: counted, and no longer held
        if block:
            yield _document(block, name)


def read_whole(path: Path, name: str, reading: ReadReport) -> Iterator[Record | Bad]:
    """The one row of a file that is a document: its text and its path, letter by letter."""
    with opened(path, name, reading) as stream:
        data = stream.read(MAX_ROW_BYTES + 1)
        source = f"{name}:1"
        if not data.strip():
            reading.blank += 1
            return
        try:
            if len(data) > MAX_ROW_BYTES:
                raise RowError("", f"the file has more than {MAX_ROW_BYTES:,} bytes")
            text = text_of(Line(1, data, len(data)))
            check_characters(text)
            yield Record({"text": text, "path": name}, source)
        except RowError as error:
            yield Bad(source, error.field, error.reason, cut(data[:_HEAD].decode("utf-8", "backslashreplace")))


def _has_blank_line(path: Path, name: str, reading: ReadReport) -> bool:
    with opened(path, name, ReadReport(encoding=reading.encoding)) as stream:
        lines = stream.read(_HEAD).strip().split(b"\n")
    return any(not line.strip() for line in lines)


def _document(lines: list[Line], name: str) -> Record | Bad:
    source = f"{name}:{lines[0].number}"
    data = b"".join(line.data + line.end for line in lines[:-1]) + lines[-1].data
    try:
        text = text_of(Line(lines[0].number, data, sum(line.size for line in lines)))
        check_characters(text)
        return Record({"text": text}, source)
    except RowError as error:
        return Bad(source, error.field, error.reason, cut(data[:_HEAD].decode("utf-8", "backslashreplace")))
