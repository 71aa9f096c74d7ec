"""Which characters speak for Chinese in GB18030, by the rows of GB2312's own table, and how many are enough."""

import pytest

from burnish.data.files.chinese import _is_common, is_gb18030, is_utf8

FREQUENT, COMMON, RARE = "的", "啊", "鼐"
"""A frequent character, one of GB2312's first level (its first), and one of its second."""


def at(row: int, cell: int) -> str | None:
    """The character of a place of GB2312 (rows and cells from 1 to 94)."""
    try:
        return bytes([0xA0 + row, 0xA0 + cell]).decode("gb2312")
    except UnicodeDecodeError:
        return None


def test_common_are_signs_letters_and_the_first_level():
    table = {(row, cell): at(row, cell) for row in range(1, 95) for cell in range(1, 95)}
    there = {place: character for place, character in table.items() if character is not None}
    assert sum(16 <= row <= 55 for row, _ in there) == 3755
    for (row, cell), character in there.items():
        if character.encode("gb18030") == bytes([0xA0 + row, 0xA0 + cell]):
            assert _is_common(character) == (row in (1, 2, 3) or 16 <= row <= 55), (row, cell)


@pytest.mark.parametrize("character", ["a", "~", "ü", "é", "한", "𝄞", "丂", "癅", "罵", "\ue000"])
def test_other_characters_are_not_common(character):
    assert not _is_common(character)


@pytest.mark.parametrize(
    ("text", "is_chinese"),
    [
        (FREQUENT * 10, True),
        (FREQUENT * 9, False),
        (FREQUENT * 9 + "a" * 90, False),
        (FREQUENT * 10 + "a" * 990, True),
        (COMMON * 18 + FREQUENT * 2, True),
        (COMMON * 19 + FREQUENT, False),
        (COMMON * 20, False),
        (RARE + FREQUENT * 19, True),
        (RARE * 2 + FREQUENT * 18, False),
        (RARE + COMMON * 17 + FREQUENT * 2, True),
        ("", False),
        ("plain", False),
    ],
)
def test_enough_characters_are_common_and_enough_of_them_frequent(text, is_chinese):
    sample = text.encode("gb18030")
    assert is_gb18030(sample) is is_chinese
    assert is_gb18030(sample + FREQUENT.encode("gb18030")[:1]) is is_chinese  # cut inside a character
    assert not is_gb18030(sample + b"\xff\xff")


def test_utf_8_may_be_cut_inside_a_character_and_nowhere_be_wrong():
    for sample in (b"", b"plain", "ü€𝄞".encode(), "ü€𝄞".encode()[:-1], b"\xc3"):
        assert is_utf8(sample)
    for sample in (b"\xff", b"\xc3a", "ü".encode("latin-1") + b"plain"):
        assert not is_utf8(sample)
