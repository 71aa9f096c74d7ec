"""Columns are counted exactly, and distinct values exactly while there are few."""

import hashlib

import pytest

from burnish.data.profile.licences import Licences
from burnish.data.profile.schema import Distinct, Schema


def schema_of(*records: dict) -> dict[str, dict]:
    schema = Schema()
    for record in records:
        schema.add(record)
    return {column.pop("name"): column for column in schema.as_list()}


def test_what_is_there_missing_null_and_empty_is_counted():
    found = schema_of({"a": "x", "b": 1}, {"a": "", "b": None}, {"a": " "}, {"a": "x", "c": []})
    assert found["a"] == {
        "rows": 4,
        "missing": 0,
        "null": 0,
        "empty": 2,
        "types": {"text": 4},
        "distinct": 3,
        "distinct_is_exact": True,
        "values": {"x": 2, "": 1, " ": 1},
    }
    assert (found["b"]["missing"], found["b"]["null"], found["b"]["types"]) == (2, 1, {"integer": 1})
    assert (found["c"]["missing"], found["c"]["empty"], found["c"]["types"]) == (3, 1, {"list": 1})


def test_types_are_those_of_json_and_one_is_not_its_text():
    found = schema_of(*({"a": value} for value in (1, "1", 1.5, True, {"b": 1}, {"b": 1}, [1])))
    assert found["a"]["types"] == {"object": 2, "integer": 1, "text": 1, "number": 1, "true/false": 1, "list": 1}
    assert found["a"]["distinct"] == 6


def test_values_are_listed_while_they_are_few_and_short():
    assert "values" not in schema_of(*({"a": str(i)} for i in range(51)))["a"]
    assert len(schema_of(*({"a": str(i)} for i in range(50)))["a"]["values"]) == 50
    assert "values" not in schema_of({"a": "x" * 81})["a"]


@pytest.mark.parametrize("count", [10, 8000, 60_000])
def test_distinct_values_are_exact_or_near(count):
    distinct = Distinct()
    for _ in range(2):
        for number in range(count):
            digest = hashlib.blake2b(str(number).encode(), digest_size=8).digest()
            distinct.add(int.from_bytes(digest, "big"))
    assert distinct.is_exact == (count <= 8192)
    assert len(distinct) == (count if distinct.is_exact else pytest.approx(count, rel=0.06))


def test_columns_beyond_the_limit_are_counted(monkeypatch):
    monkeypatch.setattr("burnish.data.profile.schema._COLUMNS", 2)
    schema = Schema()
    schema.add({"a": 1, "b": 1, "c": 1})
    assert ([column["name"] for column in schema.as_list()], schema.more) == (["a", "b"], 1)


def test_licences_of_rows_are_found_also_one_level_below():
    licences = Licences()
    for record in (
        {"license": "mit"},
        {"meta": {"Licence": "mit"}},
        {"licenses": ["a", "b"]},
        {"x": 1},
        {"license": None},
    ):
        licences.add(record)
    assert licences.rows == {"mit": 2, "a, b": 1, "": 2}
