"""Order, steps and micro-batches: pure functions of seed and epoch, and nothing lost on the way."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from burnish.train import batches
from burnish.train.batches import Cursor, StepPlan, TokenisedRows, in_one_copy, make_batch, micro_batches

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=40).map(lambda lengths: np.array(lengths, np.int64))


def test_a_batch_lays_sequences_end_to_end_and_points_at_what_predicts_a_learned_token():
    rows = TokenisedRows.of(
        [
            ("a", np.array([5, 6, 7], np.int32), np.array([9.0, 0.0, 1.0], np.float32)),
            ("b", np.array([8, 9], np.int32), np.array([0.0, 0.5], np.float32)),
        ]
    )
    batch = make_batch(rows, np.array([1, 0]))
    assert batch.input_ids.tolist() == [[8, 9, 5, 6, 7]]
    assert batch.position_ids.tolist() == [[0, 1, 0, 1, 2]]
    assert batch.bounds == (0, 2, 5)
    assert batch.cu_seqlens.tolist() == [0, 2, 5]
    assert batch.positions.tolist() == [0, 3]  # the first token of a row is never learned, whatever its weight
    assert batch.targets.tolist() == [9, 7]
    assert batch.weights.tolist() == [0.5, 1.0]
    assert batch.sequences.tolist() == [0, 1]


def test_arrays_that_go_to_a_device_in_one_copy_are_what_they_were():
    arrays = {
        "ids": np.arange(7, dtype=np.int64)[None],
        "bounds": np.array([0, 3, 7], np.int32),
        "weights": np.array([0.5, 1.5, -1.0], np.float32),
        "none": np.zeros(0, np.int64),
    }
    found = in_one_copy(arrays, torch.device("cpu"))
    for name, array in arrays.items():
        assert found[name].numpy().dtype == array.dtype
        assert np.array_equal(found[name].numpy(), array)
    assert len({tensor.untyped_storage().data_ptr() for tensor in found.values()}) == 1
    assert all(tensor.data_ptr() % 64 == 0 for tensor in found.values() if tensor.numel())


@given(lengths=LENGTHS, seed=st.integers(0, 99), epoch=st.integers(0, 5), tokens=st.integers(1, 100))
def test_every_epoch_visits_every_row_once_in_an_order_of_seed_and_epoch_alone(lengths, seed, epoch, tokens):
    plan = StepPlan(lengths, seed=seed, batch_tokens=tokens)
    steps = plan.epoch(epoch)
    assert sorted(np.concatenate(steps).tolist()) == list(range(len(lengths)))
    again = StepPlan(lengths, seed=seed, batch_tokens=tokens).epoch(epoch)
    assert [step.tolist() for step in steps] == [step.tolist() for step in again]
    assert all(lengths[step].sum() <= tokens or len(step) == 1 for step in steps)
    for step, after in itertools.pairwise(steps):
        assert lengths[step].sum() + lengths[after[0]] > tokens  # no step is cut before it is full


def test_epochs_have_other_orders_unless_shuffling_is_off():
    lengths = np.full(50, 4)
    shuffled, plain = StepPlan(lengths, seed=1, batch_size=50), StepPlan(lengths, seed=1, batch_size=50, shuffle=False)
    assert shuffled.epoch(0)[0].tolist() != shuffled.epoch(1)[0].tolist()
    assert plain.epoch(3)[0].tolist() == list(range(50))


def test_the_cursor_walks_through_epochs_and_the_number_of_steps_agrees():
    plan = StepPlan(np.arange(1, 24), seed=0, batch_tokens=40)
    total, cursor, steps = plan.total_steps(2.0), Cursor(), 0
    while cursor.epoch < 2:
        cursor, steps = plan.after(cursor), steps + 1
    assert steps == total
    assert plan.total_steps(1.5) == len(plan.epoch(0)) + int(np.ceil(len(plan.epoch(1)) / 2))
    assert plan.total_steps(0.001) == 1


@given(lengths=LENGTHS, limit=st.integers(1, 120))
def test_micro_batches_hold_every_row_of_the_step_once_and_keep_to_the_limit(lengths, limit):
    rows = np.arange(len(lengths))[::-1].copy()
    parts = micro_batches(lengths, rows, limit)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(lengths)))
    assert all(lengths[part].sum() <= limit or len(part) == 1 for part in parts)
    # best fit never leaves two parts that would go into one
    totals = sorted(int(lengths[part].sum()) for part in parts)
    assert len(totals) < 2 or totals[0] + totals[1] > limit


def test_models_that_cannot_pack_get_one_row_at_a_time():
    parts = micro_batches(np.array([3, 4, 5]), np.array([2, 0]), 100, one_by_one=True)
    assert [part.tolist() for part in parts] == [[2], [0]]


def test_rows_that_differ_in_one_weight_have_other_digests():
    ids, weights = np.array([1, 2, 3], np.int32), np.array([0, 1, 1], np.float32)
    less = np.array([0, 1, 0], np.float32)
    assert TokenisedRows.of([("a", ids, weights)]).digest() != TokenisedRows.of([("a", ids, less)]).digest()
    assert TokenisedRows.of([("a", ids, weights)]).digest() != TokenisedRows.of([("b", ids, weights)]).digest()


def test_both_measures_of_a_step_or_none_are_refused():
    with pytest.raises(ValueError, match="either"):
        StepPlan(np.array([1]), seed=0)


def test_epochs_of_other_orders_may_have_other_numbers_of_steps_and_each_is_counted():
    lengths, several = np.array([35, 25, 15, 15, 5, 5, 20, 10]), 0
    for seed in range(10):
        plan = StepPlan(lengths, seed=seed, batch_tokens=40)
        steps = [len(plan.epoch(epoch)) for epoch in range(4)]
        several += len(set(steps)) > 1
        assert [plan.total_steps(float(epochs)) for epochs in (1, 2, 3, 4)] == np.cumsum(steps).tolist()
        assert plan.total_steps(2.5) == sum(steps[:2]) + -(-steps[2] // 2)
    assert several


def test_the_epochs_that_are_done_are_the_steps_before_the_cursor():
    plan = StepPlan(np.full(10, 4), seed=0, batch_size=4)
    done = [plan.epochs_done(Cursor(epoch, step)) for epoch, step in ((0, 0), (0, 1), (0, 2), (1, 0), (2, 1))]
    assert done == pytest.approx([0, 1 / 3, 2 / 3, 1, 7 / 3])


@pytest.mark.parametrize("tokens", [1, 7, 10, 40, 1000])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_steps_of_an_epoch_are_those_of_plain_python(tokens, shuffle):
    """The order is numpy's permutation for (seed, epoch): another one would change what a resumed run sees next."""
    lengths = np.random.default_rng(0).integers(1, 12, 60)
    for epoch in (0, 3):
        order = list(range(60))
        if shuffle:
            order = np.random.Generator(np.random.PCG64(np.random.SeedSequence([5, epoch]))).permutation(60).tolist()
        steps: list[list[int]] = [[]]
        for row in order:
            if steps[-1] and int(lengths[steps[-1]].sum()) + int(lengths[row]) > tokens:
                steps.append([])
            steps[-1].append(row)
        plan = StepPlan(lengths, seed=5, shuffle=shuffle, batch_tokens=tokens)
        assert [step.tolist() for step in plan.epoch(epoch)] == steps
        by_rows = StepPlan(lengths, seed=5, shuffle=shuffle, batch_size=7)
        assert [step.tolist() for step in by_rows.epoch(epoch)] == [order[i : i + 7] for i in range(0, 60, 7)]


def test_epochs_are_counted_with_their_fraction():
    plan = StepPlan(np.full(10, 4), seed=0, batch_size=4)
    assert [plan.epochs_done(Cursor(epoch, step)) for epoch, step in ((0, 0), (0, 1), (1, 0), (2, 2))] == pytest.approx(
        [0, 1 / 3, 1, 2 + 2 / 3], abs=0.1
    )
    assert [plan.total_steps(epochs) for epochs in (0.1, 1 / 3, 0.5, 1, 2, 2.4)] == [1, 1, 2, 3, 6, 8]
    for both in ({"batch_size": 1, "batch_tokens": 1}, {}):
        with pytest.raises(ValueError, match="either"):
            StepPlan(np.full(10, 4), seed=0, **both)


ROWS = TokenisedRows.of(
    (name, np.arange(first, first + length, dtype=np.int32), np.array(weights, np.float32))
    for name, first, length, weights in (
        ("a", 10, 4, [0, 0.5, 0, 2]),
        ("b", 20, 2, [0, 1]),
        ("c", 30, 3, [0, 0, 0]),
    )
)


def test_a_batch_counts_the_learned_tokens_of_each_row_and_knows_its_rows():
    batch = make_batch(ROWS, np.array([0, 1, 2]))
    assert batch.tokens == 9
    assert batch.learned.tolist() == [2, 1, 0]  # the last row has none
    assert batch.rows.tolist() == [0, 1, 2]
    assert batch.owners.tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 2]
    assert (batch.positions.tolist(), batch.sequences.tolist()) == ([0, 2, 4], [0, 0, 1])
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 0, 1, 0, 1, 2]]
    dtypes = {name: value.dtype for name, value in vars(batch).items() if isinstance(value, torch.Tensor)}
    assert dtypes.pop("cu_seqlens") == dtypes.pop("owners") == torch.int32
    assert dtypes.pop("weights") == torch.float32
    assert set(dtypes.values()) == {torch.int64}


def test_a_batch_goes_to_a_cuda_device_in_one_copy(monkeypatch):
    sent = []

    def one_copy(arrays, device):
        sent.append(device)
        return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}

    monkeypatch.setattr(batches, "in_one_copy", one_copy)
    batch, plain = make_batch(ROWS, np.array([1, 0]), "cuda"), make_batch(ROWS, np.array([1, 0]), "cpu")
    assert sent == [torch.device("cuda")]
    for name, value in vars(plain).items():
        assert np.array_equal(getattr(batch, name), value), name


def test_the_copy_to_a_cuda_device_is_from_pinned_memory_and_not_waited_for(monkeypatch):
    asked, empty, to = [], torch.empty, torch.Tensor.to

    def pinned(*sizes, pin_memory=False, **options):
        asked.append(("pinned", pin_memory))
        return empty(*sizes, **options)

    def sent(tensor, device, *others, non_blocking=False):
        asked.append((device, non_blocking))
        return to(tensor, "cpu")

    monkeypatch.setattr(torch, "empty", pinned)
    monkeypatch.setattr(torch.Tensor, "to", sent)
    for device, is_pinned in (("cuda", True), ("cpu", False)):
        monkeypatch.setattr(torch.Tensor, "is_pinned", lambda tensor, it=is_pinned: it)
        array = np.arange(70, dtype=np.int64).reshape(7, 10)
        found = in_one_copy({"one": array, "two": array[:1]}, torch.device(device))
        assert np.array_equal(found["one"], array)
        assert np.array_equal(found["two"], array[:1])
        assert asked == [("pinned", is_pinned), (torch.device(device), is_pinned)]
        asked.clear()


def test_each_array_of_one_copy_starts_at_a_multiple_of_256_bytes():
    sizes = {"none": 0, "small": 1, "whole": 32, "more": 33, "last": 5}
    found = in_one_copy({name: np.arange(size) for name, size in sizes.items()}, torch.device("cpu"))
    starts = [tensor.storage_offset() * tensor.element_size() for tensor in found.values()]
    assert starts == [0, 0, 256, 512, 1024]
    assert found["last"].untyped_storage().nbytes() == 1280


def best_fit(lengths, rows, limit):
    """Longest first, into the fullest part with room for the row, the earliest of equals."""
    parts = []
    for row in sorted(rows, key=lambda row: -lengths[row]):
        fitting = [part for part in parts if sum(lengths[i] for i in part) + lengths[row] <= limit]
        if fitting:
            max(fitting, key=lambda part: sum(lengths[i] for i in part)).append(row)
        else:
            parts.append([row])
    return parts


@pytest.mark.parametrize("limit", [1, 5, 10, 17, 30, 200])
def test_micro_batches_are_those_of_plain_best_fit(limit):
    lengths = np.random.default_rng(3).integers(1, 16, 50)
    rows = np.random.default_rng(4).permutation(50)[:40]
    found = micro_batches(lengths, rows, limit)
    assert [part.tolist() for part in found] == best_fit(lengths.tolist(), rows.tolist(), limit)
    assert all(part.dtype == np.int64 for part in found)


def test_a_row_that_just_fills_a_micro_batch_goes_into_it():
    lengths = np.array([6, 4, 7, 3, 5])
    assert [part.tolist() for part in micro_batches(lengths, np.arange(5), 10)] == [[2, 3], [0, 1], [4]]
    assert [part.tolist() for part in micro_batches(lengths, np.arange(5), 10, True)] == [[0], [1], [2], [3], [4]]


def test_a_cursor_starts_at_the_first_step_and_moves_by_one():
    plan = StepPlan(np.full(9, 4), seed=0, batch_size=4)
    cursor, seen = Cursor(), []
    for _ in range(7):
        seen.append((cursor.epoch, cursor.step, len(plan.rows(cursor))))
        cursor = plan.after(cursor)
    assert seen == [(0, 0, 4), (0, 1, 4), (0, 2, 1), (1, 0, 4), (1, 1, 4), (1, 2, 1), (2, 0, 4)]
    assert plan.epoch(0) is plan.epoch(0)


def test_a_plan_shuffles_unless_told_otherwise():
    plan = StepPlan(np.full(50, 4), seed=0, batch_size=50)
    assert (
        plan.rows(Cursor()).tolist()
        == StepPlan(np.full(50, 4), seed=0, batch_size=50, shuffle=True).rows(Cursor()).tolist()
    )
    assert plan.rows(Cursor()).tolist() != list(range(50))


@pytest.mark.parametrize(("epochs", "steps"), [(1, 7), (2, 14), (0.5, 4), (3 / 7, 3), (3.001, 22), (0.0, 1)])
def test_a_fraction_of_an_epoch_is_rounded_up_to_a_step(epochs, steps):
    for sizes in ({"batch_size": 3}, {"batch_tokens": 12}):
        assert StepPlan(np.full(20, 4), seed=0, **sizes).total_steps(epochs) == steps
