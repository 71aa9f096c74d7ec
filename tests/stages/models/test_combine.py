"""The stage combine: several adapters become one that any command uses, and bad combinations are refused."""

import json
from pathlib import Path

import pytest
import torch
from tests.models.combining.adapters import random_adapter

from burnish.core.events import Note, Table
from burnish.models.adapters.attach import load_adapter
from burnish.models.load import load_model
from burnish.specs.models import CombineSpec
from burnish.specs.train import LoraSpec
from burnish.stages.models.combine import run
from burnish.testing import temporary_context, tiny_model

IDS = torch.arange(3, 30)[None]


def combine(folder: Path, adapters: dict[Path, float], inputs: dict | None = None, **settings):
    """Run the stage; gives its outcome, the artifact's folder and the events."""
    listed = [{"adapter": f"file:{path}", "weight": weight} for path, weight in adapters.items()]
    named = {f"adapters.{number}.adapter": path for number, path in enumerate(adapters)}
    ctx, events = temporary_context(folder, {**named, **(inputs or {})})
    return run(CombineSpec(adapters=listed, **settings), ctx), ctx.out, events


@pytest.fixture(scope="session")
def parts(tmp_path_factory) -> tuple[Path, Path, Path]:
    """A base and two adapters, of other ranks and on other layers."""
    folder = tmp_path_factory.mktemp("parts")
    base = tiny_model(folder / "base")
    one = random_adapter(base, LoraSpec(rank=4, targets=["q_proj", "down_proj"]), folder / "one", 1)
    other = random_adapter(base, LoraSpec(rank=3, targets=["q_proj", "v_proj"], rslora=True), folder / "other", 2)
    return base, one, other


def weights_with(base: Path, *adapters: Path) -> list[dict[str, torch.Tensor]]:
    """The model's weights: plain, then with each adapter."""
    found = [dict(load_model(base).state_dict())]
    return found + [dict(load_adapter(load_model(base), each).merge_and_unload().state_dict()) for each in adapters]


@pytest.mark.parametrize("method", ["linear", "cat"])
def test_a_linear_merge_is_the_weighted_sum_of_the_changes(tmp_path, parts, method):
    base, one, other = parts

    outcome, out, events = combine(tmp_path, {one: 0.7, other: -1.5}, method=method)

    assert outcome.kind == "adapter"
    assert (outcome.measures["rank"], outcome.measures["layers"], outcome.measures["layers_of_some"]) == (7, 6, 4)
    plain, first, second, result = weights_with(base, one, other, out)
    for name, weight in plain.items():
        expected = 0.7 * (first[name] - weight) - 1.5 * (second[name] - weight)
        torch.testing.assert_close(result[name] - weight, expected, atol=2e-7, rtol=1e-5)
    record = json.loads((out / "combination.json").read_text())
    assert record["check"]["holds"]
    assert outcome.certificate["change"] == f"combine {method}"
    assert outcome.certificate["parent"]["ref"] == "0.7·one + -1.5·other"
    assert outcome.certificate["holds"]
    assert record["check"]["largest"] < 1e-6
    assert [each["layers"] for each in record["adapters"]] == [4, 4]
    texts = [event.text for event in events if isinstance(event, Note)]
    assert any("weighted sum" in text for text in texts)
    assert any("4 of 6 layers" in text for text in texts)
    assert any(isinstance(event, Table) for event in events)


def test_a_merge_into_the_base_is_a_plain_model(tmp_path, parts):
    base, one, other = parts
    _, adapter, _ = combine(tmp_path / "adapter", {one: 0.7, other: 0.3})

    outcome, out, _ = combine(tmp_path / "model", {one: 0.7, other: 0.3}, into="base", dtype="float32")

    assert outcome.kind == "model"
    assert outcome.measures["tensors_changed"] == 6
    expected = load_adapter(load_model(base), adapter).merge_and_unload()(IDS).logits
    assert torch.equal(load_model(out)(IDS).logits, expected)
    assert (out / "combination.json").is_file()
