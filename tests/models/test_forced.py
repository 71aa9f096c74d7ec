"""Teacher-forced log-probabilities against a plain forward pass of one row, for every family."""

import numpy as np
import pytest
import torch

from burnish.core.errors import BurnishError, DataError, ModelError
from burnish.models.adapters.attach import attach_lora
from burnish.models.engines.forced import forced_log_probs
from burnish.models.engines.transformers import TransformersEngine
from burnish.models.load import load_model
from burnish.models.quiet import quiet_transformers
from burnish.specs.train import LoraSpec
from burnish.testing import tiny_model
from burnish.tokens.load import load_tokenizer
from families import BUILDABLE, build, thinned, token_ids

LENGTHS = (40, 5, 23, 5, 2, 1)
"""Longer than the window of every family; one row has nothing to predict."""


def rows_of(lengths=LENGTHS):
    return [token_ids(1, length, seed=length)[0].tolist() for length in lengths]


@torch.no_grad()
def plainly(model, row):
    """Log-probabilities [T - 1, V] from one forward pass of one row."""
    with quiet_transformers():
        return model(input_ids=torch.tensor([row]), use_cache=False).logits[0, :-1].float().log_softmax(-1).numpy()


def check(model, rows, found, top):
    for row, ours in zip(rows, found, strict=True):
        theirs = plainly(model, row) if len(row) > 1 else np.zeros((0, 264), np.float32)
        places = np.arange(len(row) - 1)
        assert ours.ids.shape == ours.log_probs.shape == (len(row) - 1, top)
        np.testing.assert_allclose(ours.chosen, theirs[places, row[1:]], rtol=0, atol=1e-4)
        np.testing.assert_allclose(ours.log_probs, np.take_along_axis(theirs, ours.ids, 1), rtol=0, atol=1e-4)
        np.testing.assert_allclose(ours.log_probs, -np.sort(-theirs, axis=1)[:, :top], rtol=0, atol=1e-4)
        np.testing.assert_allclose(theirs[places, ours.top], theirs.max(axis=1, initial=-99), rtol=0, atol=1e-4)


REFUSED = {
    "big_bird": "it draws random numbers",
    "cpmant": "depend on the tokens after it",
    "prophetnet": "depend on the tokens after it",
    "reformer": "it draws random numbers",
}


@pytest.mark.parametrize("family", [*REFUSED, *thinned(set(BUILDABLE) - REFUSED.keys(), first=1)])
def test_every_family_has_the_log_probabilities_of_a_plain_forward_pass_or_says_why_not(family):
    torch.set_num_threads(1)
    model = build(family)
    if family in REFUSED:
        with pytest.raises(ModelError, match=REFUSED[family]):
            next(forced_log_probs(model, rows_of()))
        return
    found = list(forced_log_probs(model, rows_of(), top=3))
    check(model, rows_of(), found, 3)


def engine_of(folder, family="qwen3", **config):
    tiny_model(folder, family, initializer_range=0.4, **config)
    return TransformersEngine(load_model(folder), load_tokenizer(folder))


def test_the_engine_gives_requested_tokens_and_the_whole_distribution(tmp_path):
    engine = engine_of(tmp_path)
    rows = rows_of((*LENGTHS, 300))  # one longer than the positions of a log-softmax
    check(engine._model, rows, list(engine.log_probs(rows, top=500)), 264)
    whole = list(engine.log_probs(rows, top=264))
    at = [np.random.default_rng(0).integers(0, 264, (len(row) - 1, 7)) for row in rows]
    for ours, requested, all_of_them in zip(engine.log_probs(rows, at=at), at, whole, strict=True):
        assert (ours.ids == requested).all()
        place = np.argsort(all_of_them.ids, axis=1)
        by_id = np.take_along_axis(all_of_them.log_probs, place, 1)
        assert (ours.log_probs == np.take_along_axis(by_id, requested, 1)).all()
        assert (ours.top == all_of_them.ids[:, 0]).all()
        assert ours.vocabulary == 264


def test_a_requested_token_that_the_model_lacks_is_impossible(tmp_path):
    engine = TransformersEngine(load_model(tiny_model(tmp_path)), load_tokenizer(tmp_path))
    [found] = engine.log_probs([[1, 2, 3]], at=[np.array([[263, 264], [9_000, 5]])])
    assert np.isneginf(found.log_probs).tolist() == [[False, True], [True, False]]
    assert (found.ids == [[263, 264], [9_000, 5]]).all()


@pytest.mark.parametrize("most_scores", [264 * 3, 264 * 50])
def test_a_row_with_many_scores_is_run_in_parts_and_gives_the_same(tmp_path, most_scores):
    model = load_model(tiny_model(tmp_path, initializer_range=0.4))
    check(model, rows_of(), list(forced_log_probs(model, rows_of(), top=2, most_scores=most_scores)), 2)


def test_no_more_scores_exist_at_once_than_allowed(tmp_path):
    model, scored = load_model(tiny_model(tmp_path)), []
    found = forced_log_probs(model, rows_of((40, 40)), most_scores=264 * 7, batch_tokens=80)
    next(found)  # the model has been tested
    model.register_forward_hook(lambda _, __, output: scored.append(output.logits.numel() // 264))
    next(found)
    assert scored == [7, 7, 7, 7, 7, 4]


def test_rows_of_a_batch_and_alone_are_the_same(tmp_path):
    model = load_model(tiny_model(tmp_path, "gemma2", sliding_window=16))
    rows = rows_of((30, 29, 12, 12, 40, 3))
    together = list(forced_log_probs(model, rows, top=4))
    alone = list(forced_log_probs(model, rows, top=4, batch_tokens=1))
    for ours, theirs in zip(together, alone, strict=True):
        np.testing.assert_allclose(ours.log_probs, theirs.log_probs, rtol=0, atol=1e-5)


def test_rows_that_a_model_cannot_take_are_refused(tmp_path):
    model = load_model(tiny_model(tmp_path))
    for row in ([], [1, 264], [-1, 3]):
        with pytest.raises(ModelError, match="row 2 is empty or has ids outside"):
            list(forced_log_probs(model, [[1, 2], row]))
    with pytest.raises(DataError, match="row 1 has 514 tokens, and the model's context is 512"):
        list(forced_log_probs(model, [[5] * 514]))


def test_the_last_token_of_a_row_needs_no_place_in_the_context(tmp_path):
    model = load_model(tiny_model(tmp_path))
    [row] = rows_of((513,))
    [found] = forced_log_probs(model, [row])
    logits = model(torch.tensor([row[:-1]])).logits[0].log_softmax(-1)
    expected = logits.gather(-1, torch.tensor(row[1:])[:, None])[:, 0].detach().numpy()
    np.testing.assert_allclose(found.chosen, expected, rtol=0, atol=1e-5)


def test_scores_that_are_not_finite_are_an_error(tmp_path):
    model = load_model(tiny_model(tmp_path))
    with torch.no_grad():
        model.lm_head.weight.mul_(float("nan"))
    with pytest.raises(BurnishError) as caught:
        list(forced_log_probs(model, rows_of()))
    assert caught.value.code == "run.not-finite"


def test_an_engine_of_an_adapter_gives_its_log_probabilities(tmp_path):
    folder = tiny_model(tmp_path)
    model = attach_lora(load_model(folder), LoraSpec(rank=4))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    engine = TransformersEngine(model, load_tokenizer(folder))
    rows = rows_of((12, 5))
    check(model, rows, engine.log_probs(rows), 1)
