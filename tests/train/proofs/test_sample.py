"""Which rows of the user a training is checked on."""

from types import SimpleNamespace

import numpy as np
from torch import nn

from burnish.tokens.tokenised import TokenisedRows
from burnish.train.batches import Visits
from burnish.train.proofs.running import with_sample
from burnish.train.proofs.sample import rows_of_sample, sample_of, tokens_of_sample
from burnish.train.proofs.tokens import ends


def rows(lengths, turns=None):
    made = []
    for number, length in enumerate(lengths):
        weights = np.zeros(length, np.float32)
        for turn in range((turns or [1] * len(lengths))[number]):
            weights[length - 1 - 2 * turn] = 1
        made.append((f"row{number}", np.arange(3, 3 + length, dtype=np.int32), weights))
    return TokenisedRows.of(made)


def test_the_shortest_the_longest_the_one_with_most_turns_and_the_first_are_taken():
    data = rows([8, 30, 5, 9, 12], turns=[1, 1, 1, 3, 1])
    assert rows_of_sample(data, np.arange(5), 200) == [0, 1, 2, 3]
    assert rows_of_sample(data, np.array([1, 4]), 200) == [1, 4]


def test_rows_that_are_too_long_are_left_out_and_the_sum_is_limited():
    data = rows([8, 30, 5, 9, 12])
    assert rows_of_sample(data, np.arange(5), 24) == [2, 4]  # 30 is too long; with 8 it would be 25 tokens


def test_where_every_row_is_too_long_the_shortest_is_cut_around_its_first_learned_token():
    data = rows([300, 200, 400])
    chosen = rows_of_sample(data, np.arange(3), 50)
    assert chosen == [1]
    sample = sample_of(data, chosen, 50)
    assert sample.note == "1 row of 200 tokens, cut to 50"
    assert sample.rows.lengths.tolist() == [26]  # from half of 50 before the learned token, the row's last
    assert sample.rows.weights[-1] == 1
    assert sample.rows.ids.tolist() == data.ids[data.span(1)][-26:].tolist()


def test_no_visited_row_is_no_sample():
    data = rows([8, 30])
    assert rows_of_sample(data, np.arange(0), 50) == []
    visits = Visits(np.arange(0), lambda: [np.arange(0)])
    assert list(with_sample(visits, data, nn.Linear(2, 2)).used.steps()) == []


def test_a_run_whose_turns_are_all_cut_is_not_judged_by_their_ends():
    tokenizer = SimpleNamespace(convert_ids_to_tokens=lambda ids: ["<end>"] * len(ids))
    spec = SimpleNamespace(render=SimpleNamespace(max_length=8))
    of = {"stop_ids": {2}, "rows": rows([8, 8]), "visited": np.arange(2), "spec": spec, "tokenizer": tokenizer}
    answer = ends(SimpleNamespace(**of, drawn=None))
    assert answer.verdict == "does not apply"
    assert "cut" in answer.found


def test_a_pair_keeps_both_answers_and_its_values():
    sequence = [(np.arange(9, dtype=np.int32), np.eye(9, dtype=np.float32)[7])] * 2
    data = TokenisedRows.of_groups([("a", sequence), ("b", sequence)], 2, {"reference": np.array([[1, 2], [3, 4.0]])})
    sample = sample_of(data, [1], 100)
    assert sample.rows.width == 2
    assert sample.rows.row_ids == ("b",)
    assert sample.rows.values["reference"].tolist() == [[3, 4]]


def test_a_larger_model_is_checked_on_fewer_tokens():
    assert tokens_of_sample(nn.Linear(10, 10)) == 768
    assert tokens_of_sample(nn.Linear(2 * 10**4, 10**4)) == 299
    assert tokens_of_sample(nn.Linear(2 * 10**4, 10**4, device="meta")) == 768  # as on a GPU
