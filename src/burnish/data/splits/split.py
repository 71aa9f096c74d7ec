"""Placing rows into splits, so that no held-out row asks in the same context what a training row learns."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from burnish.data.document import Row
from burnish.data.hashset import HashSet
from burnish.data.splits.files import KeyFile, RowFile
from burnish.data.splits.groups import Groups
from burnish.data.splits.questions import questions

SPLITS = ("train", "validation", "test")
COUNTED = 1000
_FEW, _LARGE = 10, 0.2
"""Among more groups than this, one with a larger share of the rows is reported."""
_NO_ROWS = "the split '{}' has no rows: the files of the source say which split their rows are in"


class Splitter:
    """Shares of validation and test, and the seed. Rows that ask the same question in the same context stay together.

    A row is placed by the hash of its group: the shortest context of all rows that are connected with it through a
    shared question (`questions.questions`). A row that learns its first answer knows that context, and is placed at
    once. The others wait on the disk until every row was seen. So a place depends neither on the order of the rows
    nor on the size of the file, and in memory are only 64-bit hashes of held-out and waiting rows.
    """

    def __init__(self, validation: float, test: float, seed: int, scratch: Path, train_on: str = "assistant"):
        self.validation, self.test, self.seed, self.train_on = validation, test, seed, train_on
        self.wanted = [name for name, share in (("validation", validation), ("test", test)) if share]
        self.groups: Counter[int] = Counter()
        """Rows of each of the first COUNTED groups that were placed, to explain shares that are missed."""
        self.placed = 0
        """Rows that were placed by their group, and not by their file."""
        self._learned = KeyFile(scratch / "learned.keys")
        self._connected = KeyFile(scratch / "connected.keys")
        self._held_out = RowFile(scratch / "held-out.jsonl")
        self._waiting = RowFile(scratch / "waiting.jsonl")

    def place(self, row: Row, given: str, note: Any = None) -> str:
        """The split of a row, or "" where it depends on rows to come: `waiting` gives the row back, with its note.

        `given` is the split that the row's source put it in: held-out rows stay there, the rest is placed.
        """
        asked = questions(row, self.train_on)
        if given in ("validation", "test"):
            return self._settled(asked.asked, given)
        if not self.wanted:
            return self._settled(asked.asked, "train")
        if asked.first not in asked.asked:
            self._waiting.write([asked.first, asked.asked, asked.depths, row, note])
            return ""
        for key in asked.asked[1:]:
            self._connected.write(key)
        return self._settled(asked.asked, self._of_group(asked.first))

    def waiting(self) -> Iterator[tuple[Row, str, Any]]:
        """(row, split, note) of every row that waited; to be called when all rows were given."""
        groups = self._joined()
        for _, asked, _, row, note in self._waiting.read():
            yield row, self._settled(asked, self._of_group(groups.find(asked[0]))), note

    def leaks(self) -> int:
        """How many held-out rows ask in the same context what a training row learns; to be called at the end."""
        keys = HashSet()
        for row in self._held_out.read():
            for key in row:
                keys.add(key)
        learned = self._learned.among(keys) if len(keys) else keys
        return sum(any(key in learned for key in row) for row in self._held_out.read())

    def _joined(self) -> Groups:
        """The groups of the waiting rows. One that shares a question with a placed row belongs to its first context."""
        groups, keys = Groups(), HashSet()
        for _, asked, *_ in self._waiting.read():
            for key in asked:
                keys.add(key)
        connected = self._connected.among(keys) if len(keys) else keys
        for first, asked, depths, *_ in self._waiting.read():
            members = list(zip(asked, depths, strict=True))
            if any(key in connected for key in asked):
                members.append((first, 0))
            if len(members) > 1:
                groups.join(members)
        return groups

    def _of_group(self, root: int) -> str:
        self.placed += 1
        if root in self.groups or len(self.groups) < COUNTED:
            self.groups[root] += 1
        digest = hashlib.sha256(b"split:%d:" % self.seed + root.to_bytes(8, "big")).digest()
        point = int.from_bytes(digest[:8], "big") / 2**64
        if point < self.test:
            return "test"
        return "validation" if point < self.test + self.validation else "train"

    def _settled(self, asked: Sequence[int], split: str) -> str:
        if split == "train":
            for key in asked:
                self._learned.write(key)
        else:
            self._held_out.write(asked)
        return split


def shortfalls(splitter: Splitter, rows: Mapping[str, int]) -> list[str]:
    """Why splits have no rows, or far fewer than their share: a sentence each, with what to do."""
    if not splitter.groups:
        return [_NO_ROWS.format(split) for split in splitter.wanted if not rows.get(split)]
    groups, largest = len(splitter.groups), max(splitter.groups.values())
    empty = [split for split in ("train", *splitter.wanted) if not rows.get(split)]
    if empty and groups == 1:
        names = " and ".join(f"'{split}'" for split in empty)
        rows_ask = "one row" if largest == 1 else f"all {largest:,} rows ask the same question, and such rows"
        return [
            f"no rows for {names}: {rows_ask} cannot be in two splits, whatever the share or split.seed; "
            "add rows with other questions, or give test rows in a file of their own, such as test.jsonl"
        ]
    count = f"{groups:,}" + (" or more" if groups == COUNTED else "")
    messages = [
        f"the split '{split}' has no rows: rows are placed by their question, and {count} different ones were too "
        "few for its share; give more rows, a larger share or another split.seed"
        for split in empty
    ]
    if groups > _FEW and largest > splitter.placed * _LARGE:
        messages.append(
            f"{largest:,} of {splitter.placed:,} rows begin with the same question, so they are in one split: "
            "the shares are met only roughly"
        )
    return messages
