"""Splits follow what rows ask and learn: stable, near their shares, and no held-out row asks what another learns."""

import json
import random
from collections import Counter
from collections.abc import Callable
from itertools import combinations, pairwise

import pytest

from burnish.data.document import make_row
from burnish.data.hashset import HashSet
from burnish.data.splits import files
from burnish.data.splits.questions import questions
from burnish.data.splits.split import Splitter, shortfalls


def ask(question: str, answer: str = "b") -> dict:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return make_row("chat", "x:1", messages=turns)


def chat(*contents: str, weights: dict[int, float] | None = None) -> dict:
    """Turns of user and assistant by turns; `weights` by position."""
    roles = ("user", "assistant")
    turns = [{"role": roles[i % 2], "content": content} for i, content in enumerate(contents)]
    for i, weight in (weights or {}).items():
        turns[i]["weight"] = weight
    return make_row("chat" if len(turns) > 1 else "prompt", "x:1", messages=turns)


@pytest.fixture
def splitter(tmp_path) -> Callable[..., Splitter]:
    def splitter(validation: float = 0.3, test: float = 0.3, seed: int = 0, train_on: str = "assistant") -> Splitter:
        return Splitter(validation, test, seed, tmp_path, train_on)

    return splitter


def placed(splitter: Splitter, rows: list[dict], given: str = "") -> list[str]:
    """The split of each row, by its position."""
    splits = [splitter.place(row, given, i) for i, row in enumerate(rows)]
    for _, split, i in splitter.waiting():
        splits[i] = split
    return splits


def test_shares_are_met_on_average(splitter):
    places = placed(splitter(0.1, 0.2), [ask(f"question {i}") for i in range(4000)])
    assert abs(places.count("test") / 4000 - 0.2) < 0.02
    assert abs(places.count("validation") / 4000 - 0.1) < 0.02


def test_a_row_stays_whatever_is_added_and_moves_with_the_seed(splitter):
    rows = [chat(f"question {i % 150}", "a", f"and {i}?", "b") for i in range(200)]
    before = placed(splitter(), rows)
    assert before == placed(splitter(), [*rows, *(chat(f"more {i}", "a") for i in range(50))])[:200]
    assert before == placed(splitter(), rows[::-1])[::-1]
    assert before != placed(splitter(seed=1), rows)


def test_two_answers_to_one_question_never_part(splitter):
    rows = [ask(f"Question  {i} " if answer == "b" else f"question {i}", answer) for i in range(200) for answer in "ab"]
    places = placed(splitter(), rows)
    assert places[::2] == places[1::2]


def test_conversations_that_begin_alike_never_part(splitter):
    """Every turn is learned: the first questions are the same, only the last ones differ."""
    rows = [chat(f"Hi {i}", "Hello", f"{more} {i}?", "Yes") for i in range(200) for more in ("one", "two")]
    split = splitter()
    places = placed(split, rows)
    assert places[::2] == places[1::2]
    assert len(set(places)) == 3
    assert split.leaks() == 0


def test_examples_that_are_not_learned_do_not_tie_rows_together(splitter):
    shots = ("1+1?", "2", "2+2?", "4")
    rows = [chat(*shots, f"{i}+1?", "so", weights={1: 0.0, 3: 0.0}) for i in range(300)]
    assert set(placed(splitter(), rows)) == {"train", "validation", "test"}


def test_rows_without_a_question_are_placed_by_all_of_their_text(splitter):
    greetings = [make_row("chat", "x:1", messages=[{"role": "assistant", "content": f"Hello {i}"}]) for i in range(100)]
    persona = {"role": "system", "content": "You are a pirate."}
    thanks = [
        make_row("chat", "x:1", messages=[persona, {"role": "assistant", "content": f"Arr {i}"}]) for i in range(100)
    ]
    for rows in (greetings, thanks):
        assert len(set(placed(splitter(), rows))) == 3


def test_held_out_rows_of_a_source_stay_and_leaks_are_counted_whatever_comes_first(splitter):
    learned, held_out = chat("a", "1", "b", "2", "c", "3"), [chat("a", "1", "b", "9"), ask("x"), ask("x")]
    for trains_first in (True, False):
        split = splitter(0.0, 0.0)
        if trains_first:
            assert split.place(learned, "train") == "train"
        for row in held_out:
            assert split.place(row, "test") == "test"
        if not trains_first:
            assert split.place(learned, "") == "train"
        assert split.leaks() == 1


def test_shares_that_cannot_be_met_are_explained(splitter):
    def warning(rows: list[dict], given: str = "", **shares: float) -> str:
        split = splitter(**shares)
        return " | ".join(shortfalls(split, Counter(placed(split, rows, given))))

    assert "all 9 rows ask the same question" in warning([ask("a", str(i)) for i in range(9)], validation=0.0)
    assert "one row cannot be in two splits" in warning([ask("a")])
    assert "2 different ones were too few" in warning([ask("a"), ask("b")], validation=0.0, test=0.001)
    rows = [ask("Hi", str(i)) for i in range(30)] + [ask(f"question {i}") for i in range(40)]
    assert "30 of 70 rows begin with the same question" in warning(rows)
    assert "the files of the source say" in warning([ask("a")], given="test", test=0.0)
    assert warning([ask(f"question {i}") for i in range(100)]) == ""


def test_what_two_held_out_splits_ask_alike_is_no_leak(splitter):
    split = splitter(0.0, 0.0)
    assert [split.place(ask("a"), given) for given in ("validation", "test")] == ["validation", "test"]
    assert split.leaks() == 0


# The plain twin: contexts as lists of turns, groups by walking over every pair of rows.


def contexts_of(row: dict, train_on: str) -> set[tuple]:
    """What a row asks, in full: the turns before each turn that is learned, and before the last answer."""
    if row["kind"] == "text":
        return {("text", row["text"].lower())}
    turns, found = list(row["messages"]), set()
    answers = {"preference": ("chosen", "rejected"), "label": ("completion",)}.get(row["kind"], ())
    if row["kind"] == "prompt":
        places = [(turns, len(turns))]
    elif answers:
        places = [
            ([*turns, *row[name]], i)
            for name in answers
            for i in range(len(turns), len(turns) + len(row[name]))
            if [*turns, *row[name]][i]["role"] == "assistant"
        ]
    else:
        said = [i for i, turn in enumerate(turns) if turn["role"] == "assistant"]
        learned = [i for i in said if train_on == "all" or turns[i].get("weight", 1) > 0]
        places = [(turns, i) for i in ({said[-1]} if train_on == "completion" else {*learned, said[-1]})]
    for spoken, i in places:
        if any(turn["role"] == "user" for turn in spoken[:i]):
            found.add(tuple((turn["role"], turn["content"].lower()) for turn in spoken[:i]))
    return found or {("alone", repr(row))}


def groups_of(rows: list[dict], train_on: str) -> list[int]:
    """The group of each row: rows that share a context, or are connected through others that do."""
    contexts = [contexts_of(row, train_on) for row in rows]
    group = list(range(len(rows)))
    changed = True
    while changed:
        changed = False
        for i in range(len(rows)):
            for j in range(i):
                if contexts[i] & contexts[j] and group[i] != group[j]:
                    group[i] = group[j] = min(group[i], group[j])
                    changed = True
    return group


def random_row(chance: random.Random) -> dict:
    def turn(role: str) -> dict:
        said = {"role": role, "content": chance.choice(["a", "B", "b", "c"])}
        if role == "assistant" and chance.random() < 0.5:
            said["weight"] = chance.choice([0.0, 1.0])
        return said

    turns = [{"role": "system", "content": "s"}] if chance.random() < 0.3 else []
    turns += [turn("assistant")] if chance.random() < 0.1 else []
    for _ in range(chance.randint(1, 3)):
        turns += [turn("user"), turn("assistant")]
    kind = chance.choice(["chat", "chat", "chat", "prompt", "preference", "label", "text"])
    match kind:
        case "chat":
            return make_row("chat", "x:1", messages=turns)
        case "prompt":
            return make_row("prompt", "x:1", messages=turns[:-1])
        case "label":
            return make_row("label", "x:1", messages=turns[:-1], completion=turns[-1:], label=True)
        case "preference":
            longer = [turn("assistant"), turn("user"), turn("assistant")]
            return make_row("preference", "x:1", messages=turns[:-1], chosen=longer, rejected=[turns[-1]])
        case _:
            return make_row("text", "x:1", text=chance.choice("abcdef"))


@pytest.mark.parametrize("train_on", ["assistant", "completion", "all"])
@pytest.mark.parametrize("seed", range(6))
def test_rows_stay_together_exactly_when_a_shared_question_connects_them(splitter, train_on, seed):
    chance = random.Random(seed)
    rows = [random_row(chance) for _ in range(40)]
    groups = groups_of(rows, train_on)
    histories = [placed(splitter(seed=i, train_on=train_on), rows) for i in range(60)]
    history = list(zip(*histories, strict=True))
    for i, j in combinations(range(len(rows)), 2):
        assert (history[i] == history[j]) == (groups[i] == groups[j]), (rows[i], rows[j])
    chance.shuffle(order := list(range(len(rows))))
    shuffled = placed(splitter(seed=0, train_on=train_on), [rows[i] for i in order])
    assert shuffled == [histories[0][i] for i in order]


@pytest.mark.parametrize("seed", range(6))
def test_leaks_are_the_held_out_rows_that_ask_what_a_training_row_learns(splitter, seed):
    chance = random.Random(seed)
    rows = [(random_row(chance), chance.choice(["train", "train", "test", "validation"])) for _ in range(30)]
    learned = set().union(*(contexts_of(row, "assistant") for row, split in rows if split == "train"))
    expected = sum(bool(contexts_of(row, "assistant") & learned) for row, split in rows if split != "train")
    split = splitter(0.0, 0.0)
    for row, given in rows:
        split.place(row, given)
    assert split.leaks() == expected > 0


def test_a_context_is_a_prefix_of_the_next(splitter):
    asked = questions(chat("a", "1", "b", "2", "c", "3"))
    shorter = questions(chat("a", "1", "b", "2"))
    assert asked.asked[:2] == shorter.asked
    assert asked.first == asked.asked[0]
    assert all(a < b for a, b in pairwise(asked.depths))


def test_rows_and_keys_beyond_what_is_held_are_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_CHARACTERS_HELD", 20)
    monkeypatch.setattr(files, "_KEYS_HELD", 3)
    rows, keys = files.RowFile(tmp_path / "rows"), files.KeyFile(tmp_path / "keys")
    for number in range(7):
        rows.write({"n": number})
        keys.write(number)
    assert (tmp_path / "rows").stat().st_size == 6 * len('{"n":0}\n')
    assert (tmp_path / "keys").stat().st_size == 6 * 8
    assert [row["n"] for row in rows.read()] == list(range(7)) == [row["n"] for row in rows.read()]
    wanted = HashSet()
    for key in (1, 4, 6, 9):
        wanted.add(key)
    found = keys.among(wanted)
    assert [key for key in range(10) if key in found and key] == [1, 4, 6]
    assert len(found) == 3


ONE = "; add rows with other questions, or give test rows in a file of their own, such as test.jsonl"
FEW = " different ones were too few for its share; give more rows, a larger share or another split.seed"
ROUGH = " rows begin with the same question, so they are in one split: the shares are met only roughly"
BY_FILES = "' has no rows: the files of the source say which split their rows are in"


def explained(tmp_path, groups: dict[int, int], rows: dict[str, int], wanted: tuple[str, ...] = ("test",)) -> list[str]:
    splitter = Splitter(0.1 * ("validation" in wanted), 0.1 * ("test" in wanted), 0, tmp_path)
    splitter.groups, splitter.placed = Counter(groups), sum(groups.values())
    return shortfalls(splitter, rows)


SHORTFALLS = [
    ({}, {}, (), []),
    ({}, {"train": 9}, ("validation", "test"), [f"the split 'validation{BY_FILES}", f"the split 'test{BY_FILES}"]),
    ({}, {"test": 1}, ("validation", "test"), [f"the split 'validation{BY_FILES}"]),
    ({}, {"validation": 1, "test": 0}, ("test",), [f"the split 'test{BY_FILES}"]),
    (
        {1: 1},
        {"train": 1},
        ("validation", "test"),
        [
            "no rows for 'validation' and 'test': one row cannot be in two splits, whatever the share or"
            f" split.seed{ONE}"
        ],
    ),
    (
        {1: 1500},
        {"test": 1500},
        ("test",),
        [
            "no rows for 'train': all 1,500 rows ask the same question, and such rows cannot be in two splits,"
            f" whatever the share or split.seed{ONE}"
        ],
    ),
    ({1: 2}, {"train": 1, "test": 1}, ("test",), []),
    (
        {1: 1, 2: 1},
        {"train": 2},
        ("validation", "test"),
        [
            f"the split '{split}' has no rows: rows are placed by their question, and 2{FEW}"
            for split in ("validation", "test")
        ],
    ),
    (
        dict.fromkeys(range(999), 1),
        {"train": 999},
        ("test",),
        [f"the split 'test' has no rows: rows are placed by their question, and 999{FEW}"],
    ),
    (
        dict.fromkeys(range(1000), 1),
        {"train": 1000},
        ("test",),
        [f"the split 'test' has no rows: rows are placed by their question, and 1,000 or more{FEW}"],
    ),
    ({**dict.fromkeys(range(10), 1), 10: 2}, {"train": 6, "test": 6}, ("test",), []),
    ({**dict.fromkeys(range(12), 1), 12: 3}, {"train": 6, "test": 9}, ("test",), []),
    ({**dict.fromkeys(range(11), 1), 12: 3}, {"train": 6, "test": 9}, ("test",), [f"3 of 14{ROUGH}"]),
    ({**dict.fromkeys(range(9), 1), 9: 50}, {"train": 50, "test": 9}, ("test",), []),
    ({**dict.fromkeys(range(10), 1), 10: 5000}, {"train": 50, "test": 9}, ("test",), [f"5,000 of 5,010{ROUGH}"]),
    (
        {**dict.fromkeys(range(10), 1), 10: 5},
        {"train": 15},
        ("test",),
        [f"the split 'test' has no rows: rows are placed by their question, and 11{FEW}", f"5 of 15{ROUGH}"],
    ),
]


def test_what_the_shares_missed_is_said_in_whole_sentences(tmp_path):
    for groups, rows, wanted, messages in SHORTFALLS:
        assert explained(tmp_path, groups, rows, wanted) == messages


def test_keys_and_rows_are_held_up_to_a_limit_and_begin_empty(tmp_path):
    (tmp_path / "keys").write_bytes(b"x" * 80)
    (tmp_path / "rows").write_text("old\n")
    keys, rows = files.KeyFile(tmp_path / "keys"), files.RowFile(tmp_path / "rows")
    assert (tmp_path / "keys").stat().st_size == (tmp_path / "rows").stat().st_size == 0
    for number in range((1 << 16) + 1):
        keys.write(number)
        if number == (1 << 16) - 2:
            assert (tmp_path / "keys").stat().st_size == 0
    assert (tmp_path / "keys").stat().st_size == 8 << 16
    wanted = HashSet()
    for key in (0, 5, 1 << 16, 1 << 17):
        wanted.add(key)
    found = keys.among(wanted)
    assert [key in found for key in (1, 5, 1 << 16, 1 << 17)] == [True, True, True, False]
    row = "x" * ((1 << 19) - 3)
    assert len(json.dumps(row)) + 1 == 1 << 19
    for _ in range(2):
        rows.write(row)
    assert (tmp_path / "rows").stat().st_size == 0
    rows.write("ü")
    assert (tmp_path / "rows").stat().st_size == (1 << 20) + len('"\\u00fc"\n')
    for _ in range(2):
        rows.write(row)
    assert (tmp_path / "rows").stat().st_size == (1 << 20) + len('"\\u00fc"\n')
    rows.write([1])
    assert list(rows.read()) == [row, row, "ü", row, row, [1]]
    assert list(rows.read()) == [row, row, "ü", row, row, [1]]
