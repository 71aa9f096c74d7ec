"""What would be lost or changed in silence is refused by field; everything else is what the text spells."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.record import RowError
from burnish.data.strict_json import MAX_DEPTH, check_characters, check_value, decoded, parse, parse_at, plain_object


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


def nested(depth: int, inner: str = "") -> str:
    return "[" * depth + inner + "]" * depth


@pytest.mark.parametrize("inner", ["", "1", '"a"', "{}", '{"a": 1}'])
def test_a_hundred_levels_are_read_and_one_more_is_refused(inner):
    levels = 100 - inner.startswith("{")
    assert parse(nested(levels, inner)) == json.loads(nested(levels, inner))
    for text in (nested(levels + 1, inner), '{"a": ' + nested(levels, inner) + "}"):
        assert refused(parse, text).reason == "nested deeper than 100 levels"
    assert parse('{"a": ' + nested(levels - 1, inner) + "}")
    assert refused(parse, f'[1, {nested(levels, inner)}, {{"a": 2}}]').field == ""


def test_the_depth_is_counted_and_not_the_brackets():
    assert MAX_DEPTH == 100
    for text in ("[" + ", ".join(["[]"] * 1000) + "]", "[" + ", ".join(['{"a": [1]}'] * 1000) + "]"):
        assert parse(text) == json.loads(text)
    objects = '{"a": ' * 101 + "1" + "}" * 101
    assert parse(objects[6:-1]) == json.loads(objects[6:-1])
    assert refused(parse, objects).reason == "nested deeper than 100 levels"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"a": 1, "b": 2, "b": 3}', "b"),
        ('{"c": {"x": 1}, "a": {"x": 1, "y": 2, "x": 3, "y": 4}}', "x"),
        ('[{"a": 1}, {"a": 1, "a": 1}]', "a"),
    ],
)
def test_a_key_that_occurs_twice_is_the_field(text, field):
    error = refused(parse, text)
    assert (error.field, error.reason) == (field, f"the key '{field}' occurs twice in one object")


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"a": "b", "c": "x\ud800"}, "c"),
        ({"a": {"b": ["c", "d", "\udfff"]}}, "a.b.2"),
        ({"a": {"b\ud800": "c"}}, "a"),
        ({"\ud800": {"b": "c"}}, ""),
        (["a", ["b", {"c": "\udc00d"}]], "1.1.c"),
        ("\ud800", ""),
    ],
)
def test_half_a_pair_is_found_where_it_is(value, field):
    error = refused(parse, json.dumps(value))
    assert error.field == field
    assert error.reason == "half of a surrogate pair (\\ud800 to \\udfff alone) is no character"


def test_characters_that_no_row_may_hold_are_refused_wherever_they_stand():
    for text in ("a\udc80", "\ud800ü", "ü\udfff"):
        assert refused(check_characters, text).reason == "not UTF-8: the row holds bytes of another encoding"
    for text in ("\0", "a\0b", "ü\0"):
        assert refused(check_characters, text).reason == "the row holds a NUL byte"
    for text in ("", "a", "ü\ud7ff\ue000\x01"):
        check_characters(text)


def test_a_value_is_found_at_its_place():
    assert parse_at('x {"a": 1} y', 2) == ({"a": 1}, 10)
    with pytest.raises(ValueError):
        parse_at("x {", 2)
    assert "half of" in refused(parse_at, '["\\ud83d"]', 0).reason
    assert parse_at('["\\ud83d"] 7', 11) == (7, 12)
    assert parse_at("\udcff 7 \0", 2) == (7, 3)
    assert parse_at("\0 [7] \udcff", 2) == ([7], 5)


def test_values_of_other_readers_are_walked_only_where_they_may_be_wrong():
    check_value("", {"a": "fine"})
    deep = value = []
    for _ in range(MAX_DEPTH + 2):
        value.append([])
        value = value[0]
    check_value("", deep)
    assert "nested deeper" in refused(check_value, "[" * (MAX_DEPTH + 1), deep).reason
    assert refused(check_value, "\\ud800", {"a": "\ud800"}).field == "a"


ODD_LINES = [
    '{"a": 1, "a": 2}',
    '{"a":1,"a" :2}',
    '{"a":1,"a"\t:2,"b":3}',
    '{"a": 12345678901234567890123}',
    '{"a": 18446744073709551615}',
    '{"a": -0}',
    '{"a": 1.0}',
    '{"a": 1E400}',
    '{"a": NaN}',
    '{"a": "x\\":y"}',
    '{"a\\":b": 1, "c": 2}',
    '{"a": {"b": 1, "b": 2}}',
    '{"a": "\\ud800"}',
    '{"a": "\\ud83d\\ude00"}',
    '{"a": "\\u0000"}',
    '{"\\u0061": 1, "a": 2}',
    '{"": 1}',
    "{}",
    "[]",
    '"a"',
    '{"a": 1} ',
    ' {"a": 1}',
    '{"a": 1}x',
    '{"a": true, "b": null, "c": "é你"}',
    r'{"a\\": 1, "b": 1, "b": 2}',
    r'{"a": "\\", "b" : 1, "b": "\":"}',
]


def strictly(line):
    try:
        return parse(line)
    except RowError as error:
        return str(error)


@pytest.mark.parametrize("line", ODD_LINES)
def test_the_quick_way_gives_what_the_strict_way_gives_or_nothing(line):
    found = plain_object(line.encode())
    assert found is None or (
        found == strictly(line) and list(map(type, found.values())) == list(map(type, strictly(line).values()))
    )


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([*'{}[]":,\\ aé\t', '"a"', '"b":', "1", '"a":1', "null", "1.5", '\\"', ',"a":2']), max_size=14
    ).map("".join)
)
def test_the_quick_way_agrees_on_random_lines(inside):
    for line in (inside, "{" + inside + "}", '{"a":' + inside + "}"):
        found = plain_object(line.encode())
        assert found is None or found == strictly(line)


def test_plain_rows_are_read_the_quick_way():
    assert plain_object(b'{"text": "some words", "id": 5, "ok": true, "none": null}') is not None
    assert plain_object(rb'{"text": "ending : and \"key\": \\", "id" : 5}') is not None
