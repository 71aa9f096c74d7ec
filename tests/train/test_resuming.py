"""What a run takes from a checkpoint, what it decides from its settings, and what it reports at its end."""

import json
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from burnish.core import fingerprint
from burnish.core.errors import AskError, ModelError
from burnish.core.events import Chosen
from burnish.models.adapters.attach import attach_lora
from burnish.models.load import load_model
from burnish.specs.train import MAX_COUNT, AdamWSpec, LoraSpec, PretrainSpec, SftSpec
from burnish.testing import temporary_context
from burnish.tokens.tokenised import TokenisedRows
from burnish.train import fit as module
from burnish.train import settings as settings_module
from burnish.train.batches import Cursor, StepPlan
from burnish.train.checkpoints.checkpoint import Checkpoint, CheckpointFolder, capture_randomness, read_weights
from burnish.train.checkpoints.state import TrainState
from burnish.train.fit import (
    _continues_from,
    _measures,
    _origin,
    _report_attention,
    _resume,
    _take_best,
    _tracking,
    seed_everything,
)
from burnish.train.optim.optimizers import Optimizer
from burnish.train.ranks import Ranks
from burnish.train.ready import cast_trained, check_tokens, longest, recompute_activations
from burnish.train.resolve import Resolved
from burnish.train.settings import _eval_every, plan_of


def spec(**settings) -> SftSpec:
    return SftSpec(data="file:rows", base="file:base", **settings)


def rows_of(*lengths, first=0):
    rows = [(f"r{n}", np.arange(first, first + length), np.ones(length)) for n, length in enumerate(lengths)]
    return TokenisedRows.of((name, ids.astype(np.int32), weights.astype(np.float32)) for name, ids, weights in rows)


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32 + 7])
def test_a_seed_seeds_python_numpy_and_torch(seed):
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed_everything(seed)
    found = random.random(), np.random.random(), torch.rand(3).tolist()
    random.setstate(kept[0])
    np.random.set_state(kept[1])
    torch.set_rng_state(kept[2])
    alone = torch.rand(3, generator=torch.Generator().manual_seed(seed)).tolist()
    assert found == (random.Random(seed).random(), np.random.RandomState(seed % 2**32).random_sample(), alone)


def test_tokens_beyond_the_embedding_are_found_in_any_split():
    model = nn.Module()
    model.get_input_embeddings = lambda: nn.Embedding(10, 2)
    low, high = rows_of(3, 5), rows_of(4, 2, first=7)  # up to 4, up to 10
    check_tokens(model, low, None)
    check_tokens(model, low, rows_of(3, first=7))
    for splits in ((low, high), (high, low), (high, None)):
        with pytest.raises(ModelError, match="token id 10, but the model embeds only 10 tokens") as caught:
            check_tokens(model, *splits)
        assert caught.value.code == "model.broken"


def test_the_longest_row_is_that_of_all_splits():
    assert longest(rows_of(3, 5), None) == 5
    assert longest(rows_of(3, 5), rows_of(9, 2)) == 9
    assert longest(rows_of(9, 2), rows_of(3, 5)) == 9
    assert longest(rows_of(), None) == 0


def test_only_trained_weights_are_cast():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False))
    cast_trained(model, torch.bfloat16)
    assert [weight.dtype for weight in model.parameters()] == [torch.bfloat16] * 2 + [torch.float32] * 2


@pytest.mark.parametrize("dora", [False, True])
def test_the_adapters_of_dora_stay_in_float32_as_in_peft(base, dora):
    spec = LoraSpec(rank=2, dora=dora, train_fully=["lm_head"])
    model = attach_lora(load_model(base, dtype=torch.bfloat16), spec)
    cast_trained(model, torch.bfloat16)
    found = {
        "lora" if ".lora_" in name else "whole": w.dtype for name, w in model.named_parameters() if w.requires_grad
    }
    assert found == {"lora": torch.float32 if dora else torch.bfloat16, "whole": torch.bfloat16}


@pytest.mark.parametrize("name", ["activation_checkpointing_enable", "gradient_checkpointing_enable"])
def test_activations_are_recomputed_without_reentrance_under_either_name(name):
    asked = []
    recompute_activations(SimpleNamespace(**{name: asked.append}))
    assert asked == [{"use_reentrant": False}]


def scorer(**given):
    config = SimpleNamespace(_attn_implementation=given.pop("implementation", "sdpa"))
    usual = {"one_by_one": False, "reason": "its mask is its own", "kernel_reason": "", "uses_own_head": False}
    return SimpleNamespace(**(usual | given), causal=SimpleNamespace(config=config))


SAME = "a packed batch gives each sequence the same hidden states as alone"
KERNEL = "torch's flash attention does not support it, so sequences are computed one after the other: no card"
HEAD = "the head of this model is of an unknown kind; the model's own forward computes all logits"
ALONE = "its mask is its own: one sequence at a time"


@pytest.mark.parametrize(
    ("asked", "given", "told"),
    [
        ("auto", {}, [("varlen", SAME)]),
        ("auto", {"kernel_reason": "no card"}, [("varlen", f"{SAME}; {KERNEL}")]),
        ("auto", {"one_by_one": True, "kernel_reason": "no card"}, [("sdpa", ALONE)]),
        ("auto", {"one_by_one": True, "implementation": None, "uses_own_head": True}, [("eager", ALONE), HEAD]),
        ("varlen", {"uses_own_head": True}, [HEAD]),
        ("varlen", {"kernel_reason": "no card"}, [f"attention: {KERNEL}"]),
        ("sdpa", {"kernel_reason": "no card", "one_by_one": True}, []),
        ("eager", {"one_by_one": True}, []),
    ],
)
def test_attention_is_reported_in_full(asked, given, told):
    events = []
    _report_attention(spec(attention=asked), scorer(**given), events.append)
    assert [(e.value, e.reason) if isinstance(e, Chosen) else e.text for e in events] == told
    assert all(e.field == "attention" for e in events if isinstance(e, Chosen))


def test_the_plan_has_the_seed_and_the_order_of_the_settings():
    rows = rows_of(*range(2, 32))
    for settings in ({"seed": 3}, {"shuffle": False}, {"batch_size": 7}, {"batch_tokens": 40}):
        found = plan_of(spec(**settings), rows, lambda event: None)
        sizes = {} if "batch_tokens" in settings else {"batch_size": 16}
        expected = StepPlan(rows.lengths, **({"seed": spec().seed} | sizes | settings))
        assert [step.tolist() for step in found.epoch(1)] == [step.tolist() for step in expected.epoch(1)]
    events = []
    assert len(plan_of(spec(), rows_of(3, 4), events.append).epoch(0)) == 1
    assert [(event.field, event.value) for event in events] == [("batch_size", 2)]


RESOLVED = Resolved("cpu", torch.float32, 1, False, 64)


def settings_of(given, plan, events):
    return settings_module.settings_of(given, plan, RESOLVED, events.append)


def test_a_run_has_at_most_so_many_steps():
    plan = SimpleNamespace(total_steps=lambda epochs: MAX_COUNT - 1 + int(epochs))
    assert settings_of(spec(epochs=1.0, batch_size=1), plan, []).total_steps == MAX_COUNT
    with pytest.raises(AskError, match="the run would have 2,147,483,648 steps") as caught:
        settings_of(spec(epochs=2.0, batch_size=1), plan, [])
    assert caught.value.code == "ask.wrong-value"


def test_settings_that_are_not_set_are_chosen_and_reported():
    plan, events = SimpleNamespace(total_steps=lambda epochs: 95), []
    found = settings_of(spec(batch_size=1), plan, events)
    assert [(event.field, event.value) for event in events] == [("checkpoint.every", 10)]
    assert (found.save_every, found.eval_every, found.patience, found.min_delta) == (10, None, None, 0.0)
    assert found.schedule(0) == pytest.approx(1 / 3)  # 0.03 of 95 steps
    events.clear()
    found = settings_of(spec(batch_size=1, early_stop={"patience": 4}, checkpoint={"every": 5}), plan, events)
    assert [(event.field, event.value) for event in events] == [("eval_every", 10)]
    assert (found.save_every, found.eval_every, found.patience) == (5, 10, 4)


@pytest.mark.parametrize(
    ("total", "patience", "every", "warns"),
    [
        (100, 1, 10, False),
        (101, 1, 11, False),
        (100, 9, 9, False),
        (101, 9, 10, False),
        (20, 9, 1, False),
        (21, 9, 2, False),
        (10, 9, 1, True),
        (11, 9, 1, False),
        (1, 1, 1, True),
    ],
)
def test_evaluations_are_frequent_enough_for_the_patience(total, patience, every, warns):
    events = []
    assert _eval_every(spec(early_stop={"patience": patience}), total, events.append) == every
    texts = [event.text for event in events if event.kind == "note"]
    assert bool(texts) is warns
    words = f"{total} steps with an evaluation every {every} cannot exhaust a patience of {patience}"
    assert all(words in text for text in texts)


def test_the_origin_of_a_run_is_its_settings_inputs_rows_and_weights(tmp_path):
    for name in ("rows", "base"):
        (tmp_path / name).write_text(name)
    context, _ = temporary_context(tmp_path / "run", {"data": tmp_path / "rows", "base": tmp_path / "base"})
    inputs = {name: source.fingerprint for name, source in context.inputs.items()}
    optimizer = Optimizer(nn.Linear(3, 2), AdamWSpec())
    train, held_out = rows_of(3, 5), rows_of(4)
    for split, expected in ((held_out, {"train": train.digest(), "validation": held_out.digest()}), (None, None)):
        found = _origin(spec(seed=5), context, train, split, optimizer)
        assert found.rows == (expected or {"train": train.digest()})
        assert found.inputs == inputs
        assert set(inputs) == {"data", "base"}
        assert found.weights == fingerprint.of_value({"weight": [2, 3], "bias": [2]})
        assert found.settings["seed"] == 5
        assert "method.rank" in found.settings


class Resumed:
    """A loop that only remembers what it is asked to restore."""

    def __init__(self, keep_best=False, best=None, changes=()):
        self.settings, self.changes, self.ranks = SimpleNamespace(keep_best=keep_best), changes, Ranks()
        self.state, self.restored, self.ledgers = TrainState(best_step=best), [], []

    def restore(self, checkpoint, named):
        self.restored.append((checkpoint.state["standing"]["step"], named))
        self.state.step = checkpoint.state["standing"]["step"]
        return self.changes

    def take_ledger_of(self, named):
        self.ledgers.append(named)


def saved(folder, step, lineage=(), digest=({"ledger_sha256": "x"},)):
    state = {"standing": TrainState(step=step).as_json(), "lineage": list(lineage), "ledger_offset": 0}
    for known in digest:
        state |= known
    weights = {"w": torch.full((2,), float(step))}
    return CheckpointFolder(folder, keep=99).save(step, Checkpoint("id", state, weights, {}, capture_randomness()))


def resumed(requested, loop, folder):
    events = []
    found = _resume(str(requested), loop, CheckpointFolder(folder, keep=99), events.append)
    return found, [(event.level, event.text) for event in events]


def test_a_run_without_checkpoints_starts_and_is_new_only_where_it_is_told_to_start_over(tmp_path):
    for requested, expected in (("auto", (None, True)), ("never", (None, False))):
        loop = Resumed()
        assert resumed(requested, loop, tmp_path / "none") == (expected, [])
        assert loop.restored == []
    saved(tmp_path / "own", 4)
    loop = Resumed()
    assert resumed("never", loop, tmp_path / "own") == ((None, False), [])
    assert (loop.restored, CheckpointFolder(tmp_path / "own").steps()) == ([], [4])


def test_a_run_resumes_from_its_newest_valid_checkpoint_and_forgets_later_ones(tmp_path):
    for step in (2, 4, 6):
        saved(tmp_path, step)
    (tmp_path / "step-00000006/weights.safetensors").write_bytes(b"broken")
    loop = Resumed(keep_best=True, best=2)
    found, told = resumed("auto", loop, tmp_path)
    assert found == (4, True)
    assert loop.restored == [(4, None)]
    assert loop.ledgers == []
    assert CheckpointFolder(tmp_path).steps() == [2, 4]
    assert [level for level, _ in told] == ["warning", "info"]
    assert told[0][1].startswith("checkpoint step-00000006 is damaged and skipped: weights.safetensors has 6 bytes")
    assert told[1][1] == "resuming from the checkpoint of step 4"


@pytest.mark.parametrize(("keep_best", "best"), [(True, 2), (True, None), (False, 2)])
def test_a_named_checkpoint_is_taken_with_its_ledger_its_best_one_and_its_changes(tmp_path, keep_best, best):
    for step in (2, 5):
        named = saved(tmp_path / "theirs", step)
    saved(tmp_path / "own", 9)
    loop = Resumed(keep_best, best, ("a 1 → 2", "b null → 3"))
    found, told = resumed(named, loop, tmp_path / "own")
    assert found == (5, False)
    assert (loop.restored, loop.ledgers) == ([(5, named)], [named])
    assert CheckpointFolder(tmp_path / "own").steps() == ([2] if keep_best and best else [])
    assert told == [
        ("info", "resuming from the checkpoint of step 5"),
        ("warning", "settings changed from step 6 on: a 1 → 2, b null → 3"),
    ]


def test_a_checkpoint_without_a_digest_of_the_ledger_is_reported(tmp_path):
    saved(tmp_path, 4, digest=())
    _, told = resumed("auto", Resumed(), tmp_path)
    text = "the checkpoint of step 4 has no digest of the row ledger: rows.parquet is not checked up to that step"
    assert told == [("warning", text), ("info", "resuming from the checkpoint of step 4")]


def test_a_named_checkpoint_is_superseded_by_one_of_the_run_that_resumed_from_it(tmp_path):
    named = saved(tmp_path / "theirs", 5)
    other = saved(tmp_path / "theirs", 6)
    entries = [
        {"checkpoint": str(other), "step": 6, "changed": {}},
        {"checkpoint": str(named), "step": 5, "changed": {}},
    ]
    saved(tmp_path / "own", 8, entries)
    loop = Resumed()
    assert resumed(named, loop, tmp_path / "own")[0] == (8, True)
    assert loop.restored == [(8, None)]
    assert resumed(other, Resumed(), tmp_path / "own")[0] == (6, False)
    for lineage, continues in ((entries, True), (entries[:1], False), ([], False)):
        checkpoint = SimpleNamespace(state={"lineage": lineage})
        assert _continues_from(checkpoint, named) is continues
    assert _continues_from(SimpleNamespace(state={}), named) is False


def test_a_run_is_named_after_its_recipe_number_and_step_in_a_tracker(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "Tracking", lambda *args, **named: asked.append((args, named)))
    context, _ = temporary_context(tmp_path / "runs/mine/0007/train")
    given = spec(track=["tensorboard"], seed=4)
    _tracking(given, context, 12, True)
    [((names, folder, name, settings, emit), named)] = asked
    assert (names, folder, name) == (["tensorboard"], context.scratch / "trackers", "mine-0007-train")
    assert settings == json.loads(given.model_dump_json())
    assert emit == context.emit
    assert named == {"step": 12, "continues": True}


@pytest.mark.parametrize(
    ("keep_best", "best", "is_taken"), [(True, 4, True), (False, 4, False), (True, None, False), (True, 8, False)]
)
def test_the_best_weights_are_taken_where_they_are_wanted_and_others(tmp_path, keep_best, best, is_taken):
    for step in (4, 8):
        saved(tmp_path, step)
    taken, events = [], []
    state = TrainState(step=8, best_step=best, best_score=1.23456)
    optimizer = SimpleNamespace(load_weights=taken.append)
    rest = CheckpointFolder(tmp_path), optimizer, events.append
    _take_best(SimpleNamespace(keep_best=keep_best), state, *rest)
    assert [weights["w"].tolist() for weights in taken] == ([[4.0, 4.0]] if is_taken else [])
    assert [event.text for event in events] == (
        ["using the weights of step 4: validation loss 1.2346"] if is_taken else []
    )
    if is_taken:
        assert torch.equal(taken[0]["w"], read_weights(tmp_path / "step-00000004")["w"])
        (tmp_path / "step-00000004/weights.safetensors").unlink()
        _take_best(SimpleNamespace(keep_best=True), state, *rest)
        assert len(taken) == 1
        assert (events[-1].level, "(step 4) is missing or damaged" in events[-1].text) == ("warning", True)


def test_the_measures_of_a_run_are_rounded_and_complete():
    plan = StepPlan(np.full(7, 4), seed=0, batch_size=1)
    state = TrainState(step=9, cursor=Cursor(1, 2), tokens=1000, learned_tokens=600, seconds=3.14159)
    state.first_loss, state.last_loss = 2.5, 1.5
    usual = {"steps": 9, "epochs": 1.2857, "rows": 2, "first_loss": 2.5, "last_loss": 1.5, "tokens": 1000}
    usual |= {"learned_tokens": 600, "tokens_per_second": 318.3, "seconds": 3.14}
    rows = rows_of(3, 4)
    assert _measures(state, plan, rows, None) == usual
    state.evaluations, state.best_score, state.best_step = [(3, 1.0), (6, 1.25), (9, 1.75)], 1.0, 3
    evaluated = {"best_eval_loss": 1.0, "best_step": 3, "last_eval_loss": 1.75}
    assert _measures(state, plan, rows, 0) == usual | evaluated | {"resumed_from": 0}
    state.stopped_early = True
    assert _measures(state, plan, rows, 5) == usual | evaluated | {"stopped_early": True, "resumed_from": 5}
    assert _measures(TrainState(tokens=2), plan, rows, None)["tokens_per_second"] == 2e9


def test_a_pretraining_is_planned_like_a_fine_tuning():
    given = PretrainSpec(data="file:rows", architecture={"model_type": "qwen3"}, tokenizer="file:t", batch_size=2)
    assert len(plan_of(given, rows_of(3, 4, 5), lambda event: None).epoch(0)) == 2
