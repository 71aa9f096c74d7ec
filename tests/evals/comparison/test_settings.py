"""The settings of a comparison: those without sense are refused, and every candidate has a name."""

from typing import Any

import pytest

from burnish.specs.evals import CompareSpec


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"baseline": "x"}, "there is no candidate 'x'"),
        ({"stop_after": 3, "looks": 2}, "stop_after: 3 is more than looks: 2"),
        ({"gate": []}, "it has no rules"),
        ({"candidates": {"a": "builtin:pocket"}}, "at least 2 items"),
        ({"candidates": ["builtin:pocket", "builtin:pocket"]}, "two candidates are called 'pocket'"),
        ({"candidates": {"a.b": "builtin:pocket", "c": "builtin:pocket"}}, "'a.b' is not a name"),
        ({"candidates": {"a": {}, "b": "builtin:pocket"}}, "either a ref or an endpoint"),
        ({"candidates": {"a": "pocket", "b": "builtin:pocket"}}, "'pocket' is not a reference"),
        ({"margins": {"exact_match": 0}}, "greater than 0"),
    ],
)
def test_a_comparison_without_sense_is_refused(settings: dict[str, Any], message: str) -> None:
    given = {"candidates": {"a": "builtin:pocket", "b": "builtin:pocket"}, "data": "file:x"} | settings
    with pytest.raises(ValueError, match=message):
        CompareSpec(**given)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("builtin:pocket", "pocket"),
        ("tuned=step:tune", "tuned"),
        ("hub:org/Qwen2.5-7B", "Qwen2-5-7B"),
        ("support@3", "support-3"),
        ("compare.short@latest", "short"),
        ("compare.short@12", "short-12"),
        ("file:/models/7b", "_7b"),
        ("https://api.example.com/v1#llama", "llama"),
        ("gpt=https://api.openai.com/v1#gpt-4.1", "gpt"),
    ],
)
def test_a_candidate_is_named_by_its_reference(word: str, name: str) -> None:
    spec = CompareSpec(candidates=[word, "other=builtin:pocket"], data="file:x")  # pyright: ignore
    assert list(spec.candidates) == [name, "other"]
    assert CompareSpec(**spec.model_dump(mode="json", exclude_unset=True)) == spec
