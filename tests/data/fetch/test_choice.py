"""Which files of a dataset are read, and the split of each."""

import pytest

from burnish.core.errors import DataError
from burnish.data.fetch.choice import Choice, choose, split_of
from burnish.data.record import ReadReport
from burnish.data.sources.hub_folder import head_of, licence_in, matches


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("data/train-00000-of-00002.parquet", "train"),
        ("data/train_sft-00000-of-00002.parquet", "train_sft"),
        ("data/extra-00000-of-00002.parquet", "extra"),
        ("part-00000-of-00010.jsonl", "train"),
        ("validation.jsonl.gz", "validation"),
        ("dev.csv", "validation"),
        ("default/test/0000.parquet", "test"),
        ("default/train_prefs/0001.parquet", "train_prefs"),
        ("default/partial-train/0001.parquet", "train"),
        ("test/a.json", "test"),
        ("rows.parquet", "train"),
    ],
)
def test_a_split_is_named_by_its_file_or_folder(name, split):
    assert split_of(name) == split


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.csv", ["a.csv"]),
        ("**.csv", ["a.csv", "d/b.csv", "d/e/c.csv"]),
        ("**/*.csv", ["a.csv", "d/b.csv", "d/e/c.csv"]),
        ("d/*", ["d/b.csv"]),
        ("d/**", ["d/b.csv", "d/e/c.csv"]),
        ("./a.csv", ["a.csv"]),
        ("[ab].csv", ["a.csv"]),
        ("?.csv", ["a.csv"]),
        ("[!b].csv", ["a.csv"]),
        ("a.c", []),
    ],
)
def test_a_pattern_is_read_as_the_hub_reads_it(pattern, names):
    assert [name for name in ("a.csv", "d/b.csv", "d/e/c.csv") if matches(pattern, name)] == names


def test_a_configuration_that_names_a_folder_is_read_from_it():
    card = {"configs": [{"config_name": "default", "data_dir": "sub"}, {"config_name": "b", "data_dir": "other"}]}
    names = ["README.md", "sub/train.csv", "sub/test.csv", "other/train.csv", "train.csv"]
    assert choose(names, card, Choice(), "x", ReadReport()) == [("sub/train.csv", "train"), ("sub/test.csv", "test")]
    assert choose(names, card, Choice(subset="b"), "x", ReadReport()) == [("other/train.csv", "train")]
    with pytest.raises(DataError, match="the folder no of x, which its card names, holds no file"):
        choose(names, {"configs": [{"data_dir": "no"}]}, Choice(), "x", ReadReport())


def test_hidden_files_are_read_only_where_they_are_named():
    names = ["train.csv", ".hidden/train.csv", "__MACOSX/train.csv", "d/.ipynb_checkpoints/train.csv"]
    reading = ReadReport()
    assert choose(names, {}, Choice(), "x", reading) == [("train.csv", "train")]
    assert "3 files are not read" in next(iter(reading.messages()))[0]
    assert choose(names, {}, Choice(data_files=["**.csv"]), "x", ReadReport()) == [("train.csv", "train")]
    with pytest.raises(DataError, match="data_files names d, and x has no such file"):
        choose(names, {}, Choice(data_files=["d"]), "x", ReadReport())
    named = choose(names, {}, Choice(data_files=[".hidden/*"]), "x", ReadReport())
    assert named == [(".hidden/train.csv", "train")]
    assert choose(names, {}, Choice(data_dir=".hidden"), "x", ReadReport()) == named
    assert choose(["__init__.csv", ".x.csv"], {}, Choice(), "x", ReadReport()) == [("__init__.csv", "train")]


def test_rows_come_before_archives_and_archives_before_texts():
    names = ["README.md", "LICENSE", "notes.txt", "all.zip", "rows.csv"]
    for taken in ("rows.csv", "all.zip", "notes.txt"):
        assert [name for name, _ in choose(names, {}, Choice(), "x", ReadReport())] == [taken]
        names.remove(taken)
    with pytest.raises(DataError, match="holds no file that can be read"):
        choose(names, {}, Choice(), "x", ReadReport())


def test_a_dataset_that_is_a_program_names_its_converted_rows():
    with pytest.raises(DataError) as caught:
        choose(["README.md", "name.py"], {}, Choice(), "hub:owner/name", ReadReport())
    assert "refs/convert/parquet" in caught.value.fix


def test_files_that_are_not_chosen_are_reported():
    reading = ReadReport()
    assert choose(["a/x.csv", "b/y.csv"], {}, Choice(subset="a"), "x", reading) == [("a/x.csv", "train")]
    assert [text for text, _ in reading.messages()] == [
        "1 file is not read (of another subset or split, or not chosen): x/b/y.csv"
    ]


@pytest.mark.parametrize(
    ("head", "licence"),
    [
        ("license: mit", "mit"),
        ("license:\n- mit\n- apache-2.0", "mit, apache-2.0"),
        ("license: other\nlicense_name: own", "own"),
        ("license: other", "other"),
        ("license: &a [*a]", None),
        ("tags: [x]", None),
        ("license:\n  nested: 1", None),
    ],
)
def test_the_licence_is_that_of_the_card(head, licence):
    assert licence_in(head_of(f"---\n{head}\n---\n# Card\n")) == licence
