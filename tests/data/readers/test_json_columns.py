"""Which objects are tables by column, and when their columns have one length."""

import pytest

from burnish.data.readers.json_columns import columns_of, lengths_differ

TURN = {"role": "user", "content": "a"}


@pytest.mark.parametrize(
    ("value", "columns"),
    [
        ({"a": [1]}, {"a": [1]}),
        ({"a": [1, None], "b": ["x", {}]}, {"a": [1, None], "b": ["x", {}]}),
        ({"a": [{"x": 1}], "b": [{"y": 1}, 7]}, {"a": [{"x": 1}], "b": [{"y": 1}, 7]}),
        ({"a": {"0": "x"}}, {"a": ["x"]}),
        ({"a": {"0": "x", "1": "y"}, "b": {"0": 1, "1": 2}}, {"a": ["x", "y"], "b": [1, 2]}),
        ({"a": [[TURN]], "b": [1]}, {"a": [[TURN]], "b": [1]}),
        ({"a": [TURN, 7]}, {"a": [TURN, 7]}),
        ({"a": [{"x": 1}, TURN], "b": [1, 2]}, {"a": [{"x": 1}, TURN], "b": [1, 2]}),
        ({}, None),
        ([], None),
        (None, None),
        ([[1]], None),
        ({"a": []}, None),
        ({"a": [1], "b": []}, None),
        ({"a": [1], "b": "x"}, None),
        ({"a": [1], "b": {"0": 1}}, None),
        ({"a": {}}, None),
        ({"a": {"0": 1, "2": 2}}, None),
        ({"a": {"1": 1, "0": 2}}, None),
        ({"a": {"1": 1}}, None),
        ({"a": {"0": "x"}, "b": {"x": 1}}, None),
        ({"a": [TURN]}, None),
        ({"a": [{"from": "human"}, TURN], "b": [1, 2]}, None),
        ({"a": [1, 2], "b": [TURN, TURN]}, None),
        ({"a": [{"x": 1}], "b": [{"y": 1}]}, None),
        ({"a": {"0": {"x": 1}}}, None),
    ],
)
def test_a_table_is_known_by_its_columns(value, columns):
    assert columns_of(value) == columns


def test_columns_of_different_lengths_are_named_with_them():
    assert lengths_differ({"a": [1]}) == ""
    assert lengths_differ({"a": [1, 2], "b": [3, 4]}) == ""
    assert lengths_differ({"a": [1] * 1500, "b": [1]}) == "its columns have different lengths: a 1,500, b 1"
