"""Validation of plain values: suggestions for unknown keys, and errors in the terms of recipes."""

import pytest

from burnish.core.catalog import stages
from burnish.core.errors import AskError
from burnish.core.recipes.recipe import nested, recipe_of
from burnish.core.recipes.validation import MAX_DEPTH, all_specs, check_plain, make_spec
from burnish.specs.base import types_within
from burnish.specs.train import SftSpec


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"method": "lora"}, "'method': must be a mapping"),
        ({"method": {"kind": "dora"}}, "unknown kind 'dora': write one of 'lora', 'qlora', 'full', 'freeze'"),
        ({"base": "Qwen/Qwen3-0.6B"}, "did you mean hub:Qwen/Qwen3-0.6B"),
    ],
)
def test_errors_use_the_terms_of_recipes(values, words):
    with pytest.raises(AskError) as caught:
        make_spec(SftSpec, {"base": "hub:a/b", "data": "step:x", **values}, lambda _: "")
    assert words in caught.value.what


def number_fields():
    """(stage, dotted path) of every setting that is a number and cannot be true or false."""
    for name, row in stages().items():
        for prefix, spec in all_specs(row.spec_type()):
            for field, info in spec.__pydantic_fields__.items():
                types = set(types_within(info.annotation))
                if types & {int, float} and bool not in types:
                    yield name, f"{prefix}{field}"


@pytest.mark.parametrize(("stage_name", "path"), sorted(set(number_fields())))
def test_true_is_not_a_number(stage_name, path):
    spec_type = stages()[stage_name].spec_type()
    for value in (True, False):
        with pytest.raises(AskError, match=f"'{path}': {str(value).lower()} is not a number"):
            make_spec(spec_type, nested(tuple(path.split(".")), value), lambda _: "")


def test_only_a_missing_value_is_called_one(refused):
    known = {"base": "hub:a/b", "data": "step:x"}
    assert "has no value" in refused(SftSpec, {**known, "seed": None}).what
    assert "has no value" not in refused(SftSpec, {**known, "seed": [1]}).what


def test_a_value_of_a_wrong_type_and_one_that_is_out_of_bounds_are_both_reported(refused):
    error = refused(SftSpec, {"base": "hub:a/b", "data": "step:x", "seed": [1], "batch_size": 0})
    assert "'seed'" in error.what
    assert "'batch_size'" in error.what


@pytest.mark.parametrize("value", [[object()], {"a": [{1, 2}]}, ([float("nan")],), {"a": {1: 2}}, ["\ud800"]])
def test_what_yaml_cannot_say_is_refused_at_any_depth(value):
    with pytest.raises(AskError) as caught:
        check_plain(value, lambda _: "", ("field",))
    assert caught.value.code == "ask.wrong-value"
    assert "field" in caught.value.what or "key" in caught.value.what


def test_plain_values_are_nested_as_deep_as_allowed_and_no_deeper():
    def nested(depth):
        return [nested(depth - 1)] if depth else "word"

    check_plain(nested(MAX_DEPTH), lambda _: "")
    with pytest.raises(AskError, match=f"nested deeper than {MAX_DEPTH} levels"):
        check_plain(nested(MAX_DEPTH + 2), lambda _: "")


def test_several_unknown_keys_beside_steps_are_all_named():
    with pytest.raises(AskError) as caught:
        recipe_of({"name": "r", "setps": {}, "nmae": "x", "steps": {}})
    assert caught.value.what == "- unknown key 'setps'\n- unknown key 'nmae'"
    assert caught.value.fix == "did you mean 'steps'?; did you mean 'name'?"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"make": "answers", "given": "file:a.jsonl", "topics": ["a"]}, "'generator': topics has no effect"),
        (
            {"topics": ["a"], "endpoint": {"url": "http://127.0.0.1:1/v1", "model": "m", "foo": 1}},
            "'generator.endpoint.foo'",
        ),
        ({"topics": ["a"], "rows": "x"}, "'generator.rows'"),
        ({"model": 7, "topics": ["a"]}, "'generator.model'"),
    ],
)
def test_a_kind_that_is_called_as_one_of_its_fields_is_no_part_of_a_path(refused, changes, said):
    generator = {"kind": "model", "rows": 2, "endpoint": {"url": "http://127.0.0.1:1/v1", "model": "m"}}
    error = refused(stages()["synthesize"].spec_type(), {"generator": generator | changes})
    assert said in error.what
    assert "generator.model." not in error.what
