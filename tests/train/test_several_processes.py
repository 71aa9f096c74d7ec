"""A training in two and three processes: the steps, ledger and weights of one; resumed in any number of them."""

import pytest
import torch

from burnish.core.errors import BurnishError
from burnish.core.files import read_json
from burnish.train import passes
from burnish.train.optim.optimizers import Optimizer
from burnish.train.proofs.proof import FILE
from burnish.train.ranks import Ranks, shares
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


def proof_of(ran):
    """The checks of a run, by their names."""
    return {check["name"]: check for check in read_json(ran.folder / "scratch" / FILE)["checks"]}


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


@pytest.mark.parametrize("size", [2, 3])
def test_processes_prove_that_they_find_the_gradient_of_one(together, size):
    check = proof_of(together(size, "proved", prove="auto"))["processes"]
    assert check["verdict"] == "holds"
    assert check["measured"] < 1e-5
    assert f"in {size} processes and in one" in check["found"]


def test_one_process_has_nothing_to_prove_of_others(together):
    assert "processes" not in proof_of(together(1, "proved", prove="auto"))


def averaged(monkeypatch):
    sum_of = Ranks.sum

    def average(ranks, tensors):
        tensors = list(tensors)
        sum_of(ranks, tensors)
        for tensor in tensors:
            tensor /= ranks.size

    monkeypatch.setattr(Ranks, "sum", average)


def unsent(monkeypatch):
    monkeypatch.setattr(Ranks, "sum", lambda ranks, tensors: None)


def gradients_unsent(monkeypatch):
    monkeypatch.setattr(Optimizer, "gradients", lambda optimizer, reached: [])


def a_row_dropped(monkeypatch):
    def dropping(lengths, rows, count):
        return [part[: len(part) - (number == count - 1)] for number, part in enumerate(shares(lengths, rows, count))]

    monkeypatch.setattr(passes, "shares", dropping)


def a_row_twice(monkeypatch):
    monkeypatch.setattr(passes, "shares", lambda lengths, rows, count: [rows] * count)


@pytest.mark.parametrize("fault", [averaged, unsent, gradients_unsent, a_row_dropped, a_row_twice])
def test_processes_that_do_not_find_the_gradient_of_one_stop_the_run(together, monkeypatch, fault):
    fault(monkeypatch)
    with pytest.raises(BurnishError, match=r"processes: .*in 2 processes and in one") as error:
        together(2, "broken", prove="auto")
    assert error.value.code == "run.not-proven"


def test_an_attempt_in_several_processes_proves_again_what_one_has_proven(together):
    together(1, "again", prove="only")
    assert "processes" in proof_of(together(2, "again", prove="auto"))


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
