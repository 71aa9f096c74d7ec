"""Every setting of an evaluation affects the numbers it is for, and no others."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from burnish.data.dataset import DatasetWriter
from burnish.models.adapters.attach import attach_lora, save_adapter
from burnish.models.load import load_model
from burnish.specs.evals import EvaluateSpec, GenerationSpec
from burnish.specs.train import LoraSpec
from burnish.stages.evals.evaluate import run
from burnish.testing import input_at, temporary_context

Measured = tuple[dict[str, Any], list[dict[str, Any]]]
"""metrics.json and items.jsonl."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A test split of seven conversations with two answers each, the last ones longer, and two validation rows."""
    folder = tmp_path_factory.mktemp("data")
    with DatasetWriter(folder) as writer:
        for number in range(9):
            said = [f"is {number} so", "no", "sure? " * (number + 1), "yes, it is"]
            turns = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)]
            row = {"id": f"{number:016x}", "source": f"x:{number}", "kind": "chat", "messages": turns}
            writer.write(row, "test" if number < 7 else "validation")
    (folder / "stats.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def measured(
    data: Path, base_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[dict[str, Any]], Measured]:
    """Evaluate the random model with other settings; answers have eight tokens at most. Each is made once."""
    known: dict[str, Measured] = {}

    def measured(settings: dict[str, Any]) -> Measured:
        key = json.dumps(settings, sort_keys=True)
        if key not in known:
            ctx, _ = temporary_context(tmp_path_factory.mktemp("run"), {"model": base_model, "data": data})
            generation = {"max_new_tokens": 8} | settings.get("generation", {})
            scorers = settings.get("scorers", [{"kind": "chrf"}])
            asked = {"model": "file:m", "data": "file:d"} | settings | {"generation": generation, "scorers": scorers}
            run(EvaluateSpec(**asked), ctx)
            items = [json.loads(line) for line in (ctx.out / "items.jsonl").read_text(encoding="utf-8").splitlines()]
            known[key] = json.loads((ctx.out / "metrics.json").read_text()), items
        return known[key]

    return measured


def value(found: Measured, name: str) -> Any:
    metrics = found[0]
    return {**metrics["scores"], **metrics["likelihood"]}[name]["model"]["value"]


def width(found: Measured, name: str) -> float:
    entry = {**found[0]["scores"], **found[0]["likelihood"]}[name]["model"]
    return entry["high"] - entry["low"]


def answers(found: Measured) -> list[str]:
    return [item["answer"] for item in found[1]]


def losses(found: Measured) -> list[float]:
    return [item["nll"] for item in found[1]]


SAMPLED = {"temperature": 1.5, "seed": 1}
ACTING: dict[str, tuple[dict[str, Any], Callable[[Measured, Measured], bool]]] = {
    "split": ({"split": "validation"}, lambda now, usual: now[0]["rows"] == 2),
    "max_rows": ({"max_rows": 3}, lambda now, usual: answers(now) == answers(usual)[:3]),
    "scorers": ({"scorers": []}, lambda now, usual: now[0]["scores"] == {} and losses(now) == losses(usual)),
    "perplexity": (
        {"perplexity": False},
        lambda now, usual: now[0]["likelihood"] == {} and answers(now) == answers(usual),
    ),
    "train_on": (
        {"train_on": "completion"},
        lambda now, usual: all(a < b for a, b in zip(losses(now), losses(usual), strict=True)),
    ),
    "max_length": (
        {"max_length": 90},
        lambda now, usual: 0 < now[0]["likelihood"]["perplexity"]["model"]["n"] < 7 and answers(now) == answers(usual),
    ),
    "confidence": (
        {"confidence": 0.6},
        lambda now, usual: all(
            width(now, name) < 0.7 * width(usual, name) and value(now, name) == value(usual, name)
            for name in ("chrf", "perplexity", "bits_per_byte")
        ),
    ),
    "seed": (
        {"seed": 3},
        lambda now, usual: width(now, "perplexity") != width(usual, "perplexity") and now[1] == usual[1],
    ),
    "dtype": (
        {"dtype": "bfloat16"},
        lambda now, usual: (
            value(now, "perplexity") != value(usual, "perplexity")
            and value(now, "perplexity") == pytest.approx(value(usual, "perplexity"), rel=0.05)
        ),
    ),
}
ACTING_GENERATION: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "max_new_tokens": ({"max_new_tokens": 2}, {}, False),
    "temperature": (SAMPLED, {}, False),
    "seed": (SAMPLED | {"seed": 2}, SAMPLED, False),
    "top_k": (SAMPLED | {"top_k": 1}, {}, True),
    "top_p": (SAMPLED | {"top_p": 1e-6}, {}, True),
    "batch_size": ({"batch_size": 2}, {}, True),
}
"""Settings, those to compare with, and whether the answers are the same."""
ELSEWHERE = {"model", "data", "compare_with", "generation", "date", "device", "threads", "tasks", "checks", "masked"}
ELSEWHERE |= {"cluster", "checkpoints"}
"""Inputs, what other tests compare, and where or how fast it runs."""


def test_every_setting_has_its_place_here() -> None:
    assert EvaluateSpec.model_fields.keys() == ACTING.keys() | ELSEWHERE
    assert GenerationSpec.model_fields.keys() == ACTING_GENERATION.keys()


@pytest.mark.some(every=2)
@pytest.mark.parametrize("field", ACTING)
def test_a_setting_acts_on_the_numbers_it_is_for(measured: Callable[..., Measured], field: str) -> None:
    settings, acts = ACTING[field]
    assert acts(measured(settings), measured({}))


@pytest.mark.parametrize("field", ACTING_GENERATION)
def test_a_setting_of_generation_acts_on_the_answers(measured: Callable[..., Measured], field: str) -> None:
    settings, other, is_same = ACTING_GENERATION[field]
    now, before = measured({"generation": settings}), measured({"generation": other} if other else {})
    assert (answers(now) == answers(before)) == is_same
    assert losses(now) == losses(before)
    assert any(answers(before))


ADAPTERS = {
    "dora": LoraSpec(rank=4, dora=True),
    "a module trained fully": LoraSpec(rank=4, train_fully=["lm_head"]),
    "an embedding": LoraSpec(rank=4, targets=["embed_tokens", "q_proj"]),
}


@pytest.mark.some(every=2)
@pytest.mark.parametrize("kind", ADAPTERS)
def test_the_base_under_an_adapter_of_any_kind_is_measured_without_it(
    tmp_path: Path, data: Path, base_model: Path, measured: Callable[..., Measured], kind: str
) -> None:
    torch.manual_seed(0)
    model = attach_lora(load_model(base_model), ADAPTERS[kind])
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)) * 0.1)
    save_adapter(model, tmp_path / "adapter", input_at(base_model))
    ctx, _ = temporary_context(tmp_path / "run", {"model": tmp_path / "adapter", "data": data})
    run(EvaluateSpec(model="file:m", data="file:d", compare_with="base", scorers=[]), ctx)
    items = [json.loads(line) for line in (ctx.out / "items.jsonl").read_text(encoding="utf-8").splitlines()]
    alone = losses(measured({"scorers": []}))
    assert [item["base"]["nll"] for item in items] == pytest.approx(alone, rel=1e-6)
    assert all(abs(item["nll"] - base) > 3e-4 for item, base in zip(items, alone, strict=True))
