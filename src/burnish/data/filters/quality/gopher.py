"""The rules of Gopher about what prose looks like (Rae et al. 2021, "Scaling Language Models", A.1.1)."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from burnish.data.texts import characters
from burnish.data.texts.block import Block
from burnish.data.texts.phrases import Phrases
from burnish.data.texts.segments import sums
from burnish.specs.data.filters import GopherSpec

_BULLETS = "-*•·»‣○●■▪–"
_STOP_WORDS = """
the be to of and that have with is in for it the a
der die und das ist nicht ein zu den von
le la les des et est une que dans pour
el los las que y en un por con para
il di che e non per una del
o os que não uma com para do da
de het een van en niet dat
och att det som en inte är
og at det som er ikke på
ja ei on se että
и в не на что с как это
і в не на що з як це
i w nie na się z jest do
a v že na se je
ve bir bu için da
và là của có không
yang dan di itu dengan untuk
的 是 了 在 不 有 和 我 这 他
の は を に が と で た
في من على أن إلى هذا
के है में की और से
และ ที่ การ
이 그 은 는 을 를
"""


@cache
def _stop_words() -> Phrases:
    return Phrases(sorted(set(_STOP_WORDS.split())))


@dataclass(frozen=True)
class Gopher:
    """Drop texts whose words, symbols or lines are unlike those of documents.

    Rules about words of a script with spaces are applied to those only. A text without a word passes.
    """

    limits: GopherSpec

    def __call__(self, block: Block) -> dict[str, NDArray[np.bool_]]:
        words, limits = block.words, self.limits
        counts = np.maximum(words.counts, 1)
        has_words = words.counts > 0
        is_spaced = (block.properties[words.starts] & characters.SOLO) == 0
        spaced = sums(is_spaced, words.bounds)
        mean = sums(np.where(is_spaced, words.lengths, 0), words.bounds) / np.maximum(spaced, 1)
        symbols = _runs(block, "#", 1) + _runs(block, "…", 1) + _runs(block, ".", 3)
        has_letter = block.counts_within(words, block.properties, characters.LETTER) > 0
        lines = block.full_lines
        is_bullet = characters.members(_BULLETS).take(lines.first)
        is_cut = (lines.last == ord("…")) | _end_in_dots(block, lines.place)
        mostly_spaced = spaced * 2 > words.counts
        short, long = limits.min_mean_word_length, limits.max_mean_word_length
        found = {
            f"words of fewer than {short:g} characters on average": mostly_spaced & (mean < short),
            f"words of more than {long:g} characters on average": mostly_spaced & (mean > long),
            "too many # and …": has_words & (symbols / counts > limits.max_symbols_per_word),
            "nearly all lines are bullets": lines.share(is_bullet) > limits.max_bullet_lines,
            "lines end with an ellipsis too often": lines.share(is_cut) > limits.max_ellipsis_lines,
            "too few words with letters": has_words
            & (sums(has_letter, words.bounds) / counts < limits.min_alphabetic_words),
        }
        if limits.min_stop_words:
            few = f"fewer than {limits.min_stop_words} stop words"
            found[few] = _stop_words().distinct(block) < limits.min_stop_words
        return found


def _end_in_dots(block: Block, places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether three dots in a row end at each place."""
    dots = np.logical_and.reduce([block.codes[np.maximum(places - i, 0)] == ord(".") for i in range(3)])
    return dots & (places >= 2)


def _runs(block: Block, character: str, least: int) -> NDArray[np.int64]:
    """Runs of so many of a character or more [texts]: `###` and `...` are one symbol each."""
    holds = np.concatenate([[False], block.codes == ord(character), np.zeros(least, bool)])
    starts = ~holds[:-least] & np.logical_and.reduce([holds[1 + i : holds.size - least + 1 + i] for i in range(least)])
    return block.count(starts[: block.codes.size])
