"""A .json file: a list of rows, lists under keys such as `data` or `train`, columns, JSON lines, objects in a row.

The list is split while it streams, so memory does not grow with the file. A broken element costs that element: the
splitter continues at the next comma, and where brackets do not balance, at the next line that opens like the element.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from burnish.core.errors import DataError
from burnish.data.files.opening import ByteStream, opened
from burnish.data.readers.brackets import Brackets
from burnish.data.readers.json_columns import columns_of, lengths_differ
from burnish.data.readers.json_lines import as_object, read_json_lines
from burnish.data.record import MAX_ROW_BYTES, Bad, ReadReport, Record, RowError, cut
from burnish.data.splits.names import SPLIT_NAMES
from burnish.data.strict_json import parse, parse_at

_BLANK = re.compile(r"[ \t\r\n]*")
_FIRST_LINE = re.compile(r"[ \t\r\n]*([^\n]*)(\n|\Z)")
_KEY = re.compile(r'[ \t\r\n]*("(?:[^"\\\n]|\\.)*")[ \t\r\n]*:[ \t\r\n]*')
_COMMA = re.compile(r"[ \t\r\n]*,")
_OBJECTS = re.compile(r"\[[ \t\r\n]*(?:[{\]]|\Z)")
_COLUMN = re.compile(r'\[[ \t\r\n]*[^ \t\r\n{\]]|\{[ \t\r\n]*"0"[ \t\r\n]*:')
_LISTS = ("data", "rows", "examples", "instances", "items", "records", *SPLIT_NAMES)
"""Keys under which a document may hold its rows; those of a split name it."""
_MOST_OF_A_TABLE = 256 * 1024 * 1024
_INDENT = re.compile(r"(?:^|\n)([ \t]*)\Z")
_UNBALANCED = "its brackets or quotes do not balance"
_SHORT_PATIENCE = 256 * 1024


def read_json(path: Path, name: str, reading: ReadReport) -> Iterator[Record | Bad]:
    """The rows of a .json file; its layout is detected from its first bytes."""
    with opened(path, name, reading) as stream:
        splitter = _Splitter(stream, name, reading)
        splitter.more()
        layout = _layout(splitter.buffer)
        splitter.in_object = splitter.buffer.lstrip().startswith("{")
        if layout.kind != "lines":
            splitter.advance(layout.start)
            if layout.others:
                reading.note(_not_read(name, layout.others))
            if layout.kind == "columns":
                yield from splitter.columns()
            yield from splitter.rows(layout.kind == "list", layout.split)
            return
    reading.note(f"{name} holds JSON lines and is read as such")
    yield from read_json_lines(path, name, reading)


@dataclass(frozen=True)
class _Layout:
    """`kind` is `list`, `lines`, `objects` or (likely) `columns`; `start` is the place after the list's bracket."""

    kind: str
    start: int
    split: str = ""
    others: tuple[str, ...] = ()
    """Keys before the one that holds the list."""


def _layout(head: str) -> _Layout:
    start = _after(_BLANK, head, 0)
    if head[start : start + 1] == "[":
        return _Layout("list", start + 1)
    first = _FIRST_LINE.match(head)
    if first is not None and first[2] == "\n" and head[first.end() :].strip() and _is_object(first[1]):
        return _Layout("lines", 0)
    at = start + 1 if head[start : start + 1] == "{" else len(head)
    others: list[str] = []
    while (key := _KEY.match(head, at)) is not None:
        if _holds_rows(key[1][1:-1], head, key.end()):
            return _Layout("list", key.end() + 1, SPLIT_NAMES.get(key[1][1:-1], ""), tuple(others))
        if not others and _COLUMN.match(head, key.end()):
            return _Layout("columns", start)
        try:
            _, end = parse_at(head, key.end())
        except (ValueError, RecursionError):
            break
        comma = _COMMA.match(head, end)
        if comma is None:
            break
        others.append(key[1][1:-1])
        at = comma.end()
    return _Layout("objects", start)


def _holds_rows(key: str, text: str, at: int) -> bool:
    """A list of rows starts here, under a known name: `data`, `rows`, the name of a split."""
    return text[at : at + 1] == "[" and (key == "data" or (key in _LISTS and _OBJECTS.match(text, at) is not None))


def _not_read(name: str, keys: Iterable[str]) -> str:
    return f"{name}: beside its rows, these are not read: {', '.join(keys)}"


def _is_object(line: str) -> bool:
    try:
        return isinstance(parse(line), dict)
    except RowError:
        return False


class _Splitter:
    """A window on the text of a file, cut into its elements. `at` is the place in the window, `line` its line.

    Bytes that are not UTF-8 come through as lone surrogates, and make the element that holds them bad.
    """

    def __init__(self, stream: ByteStream, name: str, reading: ReadReport):
        self._stream, self._held, self._name, self._reading = stream, b"", name, reading
        self.buffer, self.at, self.line, self.ended = "", 0, 1, False
        self._patience = MAX_ROW_BYTES
        """How far to look for the end of an element before a line that opens like it counts as the next one."""

    def more(self) -> None:
        """Read on, and drop what precedes except for the line's indentation."""
        data = self._held + (new := self._stream.read())
        self.ended = not new
        whole = len(data) if self.ended else _whole_characters(data)
        self._held = data[whole:]
        behind = max(0, self.at - 200)
        self.buffer = self.buffer[behind:] + data[:whole].decode("utf-8", "surrogateescape")
        self.at -= behind

    def advance(self, to: int) -> None:
        """Move to a place in the window."""
        self.line += self.buffer.count("\n", self.at, to)
        self.at = to

    def next_character(self) -> str:
        """The text after white space; empty at the end of the file."""
        while True:
            self.advance(_after(_BLANK, self.buffer, self.at))
            if self.at < len(self.buffer) or self.ended:
                return self.buffer[self.at : self.at + 1]
            self.more()

    def rows(self, in_list: bool, split: str = "") -> Iterator[Record | Bad]:
        """Every element as a row. In a list they are separated by commas; else they follow each other."""
        after_row = after_comma = False
        while character := self.next_character():
            if in_list and character in ",]":
                if not after_row and (character == "," or after_comma):
                    self._reading.blank += 1
                    self._reading.note(f"{self._name}:{self.line}: an extra comma between rows is ignored")
                self.advance(self.at + 1)
                if character == "]":
                    yield from self._after_list()
                    return
                after_row, after_comma = False, True
                continue
            self._number += 1
            row = self._row(f"{self._name}:{self.line}#{self._number}", in_list)
            yield replace(row, split=split) if isinstance(row, Record) else row
            after_row = True
        if in_list:
            self._reading.warn(f"{self._name} ends before its list is closed: rows at the end may be missing")

    in_object = False
    """Whether the lists are values of one object, which is the document."""
    _number = 0
    """Of the element, over all lists of the document."""

    def _after_list(self) -> Iterator[Record | Bad]:
        """Other keys of the document: lists of rows are read, the rest is named. Nothing belongs after its brace."""
        while self.next_character() == "," and (key := self._next_key()) is not None:
            if _holds_rows(key, self.buffer, self.at):
                self.advance(self.at + 1)
                yield from self.rows(in_list=True, split=SPLIT_NAMES.get(key, ""))
                return
            self._reading.note(_not_read(self._name, [key]))
            if not self._pass_value():
                break
        rest = self.next_character()
        if rest == "}":
            self.advance(self.at + 1)
            rest = self.next_character()
        elif not rest and self.in_object:
            self._reading.warn(f"{self._name} ends before its object is closed: rows at the end may be missing")
        if rest:
            source, head = f"{self._name}:{self.line}", self.buffer[self.at :]
            yield Bad(source, "", "text after the end of the list; JSON lines belong in a .jsonl file", cut(head))

    def _next_key(self) -> str | None:
        """The key after a comma; None, and nothing passed, where none follows."""
        while (key := _KEY.match(self.buffer, self.at + 1)) is None or key.end() + 100 > len(self.buffer):
            if self.ended or len(self.buffer) - self.at > MAX_ROW_BYTES:
                break
            self.more()
        if key is None:
            return None
        self.advance(key.end())
        return key[1][1:-1]

    def _pass_value(self) -> bool:
        """Skip the value of a key; False where it is broken or longer than a row may be."""
        while True:
            with suppress(ValueError, RecursionError):
                _, end = parse_at(self.buffer, self.at)
                if end < len(self.buffer) or self.ended:
                    self.advance(end)
                    return True
            if self.ended or len(self.buffer) - self.at > MAX_ROW_BYTES:
                return False
            self.more()

    def columns(self) -> Iterator[Record | Bad]:
        """The rows of a column-wise table, which must be held whole; none where the object is a row."""
        brackets, done = Brackets(in_list=False), self.at
        while (end := brackets.scan(self.buffer, done)) is None and not self.ended:
            if len(self.buffer) > _MOST_OF_A_TABLE:
                what = f"{self._name} looks column-wise, and has more than {_MOST_OF_A_TABLE:,} characters"
                raise DataError("data.unreadable", what, "write its rows as JSON lines, or as parquet")
            before, done = self.at, brackets.at
            self.more()
            done += self.at - before
        try:
            columns = columns_of(parse(self.buffer[self.at : end])) if end is not None else None
        except RowError:
            return
        if columns is None or end is None:
            return
        if reason := lengths_differ(columns):
            yield Bad(f"{self._name}:{self.line}", "", reason, cut(self.buffer[self.at : end]))
        else:
            table = zip(*columns.values(), strict=True)
            self._reading.note(f"{self._name} is column-wise: its columns are {', '.join(columns)}")
            for number, cells in enumerate(table, 1):
                yield Record(dict(zip(columns, cells, strict=True)), f"{self._name}#{number}")
        self.advance(end)

    def _row(self, source: str, in_list: bool) -> Record | Bad:
        quick = self._quick(in_list)
        if quick is not None:
            value, end = quick
            raw = "" if isinstance(value, dict) and value else self.buffer[self.at : end]
            self.advance(end)
        else:
            raw, reason = self._slow(in_list)
            if not reason and len(raw) > MAX_ROW_BYTES:
                reason = _too_long(len(raw))
            if reason:
                return Bad(source, "", reason, cut(raw))
            try:
                value = parse(raw)
            except RowError as error:
                return Bad(source, error.field, error.reason, cut(raw))
        try:
            return Record(as_object(value), source)
        except RowError as error:
            return Bad(source, error.field, error.reason, cut(raw))

    def _quick(self, in_list: bool) -> tuple[Any, int] | None:
        """The element and its end, if it is whole, valid and inside the window: the usual case."""
        try:
            value, end = parse_at(self.buffer, self.at)
        except (ValueError, RecursionError):
            return None
        after = _after(_BLANK, self.buffer, end)
        if after == len(self.buffer):
            return (value, end) if self.ended else None
        if in_list and self.buffer[after] not in ",]":
            return None
        return value, end

    def _slow(self, in_list: bool) -> tuple[str, str]:
        """(text of the element, why it is bad or nothing): its end is found by brackets alone, over many windows."""
        indent = _INDENT.search(self.buffer, max(0, self.at - 200), self.at)
        brackets = Brackets(in_list)
        done = 0  # characters of the element that are scanned
        while True:
            end = brackets.scan(self.buffer, self.at + done)
            if end is None and self.ended and brackets.is_closed:
                end = len(self.buffer)
            if end is not None and not brackets.open:
                raw = self.buffer[self.at : end]
                self.advance(end)
                return raw.rstrip(" \t\r\n"), ""
            done = brackets.at - self.at
            if end is not None or self.ended or done > MAX_ROW_BYTES:
                break
            if done > self._patience and self._next_like(indent) != -1:
                break
            self.more()
        if (like := self._next_like(indent)) != -1:
            raw = self.buffer[self.at : like]
            self.advance(like)
            self._patience = _SHORT_PATIENCE
            return raw, _UNBALANCED
        if end is not None:
            raw = self.buffer[self.at : end]
            self.advance(end)
            return raw, _UNBALANCED
        return self._pass_over(brackets)

    def _next_like(self, indent: re.Match[str] | None) -> int:
        """Where the next line begins that opens like the element, which has its line for itself; -1 without one."""
        return -1 if indent is None else self.buffer.find(f"\n{indent[1]}{self.buffer[self.at]}", self.at + 1)

    def _pass_over(self, brackets: Brackets) -> tuple[str, str]:
        """Skip an endless element without keeping it in memory."""
        head, size = self.buffer[self.at : self.at + 1024 * 1024], 0
        while not self.ended:
            size += brackets.at - self.at
            self.advance(brackets.at)
            before = self.at
            self.more()
            brackets.at += self.at - before
            end = brackets.scan(self.buffer, brackets.at)
            if end is not None:
                size += end - self.at
                self.advance(end)
                return head, _too_long(size)
        size += len(self.buffer) - self.at
        self.advance(len(self.buffer))
        return head, f"the file ends inside this row, {size:,} characters after its start"


def _too_long(size: int) -> str:
    return f"the row has {size:,} characters, more than {MAX_ROW_BYTES:,}"


def _whole_characters(data: bytes) -> int:
    """How many of the bytes can be decoded without the next chunk: all but a started character."""
    for back, byte in enumerate(reversed(data[-4:]), 1):
        if byte >= 0xC0:
            return len(data) - back
        if byte < 0x80:
            break
    return len(data)


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return at if match is None else match.end()
