"""Reading a file or folder: every row once, with the split of its own or of its file, and what was read is counted."""

import json

from burnish.data.reader import read
from burnish.data.record import Bad, ReadReport, Record


def test_rows_of_all_files_come_in_order_and_are_counted(write):
    write("set/a.jsonl", '{"x": 1}\n\nbad\n')
    write("set/test.jsonl", '{"x": 2}\nbad\n')
    path = write("set/train.json", json.dumps({"dev": [{"x": 3}], "rows": [{"x": 4}]})).parent
    reading = ReadReport()
    items = list(read(path, reading))
    assert [(item.raw["x"], item.source, item.split) for item in items if isinstance(item, Record)] == [
        (1, "a.jsonl:1", ""),
        (2, "test.jsonl:1", "test"),
        (3, "train.json:1#1", "validation"),
        (4, "train.json:1#2", "train"),
    ]
    assert [item.source for item in items if isinstance(item, Bad)] == ["a.jsonl:3", "test.jsonl:2"]
    size = sum(file.stat().st_size for file in path.iterdir())
    assert reading == ReadReport(size, size, blank=1, files=3, _finished_bytes=size)
    list(read(path / "a.jsonl", reading))
    assert reading.files == 4
    assert reading.total_bytes == reading.done_bytes == size + 14


def test_rows_of_an_entry_are_adapted_whether_or_not_their_file_has_a_split(write):
    entry = {"file_name": "rows.json", "columns": {"prompt": "ask", "response": "say"}}
    path = write("set/dataset_info.json", json.dumps({"x": entry})).parent
    write("set/rows.json", json.dumps({"dev": [{"ask": "a", "say": "b"}], "rows": [{"ask": "c", "say": "d"}, 7]}))
    first, second, bad = read(path, ReadReport())
    assert first == Record({"instruction": "a", "output": "b"}, "rows.json:1#1", "validation")
    assert second == Record({"instruction": "c", "output": "d"}, "rows.json:1#2", "")
    assert isinstance(bad, Bad)


def test_bytes_count_as_read_with_the_block_that_they_are_of(write):
    write("set/a.jsonl", '{"x": 1}\n')
    path = write("set/b.jsonl", '{"x": 22}\n').parent
    reading, seen = ReadReport(), []
    for _ in read(path, reading):
        seen.append((reading.files, reading.total_bytes, reading.done_bytes))
    assert seen == [(2, 19, 9), (2, 19, 19)]
    assert reading.done_bytes == 19
