"""Which differences between a checkpoint and a run are changes, and which are refused, one by one."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from burnish.core import fingerprint
from burnish.core.errors import RunError
from burnish.specs.rl import GrpoSpec
from burnish.specs.train import PretrainSpec, SftSpec
from burnish.train.checkpoints.lineage import SAFE, Change, Origin, _differing, _is_safe, _word, compare, lineage_entry

SETTINGS = {"learning_rate": 0.1, "schedule.kind": "cosine", "seed": 0, "shuffle": True}
BASE = {"settings": SETTINGS, "inputs": {"data": "d"}, "rows": {"train": "t"}, "weights": "w", "digests": {"data": "g"}}


def origin(**changes) -> Origin:
    return Origin(**(BASE | changes))


def checkpoint(before: Origin, **others):
    return SimpleNamespace(identity=before.identity, state={"origin": before.as_json()} | others)


def test_an_origin_is_known_by_everything_in_it():
    assert origin().as_json() == BASE
    assert origin().identity == origin().identity == fingerprint.of_value(BASE)
    others = [
        origin(settings=SETTINGS | {"seed": 1}), origin(inputs={"data": "e"}), origin(rows={"train": "u"}),
        origin(weights="v"), origin(digests={"data": "h"}),
    ]  # fmt: skip
    assert len({one.identity for one in [origin(), *others]}) == 6


def test_other_files_with_the_fingerprint_of_the_recipe_are_refused():
    with pytest.raises(RunError, match="the files of data"):
        compare(checkpoint(origin()), origin(digests={"data": "h"}), may_change=True)
    older = checkpoint(origin())
    del older.state["origin"]["digests"]
    older.identity = "of an older version"
    assert compare(older, origin(), may_change=False) == ()


@pytest.mark.parametrize("may_change", [False, True])
def test_an_equal_origin_has_no_changes_whatever_else_is_recorded(may_change):
    assert compare(checkpoint(origin()), origin(), may_change=may_change) == ()
    assert compare(SimpleNamespace(identity=origin().identity, state={}), origin(), may_change=may_change) == ()


CHANGED = {"learning_rate": 0.2, "schedule.kind": "cosine", "seed": 0, "shuffle": True, "max_steps": 5}
WORDS = ["learning_rate 0.1 → 0.2", "max_steps null → 5"]
HINT = f"; resume: PATH of the checkpoint lets these change: {', '.join(SAFE)}"
START = "restore them, or set resume: never to start over"


def test_safe_settings_may_change_at_a_named_checkpoint_and_nowhere_else():
    before, now = checkpoint(origin()), origin(settings=CHANGED)
    found = compare(before, now, may_change=True)
    assert found == (Change("learning_rate", 0.1, 0.2), Change("max_steps", None, 5))
    assert [str(change) for change in found] == WORDS
    with pytest.raises(RunError) as caught:
        compare(before, now, may_change=False)
    assert caught.value.code == "run.other-settings"
    assert caught.value.what.endswith(f"settings, rows or weights: {', '.join(WORDS)}")
    assert caught.value.fix == START + HINT


REFUSED = [
    ({"settings": SETTINGS | {"seed": 1}}, ["seed 0 → 1"]),
    ({"settings": SETTINGS | {"shuffle": False, "learning_rate": 9}}, ["shuffle true → false"]),
    ({"settings": {"seed": 0, "shuffle": True, "learning_rate": 0.1}}, []),
    ({"inputs": {"data": "e", "base": "b"}}, ["the contents of data", "the contents of base"]),
    ({"inputs": {}}, ["the contents of data"]),
    ({"rows": {"train": "u", "validation": "v"}}, ["the train rows", "the validation rows"]),
    ({"weights": "v"}, ["the names or shapes of the trained weights"]),
    ({"weights": "v", "rows": {"train": "u"}}, ["the train rows", "the names or shapes of the trained weights"]),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED)
def test_every_difference_that_is_not_allowed_is_listed(changes, words):
    if not words:
        assert compare(checkpoint(origin()), origin(**changes), may_change=True) == (
            Change("schedule.kind", "cosine", None),
        )
        return
    with pytest.raises(RunError) as caught:
        compare(checkpoint(origin()), origin(**changes), may_change=True)
    assert caught.value.what.partition("weights: ")[2] == ", ".join(words)
    assert caught.value.fix == START


def test_a_checkpoint_that_does_not_record_its_origin_is_refused():
    old = SimpleNamespace(identity="other", state={})
    for may_change in (False, True):
        with pytest.raises(RunError, match="it does not record which"):
            compare(old, origin(), may_change=may_change)


def test_a_setting_is_safe_with_its_sub_settings_and_not_by_its_first_letters():
    for name in SAFE:
        assert _is_safe(name)
        assert _is_safe(f"{name}.part")
        assert not _is_safe(f"{name}_other")
        assert not _is_safe(f"other.{name}")
    assert not any(map(_is_safe, ("seed", "optimizer", "optimizer.kind", "method.rank", "method", "batch_size")))


def test_every_safe_setting_is_one_of_the_stages():
    names = set(SftSpec.model_fields) | set(PretrainSpec.model_fields) | set(GrpoSpec.model_fields)
    assert {name.partition(".")[0] for name in SAFE} <= names


def test_names_that_differ_are_told_in_their_order():
    assert _differing({"a": "1", "b": "2", "c": "3"}, {"d": "4", "b": "2", "a": "9"}) == ["a", "c", "d"]
    assert _differing({}, {}) == []


@pytest.mark.parametrize(
    ("value", "word"),
    [(None, "null"), (True, "true"), (False, "false"), (0, "0"), (1.5, "1.5"), ("None", "None"), ([1], "[1]")],
)
def test_values_are_written_as_in_a_recipe(value, word):
    assert _word(value) == word


def test_a_resume_is_recorded_with_its_changes():
    entry = lineage_entry(Path("a/step-00000004"), 4, (Change("seed", 0, None), Change("epochs", 1, 2)))
    assert entry == {"checkpoint": "a/step-00000004", "step": 4, "changed": {"seed": [0, None], "epochs": [1, 2]}}
    assert lineage_entry(Path("a"), 0, ()) == {"checkpoint": "a", "step": 0, "changed": {}}
