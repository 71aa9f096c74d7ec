"""The stage combine: several adapters become one that any command uses, and bad combinations are refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tests.models.combining.adapters import random_adapter

from burnish.core.context import Input
from burnish.core.errors import AskError, ModelError, RunError
from burnish.core.events import Note, Progress, Table
from burnish.core.files import write_json
from burnish.models.adapters.attach import load_adapter
from burnish.models.bases import base_of
from burnish.models.combining.checks import Compared, Products
from burnish.models.combining.kept import KeptLayers
from burnish.models.load import load_model
from burnish.models.quantization.record import read_quantization
from burnish.models.value_head import save_value_head
from burnish.specs.models import CombineSpec
from burnish.specs.train import LoraSpec
from burnish.stages.models.combine import _refuse_deviation, run
from burnish.testing import input_at, temporary_context, tiny_model

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


def test_a_result_that_is_not_the_sum_stops_the_step():
    sums = torch.tensor([[1.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    weights = torch.tensor([1.0], dtype=torch.float64)
    _refuse_deviation(Compared({"a": Products(sums, weights)}), "linear")
    other = sums + torch.tensor([[1e-11, 0.0], [0.0, 0.0]], dtype=torch.float64)
    with pytest.raises(ModelError, match=r"linear is not the weighted sum of the adapters: 'b' deviates by 3.2e-06"):
        _refuse_deviation(Compared({"a": Products(sums, weights), "b": Products(other, weights)}), "linear")


def test_a_merge_into_the_base_is_a_plain_model(tmp_path, parts):
    base, one, other = parts
    _, adapter, _ = combine(tmp_path / "adapter", {one: 0.7, other: 0.3})

    outcome, out, _ = combine(tmp_path / "model", {one: 0.7, other: 0.3}, into="base", dtype="float32")

    assert outcome.kind == "model"
    assert outcome.measures["tensors_changed"] == 6
    expected = load_adapter(load_model(base), adapter).merge_and_unload()(IDS).logits
    assert torch.equal(load_model(out)(IDS).logits, expected)
    assert (out / "combination.json").is_file()


def test_the_base_of_a_combined_artifact_is_that_of_the_first_adapter(tmp_path, parts):
    base, one, other = parts
    _, out, _ = combine(tmp_path, {one: 1.0, other: 1.0})
    moved = shutil.copytree(base, tmp_path / "moved")
    first = Input("step:one", "adapter", one, inputs={"base": input_at(moved)})
    made = Input("step:sum", "adapter", out, inputs={"adapters.0.adapter": first})

    assert base_of(made) == input_at(moved)
    assert base_of(out) == base.resolve()


def test_adapters_on_an_adapter_are_combined(tmp_path, parts):
    _, one, _ = parts
    upper = [random_adapter(one, LoraSpec(rank=2), tmp_path / f"upper{seed}", seed) for seed in (3, 4)]

    _, out, _ = combine(tmp_path, dict.fromkeys(upper, 0.5))
    _, model, _ = combine(tmp_path / "model", dict.fromkeys(upper, 0.5), into="base", dtype="float32")

    below, first, second, result = (
        dict(load_model(folder).merge_and_unload().state_dict()) for folder in (one, *upper, out)
    )
    for name, weight in below.items():
        expected = weight + 0.5 * (first[name] - weight) + 0.5 * (second[name] - weight)
        torch.testing.assert_close(result[name], expected, atol=3e-7, rtol=1e-5)
    torch.testing.assert_close(load_model(model)(IDS).logits, load_model(out)(IDS).logits, atol=1e-5, rtol=1e-4)


def test_a_random_method_gives_the_same_at_the_same_seed_only(tmp_path, parts):
    _, one, _ = parts
    other = random_adapter(parts[0], LoraSpec(rank=4, targets=["q_proj", "down_proj"]), tmp_path / "second", 7)
    files = [
        combine(tmp_path / f"{number}", {one: 1.0, other: 1.0}, method="dare_ties", seed=seed)[1]
        for number, seed in enumerate((5, 5, 6))
    ]
    bits = [(folder / "adapter_model.safetensors").read_bytes() for folder in files]
    assert bits[0] == bits[1] != bits[2]


def test_what_is_not_combined_is_named(tmp_path, parts):
    _, one, other = parts
    copied = shutil.copytree(one, tmp_path / "with a head")
    save_value_head(torch.nn.Linear(32, 1), copied)

    _, out, events = combine(tmp_path, {copied: 1.0, other: 1.0})

    texts = [event.text for event in events if isinstance(event, Note) and event.level == "warning"]
    assert any("the value head of with a head is left out" in text for text in texts)
    assert not (out / "value_head").exists()


def test_adapters_of_one_base_in_four_bits_keep_the_record(tmp_path, parts):
    folders = [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in parts[1:]]
    record = {"library": "bitsandbytes", "block": 64, "kind": "nf4", "double": True}
    layers = [f"model.layers.{layer}.self_attn.q_proj" for layer in range(2)]
    for folder in folders:
        write_json(folder / "burnish_quantization.json", {**record, "layers": layers})

    _, out, _ = combine(tmp_path, dict.fromkeys(folders, 0.5))

    assert read_quantization(out) == read_quantization(folders[0])
    with pytest.raises(AskError, match="quantized in its training"):
        combine(tmp_path / "model", dict.fromkeys(folders, 0.5), into="base")


def test_a_stopped_combination_continues_with_the_bits_of_one_that_was_not(tmp_path, parts, monkeypatch):
    _, one, other = parts
    listed = [{"adapter": f"file:{path}", "weight": 1.0} for path in (one, other)]
    inputs = {"adapters.0.adapter": one, "adapters.1.adapter": other}
    spec = CombineSpec(adapters=listed, method="dare_ties_svd", density=0.7)
    whole, _ = temporary_context(tmp_path / "whole", inputs)
    run(spec, whole)
    ticks = iter((False, False, True))
    stopped, events = temporary_context(tmp_path / "stopped", inputs, stopping=lambda: next(ticks))
    with pytest.raises(RunError) as caught:
        run(spec, stopped)
    assert caught.value.code == "run.interrupted"
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2, 3]
    kept = sorted(stopped.cache.rglob("*.safetensors"))
    assert len(kept) == 3
    content = bytearray(kept[1].read_bytes())
    content[-3] ^= 1
    kept[1].write_bytes(content)  # is computed again
    times = [file.stat().st_mtime_ns for file in kept]

    again, _ = temporary_context(tmp_path / "stopped", inputs)
    monkeypatch.setattr(KeptLayers, "forget", lambda self: None)
    run(spec, again)

    bits = [(ctx.out / "adapter_model.safetensors").read_bytes() for ctx in (whole, again)]
    assert bits[0] == bits[1]
    assert [file.stat().st_mtime_ns == time for file, time in zip(kept, times, strict=True)] == [True, False, True]
