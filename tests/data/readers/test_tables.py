"""CSV and TSV: cells, bad records, headers and limits, each as by hand."""

import pytest

from burnish.core.errors import DataError
from burnish.data.files import opening
from burnish.data.readers import json_lines, tables
from burnish.data.readers.tables import read_csv, read_tsv
from burnish.data.record import Bad, ReadReport, Record


@pytest.fixture
def found(tmp_path):
    """Rows as (line, cells or, of a bad one, (reason, text)), and the report."""

    def found(text: str | bytes, read=read_csv) -> tuple[list, ReadReport]:
        path, reading = tmp_path / "x", ReadReport()
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        rows = []
        for item in read(path, "x", reading):
            name, line = item.source.split(":")
            assert name == "x"
            assert isinstance(item, Record) or item.field == ""
            rows.append((int(line), item.raw if isinstance(item, Record) else (item.reason, item.raw)))
        return rows, reading

    return found


def refused(call, *args) -> tuple[str, str]:
    with pytest.raises(DataError) as caught:
        call(*args)
    assert caught.value.code == "data.unreadable"
    return caught.value.what, caught.value.fix


@pytest.mark.parametrize(
    ("header", "separator", "said"),
    [
        ("a,b", ",", ""),
        ("a;b", ";", "semicolons"),
        ("a\tb", "\t", "tabs"),
        ("a|b", "|", "bars"),
        ("a;b|c;d", ";", "semicolons"),
        ("a|b;c|d", "|", "bars"),
        ("a;b;c,d", ",", ""),
    ],
)
def test_the_separator_of_a_csv_is_a_comma_or_the_most_frequent_in_its_header(header, separator, said, found):
    names = header.split(separator)
    rows, reading = found(f"{header}\n{separator.join('1' * len(names))}\n")
    assert rows == [(2, dict.fromkeys(names, "1"))]
    assert reading.notes == ([f"x is separated by {said}, detected from its header"] if said else [])


def test_the_separator_of_a_tsv_is_a_tab_or_found_in_its_header(found):
    assert found("a\tb,c;d\n1\t2,3", read_tsv) == ([(2, {"a": "1", "b,c;d": "2,3"})], ReadReport(done_bytes=13))
    rows, reading = found("a,b\n1,2", read_tsv)
    assert rows == [(2, {"a": "1", "b": "2"})]
    assert reading.notes == ["x is separated by commas, detected from its header"]


def test_one_column_has_no_separator(found):
    rows, reading = found("text\none\n\ntwo\n")
    assert rows == [(2, {"text": "one"}), (4, {"text": "two"})]
    assert (reading.notes, reading.blank) == ([], 1)


def test_the_header_is_the_first_line_that_is_not_blank(found):
    rows, reading = found("\n  \na,b\n1,2\n\n\n3,4")
    assert rows == [(4, {"a": "1", "b": "2"}), (7, {"a": "3", "b": "4"})]
    assert reading.blank == 2
    assert found("")[0] == found("\n \n")[0] == found("a,b\n")[0] == []


def test_a_column_without_a_name_is_named_by_its_place(found):
    rows, reading = found("a,, ,d\n1,2,3,4\n")
    assert rows == [(2, {"a": "1", "unnamed_2": "2", "unnamed_3": "3", "d": "4"})]
    assert len(reading.notes) == 2


def test_a_header_that_names_no_columns_is_refused(found):
    what = "x: two columns are called 'b'"
    assert refused(found, "a,b,c,b,c\n1,2,3,4,5\n") == (what, "give each column a name of its own")
    assert refused(found, b"a,\xff\n")[0] == "x: its header cannot be read: not UTF-8: byte 0xff at byte 3"
    assert refused(found, "a,\0\n")[0] == "x: its header cannot be read: the row holds a NUL byte"
    assert refused(found, 'a,"b\n1,2\n')[0] == "x: its header is not valid CSV: unexpected end of data"
    assert refused(found, ",unnamed_1\nb,c\n")[0] == "x: two columns are called 'unnamed_1'"


def test_a_bad_record_costs_itself_and_its_lines_are_read_again(found):
    text = b'a,b\n1,2\n1,2,3\n4\n"open,5\n"6","7"\n8,"9"9\n"10\n11",12\n\xff,13\n14,\xffx\n15,\0\n"16,\n17,18"\n19,"20'
    rows, reading = found(text)
    assert rows == [
        (2, {"a": "1", "b": "2"}),
        (3, ("the row has 3 cells, and the header 2", "1,2,3")),
        (4, ("the row has 1 cells, and the header 2", "4")),
        (5, ("no valid CSV: ',' expected after '\"'", '"open,5')),
        (6, {"a": "6", "b": "7"}),
        (7, ("no valid CSV: ',' expected after '\"'", '8,"9"9')),
        (8, {"a": "10\n11", "b": "12"}),
        (10, ("not UTF-8: byte 0xff at byte 1", "\\xff,13")),
        (11, ("not UTF-8: byte 0xff at byte 4", "14,\\xffx")),
        (12, ("the row holds a NUL byte", "15,\0")),
        (13, ("the row has 1 cells, and the header 2", '"16,')),
        (14, {"a": "17", "b": '18"'}),
        (15, ("no valid CSV: unexpected end of data", '19,"20')),
    ]
    assert reading.blank == 0
    assert not reading.notes


def test_an_open_quote_costs_its_line_and_no_line_below(found):
    rows, reading = found('a,b\n"1,2\n3,4\n\n5,6\n')
    assert rows == [
        (2, ("no valid CSV: unexpected end of data", '"1,2')),
        (3, {"a": "3", "b": "4"}),
        (5, {"a": "5", "b": "6"}),
    ]
    assert reading.blank == 1


def test_a_bad_record_may_hold_bad_lines(found):
    rows, _ = found(b'a,b\n"1\n\xff\n2",3\n4,5\n')
    assert rows == [
        (2, ("not UTF-8: byte 0xff at byte 1", '"1')),
        (3, ("not UTF-8: byte 0xff at byte 1", "\\xff")),
        (4, {"a": '2"', "b": "3"}),
        (5, {"a": "4", "b": "5"}),
    ]


def test_a_cell_may_be_longer_than_the_csv_module_allows_by_default(found):
    assert found(f"a,b\n1,{'x' * 200_000}")[0] == [(2, {"a": "1", "b": "x" * 200_000})]


def test_a_record_may_have_as_many_bytes_as_the_limit_over_all_of_its_lines(found, monkeypatch):
    for module in (tables, json_lines, opening):
        monkeypatch.setattr(module, "MAX_ROW_BYTES", 30)
    for filling, is_read in (("x" * 14, True), ("x" * 15, False)):
        record = f'1,"abcd\n\nefgh\n{filling}"\n'
        assert len(record) == 30 + (not is_read)
        rows, _ = found(f"a,b\n{record}2,3\n")
        if is_read:
            assert rows == [(2, {"a": "1", "b": f"abcd\n\nefgh\n{filling}"}), (6, {"a": "2", "b": "3"})]
        else:
            assert rows[0] == (2, ("the row has more than 30 bytes: a quote may be open", '1,"abcd'))
            assert rows[-1] == (6, {"a": "2", "b": "3"})
    rows, _ = found(f"a,b\n1,{'x' * 27}\n1,{'x' * 28}\n1,{'x' * 40}\n2,3\n")
    assert rows == [
        (2, {"a": "1", "b": "x" * 27}),
        (3, ("the row has 31 bytes, more than 30", f"1,{'x' * 28}")),
        (4, ("the row has 43 bytes, more than 30", f"1,{'x' * 40}")),
        (5, {"a": "2", "b": "3"}),
    ]


def test_a_bad_record_is_bad_with_its_file(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1\n")
    assert list(read_csv(tmp_path / "x.csv", "x.csv", ReadReport())) == [
        Bad("x.csv:2", "", "the row has 1 cells, and the header 2", "1")
    ]
