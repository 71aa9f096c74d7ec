"""`evaluate` with checks of prompts: the file, the answers, the numbers, and a comparison of two evaluations."""

import json
from pathlib import Path
from typing import Any

import pytest

from burnish.core.context import Input
from burnish.core.errors import AskError, BurnishError
from burnish.core.inputs.references import built_ins
from burnish.specs.evals import CompareSpec, EvaluateSpec
from burnish.stages.evals import compare
from burnish.stages.evals.checks import read_checks
from burnish.stages.evals.evaluate import run
from burnish.testing import temporary_context

BAD: dict[str, tuple[str, str, str, str]] = {
    "an empty file": ("", "ask.wrong-value", "checks.yaml: a file of checks is a list", "write - {prompt"),
    "an empty list": ("prompts: []", "ask.wrong-value", ":1: a file of checks is a list", "write - {prompt"),
    "another mapping": ("prompt: x", "ask.wrong-value", ":1: a file of checks is a list", "write - {prompt"),
    "invalid YAML": ("- {prompt: x", "ask.recipe-unreadable", ": invalid YAML", "indentation"),
    "a word": ("\n- word", "ask.wrong-value", ":2: 'prompts.0': must be a mapping", "prompts"),
    "another key of the file": (
        "prompts:\n- {prompt: a, checks: {json: true}}\nanything: x",
        "ask.unknown-key",
        ":3: unknown key 'anything'",
        "prompts",
    ),
    "an unknown check": (
        "- {prompt: a, checks: {json: true}}\n- prompt: b\n  checks:\n    contian: x",
        "ask.unknown-key",
        ":4: unknown key 'prompts.1.checks.contian'",
        "did you mean 'contains'?",
    ),
    "an unknown key of a prompt": (
        "- {prompt: a, tga: x, checks: {json: true}}",
        "ask.unknown-key",
        ":1: unknown key 'prompts.0.tga'",
        "did you mean 'tag'?",
    ),
    "no checks": ("- prompt: a", "ask.missing-key", ":1: 'prompts.0.checks' is missing", "add checks"),
    "empty checks": ("- {prompt: a, checks: {}}", "ask.wrong-value", ":1: 'prompts.0.checks': no check", "checks"),
    "a broken expression": (
        "- prompt: a\n  checks:\n    not_regex: ['a', '(']",
        "ask.wrong-value",
        ":3: 'prompts.0.checks.not_regex': invalid regular expression",
        "regular expressions",
    ),
    "an unknown language": (
        "- prompt: a\n  checks:\n    language: eng",
        "ask.wrong-value",
        ":3: 'prompts.0.checks.language': unknown language 'eng': did you mean 'en'?",
        "language",
    ),
    "words that exclude each other": (
        "- prompt: a\n  checks: {min_words: 3, max_words: 2}",
        "ask.wrong-value",
        ":2: 'prompts.0.checks': min_words: 3 is more than max_words: 2",
        "checks",
    ),
    "a share over 1": (
        "- {prompt: a, checks: {max_repetition: 1.5}}",
        "ask.wrong-value",
        ":1: 'prompts.0.checks.max_repetition'",
        "share",
    ),
    "an id twice": (
        "- {prompt: a, id: x, checks: {json: true}}\n- {prompt: b, id: x, checks: {json: true}}",
        "ask.wrong-value",
        ":2: the id 'x' is at ",
        "another id",
    ),
    "a prompt twice": (
        "- {prompt: a, checks: {json: true}}\n- {prompt: a, checks: {max_words: 2}}",
        "ask.wrong-value",
        ":2: the same prompt is at ",
        "join the checks",
    ),
    "neither prompt nor messages": ("- checks: {json: true}", "ask.wrong-value", "either prompt or messages", ""),
    "both": (
        "- {prompt: a, messages: [{role: user, content: a}], checks: {json: true}}",
        "ask.wrong-value",
        "either prompt or messages",
        "",
    ),
    "system beside messages": (
        "- {system: s, messages: [{role: user, content: a}], checks: {json: true}}",
        "ask.wrong-value",
        "system belongs to prompt",
        "",
    ),
    "an unknown role": (
        "- {messages: [{role: usr, content: a}], checks: {json: true}}",
        "ask.wrong-value",
        ":1: messages.0.role: the role 'usr' is unknown",
        "role and content",
    ),
    "an unknown key of a turn": (
        "- {messages: [{role: user, content: a, mood: b}], checks: {json: true}}",
        "ask.unknown-key",
        ":1: unknown key 'messages.*.mood'",
        "remove it",
    ),
    "an answer at the end": (
        "- {messages: [{role: user, content: a}, {role: assistant, content: b}], checks: {json: true}}",
        "ask.wrong-value",
        ":1: the last turn is of the assistant",
        "turn of the user",
    ),
    "a tool without a name": ("- {prompt: a, tools: [{x: 1}], checks: {json: true}}", "ask.wrong-value", "tools.0", ""),
}
"""Files that are refused: the text, the code, part of what is said, part of the fix."""

WRONG_TYPES: dict[str, Any] = {
    "contains": 5,
    "not_contains": [],
    "any_of": {"a": 1},
    "regex": True,
    "not_regex": "",
    "equals": 4,
    "language": 1,
    "refusal": "yes",
    "json": False,
    "max_words": True,
    "min_words": 0,
    "max_repetition": "often",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_file_line_and_fix(name: str, tmp_path: Path) -> None:
    text, code, what, fix = BAD[name]
    path = tmp_path / "checks.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AskError) as caught:
        read_checks(path)
    assert (caught.value.code, str(path) in caught.value.what) == (code, True)
    assert what in caught.value.what
    assert fix in caught.value.fix


@pytest.mark.parametrize("kind", WRONG_TYPES)
def test_a_value_of_another_type_is_refused_with_its_line(kind: str, tmp_path: Path) -> None:
    from burnish.specs.evals import AnswerChecksSpec

    assert WRONG_TYPES.keys() == AnswerChecksSpec.__pydantic_fields__.keys()
    path = tmp_path / "checks.yaml"
    path.write_text(f"- prompt: a\n  checks:\n    {kind}: {json.dumps(WRONG_TYPES[kind])}\n", encoding="utf-8")
    with pytest.raises(AskError, match=f":3: 'prompts.0.checks.{kind}") as caught:
        read_checks(path)
    assert caught.value.code == "ask.wrong-value"


CHECKS = """
prompts:
- prompt: What is 13 April 2022 in ISO format?
  tag: dates
  id: april
  checks: {equals: 2022-04-13, max_words: 3, refusal: false}
- messages:
  - {role: system, content: Be short.}
  - {role: user, content: What is 2 May 2021 in ISO format?}
  tag: dates
  checks: {regex: '^\\d{4}-\\d{2}-\\d{2}$', not_contains: sorry}
- prompt: Say something in German.
  tag: other
  checks: {language: de, contains: [Haus, Garten], min_words: 90}
"""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An evaluation of the built-in model with checks alone, in its folder; the context and the events."""
    folder = tmp_path_factory.mktemp("checked")
    (folder / "checks.yaml").write_text(CHECKS, encoding="utf-8")
    inputs = {"model": built_ins()["pocket"], "checks": folder / "checks.yaml"}
    ctx, events = temporary_context(folder, inputs)
    spec = EvaluateSpec(model="builtin:pocket", checks="file:checks.yaml", generation={"max_new_tokens": 24})
    return run(spec, ctx), ctx, events


def test_prompts_are_items_with_the_score_and_what_failed(evaluated: Any) -> None:
    _, ctx, _ = evaluated
    items = [json.loads(line) for line in (ctx.out / "items.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(item["source"], item["tag"], item["scores"]["checks"]["value"]) for item in items] == [
        ("checks.yaml:3", "dates", 1.0),
        ("checks.yaml:7", "dates", 1.0),
        ("checks.yaml:12", "other", 0.0),
    ]
    assert items[0]["id"] == "april"
    assert items[0]["answer"].strip() == "2022-04-13"
    assert "Be short." in items[1]["prompt"]
    assert items[2]["reference"] == "contains: 'Haus', 'Garten'\nlanguage: 'de'\nmin_words: 90"
    assert "contains: 'Haus', 'Garten' not in the answer" in items[2]["scores"]["checks"]["why"]


def test_the_metrics_have_each_kind_with_wilsons_interval_and_tags(evaluated: Any) -> None:
    outcome, ctx, events = evaluated
    found = json.loads((ctx.out / "metrics.json").read_text(encoding="utf-8"))
    kinds = {kind: (entry["n"], entry["passed"]) for kind, entry in found["checks"].items()}
    assert kinds == {
        "contains": (1, 0),
        "not_contains": (1, 1),
        "regex": (1, 1),
        "equals": (1, 1),
        "language": (1, 0),
        "refusal": (1, 1),
        "max_words": (1, 1),
        "min_words": (1, 0),
    }
    entry = found["checks"]["max_words"]
    assert (entry["low"], entry["high"]) == (pytest.approx(0.2065, abs=1e-3), 1.0)
    assert {tag: section["scores"]["checks"]["model"]["value"] for tag, section in found["by_tag"].items()} == {
        "dates": 1.0,
        "other": 0.0,
    }
    assert (outcome.measures["checks"], outcome.measures["checks_min_words"]) == (pytest.approx(2 / 3), 0.0)
    (table,) = [event for event in events if getattr(event, "title", "") == "Checks of prompts"]
    assert ["max_words", "1", "1 (1.000)", "0.207 … 1.000"] in table.rows
    for name in ("report.md", "report.html"):
        report = (ctx.out / name).read_text(encoding="utf-8")
        assert "Checks of prompts" in report
        assert "0.207 … 1.000" in report


def test_a_comparison_reads_two_evaluations_with_checks_and_its_gate_uses_them(evaluated: Any, tmp_path: Path) -> None:
    _, ctx, _ = evaluated
    evaluation = Input("evaluation@1", "evaluation", ctx.out)
    spec = CompareSpec(
        candidates={"a": "first@1", "b": "second@1"}, gate=[{"score": "checks", "candidate": "b", "at_least": 0.9}]
    )
    inputs = {f"candidates.{name}.ref": evaluation for name in "ab"}
    other, _ = temporary_context(tmp_path, inputs)
    outcome = compare.run(spec, other)
    found = json.loads((other.out / "comparison.json").read_text(encoding="utf-8"))
    assert found["scores"]["checks"]["n"] == 3
    assert found["comparisons"][0]["delta"] == 0
    assert outcome.measures["gate"] == "failed"


def test_evaluations_with_other_checks_are_not_compared(evaluated: Any, tmp_path: Path) -> None:
    _, ctx, _ = evaluated
    changed = tmp_path / "changed"
    changed.mkdir()
    text = (ctx.out / "items.jsonl").read_text(encoding="utf-8")
    (changed / "items.jsonl").write_text(text.replace("max_words: 3", "max_words: 4"), encoding="utf-8")
    (changed / "metrics.json").write_bytes((ctx.out / "metrics.json").read_bytes())
    spec = CompareSpec(candidates={"a": "first@1", "b": "second@1"})
    first, second = Input("first@1", "evaluation", ctx.out), Input("second@1", "evaluation", changed)
    other, _ = temporary_context(tmp_path, {"candidates.a.ref": first, "candidates.b.ref": second})
    with pytest.raises(BurnishError) as caught:
        compare.run(spec, other)
    assert caught.value.code == "data.other-rows"
    assert "april" in caught.value.what


def test_a_bad_file_is_refused_before_a_model_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "checks.yaml").write_text("- {prompt: a, checks: {contian: x}}", encoding="utf-8")
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "qwen3"}', encoding="utf-8")  # it has no weights
    ctx, _ = temporary_context(tmp_path, {"model": model, "checks": tmp_path / "checks.yaml"})
    with pytest.raises(AskError, match="contian"):
        run(EvaluateSpec(model="file:m", checks="file:c"), ctx)


def test_rows_and_checks_are_scored_together_for_two_models(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello!"}]}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "checks.yaml").write_text("- {prompt: hi, checks: {max_words: 40}}", encoding="utf-8")
    pocket = built_ins()["pocket"]
    inputs = {"model": pocket, "compare_with": pocket, "data": tmp_path / "rows.jsonl"}
    ctx, _ = temporary_context(tmp_path, {**inputs, "checks": tmp_path / "checks.yaml"})
    settings: dict[str, Any] = {"generation": {"max_new_tokens": 16}, "data": "file:r", "checks": "file:c"}
    run(EvaluateSpec(model="file:m", compare_with="file:o", **settings), ctx)
    found = json.loads((ctx.out / "metrics.json").read_text(encoding="utf-8"))
    assert found["rows"] == 2
    assert {name: entry["model"]["n"] for name, entry in found["scores"].items()} == {"exact_match": 1, "checks": 1}
    assert found["checks"]["max_words"]["base"]["n"] == 1
    generation = found["generation"]["model"]
    assert generation["answers"] == 2
    assert generation["latency"]["mean"] * 2 == pytest.approx(generation["seconds"], rel=0.2), "of both batches"


def test_something_must_be_measured() -> None:
    with pytest.raises(ValueError, match="set data, tasks or checks"):
        EvaluateSpec(model="builtin:pocket")
