"""Fractional weights count in every number of a run: loss, gradient, validation loss, row ledger and curve."""

from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from burnish.models.load import load_model
from burnish.train.batches import TokenisedRows, make_batch
from burnish.train.objectives.causal import Causal
from burnish.train.reporting.curve import step_losses
from burnish.train.reporting.ledger import LedgerType

STILL = {"max_steps": 1, "learning_rate": 1e-20, "method": {"kind": "full"}, "keep_best": False}
"""A step that changes no weight: its numbers are those of the base."""


@pytest.fixture(scope="session")
def weighted_rows(random_rows):
    """`weighted_rows(count, seed)`: rows whose learned tokens weigh 0.25 to 2, those of the first row 0.5."""

    def make(count: int = 12, seed: int = 0) -> TokenisedRows:
        rows, random = random_rows(count, seed), np.random.default_rng(seed)
        weights = random.choice(np.array([0, 0, 0.25, 0.5, 1, 2], np.float32), len(rows.weights))
        weights[rows.offsets[1:] - 1] = 0.75
        weights[: rows.offsets[1]] = 0.5
        weights[rows.offsets[:-1]] = 0
        return TokenisedRows(rows.ids, weights, rows.offsets, rows.row_ids)

    return make


def row_by_row(base, rows: TokenisedRows) -> SimpleNamespace:
    """The plain twin: one forward of transformers for each row, full logits, sums in a Python loop."""
    model, sums, losses = load_model(base).requires_grad_(True), [], []
    for row in range(len(rows)):
        span = rows.span(row)
        ids = torch.from_numpy(rows.ids[span].astype(np.int64))
        weights = torch.from_numpy(rows.weights[span])[1:]
        logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1]
        sums.append((nn.functional.cross_entropy(logits, ids[1:], reduction="none") * weights).sum())
        losses.append(sums[-1].item() / weights.sum().item())
    loss = torch.stack(sums).sum() / float(rows.weights.sum())
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    norm = sum(float(gradient.square().sum()) for gradient in gradients if gradient is not None) ** 0.5
    return SimpleNamespace(loss=loss.item(), losses=losses, grad_norm=norm)


@pytest.mark.parametrize("attention", ["varlen", "sdpa"])
@pytest.mark.parametrize("micro_batch_tokens", [40, 10_000])
def test_loss_and_gradient_of_a_step_are_those_of_the_weighted_mean(
    run_fit, weighted_rows, base, attention, micro_batch_tokens
):
    rows = weighted_rows()
    ran = run_fit(
        "run", rows=rows, batch_size=len(rows), attention=attention, micro_batch_tokens=micro_batch_tokens, **STILL
    )
    expected = row_by_row(base, rows)
    assert ran.metrics("loss") == [pytest.approx(expected.loss, rel=1e-5)]
    assert ran.metrics("grad_norm") == [pytest.approx(expected.grad_norm, rel=1e-4)]


@pytest.mark.parametrize("micro_batch_tokens", [40, 10_000])
def test_the_validation_loss_is_the_weighted_mean_of_the_held_out_tokens(
    run_fit, weighted_rows, base, micro_batch_tokens
):
    held_out = weighted_rows(7, seed=3)
    ran = run_fit("run", held_out=held_out, micro_batch_tokens=micro_batch_tokens, **STILL)
    assert ran.metrics("eval_loss") == [pytest.approx(row_by_row(base, held_out).loss, rel=1e-5)]
    assert ran.measures["best_eval_loss"] == ran.measures["last_eval_loss"] == ran.metrics("eval_loss")[0]


def test_the_ledger_keeps_the_weighted_mean_loss_and_the_learned_tokens_of_each_row(run_fit, weighted_rows, base):
    rows = weighted_rows()
    ran = run_fit("run", rows=rows, batch_size=len(rows), **STILL)
    table = pq.read_table(ran.folder / "out/rows.parquet").to_pydict()
    learned = [int((rows.weights[rows.span(row)] > 0).sum()) for row in range(len(rows))]
    found = dict(zip(table["id"], zip(table["loss"], table["learned_tokens"], strict=True), strict=True))
    expected = row_by_row(base, rows).losses
    for row, name in enumerate(rows.row_ids):
        assert found[name] == (pytest.approx(expected[row], rel=1e-4), learned[row]), name
    assert ran.measures["learned_tokens"] == sum(learned)


def test_the_curve_shows_the_loss_that_each_step_reported(run_fit, weighted_rows):
    rows = weighted_rows()
    ran = run_fit("run", rows=rows, batch_size=5, max_steps=4)
    visits = LedgerType().read(ran.folder / "scratch/ledger/visits.bin")
    steps, losses = step_losses(visits, Causal().row_weights(rows, np.arange(len(rows))))
    assert steps.tolist() == [1, 2, 3, 4]
    assert losses.tolist() == pytest.approx(ran.metrics("loss"), rel=1e-4)


def test_twice_the_weight_of_every_token_is_the_same_step(run_fit, weighted_rows):
    rows = weighted_rows()
    double = TokenisedRows(rows.ids, rows.weights * 2, rows.offsets, rows.row_ids)
    once, twice = (run_fit(name, rows=data, max_steps=3) for name, data in (("once", rows), ("twice", double)))
    for name in ("loss", "grad_norm"):
        assert twice.metrics(name) == pytest.approx(once.metrics(name), rel=1e-4)


def test_a_batch_weighs_each_row_by_its_own_weights(weighted_rows):
    rows = weighted_rows()
    some = np.array([3, 0, 7])
    batch = make_batch(rows, some)
    expected = [rows.weights[rows.span(row)].sum() for row in some]
    sums = [batch.weights[batch.sequences == place].sum().item() for place in range(3)]
    assert sums == pytest.approx(expected)
    assert Causal().row_weights(rows, some) == pytest.approx(expected)


def test_weights_are_summed_in_double_precision():
    weights = np.array([0.0, 2.0**24, 1.0, 1.0], np.float32)
    rows = TokenisedRows.of([("a", np.arange(4, dtype=np.int32), weights)] * 2)
    found = Causal().row_weights(rows, np.arange(2))
    assert (found.dtype, found.tolist()) == (np.float64, [2.0**24 + 2] * 2)
    assert Causal().row_weights(rows, np.array([], np.int64)).tolist() == []
