"""Files of settings that a step names are read when it is planned, before any step runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from burnish.core import catalog
from burnish.core.context import Input
from burnish.core.errors import AskError, BurnishError
from burnish.core.plan import make_plan
from burnish.core.recipes.gates import scores_of
from burnish.core.recipes.recipe import load_recipe
from burnish.core.runs.workspace import Workspace
from burnish.evals.scoring.scorers import build_scorers
from burnish.specs.base import Listed, Spec, Takes, marks_of, types_within
from burnish.specs.evals import CompareSpec, Scorer
from burnish.specs.evals.scorers import score_names

RECIPE = """
name: release
steps:
  tune: {stage: sft, base: builtin:pocket, data: file:rows.jsonl}
  score: {stage: evaluate, model: step:tune, data: file:rows.jsonl, CHECKS}
  verdict:
    stage: compare
    candidates: {base: builtin:pocket, tuned: step:tune}
    data: file:rows.jsonl
    SETTINGS
"""


def plan(root: Path, settings: str = "", checks: str = "") -> Any:
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    (root / "rows.jsonl").write_text(json.dumps(row) + "\n")
    (root / "recipe.yaml").write_text(RECIPE.replace("SETTINGS", settings).replace(", CHECKS", checks))
    return make_plan(load_recipe([root / "recipe.yaml"]), Workspace(root))


@pytest.mark.parametrize(
    ("rule", "words", "fix"),
    [
        ("{score: exact_mach, at_least: 0.5}", "there is no score 'exact_mach'", "exact_match"),
        ("{score: rougeL, at_least: 0.5}", "there is no score 'rougeL'", ""),
        ("{score: exact_match, candidate: tund, at_least: 0.5}", "there is no candidate 'tund'", "tuned"),
        ("{score: exact_match, better_than: bse}", "there is no candidate 'bse'", "base"),
        ("{score: exact_match, candidate: base, better_than: base}", "compared with itself", "another"),
        ("{regressions: core}", "there is no regression set 'core'", "regressions"),
        ("{score: exact_match, at_least: high}", "should be a valid number", "at_least"),
        ("{score: exact_match, at_leats: 0.5}", "at_leats", "at_least"),
        ("{score: exact_match}", "a rule has one of", ""),
        ("[exact_match]", "rules.1", ""),
    ],
)
def test_a_broken_gate_is_refused_before_the_training_of_its_recipe(
    tmp_path: Path, rule: str, words: str, fix: str
) -> None:
    (tmp_path / "gate.yaml").write_text(f"- {{score: exact_match, at_least: 0.1}}\n- {rule}\n")
    with pytest.raises(AskError) as error:
        plan(tmp_path, "gate: file:gate.yaml")
    assert "'verdict.gate': " in error.value.what
    assert "gate.yaml:2" in error.value.what
    assert words in error.value.what
    assert fix in error.value.fix


@pytest.mark.parametrize("text", ["", "a: [", "rules: []", "just words", "- 1"])
def test_a_file_that_is_no_gate_is_refused_when_it_is_planned(tmp_path: Path, text: str) -> None:
    (tmp_path / "gate.yaml").write_text(text)
    with pytest.raises(AskError, match=r"gate\.yaml"):
        plan(tmp_path, "gate: file:gate.yaml")


def test_the_rules_of_a_recipe_and_its_margins_are_checked_too(tmp_path: Path) -> None:
    with pytest.raises(AskError, match=r"'verdict\.gate': rule 1: there is no score 'chrf'"):
        plan(tmp_path, "gate: [{score: chrf, at_least: 0.5}]")
    with pytest.raises(AskError, match=r"margins: there is no score 'chrf'"):
        plan(tmp_path, "margins: {chrf: 0.1}")


def test_a_gate_whose_names_exist_is_planned(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text(
        "- {score: bits_per_byte, at_most: 3}\n- {score: rougeL_2, better_than: base}\n"
    )
    scorers = "scorers: [{kind: rouge}, {kind: rouge}]"
    assert len(plan(tmp_path, f"gate: file:gate.yaml\n    {scorers}").steps) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- {prompt: a, checks: {contians: b}}", "contians"),
        ("- {prompt: a, checks: {regex: '('}}", "regular expression"),
        ("- {checks: {contains: b}}", "prompt or messages"),
    ],
)
def test_broken_checks_are_refused_before_the_training_of_their_recipe(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "checks.yaml").write_text(text)
    with pytest.raises(AskError) as error:
        plan(tmp_path, checks=", checks: file:checks.yaml")
    assert "'score.checks': " in error.value.what
    assert "checks.yaml:1" in error.value.what
    assert words in error.value.what


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("task: [", "cannot be read as a task"),
        ("- a", "is not a mapping of settings"),
        ("group: a", ""),
        ("task: a\ninclude: other.yaml", "there is no"),
        ("task: a\nuse_prompt: x", "the task runs code"),
        ("task: a\ndataset_kwargs: {data_files: ../rows.jsonl}", "is outside of"),
        ("dataset_path: json", "has neither the key task nor group"),
    ],
)
def test_broken_tasks_are_refused_before_the_training_of_their_recipe(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.yaml").write_text(text)
    if not words:
        assert plan(tmp_path, checks=", tasks: [file:tasks/mine.yaml]").steps
        return
    with pytest.raises(BurnishError) as error:
        plan(tmp_path, checks=", tasks: [file:tasks/mine.yaml]")
    assert "recipe.yaml:5: 'score.tasks.names.0.folder': " in error.value.what
    assert "mine.yaml" in error.value.what
    assert words in error.value.what
    (tmp_path / "tasks" / "mine.yaml").write_text("task: a")
    with pytest.raises(BurnishError, match=r"there is no .*absent"):
        plan(tmp_path, checks=", tasks: [file:tasks/absent.yaml]")


def test_the_scores_of_evaluations_are_read_where_they_are_there(tmp_path: Path) -> None:
    spec = CompareSpec(candidates={"a": "file:a", "b": "file:b"})  # pyright: ignore[reportArgumentType]
    inputs = {f"candidates.{name}.ref": Input(f"file:{name}", "evaluation", tmp_path / name) for name in "ab"}
    for name in "ab":
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "metrics.json").write_text(json.dumps({"scores": {"helpful": {}}, "likelihood": {}}))
    assert scores_of(spec, inputs) is None
    (tmp_path / "b" / "metrics.json").write_text(
        json.dumps({"scores": {"win": {}}, "likelihood": {"bits_per_byte": {}}})
    )
    assert scores_of(spec, inputs) == ["helpful", "win", "bits_per_byte"]


def test_names_of_scores_are_those_of_the_scorers() -> None:
    names = [kind.model_fields["kind"].default for kind in types_within(Scorer)]
    more = {"regex": {"pattern": "a"}}
    given = [{"kind": name, **more.get(name, {})} for name in names if name not in ("custom", "multiple_choice")]
    given += [{"kind": "rouge", "variant": "rouge1"}, *given]
    scorers = TypeAdapter(list[Scorer]).validate_python(given)
    assert score_names(scorers) == [scorer.name for scorer in build_scorers(scorers)]
    other = TypeAdapter(list[Scorer]).validate_python([{"kind": "custom", "name": "x"}])
    assert score_names([*scorers, *other]) is None


def specs_of(spec: type[Spec]) -> list[tuple[str, Any]]:
    """The fields of a spec that name one file."""
    fields = spec.model_fields.items()
    return [(name, info) for name, info in fields for mark in marks_of(info) if mark == Takes(("file",))]


PROGRAMS = {("gguf", "converter")}
"""Files that are no settings."""


@pytest.mark.parametrize("stage", catalog.stages())
def test_every_file_of_settings_is_read_when_it_is_planned(stage: str) -> None:
    for name, info in specs_of(catalog.stage(stage).spec_type()):
        assert (stage, name) in PROGRAMS or any(isinstance(mark, Listed) for mark in marks_of(info)), (
            f"{stage}.{name} is not read by the plan"
        )
