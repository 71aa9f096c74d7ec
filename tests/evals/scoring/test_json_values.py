"""JSON values are compared by what they say."""

from decimal import Decimal

import pytest

from burnish.evals.scoring.json_values import Untyped, parse_json, same_json


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (True, True, True),
        (False, True, False),
        (None, None, True),
        (None, False, False),
        ("1", 1, False),
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 1}, False),
        ({"a": 1, "b": 1}, {"a": 1}, False),
        ({"a": 1}, {"a": 2}, False),
        ({}, [], False),
        ([1, 2], [1, 2], True),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ([1, 2], [1, 3], False),
        ([], [], True),
        ({}, {}, True),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, False),
        ([1, 1], [1], False),
        (Untyped("5"), 5, True),
        (Untyped("5"), "5", True),
        (Untyped("5"), 6, False),
        (Untyped("five"), 5, False),
        (Untyped("five"), "five", True),
        (Untyped("five"), "six", False),
        (Untyped("true"), True, True),
        (Untyped('{"a": [1]}'), {"a": [1]}, True),
        (Untyped("5"), Untyped("5"), True),
        (Untyped("5"), Untyped("5.0"), False),
        ({"a": Untyped("5")}, {"a": 5}, True),
        ({"a": Untyped("5")}, {"a": 7}, False),
    ],
)
def test_values_are_the_same_or_not_in_both_orders(left, right, same):
    assert same_json(left, right) is same
    assert same_json(right, left) is same


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        ' {"a": 1}\n',
        '```json\n{"a": 1}\n```',
        '```\n{"a": 1}\n```',
        '  ```json\n{"a": 1}\n```  ',
        '```json\n\u00a0{"a": 1}\u00a0\n```',  # a no-break space, which JSON does not allow
    ],
)
def test_one_value_is_read_with_or_without_a_fence(text):
    assert parse_json(text) == {"a": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It is 1",
        "NaN",
        "[-Infinity]",
        '{"a": Infinity}',
        "1 it is",
        '{"a": 1',
        "[" * 100_000,
        'Here: ```json\n{"a": 1}\n```',
        '```json\n{"a": 1}\n``` so',
        "```json\n1\n```\n```json\n2\n```",
    ],
)
def test_anything_else_is_no_value(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_numbers_are_exact():
    assert parse_json("[0.1, 7]") == [Decimal("0.1"), 7]
    assert not same_json(parse_json("1.00000000000000000001"), parse_json("1.0"))
