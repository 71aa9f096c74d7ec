"""Which layout a .json file has, and under which keys of a document its rows are."""

import pytest

from burnish.data.readers.json_document import read_json
from burnish.data.record import ReadReport, Record


@pytest.fixture
def found(tmp_path):
    """Rows as (source, row or, of a bad one, (reason, text)), and the notes."""

    def found(text: str) -> tuple[list, list[str]]:
        path, reading = tmp_path / "x.json", ReadReport()
        path.write_text(text)
        items = [
            (item.source, item.raw if isinstance(item, Record) else (item.reason, item.raw))
            for item in read_json(path, "x.json", reading)
        ]
        return items, reading.notes

    return found


SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
SPLITS |= dict.fromkeys(("validation", "valid", "val", "dev", "eval"), "validation")
OF_ROWS = SPLITS | dict.fromkeys(("data", "rows", "examples", "instances", "items", "records"), "")


@pytest.mark.parametrize("key", OF_ROWS)
def test_a_key_that_holds_rows_gives_them_its_split(key, write, read_all):
    for name, text in (("first", '{"%s": [{"a": 1}]}'), ("later", '{"data": [{"a": 0}], "x": 1, "%s": [{"a": 1}]}')):
        records, bad, _ = read_all(write(f"{name}.json", text % key))
        assert (records[-1].raw, records[-1].split, bad) == ({"a": 1}, OF_ROWS[key], [])


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('{"data": [1]}', [("x.json:1#1", ("a row is an object of columns, not a number", "1"))]),
        ('{"train": [1]}', [("x.json#1", {"train": 1})]),
        ('{"rows": []}', []),
        (' \n[ {"a": 1} ]', [("x.json:2#1", {"a": 1})]),
        ('{"rows" : [ ] }', []),
        ('{"rows": {"a": 1}}', [("x.json:1#1", {"rows": {"a": 1}})]),
        ('{"others": [{"a": 1}]}', [("x.json:1#1", {"others": [{"a": 1}]})]),
        ('{"a": 1, "b": [2], "data": [{"c": 3}]}', [("x.json:1#1", {"c": 3})]),
        ('{"a": 1, "b": [2]}', [("x.json:1#1", {"a": 1, "b": [2]})]),
        (
            '{"a": 1 "data": [{"c": 3}]}',
            [
                (
                    "x.json:1#1",
                    ("invalid JSON: Expecting ',' delimiter (character 9 of the row)", '{"a": 1 "data": [{"c": 3}]}'),
                )
            ],
        ),
        ('{"a\\"": 1, "data": [{"c": 3}]}', [("x.json:1#1", {"c": 3})]),
        ('{"a": [1, 2], "b": [3, 4]}', [("x.json#1", {"a": 1, "b": 3}), ("x.json#2", {"a": 2, "b": 4})]),
        ('{"a": {"0": 1}}', [("x.json#1", {"a": 1})]),
        ('{"a":\n[1]}\n{"a":\n[2]}', [("x.json#1", {"a": 1}), ("x.json:3#1", {"a": [2]})]),
        ('{"a": [1, NaN]}', [("x.json:1#1", ("NaN is not a JSON number", '{"a": [1, NaN]}'))]),
        ('{"a": [1', [("x.json:1#1", ("the file ends inside this row, 8 characters after its start", '{"a": [1'))]),
        ('{"a": [1, 2], "b": "c"}', [("x.json:1#1", {"a": [1, 2], "b": "c"})]),
        (
            '\n{"a": [1, 2], "b": [3]}',
            [("x.json:2", ("its columns have different lengths: a 2, b 1", '{"a": [1, 2], "b": [3]}'))],
        ),
        ('{"a": 1}\n{"a": 2}', [("x.json:1", {"a": 1}), ("x.json:2", {"a": 2})]),
        ('\n{"a": 1}\n{"a": 2}', [("x.json:2", {"a": 1}), ("x.json:3", {"a": 2})]),
        (
            '7\n{"a": 1}',
            [("x.json:1#1", ("a row is an object of columns, not a number", "7")), ("x.json:2#2", {"a": 1})],
        ),
    ],
)
def test_the_layout_is_that_of_the_first_keys(text, rows, found):
    assert found(text)[0] == rows


def test_what_the_layout_leaves_out_is_noted(found):
    assert found('{"a": 1, "b": [2], "data": [{"c": 3}]}')[1] == ["x.json: beside its rows, these are not read: a, b"]
    assert found('{"a": [1], "b": [2]}')[1] == ["x.json is column-wise: its columns are a, b"]
    assert found('{"a": 1}\n{"a": 2}')[1] == ["x.json holds JSON lines and is read as such"]
    assert found('{"a": {"0": 1}, "b": {"1": 2}}')[1] == []
