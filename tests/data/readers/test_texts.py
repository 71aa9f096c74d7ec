"""Text: where documents are parted, how long they may be, and what is counted."""

import pytest

from burnish.data.files import opening
from burnish.data.readers import json_lines, texts
from burnish.data.readers.texts import read_text, read_whole
from burnish.data.record import Bad, ReadReport, Record

BLOCKS, LINES = "x: documents are parted by blank lines", "x: each line is one document"


@pytest.fixture
def found(tmp_path):
    """Rows as (line, text or, of a bad one, (reason, text)), the notes and the blank lines."""

    def found(content: str | bytes, read=read_text, encoding: str | None = None) -> tuple[list, list[str], int]:
        path, reading = tmp_path / "x", ReadReport(encoding=encoding)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        rows = []
        for item in read(path, "x", reading):
            name, line = item.source.split(":")
            assert name == "x"
            rows.append((int(line), item.raw["text"] if isinstance(item, Record) else (item.reason, item.raw)))
        return rows, reading.notes, reading.blank

    return found


@pytest.mark.parametrize(
    ("content", "rows", "note", "blank"),
    [
        ("", [], BLOCKS, 0),
        ("one", [(1, "one")], LINES, 0),
        ("one\n", [(1, "one")], LINES, 0),
        ("\n\none\ntwo\n\n", [(3, "one"), (4, "two")], LINES, 3),
        ("one\r\n two \r\n", [(1, "one"), (2, " two ")], LINES, 0),
        ("one\n\ntwo", [(1, "one"), (3, "two")], BLOCKS, 1),
        (
            "\none\r\nmore\n \t\n\n two \nlast\n\n",
            [(2, "one\r\nmore"), (6, " two \nlast")],
            BLOCKS,
            4,
        ),
        ("\n \n", [], BLOCKS, 2),
    ],
)
def test_documents_are_blocks_where_a_line_is_blank_and_else_lines(content, rows, note, blank, found):
    assert found(content) == (rows, [note], blank)


def test_the_rule_is_that_of_the_first_mebibyte(found):
    line = "x" * 1023 + "\n"
    for lines, note in ((1022, BLOCKS), (1024, LINES)):
        rows, notes, blank = found(line * lines + "\n" + "last\n")
        assert (notes, blank) == ([note], 1)
        assert len(rows) == (2 if note == BLOCKS else lines + 1)
        assert rows[-1] == (lines + 2, "last")


def test_blank_lines_are_found_in_the_encoding_that_is_set(found):
    for text, note in (("one\n\ntwo", BLOCKS), ("one\ntwo", LINES)):
        expected = [(1, "one"), (3 if note == BLOCKS else 2, "two")]
        assert found(text.encode("utf-16-le"), encoding="utf-16-le") == (expected, [note], note == BLOCKS)


def test_a_document_that_is_no_text_is_bad_and_its_neighbours_are_kept(found):
    assert found(b"one\n\xff\nthr\0ee\nfour")[0] == [
        (1, "one"),
        (2, ("not UTF-8: byte 0xff at byte 1", "\\xff")),
        (3, ("the row holds a NUL byte", "thr\0ee")),
        (4, "four"),
    ]
    assert found(b"one\n\ntwo\n\xfe\n\nthree")[0] == [
        (1, "one"),
        (3, ("not UTF-8: byte 0xfe at byte 5", "two\n\\xfe")),
        (6, "three"),
    ]


@pytest.fixture
def limit(monkeypatch):
    for module in (texts, json_lines, opening):
        monkeypatch.setattr(module, "MAX_ROW_BYTES", 20)


@pytest.mark.usefixtures("limit")
def test_a_document_may_have_as_many_bytes_as_the_limit_over_all_of_its_lines(found):
    nine = "x" * 9 + "\n"
    assert found(f"{nine}{nine}\nlast")[0] == [(1, "x" * 9 + "\n" + "x" * 9), (4, "last")]
    assert found(f"{nine}{nine}y\n\nlast")[0] == [
        (1, ("the row has 22 bytes, more than 20", f"{nine}{nine}y")),
        (5, "last"),
    ]
    assert found(f"{nine}{nine}y\nz\nzz\n\nlast")[0] == [
        (1, ("the row has 27 bytes, more than 20", f"{nine}{nine}y")),
        (7, "last"),
    ]
    assert found(f"{'x' * 25}\ny\nz\n\nlast")[0] == [(1, ("the row has 30 bytes, more than 20", "x" * 25)), (5, "last")]
    assert found(f"{'x' * 20}\n{'y' * 19}\n{'z' * 20}\nlast")[0] == [
        (1, ("the row has 21 bytes, more than 20", "x" * 20)),
        (2, "y" * 19),
        (3, ("the row has 21 bytes, more than 20", "z" * 20)),
        (4, "last"),
    ]


@pytest.mark.usefixtures("limit")
def test_a_file_may_have_as_many_bytes_as_the_limit(found):
    assert found("x" * 20, read_whole) == ([(1, "x" * 20)], [], 0)
    assert found("x" * 21, read_whole) == ([(1, ("the file has more than 20 bytes", "x" * 21))], [], 0)
    assert found("x" * 50, read_whole) == ([(1, ("the file has more than 20 bytes", "x" * 21))], [], 0)
    assert found(" " * 19 + "\n" + " " * 9, read_whole) == ([], [], 1)


def test_a_whole_file_is_its_text_letter_by_letter_and_its_path(tmp_path):
    (tmp_path / "x").write_bytes(" \n# é\r\n\n".encode())
    assert list(read_whole(tmp_path / "x", "a/x", ReadReport())) == [
        Record({"text": " \n# é\r\n\n", "path": "a/x"}, "a/x:1")
    ]
    (tmp_path / "x").write_bytes(b"a\0")
    assert list(read_whole(tmp_path / "x", "a/x", ReadReport())) == [
        Bad("a/x:1", "", "the row holds a NUL byte", "a\0")
    ]


def test_of_a_long_bad_document_the_first_mebibyte_is_looked_at(found):
    long = b"\xff" + b"x" * (1 << 21)
    shown = "\\xff" + "x" * ((1 << 16) - 4) + f"… ({(1 << 20) + 3 - (1 << 16):,} characters more)"
    assert found(long, read_whole)[0] == [(1, ("not UTF-8: byte 0xff at byte 1", shown))]
    assert found(long)[0] == [(1, ("not UTF-8: byte 0xff at byte 1", shown))]
