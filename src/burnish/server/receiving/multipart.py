"""A multipart form that is read as it arrives: one file, and some short fields.

The framework's own parser would copy the file to a temporary folder first, where no disk space is checked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import parse_options_header

from burnish.core.errors import AskError
from burnish.core.naming import nearest

_MOST_FIELD_BYTES, _MOST_FIELDS, _MOST_HEADER_BYTES = 64 << 10, 100, 8 << 10


@dataclass(frozen=True)
class FileBegins:
    """The file of the form begins; its bytes follow."""

    filename: str


class FormParts:
    """Feeds a parser with pieces of a body, and gives what they hold: the begin of the file, then its bytes."""

    def __init__(self, content_type: str, known: tuple[str, ...]):
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            fix = "send multipart/form-data with a boundary, and the file as the field 'file'"
            raise AskError("ask.wrong-value", f"the content type {content_type!r:.100} is not a form", fix)
        self.fields: dict[str, str] = {}
        self._known = known
        self._found: list[FileBegins | bytes] = []
        self._header = self._value = b""
        self._disposition = b""
        self._name, self._text = "", bytearray()
        self._in_file = self._has_file = self._ended = False
        callbacks: dict[str, Any] = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)  # pyright: ignore[reportArgumentType]
        except FormParserError as error:
            raise AskError("ask.wrong-value", f"the form is broken: {error}", "send it again") from None

    def feed(self, data: bytes) -> Iterator[FileBegins | bytes]:
        """What the next piece of the body holds of the file."""
        try:
            self._parser.write(data)
        except MultipartParseError as error:
            raise AskError("ask.wrong-value", f"the form is broken: {error}", "send it again") from None
        found, self._found = self._found, []
        yield from found

    def end(self) -> None:
        """The body has ended. AskError `ask.wrong-value` if the form has not."""
        if not self._ended:
            raise AskError("ask.wrong-value", "the form ends before its last boundary", "send it again, whole")

    def _begin(self) -> None:
        self._disposition, self._name, self._text, self._in_file = b"", "", bytearray(), False
        self._header = self._value = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]
        self._refuse_long(len(self._header))

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._refuse_long(len(self._value))

    def _refuse_long(self, size: int) -> None:
        if size > _MOST_HEADER_BYTES:
            raise AskError("ask.too-large", "a header of the form is too long", "send shorter names")

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        options = self._options()
        self._name = options.get("name", "")
        if self._name not in self._known and self._name.partition("[")[0] not in self._known:
            what = f"the form has an unknown field {self._name!r:.100}"
            raise AskError("ask.unknown-key", what, nearest(self._name[:100], self._known))
        self._in_file = "filename" in options or self._name == "file"
        if self._in_file:
            if self._has_file or self._name != "file" or "filename" not in options:
                fix = "send one file with its name, as the field 'file'"
                raise AskError("ask.wrong-value", "the form has several files, or one without a name", fix)
            self._has_file = True
            self._found.append(FileBegins(options["filename"]))
        elif self._name in self.fields or len(self.fields) >= _MOST_FIELDS:
            raise AskError("ask.wrong-value", f"the field {self._name!r:.100} is given twice", "give it once")

    def _options(self) -> dict[str, str]:
        """The parameters of the part's disposition; browsers send names in UTF-8."""
        _, options = parse_options_header(self._disposition)
        return {key.decode("latin-1"): value.decode("utf-8", "surrogateescape") for key, value in options.items()}

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._found.append(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > _MOST_FIELD_BYTES:
            raise AskError("ask.too-large", f"the field {self._name!r:.100} is too long", "send a shorter one")

    def _part_end(self) -> None:
        if not self._in_file:
            self.fields[self._name] = self._text.decode("utf-8", "replace")

    def _end(self) -> None:
        self._ended = True
