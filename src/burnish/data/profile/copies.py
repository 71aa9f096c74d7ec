"""Rows that repeat others, exactly or nearly, within a split and from one split to another.

On the disk are the beginning of each row and its signature; in memory some 60 bytes of each row, whatever its length.
"""

import json
from array import array
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.dedup.components import components
from burnish.data.dedup.minhash import Scheme
from burnish.data.dedup.near import Pairs, SignedTexts, candidates, similar, verified
from burnish.data.dedup.stored import OpenFiles, read_signed, write_signed
from burnish.data.document import Row
from burnish.data.profile.texts import text_of
from burnish.data.splits.questions import questions

_BATCH_ROWS, _BATCH_CHARACTERS = 2000, 4_000_000
_BEGINNING, _LARGEST, _MEMBERS, _LINES_HELD = 300, 5, 3, 1000
Labels = NDArray[np.int64]


class Copies:
    """Add every row; then `as_dict` says which of them repeat others. `threshold` is None without near duplicates."""

    def __init__(self, scratch: Path, threshold: float | None):
        self._scheme = None if threshold is None else Scheme(threshold=threshold)
        self._beginnings, self._signed = _Lines(scratch / "beginnings.jsonl"), scratch / "signatures"
        self._signed.mkdir(exist_ok=True)
        self._files = 0
        self._contents, self._splits = array("Q"), array("H")
        self._asked, self._asked_by = array("Q"), array("q")
        self._names: list[str] = []
        self._texts: list[str] = []
        self._characters = 0

    def add(self, row: Row, split: str) -> None:
        ordinal, text = len(self._contents), text_of(row)
        self._contents.append(int(row["id"], 16))
        if split not in self._names:
            self._names.append(split)
        self._splits.append(self._names.index(split))
        for key in questions(row).asked:
            self._asked.append(key)
            self._asked_by.append(ordinal)
        self._beginnings.write([row["source"], text[:_BEGINNING]])
        if self._scheme is not None:
            self._texts.append(text)
            self._characters += len(text)
            if len(self._texts) >= _BATCH_ROWS or self._characters >= _BATCH_CHARACTERS:
                self._sign(self._scheme)

    def as_dict(self) -> dict[str, Any]:
        """`duplicates`: exact and near ones; `leakage`: rows of held-out splits that training rows repeat."""
        splits = np.frombuffer(self._splits, np.uint16)
        exact = _first_of_equal(np.frombuffer(self._contents, np.uint64))
        firsts = exact == np.arange(len(exact))
        trained = splits == (self._names.index("train") if "train" in self._names else -1)
        is_equal = _with_trained(exact, trained)
        near, is_near = exact, np.zeros(len(exact), bool)
        if self._scheme is not None:
            near, is_near = self._near(self._scheme, firsts, is_equal)
            near, is_near = near[exact], is_near[exact]
        duplicates = {"exact": self._groups(exact, np.ones(len(exact), bool))}
        if self._scheme is not None:
            duplicates["near"] = {"similarity": self._scheme.threshold, **self._groups(near, firsts)}
        return {"duplicates": duplicates, "leakage": self._leakage(is_equal, is_near, splits, trained)}

    def _near(
        self, scheme: Scheme, among: NDArray[np.bool_], trained: NDArray[np.bool_]
    ) -> tuple[Labels, NDArray[np.bool_]]:
        """For each row the first one of its group; and whether it is itself a near duplicate of one that is trained."""
        if self._texts or not self._files:
            self._sign(scheme)
        opened = OpenFiles()
        texts = SignedTexts([read_signed(self._signed / str(number), opened) for number in range(self._files)])
        order = np.flatnonzero(among)
        order = order[np.argsort(~trained[order], kind="stable")]  # of many alike, each is compared with a trained one
        pairs = candidates(texts, scheme, order)
        labels = components(len(texts), verified(pairs, texts, scheme))
        return labels, _like_trained(pairs, texts, scheme, trained)

    def _sign(self, scheme: Scheme) -> None:
        write_signed(self._signed / str(self._files), scheme.sign(self._texts))
        self._files += 1
        self._texts, self._characters = [], 0

    def _groups(self, labels: Labels, among: NDArray[np.bool_]) -> dict[str, Any]:
        """Groups of several rows among these: how many, the rows beyond the first of each, and the largest ones."""
        members = np.flatnonzero(among)
        found, counts = np.unique(labels[members], return_counts=True)
        several = counts > 1
        largest = np.argsort(-counts[several], kind="stable")[:_LARGEST]
        return {
            "groups": int(several.sum()),
            "rows": int((counts[several] - 1).sum()),
            "share": _share(int((counts[several] - 1).sum()), len(labels)),
            "largest": [
                {"rows": int(count), "members": self._shown(members[labels[members] == label][:_MEMBERS])}
                for label, count in zip(found[several][largest], counts[several][largest], strict=True)
            ],
        }

    def _leakage(
        self,
        is_equal: NDArray[np.bool_],
        is_near: NDArray[np.bool_],
        splits: NDArray[np.uint16],
        trained: NDArray[np.bool_],
    ) -> dict[str, Any]:
        """By held-out split: its rows, and how many of them repeat a training row, its question, or most of its text.

        A row counts in the first of the three that holds.
        """
        if "train" not in self._names or len(self._names) < 2:
            return {}
        asked, by = np.frombuffer(self._asked, np.uint64), np.frombuffer(self._asked_by, np.int64)
        is_asked = np.zeros(len(splits), bool)
        is_asked[by[np.isin(asked, asked[trained[by]])]] = True
        found = {}
        for number, name in enumerate(self._names):
            if name == "train":
                continue
            here = splits == number
            kinds = {"exact": here & is_equal, "question": here & is_asked & ~is_equal}
            if self._scheme is not None:
                kinds["near"] = here & is_near & ~is_equal & ~is_asked
            rows = {kind: int(those.sum()) for kind, those in kinds.items()}
            examples = [
                {"kind": kind, **shown}
                for kind, those in kinds.items()
                for shown in self._shown(np.flatnonzero(those)[:_MEMBERS])
            ]
            total = int(here.sum())
            found[name] = {"rows": total, **rows, "share": _share(sum(rows.values()), total), "examples": examples}
        return found

    def _shown(self, ordinals: NDArray[np.int64]) -> list[dict[str, str]]:
        beginnings = self._beginnings.read(ordinals.tolist())
        splits = (self._names[self._splits[ordinal]] for ordinal in ordinals.tolist())
        return [
            {"split": split, "source": source, "text": text}
            for split, (source, text) in zip(splits, beginnings, strict=True)
        ]


class _Lines:
    """Values on the disk, a line of JSON each, of which single ones are read; in memory is where each begins."""

    def __init__(self, path: Path):
        self._path, self._starts, self._size = path, array("q"), 0
        self._held: list[bytes] = []
        path.write_bytes(b"")

    def write(self, value: Any) -> None:
        line = json.dumps(value).encode() + b"\n"
        self._starts.append(self._size)
        self._size += len(line)
        self._held.append(line)
        if len(self._held) >= _LINES_HELD:
            self._flush()

    def read(self, numbers: list[int]) -> list[Any]:
        self._flush()
        values = []
        with self._path.open("rb") as file:
            for number in numbers:
                file.seek(self._starts[number])
                values.append(json.loads(file.readline()))
        return values

    def _flush(self) -> None:
        with self._path.open("ab") as file:
            file.writelines(self._held)
        self._held = []


def _first_of_equal(contents: NDArray[np.uint64]) -> Labels:
    """For each row the first one of the same content."""
    _, first, inverse = np.unique(contents, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


def _with_trained(labels: Labels, trained: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows whose group has a training row."""
    has_trained = np.zeros(len(labels), bool)
    has_trained[labels[trained]] = True
    return has_trained[labels]


def _like_trained(pairs: Pairs, texts: SignedTexts, scheme: Scheme, trained: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows of other splits that are as similar as the threshold to a trained row itself, and not to one like it."""

    def held_out(mixed: Pairs) -> NDArray[np.int64]:
        return np.where(trained[mixed[:, 0]], mixed[:, 1], mixed[:, 0])

    def are_of_other_rows(found: Pairs, others: Pairs) -> NDArray[np.bool_]:
        return ~np.isin(held_out(others), held_out(found))

    mixed = pairs[trained[pairs[:, 0]] != trained[pairs[:, 1]]]
    is_like = np.zeros(len(trained), bool)
    is_like[held_out(similar(mixed, texts, scheme, are_of_other_rows))] = True
    return is_like


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0
