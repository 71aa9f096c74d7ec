"""How long the rows are with which a model is asked whether it packs: past every boundary that a run may cross."""

import pytest

from burnish.train.scoring import past_boundaries


def lengths(limits, side=0, longest=None, tested=()):
    found, reason = past_boundaries(limits, side, tested, longest, 1000)
    assert reason == ""
    return found


def test_a_model_without_boundaries_needs_no_longer_rows():
    assert lengths({}) == []
    assert lengths({"window": 22}) == []  # crossed already by the longest short row
    assert lengths({"window": 50}, tested={50}) == []  # a mask was seen to use it


@pytest.mark.parametrize(("longest", "crosses"), [(None, True), (51, True), (50, False), (10, False)])
def test_a_boundary_is_crossed_if_a_row_of_the_run_crosses_it(longest, crosses):
    assert lengths({"window": 50}, longest=longest) == ([50 + 12, 7, 19] if crosses else [])


def test_the_furthest_of_all_boundaries_is_crossed():
    assert lengths({"a": 23}) == [23 + 8, 7, 19]
    assert lengths({"b": 50, "a": 90, "c": 60}) == [90 + 22, 7, 19]
    assert lengths({"b": 50, "a": 90, "c": 60}, tested={90}) == [60 + 15, 7, 19]
    assert lengths({"b": 50, "a": 90}, longest=80) == [50 + 12, 7, 19]


def test_a_batch_is_made_longer_than_a_mask_of_fixed_size():
    assert lengths({}, side=40) == [7, 19, *[19] * 2]
    assert lengths({"a": 50}, side=40) == [62, 7, 19, *[19] * 2]
    assert lengths({}, side=24) == [7, 19, 19]


@pytest.mark.parametrize(
    ("limits", "side", "parameters", "name"),
    [
        ({"a": 600}, 0, 10**12, None),
        ({"a": 601}, 0, 10**12, "a (601)"),
        ({"a": 601, "b": 602}, 0, 10**12, "b (602)"),
        ({"a": 100}, 601, 10**12, "mask of fixed size (601)"),
        ({"a": 5000}, 0, 10**8, None),  # 5e11 of parameters times tokens
        ({"a": 5001}, 0, 10**8, "a (5001)"),
        ({"a": 8192}, 0, 1, None),
        ({"a": 8193}, 0, 1, "a (8193)"),
        ({"a": 8192}, 0, 0, None),
    ],
)
def test_a_boundary_that_is_too_far_away_is_not_crossed(limits, side, parameters, name):
    found, reason = past_boundaries(limits, side, (), None, parameters)
    if name is None:
        assert (reason, bool(found)) == ("", True)
    else:
        assert (found, reason) == ([], f"rows or batches are longer than its {name}, which is too long to test")
