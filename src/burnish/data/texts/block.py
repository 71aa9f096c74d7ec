"""A block of texts as one array of code points, and what is found in it once: words, lines, shingles.

A block of about `CHARACTERS` fits the processor's cache, which makes every pass over it faster.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from burnish.data.native.library import kernels
from burnish.data.texts import characters, hashing
from burnish.data.texts.lines import FullLines
from burnish.data.texts.repeated import MOST_WEIGHT, shares
from burnish.data.texts.segments import sums

CHARACTERS = 1 << 18
_ANY = np.uint8(0xFF)
_END = "\n"
"""Stands after each text, so that words and lines end with it."""


class Spans(NamedTuple):
    """Pieces of a block's texts: where each starts and ends in `codes`, its hash, and where those of a text begin."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    bounds: NDArray[np.int64]
    """Those of text i are `bounds[i]:bounds[i + 1]` [texts + 1]."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.ends - self.starts

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many each text has [texts]."""
        return np.diff(self.bounds)


class Block:
    """`codes` are the texts' characters, each text followed by a line feed that is not part of it."""

    def __init__(self, texts: Sequence[str]):
        self.texts = texts
        self.lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        self.starts = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(self.lengths + 1, out=self.starts[1:])
        joined = _END.join([*texts, ""])
        self.codes: NDArray[np.uint32] = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)

    def __len__(self) -> int:
        return self.lengths.size

    @cached_property
    def properties(self) -> NDArray[np.uint8]:
        """The bits of `characters.properties` for each character [codes]."""
        return characters.properties().take(self.codes, mode="clip")

    def count(self, flags: NDArray, mask: np.uint8 = _ANY) -> NDArray[np.int64]:
        """How many characters of each text have a flag of the mask [codes] → [texts], without the added line feeds."""
        return self._counts(flags, mask, *self._texts_in_codes)

    @cached_property
    def words(self) -> Spans:
        """Runs of letters, digits, marks and underscores, and single characters of scripts without spaces.

        Hashes are of the word in lower case.
        """
        if built := kernels():
            starts, ends, hashes = built.words(self.codes, characters.properties(), characters.lower())
            return Spans(starts, ends, hashes, np.searchsorted(starts, self.starts))
        bits = self.properties
        is_word = bits & characters.WORD
        is_solo = (bits & characters.SOLO) != 0
        begins = is_word.view(bool).copy()
        begins[1:] &= ~is_word[:-1].view(bool) | is_solo[1:] | is_solo[:-1]
        ends = is_word.view(bool).copy()
        ends[:-1] &= ~is_word[1:].view(bool) | is_solo[1:] | is_solo[:-1]
        return self._spans(np.flatnonzero(begins), np.flatnonzero(ends) + 1, self._lowered)

    @cached_property
    def lines(self) -> Spans:
        """Lines without their line feed, empty ones included; a text has one more than it has line feeds."""
        ends = np.flatnonzero(self.codes == ord(_END))
        starts = np.concatenate([[0], ends[:-1] + 1]) if ends.size else ends
        return self._spans(starts.astype(np.int64), ends, self.codes)

    @cached_property
    def paragraphs(self) -> Spans:
        """Runs of lines that are not blank, from the first such line to the last, line feeds between them included."""
        lines = self.lines
        if not lines.starts.size:
            return lines
        is_full = self.counts_within(lines, self.properties, characters.SPACE) < lines.lengths
        follows = np.zeros(is_full.size, bool)  # a line that goes on a paragraph of the same text
        follows[1:] = is_full[:-1]
        follows[lines.bounds[:-1]] = False
        begins = np.flatnonzero(is_full & ~follows)
        goes_on = np.zeros(is_full.size, bool)
        goes_on[:-1] = is_full[1:] & follows[1:]
        ends = np.flatnonzero(is_full & ~goes_on)
        return self._spans(lines.starts[begins], lines.ends[ends], self.codes)

    def has(self, listed: str) -> NDArray[np.bool_]:
        """Whether each character is one of these [codes]."""
        return characters.members(listed).take(self.codes, mode="clip")

    def count_of(self, listed: str) -> NDArray[np.int64]:
        """How many characters of each text are of these [texts]."""
        if built := kernels():
            return built.members(self.codes, characters.members(listed), *self._texts_in_codes)
        return self.count(self.has(listed))

    def counts_within(self, spans: Spans, flags: NDArray, mask: np.uint8 = _ANY) -> NDArray[np.int64]:
        """How many characters of each span have a flag of the mask [codes] → [spans]."""
        return self._counts(flags, mask, spans.starts, spans.ends)

    def _counts(
        self, flags: NDArray, mask: np.uint8, starts: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        flags = flags.view(np.uint8)
        if built := kernels():
            return built.counts(flags, int(mask), starts, ends)
        total = np.zeros(flags.size + 1, np.int32)
        np.cumsum((flags & mask) != 0, dtype=np.int32, out=total[1:])
        return (total[ends] - total[starts]).astype(np.int64)

    @cached_property
    def full_lines(self) -> FullLines:
        """The lines that are not blank."""
        return FullLines.of(self)

    @cached_property
    def word_shares(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each text's characters in words, the share of the word that has most in all, and of repeated words.

        Longer words count as 255 characters in the first [texts], [texts].
        """
        words = self.words
        lengths = np.minimum(words.lengths, MOST_WEIGHT)
        greatest, once, _ = shares(words.hashes, lengths, np.ones(lengths.size, bool), words.bounds)
        total = np.maximum(sums(lengths, words.bounds), 1)
        return greatest / total, 1 - once / total

    @cached_property
    def visible(self) -> NDArray[np.int64]:
        """Characters of each text that are no white space [texts]."""
        return self.lengths - self.count(self.properties, characters.SPACE)

    @cached_property
    def solo(self) -> NDArray[np.int64]:
        """Characters of each text that are words alone, as in Chinese [texts]."""
        return self.count(self.properties, characters.SOLO)

    def shingles(self, size: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Hashes of every `size` consecutive words, and the bounds of each text's [texts + 1].

        A text of fewer words has one, of all its words; a text without words has none.
        """
        return hashing.shingles(self.words.hashes, self.words.bounds, size)

    def character_shingles(self, size: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Hashes of every `size` consecutive characters in lower case, and the bounds of each text's.

        A shorter text has one, of all its characters; an empty one has none.
        """
        has = np.where(self.lengths > 0, np.maximum(self.lengths - size + 1, 1), 0)
        bounds = np.zeros(len(self) + 1, np.int64)
        np.cumsum(has, out=bounds[1:])
        starts = np.repeat(self.starts[:-1] - bounds[:-1], has) + np.arange(bounds[-1])
        ends = starts + np.repeat(np.minimum(self.lengths, size), has)
        return hashing.hashes(self._lowered, starts, ends), bounds

    @cached_property
    def _texts_in_codes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each text starts and ends."""
        return self.starts[:-1], self.starts[:-1] + self.lengths

    @property
    def _lowered(self) -> NDArray[np.uint32]:
        return characters.lower().take(self.codes, mode="clip")

    def _spans(self, starts: NDArray[np.int64], ends: NDArray[np.int64], codes: NDArray[np.uint32]) -> Spans:
        return Spans(starts, ends, hashing.hashes(codes, starts, ends), np.searchsorted(starts, self.starts))


def blocks(texts: Iterable[str], size: int = CHARACTERS) -> Iterator[Block]:
    """Consecutive texts as blocks of about `size` characters; a longer text is a block of its own."""
    held: list[str] = []
    characters_held = 0
    for text in texts:
        if held and characters_held + len(text) > size:
            yield Block(held)
            held, characters_held = [], 0
        held.append(text)
        characters_held += len(text) + 1
    if held:
        yield Block(held)
