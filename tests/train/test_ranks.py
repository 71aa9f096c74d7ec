"""Several connected processes: shares of a step, sums, agreement; the gradient of a step in any number of them."""

import numpy as np
import pytest
import torch

from burnish.core.context import StopRequestedError
from burnish.core.errors import MachineError, RunError
from burnish.train.objectives.balance import Balance
from burnish.train.ranks import ALONE, shares
from train.ranked import in_ranks
from train.test_passes import EVERY, Toy, exact, made, master, rows_of

SIZES = (2, 3)


@pytest.fixture(scope="module", autouse=True)
def warm():
    """What torch imports at a first step is not imported by each forked process again."""
    made(norm=1.0)[0].gradient(rows_of(), EVERY)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 12])
def test_shares_are_all_rows_once_and_of_about_as_many_tokens(count):
    lengths = np.random.default_rng(count).integers(1, 100, 40)
    rows = np.random.default_rng(0).permutation(40)[:31]
    found = shares(lengths, rows, count)
    assert len(found) == count
    assert sorted(np.concatenate(found)) == sorted(rows)
    tokens = [lengths[share].sum() for share in found]
    assert max(tokens) - min(tokens) <= lengths.max()


def test_one_share_keeps_the_order_of_the_rows():
    assert shares(np.array([1, 5, 3]), np.array([2, 0, 1]), 1)[0].tolist() == [2, 0, 1]


def test_there_may_be_fewer_rows_than_processes():
    assert [share.tolist() for share in shares(np.array([4, 9]), np.array([0, 1]), 3)] == [[1], [0], []]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("coefficient", [None, 2.5])
@pytest.mark.parametrize(("tokens", "rows"), [(12, EVERY), (1000, EVERY), (12, np.array([5, 0])), (12, np.array([3]))])
def test_the_gradient_of_a_step_is_that_of_one_process(size, coefficient, tokens, rows, tmp_path):
    balance = None if coefficient is None else Balance(3, 1, coefficient)

    def work(ranks):
        passes, _ = made(tokens=tokens, balance=balance)
        passes.ranks = ranks
        found = passes.gradient(rows_of(), rows)
        return found.read(), found.rows, found.learned, master(passes).grad

    expected, uneven, gradient, of_rows = exact(rows, balance)
    found = in_ranks(size, work, tmp_path)
    for ((loss, aux_loss, _), (row_losses,)), ids, learned, its_gradient in found:
        assert loss == pytest.approx(expected, rel=1e-5)
        assert aux_loss == pytest.approx(uneven if balance else 0.0, rel=1e-5)
        assert dict(zip(ids.tolist(), row_losses.tolist(), strict=True)) == pytest.approx(of_rows, rel=1e-5)
        assert learned.tolist() == rows_of().learned_of(ids)[:, 0].tolist()
        assert torch.allclose(its_gradient.double(), gradient, atol=1e-6)
    assert all(torch.equal(one[3], found[0][3]) for one in found)


@pytest.mark.parametrize("size", SIZES)
def test_an_evaluation_is_that_of_one_process_and_the_same_in_all(size, tmp_path):
    def work(ranks):
        passes, _ = made()
        passes.ranks = ranks
        return passes.evaluate(rows_of())

    alone = made()[0].evaluate(rows_of())
    found = in_ranks(size, work, tmp_path)
    assert found == [found[0]] * size
    assert found[0] == pytest.approx(alone, rel=1e-6)


def test_all_repeat_a_step_in_smaller_parts_where_memory_runs_out_in_one(tmp_path):
    def work(ranks):
        scorer = Toy()
        scorer.most = 9 if ranks.rank == 1 else None
        passes, events = made(scorer, tokens=30)
        passes.ranks = ranks
        passes.gradient(rows_of(), EVERY)
        return master(passes).grad, passes.state.micro_batch_tokens, [event.text for event in events]

    found = in_ranks(2, work, tmp_path)
    gradient = exact()[2]
    for its_gradient, tokens, texts in found:
        assert torch.allclose(its_gradient.double(), gradient, atol=1e-6)
        assert tokens == found[0][1] < 30
        assert "memory ran out" in texts[0]
    assert "in another process" in found[0][2][0]


def test_a_row_that_does_not_fit_in_one_process_ends_all_with_the_same_error(tmp_path):
    def work(ranks):
        scorer = Toy()
        scorer.most = 1 if ranks.rank == 1 else None
        passes, _ = made(scorer, tokens=1)
        passes.ranks = ranks
        passes.gradient(rows_of(), EVERY)

    found = in_ranks(2, work, tmp_path)
    assert [type(error) for error in found] == [MachineError] * 2
    assert [error.code for error in found] == ["machine.no-memory"] * 2


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_stop_that_one_process_sees_stops_all_at_the_same_step(at, tmp_path):
    def work(ranks):
        seen = []
        passes, _ = made(tokens=9, stopping=lambda: ranks.rank == 1 and len(seen) >= at)
        passes.ranks = ranks
        try:
            for _ in range(4):
                passes.gradient(rows_of(), EVERY)
                seen.append(1)
        except StopRequestedError:
            return len(seen), master(passes).grad is None

    assert in_ranks(2, work, tmp_path) == [(at, True)] * 2


def test_sums_are_the_same_bits_in_all_processes_whatever_the_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr("burnish.train.ranks._BUCKET", 64)

    def work(ranks):
        torch.manual_seed(ranks.rank)
        tensors = [torch.randn(3), torch.randn(40, 2).T, torch.tensor(1.5), torch.arange(4), torch.randn(2, 2)]
        before = [tensor.clone() for tensor in tensors]
        ranks.sum(tensors)
        return before, tensors

    found = in_ranks(3, work, tmp_path)
    for place in range(5):
        total = sum(before[place] for before, _ in found)
        for _, after in found:
            assert torch.equal(after[place], found[0][1][place])
            assert torch.allclose(after[place].double(), total.double())


def test_what_the_first_process_decides_holds_for_all(tmp_path):
    assert in_ranks(3, lambda ranks: ranks.of_first(lambda: f"by {ranks.rank}"), tmp_path) == ["by 0"] * 3


def test_values_that_differ_are_an_error_in_all_processes_that_shows_them(tmp_path):
    found = in_ranks(2, lambda ranks: ranks.refuse_differences("the answer", 41 + ranks.rank), tmp_path)
    assert all(isinstance(error, RunError) and error.code == "run.ranks-differ" for error in found)
    assert "the answer is not the same in all processes: process 1: 41; process 2: 42" in str(found[0])


def test_a_process_alone_sends_nothing():
    tensor = torch.ones(2)
    ALONE.sum([tensor])
    assert (ALONE.gathered(3), ALONE.of_first(lambda: 4), tensor.tolist()) == ([3], 4, [1.0, 1.0])
