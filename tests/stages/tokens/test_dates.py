"""A template that prints the date prints the pinned one in every stage, whatever the day is."""

import json

import pytest

from burnish.core.errors import RunError
from burnish.specs.evals import EvaluateSpec, GenerationSpec
from burnish.specs.models import GenerateSpec
from burnish.specs.tokens import RenderSpec
from burnish.specs.train import SftSpec
from burnish.stages.evals import evaluate
from burnish.stages.models import generate
from burnish.stages.models.chat import main
from burnish.stages.train import sft
from burnish.testing import CHATML, input_at, temporary_context, tiny_model, tiny_tokenizer

DATED = "{{ 'Today is ' + strftime_now('%d %b %Y') + '\\n' }}" + CHATML
DAYS = ("1767225600", "1767312000")
"""The first two days of 2026, in seconds since 1970."""
SHORT = GenerationSpec(max_new_tokens=2)


@pytest.fixture
def base(tmp_path):
    return tiny_tokenizer(tiny_model(tmp_path / "base", tokenizer=False), chat_template=DATED)


def test_a_training_that_is_stopped_today_resumes_tomorrow(rows, base, tmp_path, monkeypatch):
    render = RenderSpec(date="2026-01-01")
    spec = SftSpec(
        data="file:d", base="file:b", max_steps=4, prove="off", checkpoint={"every": 1}, batch_size=2, render=render
    )
    checkpoints = tmp_path / "sft" / "scratch" / "checkpoints"

    def is_saved() -> bool:
        return checkpoints.is_dir() and any(checkpoints.iterdir())

    monkeypatch.setenv("SOURCE_DATE_EPOCH", DAYS[0])
    context, _ = temporary_context(
        tmp_path / "sft",
        {"data": rows, "base": base},
        stopping=is_saved,
    )
    with pytest.raises(RunError, match="stopped"):
        sft.run(spec, context)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", DAYS[1])
    context, _ = temporary_context(tmp_path / "sft", {"data": rows, "base": base})
    context.cache = tmp_path / "another cache"  # rendered again
    outcome = sft.run(spec, context)
    assert outcome.measures["steps"] == 4
    assert outcome.measures["resumed_from"] >= 1


def test_evaluation_and_generation_ask_with_their_date(rows, base, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", DAYS[1])
    context, _ = temporary_context(tmp_path / "evaluate", {"model": base, "data": rows})
    spec = EvaluateSpec(model="file:m", data="file:d", generation=SHORT, date="2026-01-01")
    evaluate.run(spec, context)
    items = [json.loads(line) for line in (context.out / "items.jsonl").read_text().splitlines()]
    assert {item["prompt"].partition("\n")[0] for item in items} == {"Today is 01 Jan 2026"}
    bits = json.loads((context.out / "metrics.json").read_text())
    context, _ = temporary_context(tmp_path / "another day", {"model": base, "data": rows})
    evaluate.run(spec.model_copy(update={"date": "2026-01-02"}), context)
    assert json.loads((context.out / "metrics.json").read_text()) != bits

    seen, answers = watch_prompts(monkeypatch), []
    for date in ("2026-01-01", "2026-01-02", "2026-01-01"):
        context, _ = temporary_context(tmp_path / f"generate {len(answers)}", {"model": base, "data": rows})
        generate.run(GenerateSpec(model="file:m", data="file:d", generation=SHORT, date=date), context)
        answers.append(seen.copy())
        seen.clear()
    assert answers[0] == answers[2] != answers[1]


def watch_prompts(monkeypatch) -> list[list[int]]:
    """The prompts that an engine is given from now on."""
    from burnish.models.engines.transformers import TransformersEngine

    seen, generated = [], TransformersEngine.generate

    def generate(self, prompts, *args, **more):
        seen.extend(list(prompt) for prompt in prompts)
        return generated(self, prompts, *args, **more)

    monkeypatch.setattr(TransformersEngine, "generate", generate)
    return seen


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "note: the chat template prints the date: 2026-01-02, today; --date sets another"),
        (["--date=2025-12-31"], "note: the chat template prints the date: 2025-12-31; --date sets another"),
        (["--date=soon"], "write YYYY-MM-DD"),
    ],
)
def test_a_chat_says_which_date_it_prints(base, monkeypatch, capsys, arguments, said):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", DAYS[1])
    model = json.dumps(input_at(base).to_json())
    status = main([model, "--ask", "hello", "--max-new-tokens", "1", "--device", "cpu", *arguments])
    assert said in capsys.readouterr().err
    assert bool(status) == ("soon" in str(arguments))
