"""Duplicates as they are planted in a corpus: copies that are exact, edited, lengthened, cut, or shuffled."""

import random
import re
from collections.abc import Callable, Sequence

from corpora.shingles import WORD

_SENTENCE = re.compile(r"(?<=[.!?。！？])\s*")
_MARGINS = (0.01, 0.03, 0.06, 0.1, 0.15, 0.22, 0.3, 0.4)
"""Shares of a document that a copy gains or loses."""


def exact(rand: random.Random, text: str, donor: str) -> str:
    return text


def edited(rand: random.Random, text: str, donor: str) -> str:
    """Words replaced by words of the donor, dropped or doubled: 0.2 to 5 % of all."""
    rate = rand.choice((0.002, 0.005, 0.01, 0.02, 0.03, 0.05))
    words = WORD.findall(donor) or ["x"]
    written, at = [], 0
    for found in WORD.finditer(text):
        if rand.random() < rate:
            kind = rand.randrange(3)
            word = (rand.choice(words), "", f"{found[0]} {found[0]}")[kind]
            written += [text[at : found.start()], word]
            at = found.end()
    return "".join(written) + text[at:]


def inserted(rand: random.Random, text: str, donor: str) -> str:
    """A passage of the donor before, within or after the text."""
    size = max(20, int(len(text) * rand.choice(_MARGINS)))
    start = rand.randrange(max(1, len(donor) - size))
    at = rand.choice((0, len(text), text.find("\n", len(text) // 3) + 1))
    return f"{text[:at]}\n{donor[start : start + size]}\n{text[at:]}"


def truncated(rand: random.Random, text: str, donor: str) -> str:
    """The first or the last part is missing."""
    lost = int(len(text) * rand.choice(_MARGINS))
    return text[lost:] if rand.random() < 0.5 else text[: len(text) - lost]


def shuffled(rand: random.Random, text: str, donor: str) -> str:
    """Some sentences in another order."""
    sentences = [sentence for sentence in _SENTENCE.split(text) if sentence]
    moved = rand.sample(range(len(sentences)), max(min(2, len(sentences)), int(len(sentences) * rand.choice(_MARGINS))))
    targets = moved[1:] + moved[:1]
    order = sentences.copy()
    for source, target in zip(moved, targets, strict=True):
        order[target] = sentences[source]
    return ("" if WORD.match(text) and ord(text[0]) > 0x3000 else " ").join(order)


KINDS: dict[str, Callable[[random.Random, str, str], str]] = {
    "exact": exact,
    "edited": edited,
    "inserted": inserted,
    "truncated": truncated,
    "shuffled": shuffled,
}


def recombined(rand: random.Random, texts: Sequence[str], size: int) -> str:
    """A document of about `size` characters: a paragraph each of many texts, so that it is a copy of none."""
    written: list[str] = []
    while sum(map(len, written)) < size:
        paragraphs = [part for part in rand.choice(texts).split("\n\n") if len(part) > 60]
        if paragraphs:
            written.append(rand.choice(paragraphs)[:600])
    rand.shuffle(written)
    return "\n\n".join(written)
