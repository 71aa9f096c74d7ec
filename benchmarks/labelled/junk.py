"""Junk, labelled by construction: each kind is a function (random, material) → text, in the table below."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from labelled import machines, websites, words
from labelled.document import Document


@dataclass(frozen=True)
class Material:
    """What junk is made of: good texts of the machine, and files of any kind."""

    english: list[str]
    chinese: list[str]
    foreign: list[str]
    """Good texts in languages other than English and Chinese."""
    code: list[str]
    """Source code in languages with braces."""
    packed: list[str]
    """Minified files as they are."""
    files: list[bytes]


Make = Callable[[random.Random, Material], str]
KINDS: dict[str, Make] = {
    "boilerplate": lambda rand, _: websites.boilerplate(rand),
    "Chinese boilerplate": lambda rand, _: websites.chinese_boilerplate(rand),
    "logs": lambda rand, _: machines.log(rand),
    "base64": lambda rand, of: machines.base64_of(rand, rand.choice(of.files)),
    "hex dumps": lambda rand, of: machines.hex_dump(rand, rand.choice(of.files)),
    "tables of numbers": lambda rand, _: machines.numbers(rand),
    "minified code": lambda rand, of: machines.minified(rand, of.code, of.packed),
    "keyword spam": lambda rand, _: words.keywords(rand),
    "Chinese keyword spam": lambda rand, _: words.chinese_keywords(rand),
    "Markov text": lambda rand, of: words.markov(rand, of.english),
    "lorem ipsum": lambda rand, _: words.lorem(rand),
    "repeated lines": lambda rand, of: words.repeated_lines(rand, rand.choice(of.english)),
    "Chinese repeated lines": lambda rand, of: words.repeated_lines(rand, rand.choice(of.chinese)),
    "mojibake": lambda rand, of: words.mojibake(rand, rand.choice(of.chinese + of.foreign)),
}


def junk(material: Material, each: int, seed: int) -> Iterator[Document]:
    """`each` documents of every kind that the material suffices for."""
    for kind, make in KINDS.items():
        for number in range(each):
            try:
                text = make(random.Random(f"{seed} {kind} {number}"), material)
            except IndexError:  # no such material on this machine
                break
            language = "zh" if kind.startswith("Chinese") else "en"
            yield Document(kind, False, language, text)
