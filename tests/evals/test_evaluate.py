"""The evaluate stage on tiny models: files, measures, events, and errors."""

import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

from burnish.core.context import Context
from burnish.core.errors import AskError, DataError, RunError
from burnish.core.events import Event, Note, Progress, Table
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.models.load import load_model
from burnish.specs.base import short_name
from burnish.specs.evals import EvaluateSpec
from burnish.stages.evals.evaluate import run
from burnish.testing import temporary_context, tiny_model, tiny_tokenizer
from burnish.tokens.templates.chatml import CHATML

Maker = Callable[..., Path]
SHORT = {"max_new_tokens": 4, "batch_size": 3}


def chat_row(number: int, question: str, answer: str, **other: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"id": f"{number:016x}", "source": f"data.jsonl:{number}", "kind": "chat", "messages": turns, **other}


def yes_rows(count: int = 8) -> list[dict[str, Any]]:
    return [chat_row(i, f"is {i} so", "yes", tag="even" if i % 2 == 0 else "odd") for i in range(count)]


def evaluate(
    folder: Path, model: Path, data: Path, stopping: Callable[[], bool] = lambda: False, **settings: Any
) -> tuple[dict[str, Any], Context, list[Event]]:
    """Run the stage under the ledger, as a worker does; return its measures, its context and its events."""
    other = settings.get("compare_with", "base")
    inputs = {"model": model, "data": data} | ({} if other == "base" else {"compare_with": Path(other[5:])})
    ctx, events = temporary_context(folder, inputs, stopping)
    spec = EvaluateSpec(model=f"file:{model}", data=f"file:{data}", **settings)
    with ConsumptionLedger(spec) as ledger:
        for name in inputs:
            ledger.input_was_read(name)
        ctx.check_settings = ledger.check
        outcome = run(spec, ctx)
    assert outcome.kind == "evaluation"
    return dict(outcome.measures), ctx, events


def items(ctx: Context) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ctx.out / "items.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.usefixtures("painted")
def test_an_adapter_is_compared_with_its_base(
    tmp_path: Path, adapter: Path, base_model: Path, make_dataset: Maker
) -> None:
    data = make_dataset(test=yes_rows())
    measures, ctx, events = evaluate(tmp_path, adapter, data, compare_with="base", generation=SHORT)
    assert measures["rows"] == 8
    assert measures["exact_match"] == 1.0
    assert measures["exact_match_base"] == 0.0
    assert measures["exact_match_delta"] == 1.0
    assert 0 < measures["exact_match_delta_low"] < measures["exact_match_delta_high"] <= 1.0
    assert measures["exact_match_verdict"] == "better"
    assert measures["bits_per_byte_verdict"] == "better"
    assert measures["perplexity"] < 0.8 * measures["perplexity_base"]

    metrics = json.loads((ctx.out / "metrics.json").read_text())
    assert metrics["scores"]["exact_match"]["model"]["n"] == 8
    assert metrics["scores"]["exact_match"]["test"] == "exact McNemar"
    assert {tag: part["rows"] for tag, part in metrics["by_tag"].items()} == {"even": 4, "odd": 4}
    assert metrics["by_tag"]["odd"]["scores"]["exact_match"]["delta"] == 1.0
    by_tag = next(event for event in events if event.kind == "table" and event.title == "By tag")
    assert [line[:3] for line in by_tag.rows] == [["even", "exact_match", "4"], ["odd", "exact_match", "4"]]

    first = items(ctx)[0]
    assert (first["id"], first["source"], first["tag"]) == ("0" * 16, "data.jsonl:0", "even")
    assert first["prompt"].endswith("is 0 so<|im_end|>\n<|im_start|>assistant\n")
    assert (first["reference"], first["answer"], first["finish_reason"]) == ("yes", "yes", "stop")
    assert first["scores"]["exact_match"] == {"value": 1.0, "why": "equal"}
    assert first["base"]["answer"] != "yes"
    assert first["nll"] < first["base"]["nll"]
    assert (ctx.out / "scores.png").read_bytes().startswith(b"\x89PNG")

    phases = {event.phase for event in events if isinstance(event, Progress)}
    assert phases == {"perplexity", "answers", "base: perplexity", "base: answers"}
    [table, *_] = [event for event in events if isinstance(event, Table)]
    assert table.columns == ["score", "rows", "model", "base", "difference", "verdict"]
    assert [row[0] for row in table.rows] == ["exact_match", "perplexity", "bits_per_byte"]


def test_the_base_under_an_adapter_scores_as_it_does_alone(
    tmp_path: Path, adapter: Path, base_model: Path, make_dataset: Maker
) -> None:
    data = make_dataset(test=yes_rows(4))
    both, ctx, _ = evaluate(tmp_path / "both", adapter, data, compare_with="base", generation=SHORT)
    alone, alone_ctx, _ = evaluate(tmp_path / "alone", base_model, data, generation=SHORT)
    assert both["perplexity_base"] == pytest.approx(alone["perplexity"], rel=1e-6)
    assert [item["base"]["answer"] for item in items(ctx)] == [item["answer"] for item in items(alone_ctx)]


def test_two_full_models_are_compared_on_the_same_rows(tmp_path: Path, base_model: Path, make_dataset: Maker) -> None:
    other = tiny_model(tmp_path / "other", "llama", seed=5)
    data = make_dataset(test=yes_rows(8))
    measures, ctx, events = evaluate(tmp_path, other, data, compare_with=f"file:{base_model}", generation=SHORT)
    assert measures["exact_match_delta"] == 0.0
    assert measures["exact_match_verdict"] == "not enough evidence"
    assert measures["perplexity"] != measures["perplexity_base"]
    tables = [event for event in events if isinstance(event, Table)]
    assert tables[0].columns == ["score", "rows", "model", base_model.name, "difference", "verdict"]
    assert tables[1].columns == ["tag", "score", "rows", "model", base_model.name, "difference"]
    assert f"{base_model.name}: answers" in {event.phase for event in events if isinstance(event, Progress)}
    assert "base" in json.loads((ctx.out / "metrics.json").read_text())["scores"]["exact_match"]


def test_the_legend_names_the_model_that_is_compared_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base_model: Path, make_dataset: Maker
) -> None:
    labels: list[str] = []
    monkeypatch.setattr(Figure, "legend", lambda _, handles, **__: labels.extend(str(h.get_label()) for h in handles))
    data = make_dataset(test=yes_rows(2))
    evaluate(tmp_path, base_model, data, compare_with=f"file:{base_model}", generation=SHORT)
    assert labels == [base_model.name, "model"]


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("base", "base"),
        ("step:tune", "tune"),
        ("tiny.tune@latest", "tiny.tune@latest"),
        ("file:runs/small model/", "small model"),
        ("hub:someone/tiny", "tiny"),
        ("builtin:pocket", "pocket"),
        ("step:model", "step:model"),
        ("file:.", "file:."),
    ],
)
def test_a_reference_has_a_short_name(reference: str, name: str) -> None:
    assert short_name(reference) == name


def test_a_model_alone_gets_intervals(tmp_path: Path, base_model: Path, make_dataset: Maker) -> None:
    data = make_dataset(validation=yes_rows(6), test=yes_rows(2))
    measures, ctx, events = evaluate(tmp_path, base_model, data, split="validation", max_rows=5, generation=SHORT)
    assert set(measures) == {"rows", "exact_match", "perplexity", "bits_per_byte"}
    assert measures["rows"] == 5
    found = json.loads((ctx.out / "metrics.json").read_text())
    for entry in (
        found["scores"]["exact_match"],
        found["likelihood"]["perplexity"],
        found["likelihood"]["bits_per_byte"],
    ):
        assert entry["model"]["low"] <= entry["model"]["value"] <= entry["model"]["high"]
    [table, *_] = [event for event in events if isinstance(event, Table)]
    assert table.columns == ["score", "rows", "model", "interval"]


def test_perplexity_equals_that_of_transformers(tmp_path: Path, base_model: Path, make_dataset: Maker) -> None:
    from burnish.models.load import load_model
    from burnish.tokens.load import load_tokenizer
    from burnish.tokens.rendering.renderer import Renderer

    rows = [chat_row(0, "hi", "a short one"), chat_row(1, "and?", "ü")]
    measures, ctx, _ = evaluate(tmp_path, base_model, make_dataset(test=rows), scorers=[])
    model, renderer = load_model(base_model), Renderer(load_tokenizer(base_model))
    nats = tokens = 0.0
    for row in rows:
        [rendered] = renderer.render(row)
        ids = torch.tensor(rendered.ids, dtype=torch.long)
        labels = torch.where(torch.tensor(rendered.weights) > 0, ids, -100)
        with torch.no_grad():
            nats += model(input_ids=ids[None], labels=labels[None]).loss.item() * rendered.learned
        tokens += rendered.learned
    assert measures["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-5)
    assert measures["bits_per_byte"] == pytest.approx(nats / math.log(2) / len("a short oneü".encode()), rel=1e-5)
    assert items(ctx)[0]["answer"] is None


def test_an_empty_list_of_scorers_generates_nothing(
    tmp_path: Path, base_model: Path, make_dataset: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("burnish.stages.evals.measuring.engine_of", None)
    measures, _, events = evaluate(tmp_path, base_model, make_dataset(test=yes_rows(2)), scorers=[])
    assert set(measures) == {"rows", "perplexity", "bits_per_byte"}
    assert not any(isinstance(event, Progress) and "answers" in event.phase for event in events)


def test_rows_that_cannot_be_scored_are_counted_and_reported(
    tmp_path: Path, base_model: Path, make_dataset: Maker
) -> None:
    asked = {"id": "a", "source": "p:1", "kind": "prompt", "messages": [{"role": "user", "content": "who?"}]}
    text = {"id": "b", "source": "p:2", "kind": "text", "text": "only text"}
    data = make_dataset(test=[*yes_rows(2), asked, text])
    measures, ctx, events = evaluate(tmp_path, base_model, data, generation=SHORT)
    found = json.loads((ctx.out / "metrics.json").read_text())
    assert found["scores"]["exact_match"]["model"]["n"] == 2
    assert found["scores"]["exact_match"]["model"]["unscored"] == 2
    assert found["likelihood"]["perplexity"]["model"]["n"] == 3  # the text too, the bare prompt not
    notes = [event.text for event in events if isinstance(event, Note)]
    assert "exact_match: 1 of 4 rows not scored: the row has no reference answer" in notes
    assert "exact_match: 1 of 4 rows not scored: the row has no prompt" in notes
    assert measures["rows"] == 4


def test_a_preferred_answer_is_the_reference(tmp_path: Path, adapter: Path, make_dataset: Maker) -> None:
    row = {"id": "a", "source": "p:1", "kind": "preference", "messages": [{"role": "user", "content": "is 1 so"}]}
    row |= {"chosen": [{"role": "assistant", "content": "yes"}], "rejected": [{"role": "assistant", "content": "no"}]}
    measures, _, _ = evaluate(tmp_path, adapter, make_dataset(test=[row]), generation=SHORT)
    assert measures["exact_match"] == 1.0


def test_rows_that_are_too_long_are_excluded_from_perplexity_and_counted(
    tmp_path: Path, base_model: Path, make_dataset: Maker
) -> None:
    data = make_dataset(test=[*yes_rows(3), chat_row(9, "why", "because " * 20)])
    _, ctx, events = evaluate(tmp_path, base_model, data, scorers=[], max_length=64)
    found = json.loads((ctx.out / "metrics.json").read_text())["likelihood"]["perplexity"]["model"]
    assert (found["n"], found["too_long"]) == (3, 1)
    assert [item["too_long"] for item in items(ctx)] == [False, False, False, True]
    warnings = [event.text for event in events if isinstance(event, Note) and event.level == "warning"]
    assert warnings == ["1 rows have more than 64 tokens and are left out of perplexity"]


def test_a_file_is_scored_completely(tmp_path: Path, base_model: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"messages": row["messages"]}) + "\n" for row in yes_rows(3)))
    measures, ctx, _ = evaluate(tmp_path, base_model, file, scorers=[])
    assert measures["rows"] == 3
    assert items(ctx)[2]["source"].endswith("rows.jsonl:3")


def test_an_unknown_split_is_an_error_that_lists_the_splits(
    tmp_path: Path, base_model: Path, make_dataset: Maker
) -> None:
    with pytest.raises(DataError, match="no split 'test': it has train, validation") as caught:
        evaluate(tmp_path, base_model, make_dataset(train=yes_rows(1), validation=yes_rows(1)))
    assert caught.value.code == "data.not-prepared"


def test_a_full_model_has_no_base_to_compare_with(tmp_path: Path, base_model: Path, make_dataset: Maker) -> None:
    with pytest.raises(AskError, match="is a whole model") as caught:
        evaluate(tmp_path, base_model, make_dataset(test=yes_rows(1)), compare_with="base")
    assert "leave compare_with out" in caught.value.fix


def test_nothing_to_measure_is_an_error(tmp_path: Path, base_model: Path, make_dataset: Maker) -> None:
    with pytest.raises(AskError, match="nothing would be measured"):
        evaluate(tmp_path, base_model, make_dataset(test=yes_rows(1)), scorers=[], perplexity=False)


@pytest.mark.parametrize(
    ("settings", "unread"),
    [
        ({"scorers": [], "generation": SHORT}, "generation"),
        ({"perplexity": False, "max_length": 64}, "max_length"),
        ({"generation": {"top_p": 0.5}}, "generation.top_p"),
    ],
)
def test_a_setting_without_effect_is_refused_before_the_long_work(
    tmp_path: Path, base_model: Path, make_dataset: Maker, settings: dict[str, Any], unread: str
) -> None:
    with pytest.raises(RunError, match=f"unused setting: {unread}"):
        evaluate(tmp_path, base_model, make_dataset(test=yes_rows(1)), **settings)
    assert not (tmp_path / "out" / "items.jsonl").exists()


def test_a_stop_request_takes_effect_between_batches(tmp_path: Path, base_model: Path, make_dataset: Maker) -> None:
    asked = iter([False, False, False, True])
    with pytest.raises(RunError, match="answers, row 3 of 8") as caught:
        evaluate(tmp_path, base_model, make_dataset(test=yes_rows()), lambda: next(asked), generation=SHORT)
    assert caught.value.code == "run.interrupted"


def test_a_second_evaluation_returns_the_same_numbers(tmp_path: Path, adapter: Path, make_dataset: Maker) -> None:
    data = make_dataset(test=yes_rows(4))
    found = [evaluate(tmp_path / name, adapter, data, scorers=[], compare_with="base")[0] for name in ("one", "two")]
    assert found[0] == found[1]


def test_a_model_that_returns_nan_is_reported_in_valid_json_and_plotted(
    tmp_path: Path, base_model: Path, make_dataset: Maker
) -> None:
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(base_model, broken)
    tensors = load_file(broken / "model.safetensors")
    tensors["model.norm.weight"] *= 3e38  # finite itself, its logits are not
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    data = make_dataset(test=yes_rows(4))
    _, ctx, events = evaluate(tmp_path, broken, data, scorers=[], compare_with=f"file:{base_model}")
    text = (ctx.out / "metrics.json").read_text() + (ctx.out / "items.jsonl").read_text()
    assert re.findall(r"[^\"](?:NaN|Infinity)", text) == []
    assert '"NaN"' in text
    assert (ctx.out / "scores.png").exists()
    assert any("not finite" in event.text for event in events if isinstance(event, Note))


CALL = {"type": "function", "function": {"name": "move", "arguments": '{"to": 3}'}}
TOOLS = [{"type": "function", "function": {"name": "move", "description": "", "parameters": {}}}]


def test_a_model_that_calls_nothing_scores_nothing_on_calls(
    tmp_path: Path, base_model: Path, make_dataset: Maker
) -> None:
    rows = [chat_row(number, f"is {number} so", "yes", tools=TOOLS) for number in range(7)]
    turns = [{"role": "user", "content": "move"}, {"role": "assistant", "content": "", "tool_calls": [CALL]}]
    model = tmp_path / "model"
    shutil.copytree(base_model, model)
    tiny_tokenizer(model, chat_template=CHATML)  # one that shows tools
    rows.append({**chat_row(7, "", ""), "messages": turns, "tools": TOOLS})
    measures, ctx, events = evaluate(
        tmp_path, model, make_dataset(test=rows), scorers=[{"kind": "tool_call"}], perplexity=False, generation=SHORT
    )
    assert measures["tool_call"] == 0.0
    assert measures["no_call"] == 1.0
    found = json.loads((ctx.out / "metrics.json").read_text(encoding="utf-8"))
    assert (found["scores"]["tool_call"]["model"]["n"], found["scores"]["no_call"]["model"]["n"]) == (1, 7)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert "tool_call: 1 of 8 rows expect a tool call: its score rests on few rows" in notes
    assert not any("not scored" in note for note in notes)


def test_two_models_are_compared_on_the_rows_scored_for_both(tmp_path: Path, make_dataset: Maker) -> None:
    """The same weights with a shorter context: only rows that fit both are compared."""
    model = tiny_model(tmp_path / "model")
    short = tmp_path / "short"
    shutil.copytree(model, short)
    config = json.loads((short / "config.json").read_text())
    (short / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 64}))
    data = make_dataset(test=[chat_row(i, "x" * (150 if i < 3 else 5), "yes", tag="a") for i in range(8)])
    measures, _, events = evaluate(
        tmp_path, model, data, compare_with=f"file:{short}", scorers=[{"kind": "exact_match"}], generation=SHORT
    )
    for name in ("perplexity", "bits_per_byte", "exact_match"):
        assert measures[name] == pytest.approx(measures[f"{name}_base"], rel=1e-5)
        assert measures[f"{name}_rows"] == 5
    [table, _] = [event for event in events if isinstance(event, Table)]
    assert [line[1] for line in table.rows] == ["5", "5", "5"]
    notes = [event.text for event in events if isinstance(event, Note)]
    assert "perplexity: 3 rows count under one model only, and are left out of both" in notes
    assert "exact_match: 3 rows count under one model only, and are left out of both" in notes


@pytest.mark.filterwarnings("ignore")  # PEFT's, on biases and on names of transformers
def test_the_base_under_an_adapter_with_trained_biases_has_its_own_biases(tmp_path: Path, make_dataset: Maker) -> None:
    """PEFT trains them in the base itself: switching the adapter off leaves them."""
    from peft import LoraConfig, get_peft_model

    base = tiny_model(tmp_path / "base", "qwen2")
    model = get_peft_model(load_model(base), LoraConfig(r=2, target_modules=["q_proj"], bias="all"))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.add_(name.endswith("bias") * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    model.save_pretrained(tmp_path / "adapter")
    data, settings = make_dataset(test=yes_rows(2)), {"scorers": [], "perplexity": True}

    both, _, _ = evaluate(tmp_path / "both", tmp_path / "adapter", data, compare_with="base", **settings)
    alone, _, _ = evaluate(tmp_path / "alone", base, data, **settings)

    assert both["perplexity_base"] == pytest.approx(alone["perplexity"], rel=1e-6)
    assert both["perplexity"] != pytest.approx(alone["perplexity"], rel=1e-3)
