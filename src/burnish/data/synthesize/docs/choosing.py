"""Which rows are kept under a limit, and the split of each file."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence


def rank(seed: int, *names: str) -> int:
    """A number that depends on the seed and the names alone."""
    text = "\0".join([str(seed), *names])
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def sampled(rows: Sequence[tuple[str, str]], limit: int | None, seed: int) -> list[int]:
    """The places of the rows, given as (file, id), that are kept: one of each file in turn, until there are enough."""
    if limit is None or len(rows) <= limit:
        return list(range(len(rows)))
    by_file: dict[str, list[int]] = {}
    for place, (file, _) in enumerate(rows):
        by_file.setdefault(file, []).append(place)
    turns: list[tuple[int, int, int]] = []
    for file, places in by_file.items():
        ordered = sorted(places, key=lambda place: rank(seed, "row", rows[place][1]))
        turns += [(turn, rank(seed, "file", file), place) for turn, place in enumerate(ordered)]
    return sorted(place for _, _, place in sorted(turns)[:limit])


def splits(groups: Mapping[str, int], validation: float, test: float, seed: int) -> dict[str, str]:
    """Group → split. Groups, given with their number of rows, are taken in the order of their hashes until a share is
    reached; one that would exceed it by more than it is short of goes to another split."""
    wanted = {"test": test * sum(groups.values()), "validation": validation * sum(groups.values())}
    filled: Counter[str] = Counter()
    found: dict[str, str] = {}
    for group in sorted(groups, key=lambda name: rank(seed, "split", name)):
        size = groups[group]
        open_splits = (name for name, share in wanted.items() if share - filled[name] > size / 2)
        found[group] = next(open_splits, "train")
        filled[found[group]] += size
    return found
