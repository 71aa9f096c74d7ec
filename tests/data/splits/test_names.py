"""The split that a path names: that of its file, else of the nearest folder, else none."""

import pytest

from burnish.data.splits.names import split_by_name

NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "eval"),
    "test": ("test", "testing"),
}


def test_each_name_of_a_split_is_one_as_a_word_of_a_file_or_folder():
    for split, name in ((split, name) for split, names in NAMES.items() for name in names):
        for path in (f"{name}.jsonl", f"{name.upper()}-00000-of-00002.parquet", f"a_{name}_b.csv", f"{name}/a.csv"):
            assert split_by_name(path) == split, path
        for path in (f"{name}s.jsonl", f"x{name}.jsonl", f"{name}x/a.csv", f"a.{name}"):
            assert split_by_name(path) == "", path


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("test/train.jsonl", "train"),
        ("test/train/a.jsonl", "train"),
        ("test/a/b.jsonl", "test"),
        ("test_train.jsonl", "test"),
        ("a.test.jsonl", ""),
        ("a.jsonl", ""),
        ("", ""),
        ("data/Valid-0.json.gz", "validation"),
    ],
)
def test_the_nearest_name_counts_and_in_one_name_the_first(path, split):
    assert split_by_name(path) == split
