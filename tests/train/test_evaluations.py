"""Evaluations during a run measure the weights as they are in use, and change nothing of what is learned."""

from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from burnish.core.errors import ModelError, RunError
from burnish.models.adapters.attach import attach_lora
from burnish.models.load import load_model
from burnish.specs.train import LoraSpec
from burnish.testing import tiny_model
from burnish.tokens.tokenised import TokenisedRows

DROPPING = {"kind": "lora", "rank": 4, "dropout": 0.5}


def test_a_run_with_evaluations_learns_what_a_run_without_them_learns(run_fit, random_rows):
    """The model goes back to training, dropout included, and no random number is drawn for an evaluation."""
    settings = {"method": DROPPING, "keep_best": False}
    alone = run_fit("alone", **settings)
    for every in (1, 3):
        measured = run_fit(f"measured{every}", held_out=random_rows(5, 9), eval_every=every, **settings)
        assert all(torch.equal(weight, measured.weights[name]) for name, weight in alone.weights.items())


def test_the_validation_loss_is_that_of_the_model_in_use_without_dropout(run_fit, random_rows, base):
    held_out = random_rows(5, 9)
    ran = run_fit("run", method=DROPPING, held_out=held_out, keep_best=False)
    model = attach_lora(load_model(base), LoraSpec(**DROPPING)).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in ran.weights:
                weight.copy_(ran.weights[name])
        total = 0.0
        for row in range(len(held_out)):
            ids = torch.from_numpy(held_out.ids[held_out.span(row)].astype(np.int64))
            logits = model(input_ids=ids[None]).logits[0, :-1]
            weights = torch.from_numpy(held_out.weights[held_out.span(row)][1:])
            total += float((nn.functional.cross_entropy(logits, ids[1:], reduction="none") * weights).sum())
    assert ran.metrics("eval_loss") == [pytest.approx(total / float(held_out.weights.sum()), rel=1e-5)]


def test_a_run_that_stopped_early_goes_on_with_more_patience_from_a_named_checkpoint(run_fit, random_rows):
    settings = {"method": {"kind": "full"}, "held_out": random_rows(6, seed=5), "eval_every": 1, "max_steps": 30}
    first = run_fit("first", early_stop={"patience": 2}, **settings)
    assert first.measures["stopped_early"]
    stopped = first.measures["steps"]
    named = str(first.folder / f"scratch/checkpoints/step-{stopped:08d}")
    more = run_fit("more", early_stop={"patience": 4}, resume=named, **settings)
    assert more.measures["steps"] > stopped
    whole = run_fit("whole", early_stop={"patience": 4}, **settings)
    assert more.measures["steps"] == whole.measures["steps"]
    assert more.measures["best_step"] == whole.measures["best_step"]


def test_metrics_of_a_resumed_run_count_on_from_those_before(run_fit):
    whole = run_fit("whole")
    with pytest.raises(RunError):
        run_fit("stopped", stop_before=4)
    before = run_fit.last
    after = run_fit("stopped")
    for name in ("loss", "learned_tokens", "epoch", "learning_rate"):
        assert before.metrics(name) + after.metrics(name) == whole.metrics(name)
    for name in ("tokens", "learned_tokens", "steps", "epochs", "rows", "first_loss", "last_loss"):
        assert after.measures[name] == whole.measures[name]
    assert after.measures["seconds"] > 0


def test_the_seconds_of_a_run_are_those_of_all_its_attempts(run_fit, monkeypatch):
    ticks = count(step=100)
    monkeypatch.setattr("burnish.train.loop.time", SimpleNamespace(monotonic=lambda: next(ticks)))
    whole = run_fit("whole")
    with pytest.raises(RunError):
        run_fit("stopped", stop_before=4)
    assert run_fit("stopped").measures["seconds"] == whole.measures["seconds"] == 1000


def test_held_out_rows_that_are_longer_than_those_trained_on_decide_how_the_model_is_run(run_fit, tmp_path):
    """The angles of this model change for every token of a row beyond 64: then a batch holds one row."""
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}
    rope |= {"short_factor": [1.0] * 4, "long_factor": [7.0] * 4}
    base = tiny_model(tmp_path / "base", "llama", rope_parameters=rope, tokenizer=False)

    def attention(name: str, longest: int) -> str:
        ids = np.arange(3, 3 + longest, dtype=np.int32)
        held_out = TokenisedRows.of([("long", ids, np.ones(longest, np.float32))])
        ran = run_fit(name, base=base, held_out=held_out, max_steps=1)
        [chosen] = [event.value for event in ran.events if event.kind == "chosen" and event.field == "attention"]
        return chosen

    assert attention("short", 60) == "varlen"
    assert attention("long", 90) != "varlen"


@pytest.mark.parametrize(("trained", "held_out"), [(264, 263), (263, 264)])
def test_the_first_token_that_is_not_embedded_is_refused_in_either_split(run_fit, trained, held_out):
    def rows(token: int) -> TokenisedRows:
        return TokenisedRows.of([("row", np.array([5, token, 7], np.int32), np.ones(3, np.float32))])

    run_fit("last", rows=rows(263), held_out=rows(263), max_steps=1, batch_size=1)
    with pytest.raises(ModelError, match="token id 264, but the model embeds only 264") as caught:
        run_fit("beyond", rows=rows(trained), held_out=rows(held_out), max_steps=1, batch_size=1)
    assert caught.value.code == "model.broken"
