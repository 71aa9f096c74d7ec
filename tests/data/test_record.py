"""The tally of a reading says once what a person should know, and raw rows are kept to a limit."""

from dataclasses import asdict

import pytest

from burnish.data.record import MAX_RAW_CHARACTERS, MAX_ROW_BYTES, Bad, ReadReport, Record, RowError, cut, kind_of


def test_bytes_that_are_done_add_up_over_files():
    reading = ReadReport(total_bytes=30)
    reading.at(4)
    assert reading.done_bytes == 4
    reading.finished(10)
    assert reading.done_bytes == 10
    reading.at(5)
    assert reading.done_bytes == 15
    reading.finished(20)
    assert reading.done_bytes == 30


def test_files_that_are_not_read_are_named_with_their_reason():
    reading = ReadReport()
    reading.warn("careful")
    reading.warn("careful")
    reading.skip("set", ["one.png"], "no rows", matters=False)
    reading.skip("set", [f"{i}.csv" for i in range(5)] + ["a.pdf", "b.pdf", "plain"], "unknown")
    (warning, is_warning), *others = reading.messages()
    assert (warning, is_warning) == ("careful", True)
    assert others[0] == ("1 file is not read (no rows): set/one.png", False)
    text, matters = others[1]
    assert matters
    assert text.startswith(
        "8 files are not read (unknown): set/0.csv, set/1.csv, set/2.csv, set/3.csv, set/4.csv and 3 more"
    )
    assert "2 .pdf" in text
    assert "1 no ending" in text
    assert ReadReport().messages() == []


def test_a_note_is_said_once():
    reading = ReadReport()
    for text in ("a", "b", "a"):
        reading.note(text)
    assert reading.notes == ["a", "b"]


def test_a_raw_row_is_kept_to_a_limit_and_fit_for_a_file():
    assert cut("x" * MAX_RAW_CHARACTERS) == "x" * MAX_RAW_CHARACTERS
    assert cut("x" * (MAX_RAW_CHARACTERS + 3)) == "x" * MAX_RAW_CHARACTERS + "… (3 characters more)"
    assert cut("é\udcff") == "é\\udcff"


def test_a_bad_row_and_its_error_name_the_field_where_there_is_one():
    assert str(Bad("x:1", "a.b", "is wrong", "raw")) == "x:1: a.b: is wrong"
    assert str(Bad("x:1", "", "is wrong", "raw")) == "x:1: is wrong"
    assert Bad("x:1", "a", "r", "raw").as_dict() == {"source": "x:1", "field": "a", "reason": "r", "raw": "raw"}
    assert (str(RowError("a", "r")), str(RowError("", "r"))) == ("a: r", "r")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "true or false"),
        (None, "null"),
        (1, "a number"),
        (1.5, "a number"),
        ("", "a text"),
        ([], "a list"),
        ({}, "an object"),
    ],
)
def test_a_value_is_called_by_its_json_kind(value, words):
    assert kind_of(value) == words


def test_a_row_has_at_most_sixteen_mebibytes_and_keeps_64_kibi_of_its_text_when_bad():
    assert MAX_ROW_BYTES == 16_777_216
    assert MAX_RAW_CHARACTERS == 65_536
    assert cut("x" * 65_537) == "x" * 65_536 + "… (1 characters more)"
    assert cut("x" * 66_536).endswith("x… (1,000 characters more)")


def test_a_reading_begins_with_nothing():
    assert asdict(ReadReport()) == {
        **dict.fromkeys(["total_bytes", "done_bytes", "blank", "files", "since_row", "_finished_bytes"], 0),
        "notes": [],
        "warnings": [],
        "skipped": {},
        "encoding": None,
        "used_encoding": False,
        "max_bytes_without_row": None,
    }
    reading = ReadReport()
    reading.at(3)
    assert reading.done_bytes == 3
    assert ReadReport().notes is not reading.notes
    assert Record({"a": 1}, "x:1").split == ""
    error = RowError("a", "r")
    assert (error.field, error.reason, error.args) == ("a", "r", ("a: r",))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.x"], "1 file is not read (why): f/a.x"),
        (["b.x", "a"], "2 files are not read (why): f/b.x, f/a"),
        (["1", "2", "3", "4", "5"], "5 files are not read (why): f/1, f/2, f/3, f/4, f/5"),
        (
            ["1", "2", "3", "4", "5", "6"],
            "6 files are not read (why): f/1, f/2, f/3, f/4, f/5 and 1 more (1 no ending)",
        ),
        (
            [*"12345", "a.x", "b.y", "c.y", "d.tar.gz", ".e"],
            "10 files are not read (why): f/1, f/2, f/3, f/4, f/5 and 5 more (2 .y, 1 .x, 1 .gz, 1 no ending)",
        ),
        (
            [*"12345", *(f"a.{ending}" for ending in "abcdefghi"), "b.i"],
            "15 files are not read (why): f/1, f/2, f/3, f/4, f/5 and 10 more "
            "(2 .i, 1 .a, 1 .b, 1 .c, 1 .d, 1 .e, 1 .f, 1 .g)",
        ),
        (
            [f"{i}.x" for i in range(2005)],
            "2,005 files are not read (why): f/0.x, f/1.x, f/2.x, f/3.x, f/4.x and 2,000 more (2000 .x)",
        ),
    ],
)
def test_files_that_are_not_read_are_listed_by_reason(names, message):
    reading = ReadReport()
    reading.warn("first")
    reading.skip("f", names, "why")
    reading.skip("g", ["a", "b"], "other", matters=False)
    other = ("2 files are not read (other): g/a, g/b", False)
    assert reading.messages() == [("first", True), (message, True), other]
    assert set(reading.skipped) == {*(f"f/{name}" for name in names), "g/a", "g/b"}


def test_warnings_are_listed_once_in_their_order():
    reading = ReadReport()
    for text in ("b", "a", "b", "c"):
        reading.warn(text)
    assert reading.warnings == ["b", "a", "c"]
    assert reading.messages() == [("b", True), ("a", True), ("c", True)]
    assert reading.notes == []
