"""What each character is: bits of its Unicode properties and its lower case, as tables over all code points.

Scripts that put no spaces between words (Chinese, Japanese, Thai, …) have `SOLO` characters: each is a word.
"""

import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

WORD, SOLO, LETTER, DIGIT, SPACE, UPPER, MARK = (np.uint8(1 << bit) for bit in range(7))
"""Part of a word; a word alone; letter; decimal digit; white space; upper case; combining mark (also `WORD`)."""
CODE_POINTS = 0x110000
_ASSIGNED = 0x30000
"""Beyond lie rare ideographs, in one range, and variation selectors."""
_SOLO = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F40, 0x0FBC),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # CJK radicals
    (0x3005, 0x3007),
    (0x3041, 0x30FF),  # kana
    (0x3105, 0x312F),  # bopomofo
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # halfwidth kana
    (0x20000, 0x323AF),
)


@cache
def properties() -> NDArray[np.uint8]:
    """The bits of each code point [CODE_POINTS]."""
    table = np.zeros(CODE_POINTS, np.uint8)
    categories = np.array([unicodedata.category(chr(code)) for code in range(_ASSIGNED)])
    majors = categories.astype("U1")
    letters, marks = majors == "L", majors == "M"
    kinds = (
        (LETTER, letters),
        (DIGIT, categories == "Nd"),
        (UPPER, (categories == "Lu") | (categories == "Lt")),
        (MARK, marks),
        (WORD, letters | marks | (majors == "N") | (categories == "Pc")),
    )
    for bit, holds in kinds:
        table[:_ASSIGNED] |= np.where(holds, bit, np.uint8(0))
    spaces = [code for code in range(_ASSIGNED) if chr(code).isspace()]
    table[spaces] |= SPACE
    table[_ASSIGNED:0x323B0] = LETTER | WORD
    table[0xE0100:0xE01F0] = MARK | WORD
    for first, last in _SOLO:
        part = table[first : last + 1]
        part |= np.where(part & WORD, SOLO, np.uint8(0))
    return table


@cache
def lower() -> NDArray[np.uint32]:
    """The lower case of each code point, itself where that is none or several [CODE_POINTS]."""
    table = np.arange(CODE_POINTS, dtype=np.uint32)
    for code in np.flatnonzero(properties() & UPPER).tolist():  # of letters no other has one
        small = chr(code).lower()
        if len(small) == 1:
            table[code] = ord(small)
    return table


@cache
def members(listed: str) -> NDArray[np.bool_]:
    """Whether each code point is one of these characters [CODE_POINTS]."""
    table = np.zeros(CODE_POINTS, bool)
    table[[ord(character) for character in listed]] = True
    return table
