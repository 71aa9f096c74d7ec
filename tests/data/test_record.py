"""The tally of a reading says once what a person should know, and raw rows are kept to a limit."""

import pytest

from burnish.data.record import MAX_RAW_CHARACTERS, Bad, ReadReport, RowError, cut, kind_of


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
