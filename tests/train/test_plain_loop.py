"""A whole run is the loop that anybody would write: transformers' forward, torch's optimizers, row after row."""

from itertools import accumulate

import numpy as np
import pytest
import torch
from torch import nn

from burnish.models.load import load_model
from burnish.specs.train import ScheduleSpec
from burnish.train.batches import Cursor, StepPlan
from burnish.train.optim.schedule import Schedule

STEPS, RATE, NORM = 8, 1e-2, 0.5
SCHEDULE = {"kind": "linear", "warmup": 2, "final": 0.1}


def loss_of(model, rows, some):
    """Σ weight·ce / Σ weight over some rows."""
    losses, weights = [], []
    for row in some:
        ids = torch.from_numpy(rows.ids[rows.span(row)].astype(np.int64))
        logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1]
        losses.append(nn.functional.cross_entropy(logits, ids[1:], reduction="none"))
        weights.append(torch.from_numpy(rows.weights[rows.span(row)][1:]))
    return (torch.cat(losses) * torch.cat(weights)).sum() / torch.cat(weights).sum()


def optimizers_of(model, kind):
    named = dict(model.named_parameters())
    ends = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}
    matrices = [weight for weight in named.values() if weight.ndim == 2]
    vectors = [weight for weight in named.values() if weight.ndim < 2]
    if kind == "adamw":
        groups = [{"params": matrices, "weight_decay": 0.3}, {"params": vectors, "weight_decay": 0.0}]
        return [torch.optim.AdamW(groups, betas=(0.8, 0.95), eps=1e-3)]
    inner = [weight for weight in matrices if id(weight) not in ends]
    rest = [weight for weight in matrices if id(weight) in ends] + vectors
    muon = torch.optim.Muon(inner, momentum=0.9, weight_decay=0.3, adjust_lr_fn="match_rms_adamw")
    return [muon, torch.optim.AdamW(rest, betas=(0.8, 0.95), weight_decay=0.0)]


SETTINGS = {
    "adamw": {"kind": "adamw", "beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.3},
    "muon": {"kind": "muon", "momentum": 0.9, "weight_decay": 0.3, "beta1": 0.8, "beta2": 0.95},
}


@pytest.mark.parametrize(
    "batch", [{"batch_size": 7}, {"batch_tokens": 100, "batch_size": None}], ids=["rows", "tokens"]
)
@pytest.mark.parametrize("optimizer", SETTINGS)
def test_a_run_is_the_loop_that_anybody_would_write(run_fit, random_rows, base, optimizer, batch):
    rows, held_out = random_rows(20, 1), random_rows(5, 2)
    ran = run_fit(
        "run",
        rows=rows,
        held_out=held_out,
        method={"kind": "full"},
        optimizer=SETTINGS[optimizer],
        schedule=SCHEDULE,
        max_steps=STEPS,
        learning_rate=RATE,
        max_grad_norm=NORM,
        seed=3,
        eval_every=3,
        keep_best=False,
        **batch,
    )
    model = load_model(base).train().requires_grad_(True)
    plain, schedule = optimizers_of(model, optimizer), Schedule(ScheduleSpec(**SCHEDULE), STEPS)
    plan, cursor = StepPlan(rows.lengths, seed=3, **batch), Cursor()
    start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    losses, norms, rates, evaluations, learned, tokens = [], [], [], {}, [], 0
    for step in range(STEPS):
        some = plan.rows(cursor)
        loss = loss_of(model, rows, some)
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), NORM).item())
        rates.append(RATE * schedule(step))
        for one in plain:
            for group in one.param_groups:
                group["lr"] = rates[-1]
            one.step()
            one.zero_grad()
        losses.append(loss.item())
        learned.append(sum(int((rows.weights[rows.span(row)] > 0).sum()) for row in some))
        tokens += int(rows.lengths[some].sum())
        cursor = plan.after(cursor)
        if step + 1 in (3, 6, STEPS):
            with torch.no_grad():
                evaluations[step + 1] = loss_of(model, held_out, range(5)).item()

    assert max(norms) > NORM  # clipping acts
    assert ran.metrics("learning_rate") == pytest.approx(rates)
    assert ran.metrics("loss") == pytest.approx(losses, rel=1e-4)
    assert ran.metrics("grad_norm") == pytest.approx(norms, rel=1e-3)
    found = {e.step: e.values["eval_loss"] for e in ran.events if e.kind == "metric" and "eval_loss" in e.values}
    assert found == {step: pytest.approx(loss, rel=1e-4) for step, loss in evaluations.items()}
    for name, weight in model.named_parameters():
        moved = (weight - start[name]).norm()
        apart = 0.02 if optimizer == "muon" else 1e-3  # Newton-Schulz runs in bfloat16, which magnifies rounding
        assert (ran.weights[name] - weight).norm() < apart * moved + 1e-6, name

    assert ran.metrics("learned_tokens") == list(accumulate(learned))
    assert (ran.measures["tokens"], ran.measures["learned_tokens"]) == (tokens, sum(learned))
    assert (ran.measures["first_loss"], ran.measures["last_loss"]) == pytest.approx((losses[0], losses[-1]), rel=1e-4)
    assert ran.metrics("epoch")[-1] == pytest.approx(plan.epochs_done(cursor))
