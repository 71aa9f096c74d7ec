"""Tasks of lm-evaluation-harness in evaluate: its own numbers, and the files of an evaluation."""

import json
from pathlib import Path
from typing import Any

import pytest

from burnish.core.context import Context
from burnish.core.events import Event, Note, Table
from burnish.core.inputs.references import built_ins
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.evals.items import read_items
from burnish.specs.evals import EvaluateSpec
from burnish.stages.evals.evaluate import run
from burnish.testing import temporary_context

from .conftest import SETTINGS


def evaluate(
    folder: Path, tasks: Path, model: Path | None = None, other: dict[str, Path] | None = None, **settings: Any
) -> tuple[dict[str, Any], Context, list[Event]]:
    """Run the stage on a folder of tasks under the ledger; its measures, context and events."""
    model = model or built_ins()["pocket"]
    names = settings.pop("names", [f"file:{tasks}"])
    spec_of = {field: settings.pop(field) for field in list(settings) if field in EvaluateSpec.model_fields}
    spec = EvaluateSpec(model=f"file:{model}", tasks={"names": names, **settings}, **spec_of)
    inputs = {"model": model, **(other or {})}
    inputs |= {f"tasks.names.{number}.folder": tasks for number, task in enumerate(spec.tasks.names) if task.folder}
    ctx, events = temporary_context(folder, inputs)
    with ConsumptionLedger(spec) as ledger:
        for name in inputs:
            ledger.input_was_read(name)
        ctx.check_settings = ledger.check
        outcome = run(spec, ctx)
    return dict(outcome.measures), ctx, events


@pytest.mark.parametrize("name", SETTINGS)
def test_tasks_have_the_numbers_of_lm_evaluation_harness(
    name: str, tasks: Path, tmp_path: Path, own_numbers: dict[str, Any]
) -> None:
    _, ctx, _ = evaluate(tmp_path, tasks, **SETTINGS[name])
    found = json.loads((ctx.out / "metrics.json").read_text())["tasks"]["model"]
    theirs = own_numbers[name]
    for part in ("results", "groups"):
        assert found[part].keys() == theirs[part].keys()
        for task, entry in theirs[part].items():
            ours = found[part][task]
            assert ours.keys() == entry.keys()
            for key, value in entry.items():
                exact = 1e-5 if "perplexity" in key else 1e-6  # e to the power of nats, such as 38
                same = pytest.approx(value, rel=exact, abs=1e-6) if isinstance(value, float) else value
                assert ours[key] == same, (task, key)
    for part in ("n-shot", "n-samples", "versions", "higher_is_better"):
        assert found[part] == theirs[part]
    lines = {line["source"]: line for line in map(json.loads, (ctx.out / "items.jsonl").read_text().splitlines())}
    for task, samples in theirs["samples"].items():
        for sample in samples:
            line = lines[f"{task}:{sample['doc_id']}"]
            assert line["prompt"] == sample["arguments"][0][0]
            if task == "answers":
                assert line["answer"] == sample["resps"][0][0]
                assert line["task"]["filtered"][sample["filter"]] == sample["filtered_resps"][0]
            else:
                expected = [one[0] if isinstance(one, tuple) else one for (one,) in sample["resps"]]
                assert line["task"]["log_probs"] == pytest.approx(expected, rel=1e-6, abs=1e-5)


def test_questions_of_tasks_are_rows_of_the_evaluation(tasks: Path, tmp_path: Path) -> None:
    measures, ctx, events = evaluate(tmp_path, tasks, limit=4)
    metrics = json.loads((ctx.out / "metrics.json").read_text())
    results = metrics["tasks"]["model"]["results"]
    assert measures["sky/acc"] == metrics["scores"]["sky/acc"]["model"]["value"] == results["sky"]["acc,none"]
    assert measures["answers/exact_match,word"] == results["answers"]["exact_match,word"]
    assert measures["texts/word_perplexity"] == results["texts"]["word_perplexity,none"]
    assert measures["choices/acc"] == metrics["tasks"]["model"]["groups"]["choices"]["acc,none"]
    assert measures["bits_per_byte"] == pytest.approx(results["texts"]["bits_per_byte,none"], rel=1e-6)
    assert "texts/word_perplexity" not in metrics["scores"]
    names = "texts/word_perplexity, texts/byte_perplexity, texts/bits_per_byte"
    [note] = [event.text for event in events if isinstance(event, Note) and event.text.endswith("lower is better")]
    assert f"{names}: in the table of tasks, and no scores to compare or gate, since lower is better" in note
    read = read_items(ctx.out)
    assert [item.source for item in read if item.source.startswith("sky")] == [f"sky:{number}" for number in range(4)]
    assert len({item.id for item in read}) == len(read) == 4 + 4 + 4 + 3
    [shown] = [event for event in events if isinstance(event, Table) and event.title.startswith("Tasks")]
    assert shown.columns == ["task", "examples", "rows", "metric", "better", "model"]
    acc = results["sky"]
    assert ["sky", "0", "4", "acc", "higher", f"{acc['acc,none']:.4f} ± {acc['acc_stderr,none']:.4f}"] in shown.rows


def test_rows_and_tasks_are_evaluated_together_and_against_the_base(
    tasks: Path, tmp_path: Path, adapter: Path, make_dataset: Any
) -> None:
    turns = [{"role": "user", "content": "is 1 so"}, {"role": "assistant", "content": "yes"}]
    data = make_dataset(test=[{"id": f"{n:016x}", "source": "d:1", "kind": "chat", "messages": turns} for n in (1, 2)])
    settings = {"compare_with": "base", "generation": {"max_new_tokens": 4}, "data": f"file:{data}"}
    names = [f"file:{tasks}/choice.yaml", f"file:{tasks}/texts.yaml"]
    measures, ctx, events = evaluate(
        tmp_path / "run", tasks, adapter, {"data": data}, names=names, batch_size=2, **settings
    )
    metrics = json.loads((ctx.out / "metrics.json").read_text())
    assert {"exact_match", "sky/acc", "sky/acc_norm"} == set(metrics["scores"])
    assert metrics["scores"]["sky/acc"]["test"] == "exact McNemar"
    assert metrics["likelihood"]["perplexity"]["model"]["n"] == 2, "texts of tasks are not mixed with rows"
    base = metrics["tasks"]["base"]["results"]["texts"]
    assert measures["texts/bits_per_byte_base"] == base["bits_per_byte,none"] != measures["texts/bits_per_byte"]
    lines = [json.loads(line) for line in (ctx.out / "items.jsonl").read_text().splitlines()]
    assert all("base" in line for line in lines)
    [shown] = [event for event in events if isinstance(event, Table) and event.title.startswith("Tasks")]
    assert shown.columns[-2:] == ["model", "base"]


def test_prompts_that_do_not_fit_are_counted(tasks: Path, tmp_path: Path) -> None:
    rows = [{"question": "why " * 600, "choices": ["a", "b"], "answer": 0}]
    (tasks / "choice.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, _, events = evaluate(tmp_path, tasks, names=[f"file:{tasks}/choice.yaml"])
    texts = [event.text for event in events if isinstance(event, Note)]
    assert "2 prompts of tasks do not fit in the model's context: their beginning is cut off" in texts
