"""Rows of several sequences in batches: never separated, and with their common prompt there once or each time."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from burnish.tokens.tokenised import TokenisedRows
from burnish.train.batches import make_batch, micro_batches


def rows_of(*groups, width=2, **values):
    """Rows of sequences (ids, weights)."""
    named = [
        (str(number), [(np.array(ids, np.int32), np.array(weights, np.float32)) for ids, weights in group])
        for number, group in enumerate(groups)
    ]
    return TokenisedRows.of_groups(named, width, {name: np.array(n, np.float32) for name, n in values.items()})


def random_groups(count, width, seed=0):
    """Rows of which the sequences share up to all of their tokens; of some tokens in the common part are learned."""
    random = np.random.default_rng(seed)
    groups = []
    for _ in range(count):
        prompt = random.integers(0, 3, random.integers(0, 6)).tolist()
        group = []
        for _ in range(width):
            ids = [*prompt, *random.integers(0, 3, random.integers(1, 6)).tolist()]
            learned = random.random(len(ids)) < random.choice([0.0, 0.1, 0.5])
            group.append((ids, learned.astype(np.float32) * 0.5))
        groups.append(group)
    return rows_of(*groups, width=width)


@pytest.mark.parametrize("width", [2, 3])
@pytest.mark.parametrize("limit", [1, 7, 20, 64, 10_000])
def test_a_micro_batch_never_separates_the_sequences_of_a_row(width, limit):
    rows = random_groups(40, width)
    step = np.random.default_rng(1).permutation(40)[:30]
    seen = []
    for part in micro_batches(rows.lengths, step, limit):
        batch = make_batch(rows, part)
        owners = [row * width + place for row in part.tolist() for place in range(width)]
        assert torch.unique_consecutive(batch.owners).tolist() == owners
        assert len(batch.bounds) == len(owners) + 1
        assert batch.tokens <= limit or len(part) == 1
        seen += part.tolist()
    assert sorted(seen) == sorted(step.tolist())


A, B = [5, 6, 7, 8], [5, 6, 7, 9]
CASES = {
    "nothing in common": ([([1, 2, 3], [0, 1, 1]), ([4, 2, 3], [0, 1, 1])], 0),
    "the first token": ([([1, 2, 3], [0, 0, 1]), ([1, 4, 3], [0, 0, 1])], 1),
    "all but the last token": ([(A, [0, 0, 0, 1]), (B, [0, 0, 0, 1])], 3),
    "a learned token in the common part": ([(A, [0, 1, 0, 1]), (B, [0, 1, 0, 1])], 1),
    "a token of the common part that one learns": ([(A, [0, 0, 0, 1]), (B, [0, 0, 0.5, 1])], 2),
    "a common part that the other learns first": ([(A, [0, 0.5, 0, 1]), (B, [0, 0, 0, 1])], 1),
    "all": ([(A, [0, 0, 1, 1]), (A, [0, 0, 1, 1])], 2),
    "all, and nothing is learned": ([(A, [0, 0, 0, 0]), (A, [0, 0, 0, 0])], 4),
    "one is the beginning of the other": ([(A, [0, 0, 0, 0]), (A[:2], [0, 0])], 2),
    "the same tokens at other positions": ([([1, 2, 3], [0, 0, 1]), ([9, 1, 2, 3], [0, 0, 0, 1])], 0),
}


@pytest.mark.parametrize("case", CASES)
def test_the_common_prompt_is_laid_out_once_up_to_the_first_learned_token(case):
    group, shared = CASES[case]
    batch = make_batch(rows_of(group), np.array([0]), share_prompts=True)
    first, second = (len(ids) for ids, _ in group)
    kept = [*range(first), *range(first + shared, first + second)]
    assert batch.keep.tolist() == kept
    places = [*range(first), *range(shared), *range(first, first + second - shared)]
    assert batch.gather.tolist() == places
    assert batch.input_ids.tolist() == [[*group[0][0], *group[1][0][shared:]]]
    assert batch.tokens == first + second - shared


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_batch_of_shared_prompts_says_the_same_of_each_sequence(width):
    rows = random_groups(40, width, seed=width)
    some = np.random.default_rng(1).permutation(40)[:30]
    whole, shared = make_batch(rows, some), make_batch(rows, some, share_prompts=True)
    if width == 1:
        assert shared.gather is shared.keep is None
        return
    assert shared.tokens < whole.tokens
    assert torch.equal(shared.input_ids[0, shared.gather], whole.input_ids[0])
    assert torch.equal(shared.position_ids[0, shared.gather], whole.position_ids[0])
    assert torch.equal(shared.gather[shared.keep], torch.arange(shared.tokens))
    assert torch.equal(whole.owners[shared.keep], shared.owners)
    assert torch.equal(shared.gather[whole.positions], shared.positions)
    for name in ("cu_seqlens", "targets", "weights", "sequences"):
        assert torch.equal(getattr(whole, name), getattr(shared, name)), name
    assert (whole.bounds, whole.rows.tolist()) == (shared.bounds, shared.rows.tolist())
    assert whole.learned.tolist() == shared.learned.tolist()
    learned = [at + 1 for at in whole.positions.tolist()]
    assert len(set(shared.gather[learned].tolist())) == len(learned)  # a learned token is never shared


def test_each_sequence_alone_is_the_batch_of_a_row_of_it():
    rows = random_groups(9, 2)
    single = TokenisedRows(rows.ids, rows.weights, rows.offsets, tuple(map(str, range(18))))
    batch = make_batch(rows, np.array([4, 0, 7]))
    for alone, sequence in zip(batch.alone(), (8, 9, 0, 1, 14, 15), strict=True):
        expected = make_batch(single, np.array([sequence]))
        for name in ("input_ids", "position_ids", "cu_seqlens", "positions", "targets", "weights", "owners"):
            assert torch.equal(getattr(alone, name), getattr(expected, name)), name
        assert alone.sequences.tolist() == expected.sequences.tolist()
        assert alone.bounds == expected.bounds


def test_sums_and_counts_are_of_each_sequence():
    rows = random_groups(9, 3)
    batch = make_batch(rows, np.array([4, 0, 7]))
    numbers = torch.arange(1.0, len(batch.targets) + 1, requires_grad=True)
    sums = batch.sums(numbers)
    each = [[n for n, at in zip(numbers.tolist(), batch.sequences, strict=True) if at == place] for place in range(9)]
    assert sums.tolist() == [sum(some) for some in each]
    assert batch.counts.tolist() == [len(some) for some in each]
    assert batch.learned.tolist() == [sum(map(len, each[at : at + 3])) for at in (0, 3, 6)]
    (sums * torch.arange(9.0)).sum().backward()
    assert torch.equal(numbers.grad, batch.sequences.float())


def test_the_values_of_rows_follow_them_into_a_batch():
    group = CASES["all but the last token"][0]
    rows = rows_of(group, group, group, label=[1, 0, 1], score=[[1, 2], [3, 4], [5, 6]])
    batch = make_batch(rows, np.array([2, 1]))
    assert {name: value.tolist() for name, value in batch.values.items()} == {
        "label": [1, 0],
        "score": [[5, 6], [3, 4]],
    }
    assert batch.values["label"].dtype == torch.float32
    assert make_batch(rows.first(2), np.array([1])).values["score"].tolist() == [[3, 4]]
    more = rows.with_values(margin=np.array([7, 8, 9], np.float32))
    assert set(make_batch(more, np.array([0])).values) == {"label", "score", "margin"}


def test_a_row_of_groups_knows_its_sequences():
    rows = random_groups(12, 3)
    assert rows.lengths.tolist() == [sum(n) for n in np.split(rows.sequence_lengths, 12) for n in [n.tolist()]]
    for row in range(12):
        spans = rows.spans(row)
        assert (spans[0].start, spans[-1].stop) == (rows.span(row).start, rows.span(row).stop)
        assert all(one.stop == other.start for one, other in pairwise(spans))
    assert rows.first(5).row_ids == rows.row_ids[:5]
    assert rows.first(5).lengths.tolist() == rows.lengths[:5].tolist()
    assert rows.first(99).digest() == rows.digest()


def test_a_row_of_another_number_of_sequences_is_refused():
    with pytest.raises(ValueError, match="row 0 has 2 sequences instead of 3"):
        rows_of(CASES["all"][0], width=3)
