"""What a .json file gives is the same through windows of any size; each row, bad row and note is as by hand."""

import json

import pytest

from burnish.core.errors import DataError
from burnish.data.files.opening import ByteStream
from burnish.data.readers import json_document
from burnish.data.readers.json_document import read_json
from burnish.data.record import Bad, ReadReport, Record

WIDE = 1 << 20
LATER = "text after the end of the list; JSON lines belong in a .jsonl file"
OPEN = "x.json ends before its list is closed: rows at the end may be missing"
OPEN_OBJECT = "x.json ends before its object is closed: rows at the end may be missing"
UNBALANCED = "its brackets or quotes do not balance"


@pytest.fixture
def found(tmp_path, monkeypatch):
    """Rows as (source, row or, of a bad one, (reason, text)), notes and warnings, and the count of blank elements."""

    def found(text: str | bytes, window: int = WIDE) -> tuple[list, list[str], int]:
        monkeypatch.setattr(ByteStream.read, "__defaults__", (window,))
        path, reading = tmp_path / "x.json", ReadReport()
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        items = [
            (item.source, item.raw if isinstance(item, Record) else (item.reason, item.raw))
            for item in read_json(path, "x.json", reading)
        ]
        return items, [*reading.notes, *reading.warnings], reading.blank

    return found


def comma(line: int) -> str:
    return f"x.json:{line}: an extra comma between rows is ignored"


LISTS = {
    "rows": ('[{"a": 1}, {"a": 2}]', [("1#1", {"a": 1}), ("1#2", {"a": 2})], [], 0),
    "nothing": ("[ \n]\n", [], [], 0),
    "characters of one to four bytes": (
        '[{"a": "aÀ–€ü𝄞\U0010ffff"},\n{"ü–": "\u2000\u0080"}]',
        [("1#1", {"a": "aÀ–€ü𝄞\U0010ffff"}), ("2#2", {"ü–": "\u2000\u0080"})],
        [],
        0,
    ),
    "brackets in texts": (
        '[{"a": "]},{"},\n\n{"a": [1, {"b": "\\"]"}]}]\n',
        [("1#1", {"a": "]},{"}), ("3#2", {"a": [1, {"b": '"]'}]})],
        [],
        0,
    ),
    "no value": (
        '[{"a": 1}, {"a": }, {"a": 3}]',
        [
            ("1#1", {"a": 1}),
            ("1#2", ("invalid JSON: Expecting value (character 7 of the row)", '{"a": }')),
            ("1#3", {"a": 3}),
        ],
        [],
        0,
    ),
    "no objects": (
        '[12, "x", null, [2] , {} , true, {"a": 1}]',
        [
            ("1#1", ("a row is an object of columns, not a number", "12")),
            ("1#2", ("a row is an object of columns, not a text", '"x"')),
            ("1#3", ("a row is an object of columns, not null", "null")),
            (
                "1#4",
                ("a row is an object of columns, not a list; one JSON list of rows belongs into a .json file", "[2]"),
            ),
            ("1#5", ("the row has no columns", "{}")),
            ("1#6", ("a row is an object of columns, not true or false", "true")),
            ("1#7", {"a": 1}),
        ],
        [],
        0,
    ),
    "text behind an object": (
        '[{"a": 1} x, {"a": 2}{"a": 3}, {"a": 4}]',
        [
            ("1#1", ("invalid JSON: Extra data (character 10 of the row)", '{"a": 1} x')),
            ("1#2", ("invalid JSON: Extra data (character 9 of the row)", '{"a": 2}{"a": 3}')),
            ("1#3", {"a": 4}),
        ],
        [],
        0,
    ),
    "a field": (
        '[{"a": {"b": "\\ud800"}}]',
        [("1#1", ("half of a surrogate pair (\\ud800 to \\udfff alone) is no character", '{"a": {"b": "\\ud800"}}'))],
        [],
        0,
    ),
    "bytes of another encoding": (
        b'[{"a": "\xff\xc3"}, {"a": 2}, {"a": "\xc3',
        [
            ("1#1", ("not UTF-8: the row holds bytes of another encoding", '{"a": "\\udcff\\udcc3"}')),
            ("1#2", {"a": 2}),
            ("1#3", ("the file ends inside this row, 8 characters after its start", '{"a": "\\udcc3')),
        ],
        [OPEN],
        0,
    ),
    "an extra comma at the end": ('[{"a": 1},\n]', [("1#1", {"a": 1})], [comma(2)], 1),
    "extra commas": (
        '[,\n{"a": 1},,\n,{"a": 2}\n,]',
        [("2#1", {"a": 1}), ("3#2", {"a": 2})],
        [comma(1), comma(2), comma(3), comma(4)],
        4,
    ),
    "only a comma": ("[,]", [], [comma(1)], 2),
    "no end": ('[{"a": 1}, ', [("1#1", {"a": 1})], [OPEN], 0),
    "no end of a row": (
        '[{"a": 1}, {"a": 2',
        [("1#1", {"a": 1}), ("1#2", ("the file ends inside this row, 7 characters after its start", '{"a": 2'))],
        [OPEN],
        0,
    ),
    "no end of a number": (
        "[12",
        [("1#1", ("a row is an object of columns, not a number", "12"))],
        [OPEN],
        0,
    ),
    "no end of a word, which is white space": (
        "[nul \n",
        [("1#1", ("invalid JSON: Expecting value (character 1 of the row)", "nul"))],
        [OPEN],
        0,
    ),
    "a bracket too few": (
        '[\n  {"a": 1},\n  {"a": {"b": 2},\n  {"a": 3},\n  {"a": {"b": 4}\n]',
        [
            ("2#1", {"a": 1}),
            ("3#2", (UNBALANCED, '{"a": {"b": 2},')),
            ("4#3", {"a": 3}),
            ("5#4", (UNBALANCED, '{"a": {"b": 4}\n')),
        ],
        [],
        0,
    ),
    "a quote too few": (
        '[\n{"a": "x},\n{"a": 2}\n]',
        [("2#1", (UNBALANCED, '{"a": "x},')), ("3#2", {"a": 2})],
        [],
        0,
    ),
    "a bracket too few on one line": (
        '[{"a": {"b": 2}, {"a": 3}]',
        [("1#1", (UNBALANCED, '{"a": {"b": 2}, {"a": 3}'))],
        [],
        0,
    ),
    "a bracket too few, and the lines below are indented differently": (
        '[\n  {"a": {"b": 2},\n    {"a": 3},\n\t{"a": 4}]',
        [("2#1", (UNBALANCED, '{"a": {"b": 2},\n    {"a": 3},\n\t{"a": 4}'))],
        [],
        0,
    ),
    "a bracket too few after a row on its line": (
        '[\n{"a": 1}, {"a": {"b": 2},\n{"a": 3}]',
        [("2#1", {"a": 1}), ("2#2", (UNBALANCED, '{"a": {"b": 2},\n{"a": 3}'))],
        [],
        0,
    ),
    "a wide indentation": (
        f'[\n{" " * 199}{{"a": {{"b": 2}},\n{" " * 199}{{"a": 3}}]',
        [("2#1", (UNBALANCED, '{"a": {"b": 2},')), ("3#2", {"a": 3})],
        [],
        0,
    ),
}


@pytest.mark.parametrize("window", [1, 2, 3, 5, 16, 250, WIDE])
def test_a_list_is_the_same_through_windows_of_any_size(window, found):
    for name, (text, items, notes, blank) in LISTS.items():
        assert found(text, window) == ([(f"x.json:{place}", item) for place, item in items], notes, blank), name


def test_an_indentation_wider_than_two_hundred_characters_is_not_looked_for(found):
    rest = f'{{"a": {{"b": 2}},\n{" " * 200}{{"a": 3}}'
    assert found(f"[\n{' ' * 200}{rest}]")[0] == [("x.json:2#1", (UNBALANCED, rest))]


OBJECTS = {
    "pretty": ('{\n"a": 1\n}\n{\n"a": 2\n}\n', [("1#1", {"a": 1}), ("4#2", {"a": 2})]),
    "one": ('{"a": 1}', [("1#1", {"a": 1})]),
    "one on a line": (' \n {"a": 1}\n \n', [("2#1", {"a": 1})]),
    "on one line": ('{"a": 1} {"a": 2}{"a": 3}', [("1#1", {"a": 1}), ("1#2", {"a": 2}), ("1#3", {"a": 3})]),
    "with others": (
        '{\n"a": 1\n} 12\n7\n{"a": 3} no, sense\n{"a": 4}, {"a": 5}',
        [
            ("1#1", {"a": 1}),
            ("3#2", ("a row is an object of columns, not a number", "12")),
            ("4#3", ("a row is an object of columns, not a number", "7")),
            ("5#4", {"a": 3}),
            ("5#5", ("invalid JSON: Expecting value (character 1 of the row)", "no, sense")),
            ("6#6", {"a": 4}),
            ("6#7", ("invalid JSON: Expecting value (character 1 of the row)", ', {"a": 5}')),
        ],
    ),
    "broken": (
        '{\n"a": }\n{\n"a": 2\n}',
        [("1#1", ("invalid JSON: Expecting value (character 8 of the row)", '{\n"a": }')), ("3#2", {"a": 2})],
    ),
    "broken off": (
        '{\n"a": 1\n}\n{\n"a": 2\n',
        [("1#1", {"a": 1}), ("4#2", ("the file ends inside this row, 9 characters after its start", '{\n"a": 2\n'))],
    ),
    "a bracket too few": (
        '{\n"a": {"b": 2}\n{\n"a": 3\n}',
        [("1#1", (UNBALANCED, '{\n"a": {"b": 2}')), ("3#2", {"a": 3})],
    ),
    "nothing": ("", []),
    "blanks": (" \n \t\r\n", []),
    "a word": ("word", [("1#1", ("invalid JSON: Expecting value (character 1 of the row)", "word"))]),
}


@pytest.mark.parametrize("window", [1, 2, 3, 5, 16, WIDE])
def test_objects_that_follow_each_other_are_the_same_through_windows_of_any_size(window, found):
    for name, (text, items) in OBJECTS.items():
        assert found(text, window) == ([(f"x.json:{place}", item) for place, item in items], [], 0), name


DOCUMENT = {
    "version": [],
    "about": {"b": [4]},
    "train": [{"a": 1}, {"a": "ü" * 300}],
    "notes": {"x": "y" * 700},
    "number": 12345678901234567890,
    "dev": [],
    "items": [7],
    "test": [{"a": 5}],
}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("window", [*range(90, 130), 300, WIDE])
def test_the_lists_of_a_document_are_the_same_through_windows_of_any_size(indent, window, tmp_path, monkeypatch):
    monkeypatch.setattr(ByteStream.read, "__defaults__", (window,))
    path, reading = tmp_path / "x.json", ReadReport()
    text = json.dumps(DOCUMENT, indent=indent, ensure_ascii=False)
    path.write_text(text)
    items = list(read_json(path, "x.json", reading))
    lines = (
        [1, 1, 1] if indent is None else [text[: text.index(word)].count("\n") for word in ('"a": 1', "ü", '"a": 5')]
    )
    assert items == [
        Record({"a": 1}, f"x.json:{lines[0]}#1", "train"),
        Record({"a": "ü" * 300}, f"x.json:{lines[1]}#2", "train"),
        Record({"a": 5}, f"x.json:{lines[2]}#3", "test"),
    ]
    said = "x.json: beside its rows, these are not read: "
    assert reading.notes == [f"{said}version, about", f"{said}notes", f"{said}number", f"{said}items"]


@pytest.mark.parametrize(
    ("text", "items", "notes"),
    [
        ('{"train": [{"a": 1}]', [{"a": 1}], [OPEN_OBJECT]),
        ('{"train": [{"a": 1}]}\n', [{"a": 1}], []),
        ('{"train": [{"a": 1}]} }', [{"a": 1}, (LATER, "}")], []),
        ('{"train": [{"a": 1}]}}', [{"a": 1}, (LATER, "}")], []),
        ('{"train": [{"a": 1}]} more', [{"a": 1}, (LATER, "more")], []),
        ('{"train": [{"a": 1}], "test" [{"a": 2}]}', [{"a": 1}, (LATER, ', "test" [{"a": 2}]}')], []),
        ('{"train": [{"a": 1}], "test": [{"a": 2}', [{"a": 1}, {"a": 2}], [OPEN]),
        ('{"train": [{"a": 1}], "x": tru', [{"a": 1}, (LATER, "tru")], ["x"]),
        ('{"train": [{"a": 1}], "x": {"b": 1}} {"c": 2}', [{"a": 1}, (LATER, '{"c": 2}')], ["x"]),
        ('{"train": [{"a": 1}], "x": 12', [{"a": 1}], ["x", OPEN_OBJECT]),
        ('{"train": [{"a": 1}],"test":', [{"a": 1}], ["test", OPEN_OBJECT]),
        ('{"train": [{"a": 1}], "x": 12, "y": 13}', [{"a": 1}], ["x", "y"]),
        ('[{"a": 1}], "x": 12', [{"a": 1}], ["x"]),
        ('[{"a": 1}] , 7', [{"a": 1}, (LATER, ", 7")], []),
        ('[{"a": 1}]\n{"b": 2}', [{"a": 1}, (LATER, '{"b": 2}')], []),
    ],
)
def test_what_follows_a_list_is_read_or_named(text, items, notes, found):
    rows, said, blank = found(text)
    assert [item for _, item in rows] == items
    beside = "x.json: beside its rows, these are not read: "
    assert said == [note if note in (OPEN, OPEN_OBJECT) else beside + note for note in notes]
    assert blank == 0


def test_text_after_a_list_has_its_line(found):
    assert found('[{"a": 1}\n]\n\nrest')[0][1] == ("x.json:4", (LATER, "rest"))
    assert found('{"train": [{"a": 1}\n]\n}\n\nrest')[0][1] == ("x.json:5", (LATER, "rest"))


@pytest.mark.parametrize("window", [50, 300, WIDE])
@pytest.mark.parametrize("blanks", [0, 40, 270])
def test_a_table_by_column_is_the_same_through_windows_of_any_size(window, blanks, found):
    table = {"a": list(range(40)), "b": ["}]" * i for i in range(40)]}
    rows = [(f"x.json#{i + 1}", {"a": i, "b": "}]" * i}) for i in range(40)]
    assert found(" " * min(blanks, window - 20) + json.dumps(table), window)[0] == rows


def test_a_table_is_held_whole_up_to_a_limit(found, monkeypatch):
    text = json.dumps({"a": [7] * 40})
    assert 100 < len(text) < 150
    monkeypatch.setattr(json_document, "_MOST_OF_A_TABLE", 100)
    assert len(found(text, 50)[0]) == 40
    monkeypatch.setattr(json_document, "_MOST_OF_A_TABLE", 99)
    with pytest.raises(DataError) as caught:
        found(text, 50)
    assert caught.value.code == "data.unreadable"
    assert caught.value.what == "x.json looks column-wise, and has more than 99 characters"


def test_a_long_row_after_an_unbalanced_one_is_no_endless_one(found, monkeypatch):
    """After the first unbalanced row the reader looks less far for ends, but no row within the limit is given up."""
    monkeypatch.setattr(json_document, "_SHORT_PATIENCE", 20)
    rows = [{"a": str(i) * 90} for i in range(9)]
    lines = [json.dumps(row) for row in rows]
    lines[1] = lines[1][:-1]
    items, _, _ = found("[\n" + ",\n".join(lines) + "\n]", 16)
    assert items[1] == ("x.json:3#2", (UNBALANCED, lines[1] + ","))
    assert [row for _, row in items if isinstance(row, dict)] == [rows[0], *rows[2:]]


def test_a_row_may_be_as_long_as_the_limit(found, monkeypatch):
    monkeypatch.setattr(json_document, "MAX_ROW_BYTES", 100)
    for length in (99, 100, 101, 102):
        row = {"a": "x" * (length - 9)}
        assert len(json.dumps(row)) == length
        for text in ('[{"a": 1}, %s, {"a": 2}]', '[\n{"a": 1},\n%s,\n{"a": 2}]', '{"a": 1} %s {"a": 2}'):
            _, (_, item), _ = found(text % json.dumps(row), 16)[0]
            if length <= 100:
                assert item == row
            else:
                assert item[0] == f"the row has {length} characters, more than 100"
                assert json.dumps(row).startswith(item[1])
                assert len(item[1]) > 90


@pytest.mark.parametrize("is_cut_off", [False, True])
def test_of_an_endless_row_the_start_is_kept(is_cut_off, found, monkeypatch):
    monkeypatch.setattr(json_document, "MAX_ROW_BYTES", 200)
    element = '{"a": "' + "x" * 2_500_000 + '"}'
    text = f'[{{"a": 1}}, {element[:-2] if is_cut_off else element + ", " + json.dumps({"a": 2}) + "]"}'
    first, (source, (reason, raw)), *rest = found(text, 2 << 20)[0]
    assert (first, source) == (("x.json:1#1", {"a": 1}), "x.json:1#2")
    assert reason == (
        "the file ends inside this row, 2,500,007 characters after its start"
        if is_cut_off
        else "the row has 2,500,009 characters, more than 200"
    )
    assert raw == f"{element[: 1 << 16]}… ({(1 << 20) - (1 << 16):,} characters more)"
    assert rest == ([] if is_cut_off else [("x.json:1#3", {"a": 2})])


def test_a_key_or_a_value_beyond_the_limit_ends_the_search_for_lists(found, monkeypatch):
    monkeypatch.setattr(json_document, "MAX_ROW_BYTES", 300)
    for length, is_read in ((100, True), (2000, False)):
        text = '{"train": [{"a": 1}], "%s": 1, "test": [{"a": 2}]}'
        rows = [item for _, item in found(text % ("k" * length), 50)[0]]
        assert rows[0] == {"a": 1}
        assert (rows[1:] == [{"a": 2}]) is is_read
        text = '{"train": [{"a": 1}], "k": "%s", "test": [{"a": 2}]}'
        rows = [item for _, item in found(text % ("k" * length), 50)[0]]
        assert rows[0] == {"a": 1}
        assert (rows[1:] == [{"a": 2}]) is is_read


def test_a_value_is_passed_over_up_to_the_window_that_ends_beyond_the_limit(found, monkeypatch):
    monkeypatch.setattr(json_document, "MAX_ROW_BYTES", 300)
    for blanks in range(10):
        for length in range(292, 318):
            head = f'[{{"a": 1}}], "k": {" " * blanks}'
            items, _, _ = found(f'{head}"{"v" * (length - 2)}", "test": [{{"a": 2}}]}}', 10)
            end_of_window = (len(head) + 300) // 10 * 10 + 10
            is_read = len(head) + length < end_of_window
            assert (len(items), items[-1][1] == {"a": 2}) == (2, is_read), (blanks, length)


def test_a_bad_row_is_a_bad_row_with_its_field(tmp_path):
    (tmp_path / "x.json").write_text('[{"a": {"b": "\\ud800"}}]')
    (bad,) = read_json(tmp_path / "x.json", "x.json", ReadReport())
    assert isinstance(bad, Bad)
    assert bad.field == "a.b"
