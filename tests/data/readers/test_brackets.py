"""The end of an element is where a walk over its characters, one by one, finds it, in one piece or in many."""

import random

import pytest

from burnish.data.readers.brackets import Brackets


def end_by_characters(text: str, in_list: bool) -> tuple[int | None, bool]:
    """(the end or None, whether nothing is open): a slow twin that looks at every character."""
    opened, quoted, at = [], False, 0
    while at < len(text):
        character = text[at]
        at += 1
        if quoted:
            if character == "\\":
                at += 1
            elif character in ('"', "\n"):
                quoted = False
        elif character == '"':
            quoted = True
        elif character in ("{", "["):
            opened.append(character)
        elif character in ("}", "]"):
            partner = {"}": "{", "]": "["}[character]
            if partner in opened:
                while opened.pop() != partner:
                    pass
            elif character == "]" and in_list:
                return at - 1, not opened
            if not opened and not in_list:
                return at, True
        elif character == "," and in_list and not opened:
            return at - 1, True
        elif character == "\n" and not in_list and not opened:
            return at, True
    return None, not opened and not quoted


@pytest.mark.parametrize("in_list", [True, False])
def test_the_end_is_that_of_a_walk_over_the_characters(in_list):
    draw = random.Random(0)
    for _ in range(3000):
        text = "".join(draw.choices('{}[]",\\\n a', k=draw.randrange(14)))
        brackets = Brackets(in_list)
        assert (brackets.scan(text, 0), brackets.is_closed) == end_by_characters(text, in_list), text


@pytest.mark.parametrize("in_list", [True, False])
def test_a_scan_goes_on_where_the_text_ended(in_list):
    draw = random.Random(1)
    for _ in range(2000):
        text = "".join(draw.choices('{}[]"",\\\\\n a', k=14))
        whole = Brackets(in_list).scan(text, 0)
        brackets, found = Brackets(in_list), None
        for length in range(1, len(text) + 1):
            if (found := brackets.scan(text[:length], brackets.at)) is not None:
                break
        assert found == whole, text


@pytest.mark.parametrize(
    ("text", "in_list", "end"),
    [
        ('{"a": "},"} rest', False, 11),
        ('{"a": "},"}, {', True, 11),
        ('{"a": [1, {"b": 2}]}]', True, 20),
        ("7]", True, 1),
        ("7 ,", True, 2),
        ("a word\n{", False, 7),
        ('"open\n,', True, 6),
        (r'"a\"," ,', True, 7),
        ("{[}, 1", True, 3),
        ("} 1", False, 1),
        ("[{]", False, 3),
        ("{]", True, 1),
        ("{\n,\n}", False, 5),
        ("}, 1", True, 1),
    ],
)
def test_ends_by_hand(text, in_list, end):
    brackets = Brackets(in_list)
    assert brackets.scan(text, 0) == end
    assert Brackets(in_list).scan(f"xx{text}", 2) == end + 2


def test_the_place_to_continue_is_the_end_of_the_text_or_the_backslash_that_ends_it():
    for text, at, is_closed in (("{", 1, False), ("7 ", 2, True), ('"a', 2, False), ('"a\\', 2, False), ("", 0, True)):
        brackets = Brackets(True)
        assert brackets.scan(text, 0) is None
        assert (brackets.at, brackets.is_closed) == (at, is_closed), text
