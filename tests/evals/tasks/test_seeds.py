"""Tasks that draw at random: their numbers are those of lm-evaluation-harness, at every run and for both models."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from burnish.core.errors import DataError
from burnish.core.inputs.references import built_ins

from .test_tasks import evaluate

CODE = """
import random

import numpy
import torch


def docs(rows):
    def draw(row):
        order = list(row["choices"])
        random.shuffle(order)
        return {
            "drawn": order,
            "answer": order.index(row["choices"][row["answer"]]),
            "more": [int(numpy.random.randint(1 << 30)), int(torch.randint(1 << 30, ()))],
        }

    return rows.map(draw)
"""
TASK = """
task: drawn
dataset_path: json
dataset_kwargs: {data_files: {test: choice.jsonl}}
test_split: test
process_docs: !function code.docs
output_type: multiple_choice
doc_to_text: "{{question}} {{more[0]}} {{more[1]}}"
doc_to_choice: drawn
doc_to_target: answer
metric_list: [{metric: acc}, {metric: acc_norm}]
"""


@pytest.fixture
def drawn(tasks: Path) -> Path:
    """Six questions whose choices are shuffled by `process_docs`, with numbers by numpy and torch in their text."""
    for file in tasks.glob("*.yaml"):
        file.unlink()
    (tasks / "drawn.yaml").write_text(TASK)
    (tasks / "code.py").write_text(CODE)
    return tasks


def fresh_cache(folder: Path, patched: pytest.MonkeyPatch) -> None:
    import datasets

    patched.setenv("HF_DATASETS_CACHE", str(folder))
    patched.setattr(datasets.config, "HF_DATASETS_CACHE", str(folder))


def prompts(out: Path) -> list[Any]:
    lines = [json.loads(line) for line in (out / "items.jsonl").read_text().splitlines()]
    return [[line["id"], line["prompt"], line["reference"]] for line in lines]


@pytest.mark.parametrize("seeds", [[0, 1234, 1234, 1234], [3, 4, 5, 6]], ids=["default", "given"])
def test_a_task_that_shuffles_has_lm_evaluation_harness_own_questions_at_every_run(
    seeds: list[int], drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = _own(drawn, seeds, tmp_path / "own", monkeypatch)
    for name, cache in (("first", "cache-1"), ("second", "cache-2"), ("warm", "cache-2")):
        fresh_cache(tmp_path / cache, monkeypatch)
        measures, ctx, _ = evaluate(tmp_path / name, drawn, trust_code=True, seeds=seeds)
        assert [prompt for _, prompt, _ in prompts(ctx.out)] == [sample["arguments"][0][0] for sample in own["samples"]]
        assert [reference.strip() for *_, reference in prompts(ctx.out)] == [
            sample["doc"]["drawn"][sample["target"]] for sample in own["samples"]
        ]
        assert measures["drawn/acc"] == own["acc"]


def test_both_models_are_asked_the_same_drawn_questions(drawn: Path, tmp_path: Path, adapter: Path) -> None:
    _, ctx, _ = evaluate(tmp_path, drawn, adapter, trust_code=True, compare_with="base")
    assert len(prompts(ctx.out)) == 6


def test_questions_that_no_seed_holds_are_refused_for_two_models(drawn: Path, tmp_path: Path, adapter: Path) -> None:
    (drawn / "code.py").write_text(CODE.replace("random.shuffle", "random.SystemRandom().shuffle"))
    with pytest.raises(DataError, match="questions of tasks are not the same for both models") as raised:
        evaluate(tmp_path, drawn, adapter, trust_code=True, compare_with="base")
    assert raised.value.code == "data.other-rows"


def test_what_tasks_compute_of_their_rows_is_not_left_in_the_cache(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    fresh_cache(tmp_path / "cache", monkeypatch)
    datasets.disable_caching()
    try:
        _, ctx, _ = evaluate(tmp_path / "run", drawn, trust_code=True, limit=1)
        assert not datasets.is_caching_enabled()
    finally:
        datasets.enable_caching()
    assert not [*(tmp_path / "cache").rglob("cache-*"), *ctx.scratch.rglob("*.arrow")]
    assert "burnish" not in datasets.Dataset._get_cache_file_path.__module__


def _own(tasks: Path, seeds: list[int], cache: Path, patched: pytest.MonkeyPatch) -> dict[str, Any]:
    """lm-evaluation-harness's own samples and number."""
    import torch
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from burnish.models.load import load_model
    from burnish.tokens.load import load_tokenizer

    fresh_cache(cache, patched)
    patched.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
    pocket = built_ins()["pocket"]
    theirs = HFLM(pretrained=load_model(pocket, dtype=torch.float32), tokenizer=load_tokenizer(pocket), batch_size=1)
    names = ("random_seed", "numpy_random_seed", "torch_random_seed", "fewshot_random_seed")
    manager = TaskManager(include_path=str(tasks), include_defaults=False)
    before = os.getcwd()
    os.chdir(tasks)
    try:
        given: dict[str, Any] = dict(zip(names, seeds, strict=True))
        found: Any = simple_evaluate(theirs, tasks=["drawn"], task_manager=manager, **given)
    finally:
        os.chdir(before)
    return {"samples": found["samples"]["drawn"], "acc": found["results"]["drawn"]["acc,none"]}
