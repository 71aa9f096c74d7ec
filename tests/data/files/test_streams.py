"""Files as streams of UTF-8: lines of any length, marks, encodings, archives in any pieces, and how far is read."""

import codecs
import gzip
import io

import pytest
import zstandard

from burnish.core.errors import DataError
from burnish.data.files import opening
from burnish.data.files.opening import Line, opened
from burnish.data.record import ReadReport

MARKS = {
    "utf-8": b"\xef\xbb\xbf",
    "utf-16-le": b"\xff\xfe",
    "utf-16-be": b"\xfe\xff",
    "utf-32-le": b"\xff\xfe\0\0",
    "utf-32-be": b"\0\0\xfe\xff",
}
TEXT = '{"a": "ü€𝄞 text"}\n{"b": 2}'


def lines(path, reading: ReadReport | None = None) -> list[Line]:
    with opened(path, "x", reading or ReadReport()) as stream:
        return list(stream.lines())


def read(path, reading: ReadReport | None = None) -> bytes:
    with opened(path, "x", reading or ReadReport()) as stream:
        return stream.read(1 << 24)


@pytest.fixture
def limit(monkeypatch):
    monkeypatch.setattr(opening, "MAX_ROW_BYTES", 12)
    monkeypatch.setattr(opening, "_CHUNK", 5)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n", [Line(1, b"", 1, b"\n")]),
        (
            b"a\n\r\nb\r\n\rc",
            [Line(1, b"a", 2, b"\n"), Line(2, b"", 2, b"\r\n"), Line(3, b"b", 3, b"\r\n"), Line(4, b"\rc", 2)],
        ),
        (b"a\r\n\nb", [Line(1, b"a", 3, b"\r\n"), Line(2, b"", 1, b"\n"), Line(3, b"b", 1)]),
        (b"x" * 12 + b"\ny", [Line(1, b"x" * 12, 13, b"\n"), Line(2, b"y", 1)]),
        (b"x" * 12, [Line(1, b"x" * 12, 12)]),
        (b"x" * 13, [Line(1, b"x" * 5, 13)]),
        (b"x" * 13 + b"\ny", [Line(1, b"x" * 5, 14), Line(2, b"y", 1)]),
        (b"x" * 17 + b"\n\ny", [Line(1, b"x" * 5, 18), Line(2, b"", 1, b"\n"), Line(3, b"y", 1)]),
        (b"x" * 18 + b"\ny", [Line(1, b"x" * 5, 19), Line(2, b"y", 1)]),
        (b"x" * 100 + b"\nyy\n", [Line(1, b"x" * 5, 101), Line(2, b"yy", 3, b"\n")]),
        (b"a\n" + b"x" * 100, [Line(1, b"a", 2, b"\n"), Line(2, b"x" * 5, 100)]),
    ],
)
@pytest.mark.usefixtures("limit")
def test_a_line_keeps_its_end_and_its_size_and_a_long_one_only_its_start(content, expected, tmp_path):
    (tmp_path / "x").write_bytes(content)
    assert lines(tmp_path / "x") == expected


def test_progress_is_the_place_in_the_file_on_the_disk(tmp_path):
    path, reading, seen = tmp_path / "x", ReadReport(), []
    path.write_bytes(b"x" * 32767 + b"\n" + (b"y" * 32767 + b"\n") * 255)
    with opened(path, "x", reading) as stream:
        for line in stream.lines():
            seen.append((line.number, reading.done_bytes))
    assert all(number * 32768 <= place < number * 32768 + (2 << 20) for number, place in seen)
    assert [place for _, place in seen] == sorted(place for _, place in seen)
    assert seen[-1][1] == path.stat().st_size > 4 * seen[0][1]
    reading = ReadReport()
    with opened(path, "x", reading) as stream:
        assert len(stream.read()) == 1 << 20
        assert 1 << 20 <= reading.done_bytes < 1 << 23


@pytest.mark.parametrize("encoding", MARKS)
def test_a_mark_names_the_encoding_and_is_no_text(encoding, tmp_path):
    assert {codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE} <= set(MARKS.values())
    (tmp_path / "x").write_bytes(MARKS[encoding] + (b"\xff" if encoding == "utf-8" else b""))
    assert read(tmp_path / "x") == (b"\xff" if encoding == "utf-8" else b"")
    (tmp_path / "x").write_bytes(MARKS[encoding] + TEXT.encode(encoding))
    reading = ReadReport(encoding="latin-1")
    assert read(tmp_path / "x", reading) == TEXT.encode()
    assert reading.notes == [f"x starts with a byte-order mark: read as {encoding.upper()}"]
    assert (reading.warnings, reading.used_encoding) == ([], False)


def test_the_setting_decides_where_there_is_no_mark(tmp_path):
    path, reading = tmp_path / "x", ReadReport(encoding="utf-16-le")
    path.write_bytes(TEXT.encode("utf-16-le"))
    assert read(path, reading) == TEXT.encode()
    assert (reading.notes, reading.warnings, reading.used_encoding) == ([], [], True)
    path.write_bytes(b"\xff" + TEXT.encode())
    for name in ("utf8", "UTF-8"):
        reading = ReadReport(encoding=name)
        assert read(path, reading) == b"\xff" + TEXT.encode()
        assert reading.used_encoding
    reading = ReadReport()
    assert read(path, reading) == b"\xff" + TEXT.encode()
    assert reading == ReadReport(done_bytes=len(TEXT.encode()) + 1)


def test_chinese_is_looked_for_in_the_first_mebibyte_of_what_is_no_utf_8(tmp_path):
    text = "这是一个关于我们的国家和人民的故事" * 9
    for data, is_read in (
        (text.encode("gb18030"), True),
        (b"a" * 500_000 + text.encode("gb18030"), True),
        (text.encode(), False),
        (b"a" * ((1 << 20) + 9) + text.encode("gb18030"), False),
    ):
        (tmp_path / "x").write_bytes(data)
        reading = ReadReport()
        assert read(tmp_path / "x", reading) == (data.decode("gb18030").encode() if is_read else data)
        warned = ["x is not UTF-8, and is read as GB18030 (Chinese); set `encoding` to choose"]
        assert (reading.warnings, reading.used_encoding) == (warned if is_read else [], False)


def test_what_an_encoding_does_not_know_is_marked_and_the_rest_is_read(tmp_path):
    (tmp_path / "x").write_bytes("aé".encode("utf-16-le") + b"\x00\xd8" + "b".encode("utf-16-le") + b"c")
    assert read(tmp_path / "x", ReadReport(encoding="utf-16-le")) == "aé".encode() + b"\xed\xb3\xbfb\xed\xb3\xbf"
    with pytest.raises(UnicodeEncodeError):
        "é".encode("ascii", "burnish.marked")


def test_an_encoding_is_read_through_chunks_that_part_its_characters(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "_CHUNK", 7)
    (tmp_path / "x").write_bytes((TEXT * 50).encode("utf-32-be"))
    assert read(tmp_path / "x", ReadReport(encoding="utf-32-be")) == (TEXT * 50).encode()


PACKED = {
    "gz": lambda data: gzip.compress(data, mtime=0),
    "zst": zstandard.compress,
    "GZ": lambda data: gzip.compress(data[:7], mtime=0) + gzip.compress(data[7:], mtime=0),
    "ZST": lambda data: zstandard.compress(data[:7]) + zstandard.compress(b"") + zstandard.compress(data[7:]),
}


@pytest.mark.parametrize("ending", PACKED)
def test_an_archive_of_one_or_many_frames_is_read_whole_or_refused(ending, tmp_path):
    draw = bytes(i * i * 7919 % 251 for i in range(9000))
    path = tmp_path / f"x.{ending}"
    packed = PACKED[ending](draw)
    path.write_bytes(packed)
    assert read(path) == draw
    for cut in (1, 4, len(packed) // 2, len(packed) - 1):
        path.write_bytes(packed[:-cut])
        with pytest.raises(DataError) as caught:
            read(path)
        assert caught.value.code == "data.unreadable"
        assert caught.value.what.startswith("x cannot be read: ")
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match="x cannot be read"):
        read(path)
    path.write_bytes(b"")
    assert read(path) == b""


def test_an_archive_is_read_in_pieces_of_any_size(tmp_path):
    draw = bytes(i * i * 7919 % 251 for i in range(9000))
    path, reading, parts = tmp_path / "x.zst", ReadReport(), []
    path.write_bytes(zstandard.compress(draw))
    with opened(path, "x", reading) as stream:
        while part := stream.read(1000):
            parts.append(part)
    assert [len(part) for part in parts] == [1000] * 9
    assert b"".join(parts) == draw
    assert reading.done_bytes == path.stat().st_size


def test_a_piece_longer_than_the_buffer_is_given_out_in_turns():
    left = [b"", b"abcdefg", b"", b"hi"]

    class Words(opening.Pieces):
        def piece(self) -> bytes | None:
            return left.pop(0) if left else None

    words, buffer, given = Words(), bytearray(3), []
    assert words.readable()
    while size := words.readinto(buffer):
        given.append(bytes(buffer[:size]))
    assert given == [b"abc", b"def", b"g", b"hi"]
    assert words.readinto(buffer) == 0
    with pytest.raises(NotImplementedError):
        opening.Pieces().readinto(buffer)


def test_an_error_of_the_reader_itself_is_not_taken_for_one_of_the_file(tmp_path):
    (tmp_path / "x").write_text("a")
    with pytest.raises(ZeroDivisionError), opened(tmp_path / "x", "x", ReadReport()):
        raise ZeroDivisionError
    for error in (OSError("gone"), EOFError("ends"), zstandard.ZstdError("torn")):
        with pytest.raises(DataError, match=f"x cannot be read: {error}"), opened(tmp_path / "x", "x", ReadReport()):
            raise error


def test_the_stream_is_closed_after_use_and_after_an_error(tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"a"))
    with opened(tmp_path / "x.gz", "x", ReadReport()) as stream:
        assert isinstance(stream.buffer, io.BufferedReader)
    assert stream.buffer.closed
    with pytest.raises(ZeroDivisionError), opened(tmp_path / "x.gz", "x", ReadReport()) as stream:
        raise ZeroDivisionError
    assert stream.buffer.closed
