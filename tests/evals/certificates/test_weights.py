"""The largest relative change of a weight, and what is not a number."""

import math

import pytest
import torch

from burnish.evals.certificates.weights import compare_weights


def tensors(*values):
    return {name: torch.tensor(each) for name, each in zip("abc", values, strict=True)}


ONES = tensors(*[[1.0, 1.0]] * 3)
CHANGES = {
    "equal": (ONES, True, "all 3 tensors are equal"),
    "at the limit": (tensors([1.0, 1.0], [1.0, 1.01], [1.0, 1.0]), True, "1 of 3 tensors differ, at most by 0.0099"),
    "the worst counts": (tensors([1.001, 1.0], [1.0, 1.5], [1.001, 1.0]), False, "at most by 0.5 of a weight, in 'b'"),
    "not a number, before a small change": (tensors([math.nan, 1.0], [1.0, 1.0], [1.001, 1.0]), False, "inf"),
    "an overflow, before a small change": (tensors([math.inf, 1.0], [1.0, 1.0], [1.001, 1.0]), False, "inf"),
    "another shape": (tensors([1.0], [1.0, 1.0], [1.0, 1.0]), False, "'a' is [1], not [2]"),
    "one is missing": ({"a": ONES["a"], "b": ONES["b"]}, False, "'c' is not in the child"),
    "one is added": ({**ONES, "d": ONES["a"]}, False, "'d' is not in the parent"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_largest_change_of_a_weight_decides(name):
    child, holds, found = CHANGES[name]
    check = compare_weights(ONES, child, 0.01)
    assert (check.verdict == "holds") is holds
    assert found in check.found


def test_a_weight_near_0_is_compared_with_the_size_of_its_tensor():
    parent, child = {"a": torch.tensor([1.0, 0.0])}, {"a": torch.tensor([1.0, 1e-4])}
    assert compare_weights(parent, child, 0.02).verdict == "holds"  # 1e-4 / (1 % of 0.7)
    assert compare_weights(parent, child, 0.01).verdict == "does not hold"
    assert compare_weights(parent, child, None).verdict == "does not apply"
