"""How long the rows are with which a model is asked whether it packs: past every boundary that a run may cross."""

from types import SimpleNamespace

import pytest

from burnish.train import scoring as module
from burnish.train.kernels.attention import Sight
from burnish.train.scoring import Scorer

SHORT = [7, 19, 23, 12]


@pytest.fixture
def packing(monkeypatch):
    """`packing(limits, side, longest, seen, fails)`: the reason, and the lengths of each question."""

    def ask(limits, side=0, longest=None, seen=(), fails=(), parameters=1000):
        scorer, asked = Scorer.__new__(Scorer), []
        scorer.causal = SimpleNamespace(config=None, num_parameters=lambda: parameters)
        monkeypatch.setattr(module, "boundaries", lambda config: limits)
        monkeypatch.setattr(module, "side_of_masks", lambda model, shortest: side if side > shortest else 0)

        def fails_for(plain, lengths):
            assert plain == "eager"
            asked.append(lengths)
            Sight.sizes.update(seen)
            return "reads" if len(asked) in fails else ""

        scorer._why_packing_fails = fails_for
        return scorer._why_no_packing("eager", longest), asked

    yield ask
    Sight.sizes.clear()


def test_a_model_without_boundaries_is_asked_once(packing):
    Sight.sizes.add(50)
    assert packing({}) == ("", [SHORT])
    assert Sight.sizes == set()
    assert packing({"window": 22}) == ("", [SHORT])  # crossed already by the longest short row
    assert packing({"window": 50}, fails={1}) == ("reads", [SHORT])
    assert packing({"window": 50}, seen={50}) == ("", [SHORT])  # a mask was seen to use it


@pytest.mark.parametrize(("longest", "crosses"), [(None, True), (51, True), (50, False), (10, False)])
def test_a_boundary_is_crossed_if_a_row_of_the_run_crosses_it(packing, longest, crosses):
    further = [[50 + 12, 7, 19]] if crosses else []
    assert packing({"window": 50}, longest=longest) == ("", [SHORT, *further])
    if crosses:
        assert packing({"window": 50}, longest=longest, fails={2})[0] == "reads"


def test_the_furthest_of_all_boundaries_is_crossed(packing):
    assert packing({"a": 23})[1] == [SHORT, [23 + 8, 7, 19]]
    assert packing({"b": 50, "a": 90, "c": 60})[1] == [SHORT, [90 + 22, 7, 19]]
    assert packing({"b": 50, "a": 90, "c": 60}, seen={90})[1] == [SHORT, [60 + 15, 7, 19]]
    assert packing({"b": 50, "a": 90}, longest=80)[1] == [SHORT, [50 + 12, 7, 19]]


def test_a_batch_is_made_longer_than_a_mask_of_fixed_size(packing):
    assert packing({}, side=40)[1] == [SHORT, [7, 19, *[19] * 2]]
    assert packing({"a": 50}, side=40)[1] == [SHORT, [62, 7, 19, *[19] * 2]]
    assert packing({}, side=23)[1] == [SHORT]
    assert packing({}, side=24)[1] == [SHORT, [7, 19, 19]]


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
def test_a_boundary_that_is_too_far_away_is_not_crossed(packing, limits, side, parameters, name):
    reason, asked = packing(limits, side, parameters=parameters)
    if name is None:
        assert (reason, len(asked)) == ("", 2)
    else:
        assert reason == f"rows or batches are longer than its {name}, which is too long to test"
        assert asked == [SHORT]
