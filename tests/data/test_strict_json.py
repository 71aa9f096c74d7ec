"""What would be lost or changed in silence is refused by field; everything else is what the text spells."""

import json

import pytest

from burnish.data.record import RowError
from burnish.data.strict_json import MAX_DEPTH, check_value, decoded, parse, parse_at


def refused(call, *args) -> RowError:
    with pytest.raises(RowError) as caught:
        call(*args)
    return caught.value


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ('{"a": ', "", "invalid JSON: Expecting value (character 7 of the row)"),
        ("[" * 100_000 + "]" * 100_000, "", "nested deeper than 100 levels"),
        ("9" * 5000, "", "too many digits"),
        ("1e999", "", "the number 1e999 is too large"),
        ("-1e999", "", "the number -1e999 is too large"),
        ("NaN", "", "NaN is not a JSON number"),
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "b", "the key 'b' occurs twice"),
        ('"\udcff"', "", "not UTF-8"),
        ('"a\0"', "", "NUL byte"),
        ('{"a": ["x", {"b": "\\ud83d"}]}', "a.1.b", "half of a surrogate pair"),
        ('{"a": {"\\uDC00": 1}}', "a", "half of a surrogate pair"),
        ('["\\ud83d"]', "0", "half of a surrogate pair"),
        ('"\\ud83d"', "", "half of a surrogate pair"),
    ],
)
def test_a_text_is_refused_by_field_and_reason(text, field, reason):
    error = refused(parse, text)
    assert error.field == field
    assert reason in error.reason
    outer = refused(decoded, text, "column")
    assert outer.field == "column"
    assert outer.reason == f"the text is {error.reason}"


@pytest.mark.parametrize(
    "text",
    ['{"a": [1, 2.5, null, true, "\\ud83d\\ude42 é"], "b": {}}', "12345678901234567890123", "-0.0", '"\\u00e9"', "[]"],
)
def test_a_plain_text_is_what_it_spells(text):
    assert parse(text) == json.loads(text)
    assert type(parse(text)) is type(json.loads(text))


def test_the_depth_is_counted_and_not_the_brackets():
    def nested(depth: int) -> str:
        return "[" * depth + "]" * depth

    parse(nested(MAX_DEPTH))
    parse('{"a": ' + nested(MAX_DEPTH - 1) + "}")
    parse(json.dumps([[]] * 1000))
    for text in (nested(MAX_DEPTH + 2), '{"a": ' * (MAX_DEPTH + 2) + "1" + "}" * (MAX_DEPTH + 2)):
        assert "nested deeper" in refused(parse, text).reason


def test_a_value_is_found_at_its_place():
    assert parse_at('x {"a": 1} y', 2) == ({"a": 1}, 10)
    with pytest.raises(ValueError):
        parse_at("x {", 2)
    assert "half of" in refused(parse_at, '["\\ud83d"]', 0).reason
    assert parse_at('["\\ud83d"] 7', 11) == (7, 12)


def test_values_of_other_readers_are_walked_only_where_they_may_be_wrong():
    check_value("", {"a": "fine"})
    deep = value = []
    for _ in range(MAX_DEPTH + 2):
        value.append([])
        value = value[0]
    check_value("", deep)
    assert "nested deeper" in refused(check_value, "[" * (MAX_DEPTH + 1), deep).reason
    assert refused(check_value, "\\ud800", {"a": "\ud800"}).field == "a"
