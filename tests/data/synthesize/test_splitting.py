"""Copies of a file stay in one split, and a limit takes rows of every file."""

from collections import Counter

import pytest

from burnish.core.context import Input
from burnish.data.synthesize.docs.choosing import sampled, splits
from burnish.data.synthesize.docs.generator import Wanted, generate
from burnish.data.synthesize.docs.sources import open_source


def code(name, lines=30):
    body = "".join(f"    {name}_{number} = value + {number} * len(str(value))\n" for number in range(lines))
    return f'def {name}(value):\n    """Compute what {name} says of a value."""\n{body}    return {name}_0\n'


@pytest.fixture
def generated(tmp_path):
    """(rows with splits, stats) of files in the given folders."""

    def generated(*folders, **wanted):
        sources = []
        for number, files in enumerate(folders):
            folder = tmp_path / f"source{number}"
            for name, text in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
            sources.append(open_source(Input(f"file:source{number}", "folder", folder), [], [], tmp_path))
        found = generate(sources, Wanted(("question_answer", "completion"), **wanted), tmp_path)
        return list(found.rows), found.stats()

    return generated


@pytest.mark.parametrize("seed", range(6))
def test_a_vendored_copy_that_was_changed_is_in_the_split_of_its_original(seed, generated):
    files = {f"a{number}.py": code(f"first{number}") for number in range(12)}
    copies = {
        f"vendored/b{number}.py": text.replace("* len", "* 1 * len", 3) for number, text in enumerate(files.values())
    }
    rows, stats = generated(files, copies, test=0.3, validation=0.2, seed=seed)
    split_of = {}
    for row, split in rows:
        split_of.setdefault(row["source"].rpartition(":")[0], set()).add(split)
    assert all(len(found) == 1 for found in split_of.values())
    for number in range(12):
        assert split_of[f"source0/a{number}.py"] == split_of[f"source1/vendored/b{number}.py"]
    assert stats["files_split_with_a_copy"] == 12
    assert {split for _, split in rows} == {"train", "validation", "test"}


def test_the_same_definition_in_two_files_gives_rows_once(generated):
    other = {"other.py": code("second") + "\n\n" + code("first")}
    rows, stats = generated({"one.py": code("first")}, other)
    assert stats["definitions_left_out"]["equal to a definition of another file"] == 1
    assert Counter(row["extra"]["name"] for row, _ in rows) == {"one.first": 3, "other.second": 3}


def test_a_limit_takes_as_many_of_a_small_file_as_of_a_large_one():
    rows = [("large", f"l{number}") for number in range(1000)] + [("small", f"s{number}") for number in range(10)]
    for limit in (1, 7, 20, 100, 1009):
        kept = Counter(rows[place][0] for place in sampled(rows, limit, seed=1))
        assert kept.total() == limit
        assert kept["small"] in (min(10, limit // 2), min(10, (limit + 1) // 2))
    assert sampled(rows, 2000, 1) == list(range(len(rows)))
    assert sampled(rows, 50, 1) == sampled(rows, 50, 1) != sampled(rows, 50, 2)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 300])
def test_shares_are_kept_as_far_as_groups_allow(count):
    groups = {f"group{number}": 1 + number % 7 for number in range(count)}
    for seed in range(5):
        found = splits(groups, 0.1, 0.2, seed)
        sizes = Counter()
        for group, split in found.items():
            sizes[split] += groups[group]
        assert sizes["train"] > 0
        largest = max(groups.values())
        assert abs(sizes["test"] - 0.2 * sum(groups.values())) <= largest
        assert abs(sizes["validation"] - 0.1 * sum(groups.values())) <= largest
