"""The compiled kernels as functions of numpy arrays; none where they are not built, or not of these sources."""

import ctypes
import hashlib
import os
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from burnish.core.errors import AskError
from burnish.data.native.compiling import LIBRARY, SUM, fingerprint

VARIABLE = "BURNISH_KERNELS"
"""`numpy` in the environment leaves the library unused."""
_CODES, _NUMBERS, _HASHES, _FLAGS = np.dtype(np.uint32), np.dtype(np.int64), np.dtype(np.uint64), np.dtype(np.uint8)
_CODE_POINTS = 0x110000
"""The entries of a table that is looked up by characters."""
_COUNT = None
"""An argument that is one number."""


class WordRuns(NamedTuple):
    """All runs of `size` consecutive words of texts: their shingles."""

    hashes: NDArray[np.uint64]
    bounds: NDArray[np.int64]
    """Those of text i are `hashes[bounds[i]:bounds[i + 1]]` [texts + 1]."""
    word_bounds: NDArray[np.int64]
    """The words of each text, likewise [texts + 1]."""
    size: int
    ends: NDArray[np.int64]
    """The characters of all words before each word, and of all [words + 1]."""


def kernels() -> "Kernels | None":
    """The library, loaded once in each process."""
    return loaded()[0]


@cache
def loaded() -> "tuple[Kernels | None, str]":
    """The library, or why there is none; the fix. AskError `ask.wrong-value` for an unknown value of the variable."""
    value = os.environ.get(VARIABLE, "")
    if value == "numpy":
        return None, f"{VARIABLE} is numpy; unset it"
    if value:
        raise AskError("ask.wrong-value", f"{VARIABLE} is '{value}'", "unset it, or set it to numpy")
    if not LIBRARY.is_file():
        return None, "they are not compiled; run `python -m burnish.data.native.compiling`, which does it or says why"
    if not _is_whole():
        return None, "they are damaged; run `python -m burnish.data.native.compiling`, or install burnish again"
    try:
        library = ctypes.CDLL(str(LIBRARY))
        made_of = ctypes.c_uint64.in_dll(library, "burnish_fingerprint").value
    except (OSError, ValueError) as error:  # of another machine
        return None, f"they cannot be loaded ({error}); install burnish again"
    if made_of != fingerprint():
        return None, "they are compiled from other sources; install burnish again"
    return Kernels(library), ""


def _is_whole() -> bool:
    """Whether the library is the one that was written: the system's loader ends the process at a torn one."""
    try:
        return SUM.read_text() == hashlib.sha256(LIBRARY.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return False


class Kernels:
    """Each function gives exactly what its definition in numpy gives. Bounds of texts are [texts + 1].

    Errors: MemoryError where a table finds no room.
    """

    def __init__(self, library: ctypes.CDLL):
        def of(name: str, *takes: Any) -> _Kernel:
            return _Kernel(getattr(library, f"burnish_{name}"), takes)

        of_runs = (_HASHES, _NUMBERS, _NUMBERS, _COUNT, _COUNT, _NUMBERS, _NUMBERS)
        self._words = of("words", _CODES, _COUNT, _FLAGS, _CODES, _NUMBERS, _NUMBERS, _HASHES)
        self._spans = of("spans", _CODES, _NUMBERS, _NUMBERS, _COUNT, _HASHES)
        self._counts = of("counts", _FLAGS, _COUNT, _NUMBERS, _NUMBERS, _COUNT, _NUMBERS)
        self._members = of("members", _CODES, _FLAGS, _NUMBERS, _NUMBERS, _COUNT, _NUMBERS)
        self._mixed_runs = of("mixed_runs", _CODES, _FLAGS, _FLAGS, _NUMBERS, _NUMBERS, _COUNT, _COUNT, _NUMBERS)
        self._edges = of("edges", _CODES, _FLAGS, _NUMBERS, _NUMBERS, _COUNT, _NUMBERS, *[_CODES] * 3, _NUMBERS)
        self._find = of("find", _HASHES, _COUNT, _HASHES, _COUNT, _FLAGS, _NUMBERS, _NUMBERS)
        self._shingles = of("shingles", _HASHES, _NUMBERS, _COUNT, _COUNT, _HASHES, _NUMBERS)
        self._signatures = of("signatures", _CODES, _NUMBERS, _COUNT, _CODES, _CODES, _COUNT, _CODES)
        pairs = (_NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS, _COUNT)
        self._agreements = of("agreements", _HASHES, *pairs, _COUNT, _NUMBERS)
        self._common = of("common", _CODES, _COUNT, _CODES, _COUNT, _NUMBERS)
        self._repeats = of("repeats", _HASHES, _NUMBERS, _COUNT, _FLAGS)
        self._shares = of("shares", _HASHES, _NUMBERS, _FLAGS, _NUMBERS, _COUNT, _NUMBERS, _NUMBERS, _NUMBERS)
        self._covered, self._top = of("covered", *of_runs), of("top", *of_runs)

    def words(
        self, codes: NDArray[np.uint32], properties: NDArray[np.uint8], lower: NDArray[np.uint32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64]]:
        """Where each word starts and ends, and its hash."""
        _check_tables(properties, lower)
        starts, ends = np.empty(codes.size, np.int64), np.empty(codes.size, np.int64)
        hashes = np.empty(codes.size, np.uint64)
        found = self._words(codes, codes.size, properties, lower, starts, ends, hashes)
        return starts[:found].copy(), ends[:found].copy(), hashes[:found].copy()

    def spans(
        self, codes: NDArray[np.uint32], starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> NDArray[np.uint64]:
        """The hash of each span."""
        _check_inside(ends, codes)
        hashes = np.empty(starts.size, _HASHES)
        self._spans(codes, starts, ends, starts.size, hashes)
        return hashes

    def counts(
        self, flags: NDArray[np.uint8], mask: int, starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """How many flags of each span have any bit of the mask."""
        _check_inside(ends, flags)
        found = np.empty(starts.size, _NUMBERS)
        self._counts(flags, mask, starts, ends, starts.size, found)
        return found

    def members(
        self, codes: NDArray[np.uint32], table: NDArray[np.bool_], starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """How many characters of each span are in the set of a table."""
        _check_tables(table)
        _check_inside(ends, codes)
        found = np.empty(starts.size, _NUMBERS)
        self._members(codes, table.view(np.uint8), starts, ends, starts.size, found)
        return found

    def mixed_runs(
        self,
        codes: NDArray[np.uint32],
        table: NDArray[np.bool_],
        properties: NDArray[np.uint8],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
        least: int,
    ) -> NDArray[np.int64]:
        """Characters of each span in runs of `least` of a set's or more, with capitals, digits and others."""
        _check_tables(table, properties)
        _check_inside(ends, codes)
        found = np.empty(starts.size, _NUMBERS)
        self._mixed_runs(codes, table.view(np.uint8), properties, starts, ends, starts.size, least, found)
        return found

    def edges(
        self,
        codes: NDArray[np.uint32],
        properties: NDArray[np.uint8],
        starts: NDArray[np.int64],
        ends: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int64]]:
        """Of each line the number of its visible characters; the first, last, second last; the place of the last."""
        _check_tables(properties)
        _check_inside(ends, codes)
        visible, place = np.empty(starts.size, _NUMBERS), np.zeros(starts.size, _NUMBERS)
        first, last, second = (np.zeros(starts.size, _CODES) for _ in range(3))
        self._edges(codes, properties, starts, ends, starts.size, visible, first, last, second, place)
        return visible, first, last, second, place

    def find(
        self, hashes: NDArray[np.uint64], known: NDArray[np.uint64], has_start: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which of the hashes are in a set, and their places in it."""
        at, places = np.empty(hashes.size, np.int64), np.empty(hashes.size, np.int64)
        found = self._find(hashes, hashes.size, known, known.size, has_start.view(np.uint8), at, places)
        return at[:found].copy(), places[:found].copy()

    def shingles(
        self, words: NDArray[np.uint64], bounds: NDArray[np.int64], size: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Hashes of every `size` consecutive words of a text, and the bounds of each text's."""
        _check_inside(bounds, words)
        found, ends = np.empty(words.size, _HASHES), np.empty(bounds.size, _NUMBERS)
        self._shingles(words, bounds, bounds.size - 1, size, found, ends)
        return found[: ends[-1]], ends

    def signatures(
        self,
        shingles: NDArray[np.uint32],
        bounds: NDArray[np.int64],
        factors: NDArray[np.uint32],
        masks: NDArray[np.uint32],
    ) -> NDArray[np.uint32]:
        """Of each text and permutation the least hash [texts, permutations]."""
        _check_inside(bounds, shingles)
        found = np.empty((bounds.size - 1, factors.size), _CODES)
        self._signatures(shingles, bounds, bounds.size - 1, factors, masks, factors.size, found)
        return found

    def agreements(
        self,
        tables: Sequence[NDArray[np.uint8]],
        one: tuple[NDArray[np.int64], NDArray[np.int64]],
        other: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> NDArray[np.int64]:
        """In how many places rows of tables agree, given as (tables, rows): those of `one` and of `other`."""
        found = np.empty(one[0].size, _NUMBERS)
        width = tables[0].shape[1]
        if any(table.shape[1] != width for table in tables):
            raise TypeError("tables of different widths")
        places = np.array([_passed(table, _FLAGS) for table in tables], _HASHES)
        self._agreements(places, *one, *other, found.size, width, found)
        return found

    def common(self, one: NDArray[np.uint32], other: NDArray[np.uint32]) -> tuple[int, int]:
        """How many distinct values two sorted arrays have in common, and in all."""
        either = np.empty(1, _NUMBERS)
        common = self._common(one, one.size, other, other.size, either)
        return common, int(either[0])

    def repeats(self, hashes: NDArray[np.uint64], bounds: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which spans equal an earlier one of the same text."""
        _check_inside(bounds, hashes)
        found = np.empty(hashes.size, _FLAGS)
        _check(self._repeats(hashes, bounds, bounds.size - 1, found))
        return found.view(bool)

    def shares(
        self,
        hashes: NDArray[np.uint64],
        weights: NDArray[np.int64],
        chosen: NDArray[np.bool_],
        bounds: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Of each text the greatest sum of a key's weights, that of all keys once, and the most times of a key."""
        _check_inside(bounds, hashes)
        greatest, once, most = (np.empty(bounds.size - 1, _NUMBERS) for _ in range(3))
        _check(self._shares(hashes, weights, chosen.view(np.uint8), bounds, bounds.size - 1, greatest, once, most))
        return greatest, once, most

    def covered(self, runs: WordRuns) -> NDArray[np.int64]:
        """Characters of each text in runs of words that stand there before."""
        return self._of_runs(self._covered, runs)

    def top(self, runs: WordRuns) -> NDArray[np.int64]:
        """Characters of each text in its most frequent run of several, the longest of equally frequent ones."""
        return self._of_runs(self._top, runs)

    def _of_runs(self, kernel: "_Kernel", runs: WordRuns) -> NDArray[np.int64]:
        _check_inside(runs.bounds, runs.hashes)
        texts = runs.bounds.size - 1
        found = np.empty(texts, _NUMBERS)
        _check(kernel(runs.hashes, runs.bounds, runs.word_bounds, texts, runs.size, runs.ends, found))
        return found


class _Kernel:
    """A function of the library. Every array must be of the type it takes: another would be read as other numbers."""

    def __init__(self, function: Any, takes: tuple[np.dtype | None, ...]):
        function.restype = ctypes.c_int64
        function.argtypes = [ctypes.c_int64 if kind is _COUNT else ctypes.c_void_p for kind in takes]
        self._function, self._takes = function, takes

    def __call__(self, *given: Any) -> int:
        return self._function(*[_passed(value, kind) for value, kind in zip(given, self._takes, strict=True)])


def _passed(value: Any, kind: np.dtype | None) -> int:
    """A number, or the place of an array's numbers."""
    if kind is None:
        return value
    if value.dtype != kind or not value.flags.c_contiguous:
        raise TypeError(f"a kernel was given {value.dtype} for {kind}, or an array with gaps")
    return value.ctypes.data


def _check_tables(*tables: NDArray) -> None:
    """A table has an entry for each character."""
    if any(table.size != _CODE_POINTS for table in tables):
        raise ValueError(f"a kernel was given a table of other than {_CODE_POINTS:,} entries")


def _check_inside(ends: NDArray[np.int64], array: NDArray) -> None:
    """The last of ends that rise lies in the array."""
    if ends.size and ends[-1] > array.size:
        raise ValueError(f"a kernel was given ends of {ends[-1]:,} in an array of {array.size:,}")


def _check(done: int) -> None:
    if not done:
        raise MemoryError("a kernel found no memory for its table")


if __name__ == "__main__":  # for the control plane, which loads no numpy
    print(loaded()[1])
