"""What a run decides before its first step: attention, rows of a step, how often it saves and evaluates."""

import shutil
from types import SimpleNamespace

import pytest

from burnish.core.errors import AskError, MachineError
from burnish.core.events import Chosen
from burnish.specs.train import SftSpec
from burnish.train.batches import Cursor
from burnish.train.fit import _report_attention
from burnish.train.resolve import Resolved
from burnish.train.settings import _eval_every, plan_of, settings_of


def spec(**settings) -> SftSpec:
    return SftSpec(data="file:rows", base="file:base", **settings)


def scorer(*, one_by_one=False, kernel_reason="", uses_own_head=False, implementation="sdpa"):
    config = SimpleNamespace(_attn_implementation=implementation)
    return SimpleNamespace(
        one_by_one=one_by_one,
        reason="its mask is its own",
        kernel_reason=kernel_reason,
        uses_own_head=uses_own_head,
        causal=SimpleNamespace(config=config),
    )


@pytest.mark.parametrize(
    ("requested", "given", "chosen", "words"),
    [
        ("auto", {}, "varlen", ["each sequence"]),
        ("auto", {"kernel_reason": "no card"}, "varlen", ["each sequence", "no card"]),
        ("auto", {"one_by_one": True}, "sdpa", ["its mask is its own", "one sequence at a time"]),
        ("auto", {"one_by_one": True, "implementation": None}, "eager", ["one sequence at a time"]),
        ("varlen", {}, None, []),
        ("varlen", {"kernel_reason": "no card"}, None, ["no card"]),
        ("sdpa", {"one_by_one": True, "kernel_reason": "no card"}, None, []),
        ("sdpa", {"uses_own_head": True}, None, ["head of this model"]),
    ],
)
def test_the_attention_is_reported_with_its_reason(requested, given, chosen, words):
    events = []
    _report_attention(spec(attention=requested), scorer(**given), events.append)
    picked = [event for event in events if isinstance(event, Chosen)]
    assert [(event.field, event.value) for event in picked] == ([("attention", chosen)] if chosen else [])
    said = " ".join(event.reason if isinstance(event, Chosen) else event.text for event in events)
    assert all(word in said for word in words)
    assert bool(events) == bool(words)


def test_attention_that_was_requested_and_cannot_be_given_is_refused():
    with pytest.raises(AskError, match="its mask is its own") as caught:
        _report_attention(spec(attention="varlen"), scorer(one_by_one=True, kernel_reason="x"), [].append)
    assert caught.value.code == "ask.wrong-value"


@pytest.mark.parametrize(
    ("settings", "rows", "chosen"),
    [({}, 5, 5), ({}, 30, 16), ({"batch_size": 3}, 30, None), ({"batch_tokens": 50}, 30, None)],
)
def test_the_rows_of_a_step_are_chosen_only_where_nothing_says_them(random_rows, settings, rows, chosen):
    events = []
    plan = plan_of(spec(**settings), random_rows(rows), events.append)
    assert [event.value for event in events] == ([chosen] if chosen else [])
    if "batch_tokens" not in settings:
        assert len(plan.rows(Cursor())) == settings.get("batch_size", chosen)


@pytest.mark.parametrize(
    ("settings", "total", "every", "warns"),
    [
        ({}, 100, None, False),
        ({"eval_every": 7}, 100, 7, False),
        ({"early_stop": {"patience": 2}, "eval_every": 7}, 100, 7, False),
        ({"early_stop": {"patience": 2}, "eval_every": 33}, 100, 33, False),
        ({"early_stop": {"patience": 2}, "eval_every": 34}, 102, 34, True),
        ({"early_stop": {"patience": 2}, "eval_every": 34}, 103, 34, False),
        ({"early_stop": {"patience": 1}}, 3, 1, False),
        ({"early_stop": {"patience": 5}}, 3, 1, True),
    ],
)
def test_an_early_stop_gets_the_evaluations_that_its_patience_needs(settings, total, every, warns):
    events = []
    assert _eval_every(spec(**settings), total, events.append) == every
    assert any(getattr(event, "level", "") == "warning" for event in events) == warns
    assert any(isinstance(event, Chosen) for event in events) == (
        "early_stop" in settings and "eval_every" not in settings
    )


def test_evaluations_that_are_chosen_use_up_the_patience():
    for total in (20, 100, 1000):
        for patience in (1, 3, 6):
            every = _eval_every(spec(early_stop={"patience": patience}), total, lambda event: None)
            assert every * (patience + 1) < total


def test_the_settings_of_the_loop_are_those_of_the_spec(random_rows):
    given = spec(
        max_steps=40,
        batch_size=3,
        learning_rate=0.5,
        max_grad_norm=2.0,
        eval_every=5,
        early_stop={"patience": 2, "min_delta": 0.25},
        log_every=7,
        keep_best=False,
        checkpoint={"every": 6},
    )
    rows, events = random_rows(30), []
    resolved = Resolved("cpu", None, 1, False, 64)
    found = settings_of(given, plan_of(given, rows, events.append), resolved, events.append)
    assert (found.total_steps, found.learning_rate, found.max_grad_norm) == (40, 0.5, 2.0)
    assert (found.micro_batch_tokens, found.save_every, found.eval_every, found.log_every) == (64, 6, 5, 7)
    assert (found.patience, found.min_delta, found.keep_best) == (2, 0.25, False)
    plain = spec(epochs=2.0, batch_size=10)
    found = settings_of(plain, plan_of(plain, rows, events.append), resolved, events.append)
    assert (found.total_steps, found.patience, found.min_delta) == (6, None, 0.0)


@pytest.mark.parametrize(("warmup", "warns"), [(10, False), (11, True)])
def test_a_warm_up_that_is_longer_than_the_run_is_reported(random_rows, warmup, warns):
    given, events = spec(max_steps=10, batch_size=3, schedule={"warmup": warmup}), []
    resolved = Resolved("cpu", None, 1, False, 64)
    settings_of(given, plan_of(given, random_rows(9), events.append), resolved, events.append)
    assert any("warm" in getattr(event, "text", "") for event in events) == warns


def test_a_run_whose_checkpoints_would_not_fit_is_refused_before_its_first_step(run_fit, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(MachineError, match="would not fit") as caught:
        run_fit("run")
    assert caught.value.code == "machine.no-disk"
    assert run_fit.last.metrics("loss") == []


def test_a_usual_run_reports_its_choices_and_nothing_else(run_fit):
    ran = run_fit("run", method={"kind": "lora", "rank": 2}, max_steps=1)
    assert ran.notes("warning") == []
    [told] = ran.notes("info")
    assert told.startswith("checkpoints are written while training continues")
    assert [event.field for event in ran.events if isinstance(event, Chosen)] == ["attention"]
    assert ran.provenance == {}
