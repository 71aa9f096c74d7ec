"""Rows that repeat others are counted exactly, and found across splits."""

import os
import random
import resource
from collections import Counter

import pytest

from burnish.data.dedup import near
from burnish.data.dedup.stored import OpenFiles
from burnish.data.document import make_row
from burnish.data.profile import copies as copying
from burnish.data.profile.copies import Copies

WORDS = [f"word{i}" for i in range(400)]
CHINESE = [chr(0x4E00 + i) for i in range(400)]


def text_row(text: str, source: str = "x:1") -> dict:
    return make_row("text", source, text=text)


def pair(question: str, answer: str, source: str = "x:1") -> dict:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return make_row("chat", source, messages=turns)


@pytest.fixture
def found(tmp_path):
    def found(rows: list[tuple[dict, str]], threshold: float | None = 0.75) -> dict:
        tmp_path.mkdir(exist_ok=True)
        copies = Copies(tmp_path, threshold)
        for row, split in rows:
            copies.add(row, split)
        return copies.as_dict()

    return found


def written(seed: int, vocabulary: list[str], joined: str) -> str:
    return joined.join(random.Random(seed).choices(vocabulary, k=120))


@pytest.mark.parametrize(("vocabulary", "joined"), [(WORDS, " "), (CHINESE, "")], ids=["english", "chinese"])
@pytest.mark.parametrize("batch", [2000, 7])
def test_exact_and_near_duplicates_are_counted_as_planted(found, monkeypatch, vocabulary, joined, batch):
    monkeypatch.setattr(copying, "_BATCH_ROWS", batch)
    monkeypatch.setattr(copying, "_LINES_HELD", batch)
    texts = [written(seed, vocabulary, joined) for seed in range(60)]
    rows = [text_row(text, f"x:{i}") for i, text in enumerate(texts)]
    rows += [text_row(texts[i], f"again:{i}") for i in (0, 0, 1)]
    rows += [text_row(texts[i] + joined + vocabulary[0], f"near:{i}") for i in (2, 3)]
    random.Random(1).shuffle(rows)
    duplicates = found([(row, "train") for row in rows])["duplicates"]
    exact, near = duplicates["exact"], duplicates["near"]
    assert (exact["groups"], exact["rows"], exact["share"]) == (2, 3, round(3 / 65, 6))
    assert (near["groups"], near["rows"]) == (2, 2)
    assert [group["rows"] for group in exact["largest"]] == [3, 2]
    members = exact["largest"][0]["members"]
    assert {member["source"] for member in members} == {"x:0", "again:0"}
    assert {member["text"] for member in members} == {texts[0][:300]}


def test_leaks_are_counted_once_each_by_what_they_repeat(found):
    long = written(5, WORDS, " ")
    rows = [
        (pair("What is a cat?", "An animal."), "train"),
        (pair("Who wrote this?", long), "train"),
        (pair("What is a cat?", "An animal.", "test:1"), "test"),
        (pair("what  is a CAT?", "A pet.", "test:2"), "test"),
        (pair("Who wrote that?", long, "test:3"), "test"),
        (pair("What is a dog?", "Another one.", "test:4"), "test"),
        (pair("What is a bird?", "It flies.", "val:1"), "validation"),
    ]
    for order in (rows, rows[::-1]):
        leakage = found(order)["leakage"]
        test = leakage["test"]
        assert {name: test[name] for name in ("rows", "exact", "question", "near", "share")} == {
            "rows": 4,
            "exact": 1,
            "question": 1,
            "near": 1,
            "share": 0.75,
        }
        kinds = {example["source"]: example["kind"] for example in test["examples"]}
        assert kinds == {"test:1": "exact", "test:2": "question", "test:3": "near"}
        assert leakage["validation"]["share"] == 0.0
    assert "near" not in found(rows, None)["leakage"]["test"]
    assert "near" not in found(rows, None)["duplicates"]


def test_a_row_leaks_that_nearly_equals_a_copy_of_an_earlier_held_out_row(found):
    long = written(1, WORDS, " ")
    rows = [(text_row(long), "test"), (text_row(f"{long} more"), "test"), (text_row(long), "train")]
    test = found(rows)["leakage"]["test"]
    assert (test["exact"], test["near"]) == (1, 1)


@pytest.mark.parametrize("at_once", [20_000, 1])
@pytest.mark.parametrize("copies", [1, 3])
def test_a_row_is_no_leak_because_another_one_like_it_is(found, monkeypatch, at_once, copies):
    """Each text of a chain is like the next one; only the next one to the training row is a leak, and its copies."""
    monkeypatch.setattr(near, "_PAIRS_AT_ONCE", at_once)
    words = written(1, WORDS, " ").split()
    chain = [" ".join(words[8 * i : 8 * i + 80]) for i in range(4)]
    rows = [(text_row(chain[0]), "train")]
    rows += [(text_row(text, f"x:{i}.{n}"), "test") for i, text in enumerate(chain) for n in range(copies) if i]
    for order in (rows, rows[::-1]):
        result = found(order)
        assert result["duplicates"]["near"]["largest"][0]["rows"] == 4
        test = result["leakage"]["test"]
        assert (test["exact"], test["near"]) == (0, copies)
        assert {example["source"] for example in test["examples"]} <= {f"x:1.{n}" for n in range(copies)}


@pytest.mark.parametrize("at_once", [20_000, 2])
def test_a_leak_is_found_beside_training_rows_that_are_a_little_less_alike(found, monkeypatch, at_once):
    """All of these pairs are so near the threshold that their shingles are compared."""
    monkeypatch.setattr(near, "_PAIRS_AT_ONCE", at_once)
    drawn = random.Random(3)
    rows, leaks = [], set()
    for group in range(30):
        base = drawn.choices([f"w{i}" for i in range(3000)], k=200)
        changed = [list(base) for _ in range(3)]
        for words, changes in zip(changed, (6, 8, 9), strict=True):
            for place in drawn.sample(range(200), changes):
                words[place] = "another"
        if any(shared(words, base) >= 0.75 for words in changed):
            leaks.add(f"test:{group}")
        rows += [(text_row(" ".join(words), f"train:{group}"), "train") for words in changed]
        rows.append((text_row(" ".join(base), f"test:{group}"), "test"))
    assert 5 < len(leaks) < 30
    monkeypatch.setattr(copying, "_MEMBERS", 30)
    for order in (rows, rows[::-1]):
        test = found(order)["leakage"]["test"]
        assert {example["source"] for example in test["examples"]} == leaks
        assert test["near"] == len(leaks)


def shared(one: list[str], other: list[str]) -> float:
    sets = [{tuple(words[i : i + 5]) for i in range(len(words) - 4)} for words in (one, other)]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_rows_of_any_number_are_compared_with_few_files_open(found, monkeypatch):
    """Each row is a part of its own here."""
    monkeypatch.setattr(copying, "_BATCH_ROWS", 1)
    monkeypatch.setattr(OpenFiles, "_MOST", 4)
    rows = []
    for group in range(60):
        words = written(group, WORDS, " ").split()
        rows += [(text_row(" ".join([*words, *WORDS[:more]]), f"x:{group}"), "train") for more in (0, 36)]
    expected = found(rows)["duplicates"]["near"]["rows"]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)  # few beyond what this process has open
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 30, hard))
    try:
        assert found(rows)["duplicates"]["near"]["rows"] == expected
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("splits", [["train"], ["test", "validation"]])
def test_without_training_rows_and_held_out_ones_nothing_leaks(found, splits):
    rows = [(pair("a?", "b"), split) for split in splits]
    assert found(rows)["leakage"] == {}


def test_counts_are_those_of_a_plain_count(found):
    drawn = random.Random(0)
    rows = [(text_row(f"t {drawn.randrange(30)}"), drawn.choice(["train", "test"])) for _ in range(200)]
    result = found(rows, None)
    counts = Counter(row["text"] for row, _ in rows)
    assert result["duplicates"]["exact"]["rows"] == sum(count - 1 for count in counts.values())
    trained = {row["text"] for row, split in rows if split == "train"}
    assert result["leakage"]["test"]["exact"] == sum(row["text"] in trained for row, s in rows if s == "test")
