"""A training in two and three processes: the steps, ledger and weights of one; resumed in any number of them."""

import pytest
import torch

from burnish.train.reporting.ledger import LedgerType
from ran import Ran
from train.ranked import in_processes

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
WAYS = {
    "lora": {"method": {"kind": "lora", "rank": 4, "dropout": 0.2}},
    "dora": {"method": {"kind": "lora", "rank": 4, "dora": True}},
    "full": {"method": {"kind": "full"}, "learning_rate": 1e-3},
    "freeze": {"method": {"kind": "freeze", "layers": 1}, "learning_rate": 1e-3},
    "muon": {"method": {"kind": "full"}, "learning_rate": 1e-3, "optimizer": {"kind": "muon"}},
    "tokens": {"batch_size": None, "batch_tokens": 90},
    "one row a step": {"batch_size": 1},
    "recomputed": {"gradient_checkpointing": True},
    "noise": {"neftune_alpha": 5.0},
}


@pytest.fixture
def together(run_fit, tmp_path):
    """`together(size, name, **settings)`: `run_fit` in so many processes; what the first one left."""

    def together(size: int, name: str, **settings) -> Ran:
        if size == 1:
            return run_fit(name, **settings)
        first, *others = in_processes(size, lambda rank: run_fit(name, process=(rank, size), **settings), tmp_path)
        if isinstance(first, Exception):
            raise first
        assert others == [None] * (size - 1)
        return first

    return together


def ledger(ran):
    """All visits, in the order of the file."""
    return LedgerType().read(ran.folder / "scratch" / "ledger" / "visits.bin")


def assert_alike(found, expected, tolerance=1e-4):
    for name in ("loss", "grad_norm"):
        assert found.metrics(name) == pytest.approx(expected.metrics(name), rel=tolerance)
    one, other = ledger(found), ledger(expected)
    assert [one[name].tolist() for name in ("row", "step", "epoch", "learned")] == [
        other[name].tolist() for name in ("row", "step", "epoch", "learned")
    ]
    assert one["loss"] == pytest.approx(other["loss"], rel=tolerance)
    assert found.weights.keys() == expected.weights.keys()
    for name, weight in expected.weights.items():
        assert torch.allclose(found.weights[name].float(), weight.float(), atol=tolerance), name
    assert {key: found.measures[key] for key in ("tokens", "learned_tokens", "steps", "rows")} == {
        key: expected.measures[key] for key in ("tokens", "learned_tokens", "steps", "rows")
    }


@pytest.mark.parametrize("way", WAYS)
def test_two_processes_train_as_one(together, run_fit, random_rows, way):
    settings = {"held_out": random_rows(7, seed=3), "eval_every": 4, **WAYS[way]}
    expected = run_fit("one", **settings)
    found = together(2, "two", **settings)
    assert_alike(found, expected)
    assert found.metrics("eval_loss") == pytest.approx(expected.metrics("eval_loss"), rel=1e-4)


def test_three_processes_train_as_one_with_rows_that_leave_some_idle(together, run_fit):
    settings = {"batch_size": 2}
    assert_alike(together(3, "three", **settings), run_fit("one", **settings))


def test_50_steps_of_bfloat16_stay_close(together, run_fit):
    settings = {"max_steps": 50, "dtype": torch.bfloat16, "learning_rate": 1e-3}
    assert_alike(together(2, "two", **settings), run_fit("one", **settings), tolerance=0.05)


def test_the_same_number_of_processes_resumes_to_the_same_bits(together):
    expected = together(2, "whole")
    with pytest.raises(Exception, match="stopped after step 5"):
        together(2, "stopped", stop_before=5)
    found = together(2, "stopped")
    assert found.measures["resumed_from"] == 5
    assert found.metrics("loss") == expected.metrics("loss")[5:]
    assert ledger(found).tobytes() == ledger(expected).tobytes()
    assert all(torch.equal(found.weights[name], weight) for name, weight in expected.weights.items())


@pytest.mark.parametrize(("before", "after"), [(2, 1), (2, 3), (1, 2)])
def test_another_number_of_processes_goes_on_from_a_checkpoint(together, before, after):
    expected = together(1, "whole")
    with pytest.raises(Exception, match="stopped after step 5"):
        together(before, "stopped", stop_before=5)
    found = together(after, "stopped")
    assert found.measures["resumed_from"] == 5
    for name, weight in expected.weights.items():
        assert torch.allclose(found.weights[name], weight, atol=1e-4), name
    assert ledger(found)["row"].tolist() == ledger(expected)["row"].tolist()
