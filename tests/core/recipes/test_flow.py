"""A value as YAML on one line reads back as the same value."""

import pytest

from burnish.core.recipes.flow import flow
from burnish.core.recipes.yaml import parse_yaml

VALUES = [None, True, 3, 1e-5, float("inf"), "", "auto", "off", "1", "~", "a, b", " a", "x\ny", "- a", 'it"s', "ü"]


@pytest.mark.parametrize("value", [*VALUES, VALUES, {"a": VALUES, "b c": {"d": []}}], ids=ascii)
def test_a_value_reads_back_as_itself(value):
    assert parse_yaml(flow(value).encode(), "").value == value


def test_words_are_not_quoted_without_need():
    assert flow(["builtin:pocket", "off", True, None, "1"]) == '[builtin:pocket, off, true, null, "1"]'
