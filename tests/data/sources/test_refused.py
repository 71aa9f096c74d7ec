"""Folders whose description cannot be read are refused with the file and what is wrong in it."""

import json

import pytest

from burnish.core.errors import DataError
from burnish.data.record import ReadReport
from burnish.data.sources import dataset_info, hub_folder
from burnish.data.sources.listing import find_files

ENTRY = {"x": {"file_name": "rows.jsonl"}}


def refused(call, *args) -> str:
    with pytest.raises(DataError) as caught:
        call(*args)
    assert caught.value.code == "data.unreadable"
    assert caught.value.fix
    return caught.value.what


def table(folder, value) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    (folder / "dataset_info.json").write_text(text, encoding="utf-8")


def test_a_table_that_is_no_table_is_refused_or_passed_over(tmp_path, monkeypatch):
    assert dataset_info.entries(tmp_path) is None
    for text in ("{", "", "[" * 100_000):
        table(tmp_path, text)
        assert "is not valid JSON" in refused(dataset_info.entries, tmp_path)
    for value in ({}, [], 7, {"x": 7}, {"x": {"features": {}}}, {"x": {"file_name": "a"}, "y": 7}):
        table(tmp_path, value)
        assert dataset_info.entries(tmp_path) is None
    table(tmp_path, "\ufeff" + json.dumps(ENTRY))
    assert dataset_info.entries(tmp_path) == ENTRY
    monkeypatch.setattr(dataset_info, "_MOST_BYTES", (tmp_path / "dataset_info.json").stat().st_size)
    assert dataset_info.entries(tmp_path) == ENTRY
    monkeypatch.setattr(dataset_info, "_MOST_BYTES", dataset_info._MOST_BYTES - 1)
    assert "bytes" in refused(dataset_info.entries, tmp_path)


def test_the_entry_is_the_requested_or_the_only_one():
    two = {**ENTRY, "y": {}}
    assert dataset_info.chosen(ENTRY, None, "set") == ENTRY["x"]
    assert dataset_info.chosen(two, "x", "set") == ENTRY["x"]
    assert "describes 2 datasets" in refused(dataset_info.chosen, two, None, "set")
    assert "has no dataset 'z'" in refused(dataset_info.chosen, two, "z", "set")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"columns": [1]}, "'columns' must be an object"),
        ({"columns": {"prompt": 7}}, "'columns.prompt' must be a text"),
        ({"tags": "x"}, "'tags' must be an object"),
        ({"columns": {"alien": "x"}}, "the key 'alien' of "),
        ({"alien": 1}, "the key 'alien' of "),
        ({"ranking": "yes"}, "'ranking' must be true or false"),
        ({"ranking": True}, "does not name both 'chosen' and 'rejected'"),
        ({"ranking": True, "columns": {"chosen": "a"}}, "does not name both 'chosen' and 'rejected'"),
        ({"columns": {"chosen": "a", "rejected": "b"}}, "'ranking' is not true"),
        ({"columns": {"rejected": "b"}}, "names 'rejected'"),
    ],
)
def test_an_entry_with_a_wrong_key_or_value_is_refused(entry, words):
    assert words in refused(dataset_info.adapter, {"file_name": "rows.jsonl"} | entry)


def test_a_null_in_an_entry_is_as_if_it_were_not_there():
    adapt = dataset_info.adapter({"file_name": "a", "columns": {"prompt": "ask", "query": None}, "tags": None})
    assert dict(adapt.columns) == {"ask": "instruction"} or "ask" in adapt.columns


def card(folder, head: str) -> None:
    (folder / "README.md").write_text(f"---\n{head}\n---\nWords.\n")


TWO = "configs:\n- config_name: a\n  data_files: a/*.jsonl\n- config_name: b\n  data_files: b/*.jsonl"


def test_the_configurations_of_a_card_are_read_as_words(tmp_path):
    assert hub_folder.configs(tmp_path) == []
    (tmp_path / "README.md").write_text("no head")
    assert hub_folder.configs(tmp_path) == []
    for head in (
        "configs: 7",
        "configs:\n- 7",
        "- a",
        "{",
        "configs:\n- config_name: a",
    ):
        card(tmp_path, head)
        assert hub_folder.configs(tmp_path) == [], head
    card(tmp_path, "a: [*x]\n" + TWO)
    assert "its head cannot be read: line 2: aliases (*x) are not read" in refused(hub_folder.configs, tmp_path)
    card(tmp_path, "configs:\n- config_name: 1.10\n  data_files: a\n- data_files: no\n- config_name: x")
    assert hub_folder.configs(tmp_path) == [{"config_name": "1.10", "data_files": "a"}, {"data_files": "no"}]


def test_the_configuration_is_the_requested_the_default_or_the_only_one(tmp_path):
    card(tmp_path, TWO)
    listed = hub_folder.configs(tmp_path)
    assert hub_folder.chosen(listed, "b", "set") == listed[1]
    assert "has no subset 'c'" in refused(hub_folder.chosen, listed, "c", "set")
    assert "has 2 subsets" in refused(hub_folder.chosen, listed, None, "set")
    assert hub_folder.chosen(listed[1:], None, "set") == listed[1]
    marked = [listed[0], {**listed[1], "default": "True"}]
    assert hub_folder.chosen(marked, None, "set") == marked[1]
    named = [listed[0], {"data_files": "x"}]
    assert hub_folder.chosen(named, None, "set") == named[1]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ("a", [("", "a")]),
        (["a", "b"], [("", "a"), ("", "b")]),
        ({"split": "test", "path": "a"}, [("test", "a")]),
        ([{"path": ["a", "b"]}, {"split": "x", "path": "c"}], [("train", "a"), ("train", "b"), ("x", "c")]),
        ([{"split": "x"}], []),
    ],
)
def test_patterns_belong_to_their_split(files, expected):
    assert hub_folder.patterns({"data_files": files}) == expected


def test_the_files_of_an_entry_that_names_a_folder_are_those_with_rows(tmp_path):
    (tmp_path / "part").mkdir()
    for name in ("b.jsonl", "a.txt", "image.png", "c.csv"):
        (tmp_path / "part" / name).write_text("x")
    table(tmp_path, {"x": {"file_name": "part"}})
    names = [file.name for file in find_files(tmp_path, ReadReport(), None)]
    assert names == ["part/a.txt", "part/b.jsonl", "part/c.csv"]
    table(tmp_path, {"x": {"file_name": "part/b.jsonl"}})
    assert [file.name for file in find_files(tmp_path, ReadReport(), None)] == ["part/b.jsonl"]


def test_a_table_of_entries_may_be_four_mebibytes_long(tmp_path):
    path = tmp_path / "dataset_info.json"
    text = '{"x": {"file_name": "a"}}'
    path.write_text(text + " " * (4 * 1024 * 1024 - len(text)))
    assert dataset_info.entries(tmp_path) == {"x": {"file_name": "a"}}
    path.write_text(text + " " * (4 * 1024 * 1024 + 1 - len(text)))
    assert refused(dataset_info.entries, tmp_path) == "dataset_info.json has more than 4,194,304 bytes"
