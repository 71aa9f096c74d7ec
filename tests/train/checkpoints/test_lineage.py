"""What may differ between a checkpoint and the run that resumes from it, and what is recorded of it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from burnish.core.errors import RunError
from burnish.train.checkpoints.checkpoint import Checkpoint
from burnish.train.checkpoints.lineage import SAFE, Change, Origin, compare, lineage_entry
from burnish.train.passes import Passes

LORA = {"kind": "lora", "rank": 4, "dropout": 0.1}
ORIGIN = Origin({"dtype": "auto", "seed": 0}, {"base": "a"}, {"train": "b"}, "c")


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def written_under(origin: Origin) -> Checkpoint:
    return Checkpoint(origin.identity, {"origin": origin.as_json()}, {}, {}, {})


def test_the_same_origin_has_no_changes():
    assert compare(written_under(ORIGIN), ORIGIN, may_change=False) == ()


def test_a_safe_change_is_given_where_the_checkpoint_was_named_and_refused_elsewhere():
    now = replace(ORIGIN, settings={"dtype": "float32", "seed": 0})
    assert compare(written_under(ORIGIN), now, may_change=True) == (Change("dtype", "auto", "float32"),)
    with pytest.raises(RunError, match="dtype auto → float32") as caught:
        compare(written_under(ORIGIN), now, may_change=False)
    assert "resume: PATH" in caught.value.fix


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("settings", {"dtype": "auto", "seed": 1}, "seed 0 → 1"),
        ("settings", {"dtype": "auto"}, "seed 0 → null"),
        ("inputs", {"base": "other"}, "the contents of base"),
        ("rows", {"train": "b", "validation": "d"}, "the validation rows"),
        ("weights", "other", "names or shapes"),
    ],
)
def test_what_must_not_change_is_named(field, value, words):
    with pytest.raises(RunError, match=words):
        compare(written_under(ORIGIN), replace(ORIGIN, **{field: value}), may_change=True)


def checkpoint_of_step(ran, step: int) -> str:
    return str(ran.folder / f"scratch/checkpoints/step-{step:08d}")


def test_a_named_checkpoint_may_be_resumed_with_a_lower_learning_rate(run_fit, monkeypatch):
    accumulate = Passes._accumulate

    def poisoned(self, *asked):
        losses, parts = accumulate(self, *asked)
        return losses * (float("nan") if self.state.step == 4 else 1.0), parts

    monkeypatch.setattr(Passes, "_accumulate", poisoned)
    with pytest.raises(RunError) as caught:
        run_fit("wild")
    monkeypatch.setattr(Passes, "_accumulate", accumulate)
    named = checkpoint_of_step(run_fit.last, 4)
    assert f"resume: {named}" in caught.value.fix  # the advice works when it is followed
    assert re.search(r"look at the rows of this step: row\d+, row\d+, row\d+ and 3 more", caught.value.fix)
    calm = run_fit("calm", resume=named, learning_rate=1e-3)
    assert calm.measures["resumed_from"] == 4
    assert max(calm.metrics("learning_rate")) <= 1e-3
    assert calm.notes("warning") == ["settings changed from step 5 on: learning_rate 0.01 → 0.001"]
    [entry] = calm.provenance["resumed"]
    assert entry == {"checkpoint": named, "step": 4, "changed": {"learning_rate": [0.01, 0.001]}}


SAFE_CHANGES = {
    "max_grad_norm": None,
    "schedule": {"kind": "linear"},
    "max_steps": 12,
    "optimizer": {"weight_decay": 0.1},
    "method": {**LORA, "dropout": 0.0},
    "eval_every": 3,
    "keep_best": False,
}


@pytest.mark.some(every=2)
@pytest.mark.parametrize("name", SAFE_CHANGES)
def test_settings_that_act_from_the_next_step_on_may_change_at_a_named_checkpoint(run_fit, name):
    first = run_fit("first", method=LORA, max_steps=4)
    settings = {"method": LORA, "max_steps": 8} | {name: SAFE_CHANGES[name]}
    ran = run_fit("second", resume=checkpoint_of_step(first, 4), **settings)
    assert ran.measures["steps"] == settings["max_steps"]
    [entry] = ran.provenance["resumed"]
    assert any(changed.startswith(name) for changed in entry["changed"])


def test_the_format_of_the_saved_weights_may_change_at_a_named_checkpoint(run_fit):
    full = {"kind": "full"}
    first = run_fit("first", method=full, max_steps=2)
    method = full | {"save_dtype": "bfloat16"}
    ran = run_fit("second", method=method, max_steps=3, resume=checkpoint_of_step(first, 2))
    assert {weight.dtype for weight in ran.weights.values()} == {torch.bfloat16}


UNSAFE_CHANGES = {
    "seed": 7,
    "batch_size": 5,
    "shuffle": False,
    "optimizer": {"kind": "muon"},
    "method": {**LORA, "rank": 8},
    "render": {"max_length": 100},
}


@pytest.mark.some(every=3)
@pytest.mark.parametrize("name", UNSAFE_CHANGES)
def test_settings_that_change_data_or_model_are_refused_by_name_at_a_named_checkpoint(run_fit, name):
    first = run_fit("first", method=LORA, max_steps=2)
    with pytest.raises(RunError, match=name) as caught:
        run_fit("second", resume=checkpoint_of_step(first, 2), **({"method": LORA} | {name: UNSAFE_CHANGES[name]}))
    assert caught.value.code == "run.other-settings"


def test_other_rows_are_refused_by_name_at_a_named_checkpoint(run_fit, random_rows):
    first = run_fit("first", max_steps=2)
    with pytest.raises(RunError, match="the train rows"):
        run_fit("second", resume=checkpoint_of_step(first, 2), rows=random_rows(30, seed=1))


HELD_OUT = {"other rows": (5, 8), "fewer rows": (4, 9), "none": None}


@pytest.mark.some
@pytest.mark.parametrize("now", HELD_OUT.values(), ids=HELD_OUT)
@pytest.mark.parametrize("is_named", [False, True])
def test_other_held_out_rows_are_refused_by_name(run_fit, random_rows, now, is_named):
    """The best weights are chosen by them, and the losses of two sets are not comparable."""
    settings = {"max_steps": 3, "eval_every": 1}
    with pytest.raises(RunError, match="it is saved"):
        run_fit("run", stop_before=2, held_out=random_rows(5, 9), **settings)
    named = {"resume": checkpoint_of_step(run_fit.last, 2)} if is_named else {}
    held_out = None if now is None else random_rows(*now)
    with pytest.raises(RunError, match="the validation rows") as caught:
        run_fit("other" if is_named else "run", held_out=held_out, **settings, **named)
    assert caught.value.code == "run.other-settings"


def test_held_out_rows_that_come_to_a_run_without_any_are_refused(run_fit, random_rows):
    with pytest.raises(RunError, match="it is saved"):
        run_fit("run", stop_before=2, max_steps=3)
    with pytest.raises(RunError, match="the validation rows"):
        run_fit("run", held_out=random_rows(5, 9), max_steps=3)


def test_a_run_that_ends_before_the_named_checkpoint_is_refused(run_fit):
    first = run_fit("first", max_steps=4)
    with pytest.raises(RunError, match="of step 4, and the run ends after 3"):
        run_fit("second", resume=checkpoint_of_step(first, 4), max_steps=3)


def test_a_run_that_was_resumed_from_a_named_checkpoint_and_cut_off_goes_on_from_its_own(run_fit):
    first = run_fit("first", max_steps=4)
    settings = {"resume": checkpoint_of_step(first, 4), "learning_rate": 1e-3, "checkpoint": {"every": 1, "keep": 9}}
    whole = run_fit("whole", **settings)
    with pytest.raises(RunError):
        run_fit("cut", stop_before=3, **settings)
    resumed = run_fit("cut", **settings)
    assert resumed.measures["resumed_from"] == 7
    assert same(whole.weights, resumed.weights)
    assert resumed.provenance == whole.provenance


FULL = Origin({"learning_rate": 0.1, "seed": 1, "shuffle": True}, {"data": "f"}, {"train": "r"}, "w")


def refusal(before: Origin, now: Origin, *, may_change: bool) -> str:
    with pytest.raises(RunError) as caught:
        compare(written_under(before), now, may_change=may_change)
    assert caught.value.code == "run.other-settings"
    assert ("learning_rate" in caught.value.fix) == (not may_change)
    return caught.value.what


def test_an_equal_origin_changes_nothing_even_where_it_is_not_recorded():
    assert compare(written_under(FULL), FULL, may_change=False) == ()
    assert compare(replace(written_under(FULL), state={}), FULL, may_change=False) == ()
    with pytest.raises(RunError, match="does not record which"):
        compare(replace(written_under(FULL), state={}), replace(FULL, weights="other"), may_change=True)


@pytest.mark.parametrize("name", [*SAFE, "schedule.warmup", "early_stop.patience"])
def test_a_safe_setting_may_change_where_the_checkpoint_is_named(name):
    now = replace(FULL, settings={**FULL.settings, name: "new"})
    (change,) = compare(written_under(FULL), now, may_change=True)
    assert (change.name, change.before, change.now) == (name, FULL.settings.get(name), "new")
    assert name in refusal(FULL, now, may_change=False)


@pytest.mark.parametrize(
    "name", ["seed", "shuffle", "batch_size", "method.rank", "learning_rates", "optimizer.kind", "dtypes.x"]
)
def test_any_other_setting_may_not(name):
    now = replace(FULL, settings={**FULL.settings, name: "new"})
    for may_change in (False, True):
        assert f"{name} " in refusal(FULL, now, may_change=may_change)
        assert f"{name} " in refusal(now, FULL, may_change=may_change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"inputs": {"data": "g"}}, "the contents of data"),
        ({"inputs": {}}, "the contents of data"),
        ({"inputs": {"data": "f", "base": "b"}}, "the contents of base"),
        ({"rows": {"train": "s"}}, "the train rows"),
        ({"weights": "x"}, "the names or shapes of the trained weights"),
    ],
)
def test_other_inputs_rows_or_weights_are_refused(change, words):
    safe = {"settings": {**FULL.settings, "learning_rate": 0.2}}
    what = refusal(FULL, replace(FULL, **change, **safe), may_change=True)
    assert what.endswith(f": {words}")
    assert "learning_rate 0.1" in refusal(FULL, replace(FULL, **change, **safe), may_change=False)


def test_an_input_whose_recipe_gave_other_files_is_refused():
    first, again = (replace(FULL, digests={"base": digest}) for digest in ("first", "again"))
    for may_change in (False, True):
        assert "the files of base" in refusal(first, again, may_change=may_change)
    assert compare(written_under(FULL), again, may_change=False) == (), "older checkpoints have no digests"
    old = {name: value for name, value in FULL.as_json().items() if name != "digests"}
    assert compare(Checkpoint("older", {"origin": old}, {}, {}, {}), again, may_change=False) == ()


def test_a_change_is_spelled_as_in_a_recipe():
    assert [str(Change("a", *pair)) for pair in ((None, 1), (True, False), ("x", None))] == [
        "a null → 1",
        "a true → false",
        "a x → null",
    ]
    entry = lineage_entry(Path("/c"), 7, (Change("a", 1, 2),))
    assert entry == {"checkpoint": "/c", "step": 7, "changed": {"a": [1, 2]}}
