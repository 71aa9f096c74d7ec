"""Control characters are escaped before printing; other text is unchanged."""

import json

import pytest

from burnish.core.printable import encodable, printable, printable_json

CONTROLS = [
    *(chr(code) for code in range(0xA0) if (code < 0x20 or code >= 0x7F) and chr(code) not in "\t\n"),
    *"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029",
]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda character: f"U+{ord(character):04X}")
def test_a_control_character_is_written_out(control):
    assert printable(f"a{control}b") in (f"a\\x{ord(control):02x}b", f"a\\u{ord(control):04x}b")
    spelled = printable_json(json.dumps({f"k{control}": control}, ensure_ascii=False))
    assert control not in spelled
    assert json.loads(spelled) == {f"k{control}": control}


def test_a_lone_surrogate_can_be_printed():
    assert printable("\ud800").encode() == b"\\ud800"


@pytest.mark.parametrize("text", ["a\tb\nc", "Grüße 你好 مرحبا שלום", "👩\u200d👩\u200d👧 e\u0301", "C:\\x1b"])
def test_text_stays_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("a\ud83db", "a\ufffdb"),
        ("\udc00", "\ufffd"),
        ("\udca9\ud83d", "\ufffd\ufffd"),
        ("\ud83d\udca9", "\U0001f4a9"),
        ("Grüße 你好 \U0001f4a9\x00", "Grüße 你好 \U0001f4a9\x00"),
    ],
    ids=ascii,
)
def test_text_that_utf_8_cannot_encode_is_replaced(text, stored):
    assert encodable(text) == stored
