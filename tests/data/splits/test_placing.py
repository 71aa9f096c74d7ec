"""Where a row is placed is a hash that anybody can compute; what cannot be met is explained in whole sentences."""

import hashlib
from collections import Counter

import pytest

from burnish.data.document import make_row
from burnish.data.splits.questions import questions
from burnish.data.splits.split import Splitter


def text(number: int | str) -> dict:
    return make_row("text", "x:1", text=f"row {number}")


def turns(*contents: str, weight: float = 1.0) -> dict:
    said = [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]
    said[1]["weight"] = weight
    return make_row("chat", "x:1", messages=said)


def point(root: int, seed: int) -> float:
    """A number from 0 to 1 for a group: the first 8 bytes of a sha256, as a fraction of all."""
    digest = hashlib.sha256(f"split:{seed}:".encode() + root.to_bytes(8, "big")).hexdigest()
    return int(digest[:16], 16) / 16**16


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize(("validation", "test"), [(0.3, 0.2), (0.0, 0.5), (0.5, 0.0), (1.0, 0.0), (0.0, 1.0)])
def test_a_row_is_placed_by_the_hash_of_its_question(validation, test, seed, tmp_path):
    splitter = Splitter(validation, test, seed, tmp_path)
    for number in range(60):
        row = text(number)
        where = point(questions(row).first, seed)
        expected = "test" if where < test else "validation" if where < test + validation else "train"
        assert splitter.place(row, "") == expected
    assert (splitter.placed, len(splitter.groups), sum(splitter.groups.values())) == (60, 60, 60)
    assert list(splitter.waiting()) == []


def test_the_splits_that_are_wanted_are_those_with_a_share(tmp_path):
    shares = {(0.0, 0.0): [], (0.1, 0.0): ["validation"], (0.0, 0.1): ["test"], (0.1, 0.1): ["validation", "test"]}
    for (validation, test), wanted in shares.items():
        assert Splitter(validation, test, 0, tmp_path).wanted == wanted


def test_without_shares_a_row_is_where_its_file_says_or_in_train(tmp_path):
    splitter = Splitter(0.0, 0.0, 0, tmp_path)
    given = ["", "train", "validation", "test"]
    assert [splitter.place(text(i), split) for i, split in enumerate(given)] == ["train", "train", "validation", "test"]
    assert (splitter.placed, splitter.groups) == (0, Counter())
    assert splitter.place(turns("a", "b", "c", "d", weight=0.0), "") == "train"


def test_held_out_rows_stay_and_rows_of_train_are_placed(tmp_path):
    splitter = Splitter(0.0, 1.0, 0, tmp_path)
    assert [splitter.place(text(i), split) for i, split in enumerate(("train", "validation", "test", ""))] == [
        "test",
        "validation",
        "test",
        "test",
    ]
    assert splitter.placed == 2


def test_a_row_that_does_not_learn_its_first_answer_waits_with_its_note(tmp_path):
    splitter = Splitter(0.5, 0.0, 0, tmp_path)
    waits = [turns(f"shot {i}", "a", f"{i}?", "b", weight=0.0) for i in range(20)]
    notes = [{"n": i, "of": ["ü"]} for i in range(20)]
    assert [splitter.place(row, "", note) for row, note in zip(waits, notes, strict=True)] == [""] * 20
    assert splitter.placed == 0
    came = list(splitter.waiting())
    assert [(row, note) for row, _, note in came] == list(zip(waits, notes, strict=True))
    for row, split, _ in came:
        assert split == ("validation" if point(questions(row).asked[0], 0) < 0.5 else "train")
    assert splitter.placed == 20


def test_a_waiting_row_that_shares_a_question_with_a_placed_one_is_with_it(tmp_path):
    """Of `a, b, c` the placed row learns both answers, and the waiting one only the last."""
    for number in range(30):
        whole, part = turns(f"{number}", "a", "more?", "b"), turns(f"{number}", "a", "more?", "c", weight=0.0)
        for rows in ([whole, part], [part, whole]):
            splitter = Splitter(0.5, 0.0, 0, tmp_path)
            places = {id(row): splitter.place(row, "") for row in rows}
            places.update({id(part): split for _, split, _ in splitter.waiting()})
            assert places[id(part)] == places[id(whole)]
            assert splitter.leaks() == 0
            assert splitter.placed == 2


def test_only_the_first_thousand_groups_are_counted_and_all_rows(tmp_path):
    splitter = Splitter(0.5, 0.0, 0, tmp_path)
    for number in [*range(1005), 0, 999, 1000]:
        splitter.place(text(number), "")
    assert len(splitter.groups) == 1000
    assert sum(splitter.groups.values()) == 1002
    assert splitter.placed == 1008
    assert splitter.groups[questions(text(999)).first] == 2
    assert questions(text(1000)).first not in splitter.groups


def test_each_held_out_row_that_a_training_row_learns_is_one_leak(tmp_path):
    splitter = Splitter(0.0, 0.0, 0, tmp_path)
    for number in range(4):
        splitter.place(text(number), "train")
    assert splitter.leaks() == 0
    for number, split in ((0, "test"), (0, "validation"), (3, "test"), (9, "test")):
        splitter.place(text(number), split)
    assert (splitter.leaks(), splitter.leaks()) == (3, 3)
    splitter.place(text(9), "")
    assert splitter.leaks() == 4
