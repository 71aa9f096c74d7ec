"""Files that are copies of each other, wholly or nearly: they belong to one split."""

import hashlib
import heapq
from collections import Counter
from itertools import combinations

_LINE = 16
_SKETCH = 64
_SHARED = 0.5
_FEWEST = 4
_COMMON = 100


def sketch(text: str) -> tuple[int, ...]:
    """The smallest hashes of a file's lines; of nearly equal files most are equal. Short lines do not count."""
    lines = {" ".join(line.split()) for line in text.split("\n")}
    return tuple(heapq.nsmallest(_SKETCH, (line_hash(line) for line in lines if len(line) >= _LINE)))


def line_hash(line: str) -> int:
    """64 bits of a text."""
    return int.from_bytes(hashlib.blake2b(line.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def groups(sketches: dict[str, tuple[int, ...]], joined: set[tuple[str, str]]) -> dict[str, str]:
    """File → the first file of its group. Joined are the given pairs, and files that share half of their sketches.

    A line that more than 100 files have, such as one of a licence, joins none.
    """
    parents = {file: file for file in [*sketches, *(file for pair in joined for file in pair)]}

    def root(file: str) -> str:
        while parents[file] != file:
            parents[file] = parents[parents[file]]
            file = parents[file]
        return file

    holders: dict[int, list[str]] = {}
    equal: dict[tuple[int, ...], str] = {}
    pairs = list(joined)
    for file, hashes in sorted(sketches.items()):
        if len(hashes) and (first := equal.setdefault(hashes, file)) != file:
            pairs.append((first, file))
            continue
        for value in hashes:
            holders.setdefault(value, []).append(file)
    shared: Counter[tuple[str, str]] = Counter()
    for files in holders.values():
        if 1 < len(files) <= _COMMON:
            shared.update(combinations(files, 2))
    for (one, other), count in shared.items():
        if count >= max(_FEWEST, _SHARED * min(len(sketches[one]), len(sketches[other]))):
            pairs.append((one, other))
    for one, other in sorted(pairs):
        first, second = sorted((root(one), root(other)))
        parents[second] = first
    return {file: root(file) for file in sketches}
