"""A .json file: one list of rows, a list under a top-level `data`, JSON lines after all, or objects in a row.

The list is split while it streams, so memory does not grow with the file. A broken element costs that element: the
splitter goes on at the next comma, and where brackets do not balance, at the next line that opens like the element.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from burnish.data.opening import ByteStream, opened
from burnish.data.readers.json_lines import as_object, read_json_lines
from burnish.data.record import MAX_ROW_BYTES, Bad, Reading, Record, RowError, cut
from burnish.data.strict_json import parse, parse_at

_OUTSIDE = re.compile(r'["\[\]{},\n]')
_INSIDE = re.compile(r'["\\\n]')
_BLANK = re.compile(r"[ \t\r\n]*")
_FIRST_LINE = re.compile(r"[ \t\r\n]*([^\n]*)(\n|\Z)")
_KEY = re.compile(r'[ \t\r\n]*("(?:[^"\\\n]|\\.)*")[ \t\r\n]*:[ \t\r\n]*')
_COMMA = re.compile(r"[ \t\r\n]*,")
_INDENT = re.compile(r"(?:^|\n)([ \t]*)\Z")
_UNBALANCED = "its brackets or quotes do not balance"
_SHORT_PATIENCE = 256 * 1024


def read_json(path: Path, name: str, reading: Reading) -> Iterator[Record | Bad]:
    """The rows of a .json file; which of its four layouts it has is told from its first bytes."""
    with opened(path, name, reading) as stream:
        splitter = _Splitter(stream)
        splitter.more()
        layout, start = _layout(splitter.buffer)
        if layout != "lines":
            splitter.advance(start)
            yield from splitter.rows(name, reading, in_list=layout == "list")
            return
    reading.say(f"{name} holds JSON lines, one object a line, and is read so")
    yield from read_json_lines(path, name, reading)


def _layout(head: str) -> tuple[str, int]:
    """(`list`, place after its bracket), (`lines`, 0) or (`objects`, place of the first)."""
    start = _after(_BLANK, head, 0)
    if head[start : start + 1] == "[":
        return "list", start + 1
    first = _FIRST_LINE.match(head)
    if first is not None and first[2] == "\n" and head[first.end() :].strip() and _is_object(first[1]):
        return "lines", 0
    at = start + 1 if head[start : start + 1] == "{" else len(head)
    while (key := _KEY.match(head, at)) is not None:
        if key[1] == '"data"' and head[key.end() : key.end() + 1] == "[":
            return "list", key.end() + 1
        try:
            _, end = parse_at(head, key.end())
        except (ValueError, RecursionError):
            break
        comma = _COMMA.match(head, end)
        if comma is None:
            break
        at = comma.end()
    return "objects", start


def _is_object(line: str) -> bool:
    try:
        return isinstance(parse(line), dict)
    except RowError:
        return False


class _Splitter:
    """A window on the text of a file, cut into its elements. `at` is the place in the window, `line` its line.

    Bytes that are no UTF-8 come through as lone surrogates, and make the element that holds them bad.
    """

    def __init__(self, stream: ByteStream):
        self._stream, self._held = stream, b""
        self.buffer, self.at, self.line, self.ended = "", 0, 1, False
        self._patience = MAX_ROW_BYTES
        """How far to look for the end of an element before its brackets are taken for unbalanced."""

    def more(self) -> None:
        """Read on, and forget what lies behind but for the line's indentation."""
        data = self._held + (new := self._stream.read())
        self.ended = not new
        whole = len(data) if self.ended else _whole_characters(data)
        self._held = data[whole:]
        behind = max(0, self.at - 200)
        self.buffer = self.buffer[behind:] + data[:whole].decode("utf-8", "surrogateescape")
        self.at -= behind

    def advance(self, to: int) -> None:
        """Go on to a place in the window."""
        self.line += self.buffer.count("\n", self.at, to)
        self.at = to

    def next_character(self) -> str:
        """What comes after white space; empty at the end of the file."""
        while True:
            self.advance(_after(_BLANK, self.buffer, self.at))
            if self.at < len(self.buffer) or self.ended:
                return self.buffer[self.at : self.at + 1]
            self.more()

    def rows(self, name: str, reading: Reading, in_list: bool) -> Iterator[Record | Bad]:
        """Every element as a row. In a list they stand between commas; else they follow each other."""
        after_row = False
        while character := self.next_character():
            if in_list and character in ",]":
                if not after_row and (character == "," or self._after_comma):
                    reading.blank += 1
                    reading.say(f"{name}:{self.line}: a comma too many between rows, passed over")
                self.advance(self.at + 1)
                if character == "]":
                    yield from self._after_list(name)
                    return
                after_row, self._after_comma = False, True
                continue
            source = f"{name}:{self.line}"
            yield self._row(source, in_list)
            after_row, self._after_comma = True, False
        if in_list:
            reading.say(f"{name} ends before its list is closed: rows may be missing at the end")

    _after_comma = False

    def _after_list(self, name: str) -> Iterator[Bad]:
        """Nothing but the closing brace of `{"data": […], …}` belongs after the list."""
        rest = self.next_character()
        if rest and rest not in ",}":
            source, head = f"{name}:{self.line}", self.buffer[self.at :]
            yield Bad(source, "", "text after the end of the list; JSON lines belong into a .jsonl file", cut(head))

    def _row(self, source: str, in_list: bool) -> Record | Bad:
        quick = self._quick(in_list)
        if quick is not None:
            value, end = quick
            raw = self.buffer[self.at : end] if not isinstance(value, dict) else ""
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
        """The element and its end, if it is whole, sound and inside the window: nearly always."""
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
        """(text of the element, why it is bad or nothing): its end is told by brackets alone, over many windows."""
        indent = _INDENT.search(self.buffer, max(0, self.at - 200), self.at)
        brackets = _Brackets(in_list)
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
            if end is not None or self.ended or done > self._patience:
                break
            before = self.at
            self.more()
            brackets.at += self.at - before
        if indent is not None:
            like = self.buffer.find(f"\n{indent[1]}{self.buffer[self.at]}", self.at + 1)
            if like != -1:
                raw = self.buffer[self.at : like]
                self.advance(like)
                self._patience = _SHORT_PATIENCE
                return raw, _UNBALANCED
        if end is not None:
            raw = self.buffer[self.at : end]
            self.advance(end)
            return raw, _UNBALANCED
        return self._pass_over(brackets)

    def _pass_over(self, brackets: "_Brackets") -> tuple[str, str]:
        """Leave an endless element behind without holding it."""
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


class _Brackets:
    """Where an element ends, told from brackets and quotes; the state of a scan that can be continued."""

    def __init__(self, in_list: bool):
        self.in_list, self.inside, self.at = in_list, False, 0
        self.open = bytearray()

    @property
    def is_closed(self) -> bool:
        """No bracket and no quote is open."""
        return not self.open and not self.inside

    def scan(self, text: str, start: int) -> int | None:
        """The end of the element, or None when it lies beyond the text; `at` then says where to go on."""
        at = start
        while True:
            match = (_INSIDE if self.inside else _OUTSIDE).search(text, at)
            if match is None:
                self.at = len(text)
                return None
            at, character = match.end(), match[0]
            if character == "\\":
                if at == len(text):
                    self.at = at - 1
                    return None
                at += 1
            elif self.inside:
                self.inside = False  # at the closing quote, or at a line's end, which no JSON string crosses
            elif character == '"':
                self.inside = True
            elif (end := self._at_bracket(character, at)) is not None:
                return end

    def _at_bracket(self, character: str, after: int) -> int | None:
        if character in "{[":
            self.open.append(ord(character))
        elif character in "}]":
            partner = self.open.rfind(b"{" if character == "}" else b"[")
            if partner >= 0:
                del self.open[partner:]
            elif character == "]" and self.in_list:
                return after - 1
            if not self.open and not self.in_list:
                return after
        elif character == "," and self.in_list and not self.open:
            return after - 1
        elif character == "\n" and not self.in_list and not self.open:
            return after
        return None


def _whole_characters(data: bytes) -> int:
    """How many of the bytes can be decoded without the next chunk: all but a started character."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            return len(data) - back
        if byte < 0x80:
            break
    return len(data)


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return at if match is None else match.end()
