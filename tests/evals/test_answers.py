"""Statistics of answers: exact numbers of hand-made items, and an evaluation of which half of the answers are cut."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burnish.core.events import Note, Table
from burnish.evals.evaluation.answers import (
    answer_metrics,
    answer_table,
    answer_warnings,
    generation_metrics,
    generation_table,
)
from burnish.evals.measure import Item
from burnish.evals.report import Sample
from burnish.evals.timing import Timing
from burnish.specs.evals import EvaluateSpec
from burnish.stages.evals.evaluate import run
from burnish.testing import temporary_context
from burnish.tokens.load import load_tokenizer
from burnish.tokens.rendering.renderer import Renderer

LOOP = "and so on, " * 5


def item(answer: str, tokens: int, reason: str = "stop", prompt: str = "is it so") -> Item:
    return Item(prompt, answer=answer, finish_reason=reason, answer_tokens=tokens)


def chat_row(number: int, question: str) -> dict[str, Any]:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": "yes"}]
    return {"id": f"{number:016x}", "source": f"data.jsonl:{number}", "kind": "chat", "messages": turns}


def sample(*ours: Item, base: list[Item] | None = None) -> Sample:
    rows = [{"id": str(number), "source": "rows.jsonl", "kind": "chat"} for number in range(len(ours))]
    return Sample(rows, ours, base, 0.95, 0)


FOUR = [
    item("It is so.", 3),
    item("I'm sorry, but I can't help with that.", 12),
    item(LOOP, 16, "length"),
    item(" \n", 1),
]


def test_counts_shares_and_lengths_are_exact():
    found = answer_metrics(sample(*FOUR))
    repeated = 9 / 12  # of 15 words "and so on" the first three 4-grams are new
    assert found == {
        "model": {
            "answers": 4,
            "repeated_4_grams": pytest.approx(repeated / 4),
            "loops": 1,
            "loops_share": 0.25,
            "refusals": 1,
            "refusals_share": 0.25,
            "empty": 1,
            "empty_share": 0.25,
            "cut": 1,
            "cut_share": 0.25,
            "tokens": {"mean": 8.0, "median": 7.5, "longest": 16},
            "words": {"mean": 7.0, "median": 6.5, "longest": 15},
        }
    }


def test_rows_without_a_generated_answer_do_not_count():
    unanswered = Item("p", unanswered="the row has no prompt")
    of_a_task = Item("p", answer="B")  # chosen by likelihood
    assert answer_metrics(sample(unanswered, of_a_task)) == {}
    assert answer_metrics(sample(unanswered, FOUR[0]))["model"]["answers"] == 1


def test_refusals_and_empty_answers_are_of_the_text_after_the_reasoning():
    thought = item("<think>I can't help with that? I can.</think>It is so.", 20)
    refused = item("<think>No.</think>I can't help with that.", 12)
    unfinished = item("<think>Let me see", 4, "length")
    opened = item("Let me see", 3, "length", prompt="is it so <think>\n")
    found = answer_metrics(sample(thought, refused, unfinished, opened))["model"]
    assert (found["refusals"], found["empty"], found["cut"]) == (1, 2, 2)


def test_the_table_has_a_column_for_each_model():
    found = answer_metrics(sample(*FOUR, base=FOUR[:1] * 4))
    table = answer_table(found, "small")
    assert table.columns == ["statistic", "model", "small"]
    assert table.rows == [
        ["answers", "4", "4"],
        ["repeated 4-grams", "18.8%", "0.0%"],
        ["end in a loop", "1 (25.0%)", "0 (0.0%)"],
        ["refusals", "1 (25.0%)", "0 (0.0%)"],
        ["empty", "1 (25.0%)", "0 (0.0%)"],
        ["cut off", "1 (25.0%)", "0 (0.0%)"],
        ["tokens: mean, median, longest", "8, 7.5, 16", "3, 3, 3"],
        ["words: mean, median, longest", "7, 6.5, 15", "3, 3, 3"],
    ]


def test_more_than_one_answer_of_twenty_cut_or_in_a_loop_is_a_warning():
    plain = [item("It is so.", 3)] * 19
    assert not list(answer_warnings(answer_metrics(sample(*plain, FOUR[2])), "base", 16))
    found = answer_metrics(sample(*plain, FOUR[2], FOUR[2], base=plain + [FOUR[0]] * 2))
    assert list(answer_warnings(found, "base", 16)) == [
        "model: 2 of 21 answers are cut off at max_new_tokens (16) or the end of the context: set "
        "generation.max_new_tokens higher",
        "model: 2 of 21 answers end in a loop",
    ]


def test_latency_is_that_of_the_batch_and_the_speed_that_of_all(monkeypatch: pytest.MonkeyPatch):
    clock = iter([0.0, 1.0, 1.0, 3.0, 4.0, 6.0, 7.0])  # each report takes until the next number
    monkeypatch.setattr("burnish.evals.timing.perf_counter", lambda: next(clock))
    timing, seen = Timing(batch_size=2, device="cpu"), []
    report = timing.reporting(lambda done, total: seen.append((done, total)))
    for done in (0, 2, 3):  # from 0 to 1 the settings are read, from 1 to 3 and from 4 to 6 are batches
        report(done, 3)
    timing.tokens = 10
    found = generation_metrics({"model": timing, "base": Timing()})
    assert seen == [(0, 3), (2, 3), (3, 3)]
    assert found == {
        "model": {
            "answers": 3,
            "tokens": 10,
            "seconds": 5.0,
            "tokens_per_second": 2.0,
            "latency": {"mean": 2.0, "median": 2.0, "longest": 2.0},
            "batch_size": 2,
            "device": "cpu",
        }
    }
    assert ["latency: mean, median, longest", "2 s, 2 s, 2 s"] in generation_table(found, "base").rows


def test_an_evaluation_of_which_half_of_the_answers_are_cut(
    tmp_path: Path, adapter: Path, base_model: Path, make_dataset: Callable[..., Path]
) -> None:
    """The adapter answers "yes", a token for each letter: four prompts leave room for two. The base does not end."""
    base, tuned = tmp_path / "base", tmp_path / "tuned"
    shutil.copytree(base_model, base)
    shutil.copytree(adapter, tuned)
    prompt = Renderer(load_tokenizer(base)).prompt(chat_row(0, "is 0 so"))[1]
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "max_position_embeddings": len(prompt) + 32}))
    config = json.loads((tuned / "adapter_config.json").read_text())
    (tuned / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": str(base)}))
    questions = [f"is {number} so" + " so" * (10 if number > 3 else 0) for number in range(8)]
    data = make_dataset(test=[chat_row(number, question) for number, question in enumerate(questions)])
    settings: dict[str, Any] = {"compare_with": "base", "perplexity": False}
    settings["generation"] = {"max_new_tokens": 6, "batch_size": 3}
    found = []
    for name in ("one", "two"):
        ctx, events = temporary_context(tmp_path / name, {"model": tuned, "data": data})
        measures = run(EvaluateSpec(model=f"file:{tuned}", data=f"file:{data}", **settings), ctx).measures
        found.append((dict(measures), (ctx.out / "items.jsonl").read_bytes()))
    assert found[0] == found[1]
    assert not any("second" in name or "latency" in name for name in measures)
    lines = [json.loads(line) for line in found[0][1].decode().splitlines()]
    assert [line["answer_tokens"] for line in lines] == [3, 3, 3, 3, 2, 2, 2, 2]

    metrics = json.loads((ctx.out / "metrics.json").read_text())
    ours, theirs = metrics["answers"]["model"], metrics["answers"]["base"]
    assert (ours["cut"], ours["cut_share"], theirs["cut"]) == (4, 0.5, 8)
    assert ours["tokens"] == {"mean": 2.5, "median": 2.5, "longest": 3}
    time = metrics["generation"]["model"]
    assert (time["answers"], time["tokens"], time["batch_size"], time["device"]) == (8, 4 * 4 + 4 * 2, 3, "cpu")
    assert time["tokens_per_second"] == pytest.approx(24 / time["seconds"])
    assert 0 < time["latency"]["longest"] <= time["seconds"]

    assert [event.title for event in events if isinstance(event, Table)][-1] == "Answers"
    warnings = [event.text for event in events if isinstance(event, Note) and event.level == "warning"]
    assert any(text.startswith("model: 4 of 8 answers are cut off at max_new_tokens (6)") for text in warnings)
    report = (ctx.out / "report.md").read_text()
    assert "## Answers" in report
    assert "## Time of generation" in report
    assert "are cut off" in report
