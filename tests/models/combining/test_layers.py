"""Layers of several adapters: other targets, other ranks and scales, stacked experts."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tests.models.combining.adapters import random_adapter

from burnish.models.combining.checks import Compared, compare
from burnish.models.combining.combine import combine_adapters
from burnish.models.combining.layers import Weighted, layers_of
from burnish.models.combining.methods import METHODS, Factors, Settings
from burnish.models.load import load_model
from burnish.models.quiet import quiet_transformers
from burnish.specs.train import LoraSpec
from burnish.testing import tiny_model

MOE = {"num_local_experts": 3, "num_experts_per_tok": 2, "num_hidden_layers": 1}


def settings(method: str, rank: int = 0) -> Settings:
    return Settings(METHODS[method], 0.6, "total", rank)


def combined(folder: Path, base: Path, adapters: dict[Path, float], method: str, rank: int = 0) -> Compared:
    """Combine into `folder` and compare."""
    weighted = [Weighted(path.name, path, weight) for path, weight in adapters.items()]
    layers = combine_adapters(weighted, base, folder, settings(method, rank))
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(base)}))
    return compare(folder, weighted, layers, base)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    model: Any = load_model(folder)
    with quiet_transformers():
        return dict((model.merge_and_unload() if hasattr(model, "peft_config") else model).state_dict())


PAIRS = {
    "other ranks": (LoraSpec(rank=2), LoraSpec(rank=5)),
    "other scales": (LoraSpec(rank=4, alpha=3.0, rslora=True), LoraSpec(rank=4, alpha=16)),
    "other targets": (LoraSpec(rank=4, targets=["q_proj"]), LoraSpec(rank=4, targets=["v_proj", "down_proj"])),
    "an initialisation from the base": (LoraSpec(rank=2, init="pissa"), LoraSpec(rank=2)),
    "the head and the embedding": (LoraSpec(rank=2, targets=["lm_head"]), LoraSpec(rank=2, targets=["embed_tokens"])),
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("method", ["linear", "cat", "svd"])
def test_weighted_sums_of_unlike_adapters_are_exact(tmp_path, pair, method):
    base = tiny_model(tmp_path / "base", num_hidden_layers=1, tie_word_embeddings=False)
    one, other = (random_adapter(base, spec, tmp_path / f"{n}", n) for n, spec in enumerate(PAIRS[pair]))

    found = combined(tmp_path / "out", base, {one: 0.7, other: -0.4}, method, rank=16 if method == "svd" else 0)

    assert found.worst[1] < (1e-5 if method == "svd" else 1e-6)  # PEFT decomposes in float32
    if method != "linear":
        return
    plain, first, second, result = map(weights, (base, one, other, tmp_path / "out"))
    for name, weight in plain.items():
        expected = 0.7 * (first[name] - weight) - 0.4 * (second[name] - weight)
        torch.testing.assert_close(result[name] - weight, expected, atol=3e-7, rtol=1e-5)


def test_linear_needs_no_more_than_the_rank_of_the_sum(tmp_path):
    base = tiny_model(tmp_path / "base", num_hidden_layers=1)
    spec = LoraSpec(rank=20, targets=["v_proj"])  # of 32 inputs and 16 outputs
    one, other = (random_adapter(base, spec, tmp_path / f"{n}", n) for n in range(2))

    found = combined(tmp_path / "out", base, {one: 1.0, other: 1.0}, "linear")

    assert json.loads((tmp_path / "out/adapter_config.json").read_text())["r"] == 16
    assert found.worst[1] < 1e-6


def test_the_weights_of_the_base_are_not_read(tmp_path):
    base = tiny_model(tmp_path / "base", num_hidden_layers=1)
    one, other = (random_adapter(base, LoraSpec(rank=4), tmp_path / f"{n}", n) for n in range(2))
    (base / "model.safetensors").unlink()

    assert combined(tmp_path / "out", base, {one: 0.5, other: 0.5}, "ties_svd").layers


def test_pefts_linear_is_not_the_weighted_sum(tmp_path):
    base = tiny_model(tmp_path / "base", num_hidden_layers=1)
    one, other = (random_adapter(base, LoraSpec(rank=4), tmp_path / f"{n}", n) for n in range(2))

    found = combined(tmp_path / "out", base, {one: 0.5, other: 0.5}, "linear_factors")

    assert found.worst[1] > 0.1


def test_a_corrupted_result_deviates(tmp_path):
    base = tiny_model(tmp_path / "base", num_hidden_layers=1)
    one, other = (random_adapter(base, LoraSpec(rank=4), tmp_path / f"{n}", n) for n in range(2))
    combined(tmp_path / "out", base, {one: 0.5, other: 0.5}, "linear")
    file = tmp_path / "out/adapter_model.safetensors"
    content = bytearray(file.read_bytes())
    content[-2] ^= 1  # the exponent of the last value
    file.write_bytes(content)

    weighted = [Weighted("one", one, 0.5), Weighted("other", other, 0.5)]
    found = compare(tmp_path / "out", weighted, layers_of(weighted, base), base)

    assert found.worst[1] > 1e-6


@pytest.mark.parametrize("method", ["linear", "cat", "ties", "magnitude_prune_svd"])
def test_each_expert_of_a_stacked_weight_is_a_layer_of_its_own(tmp_path, method):
    base = tiny_model(tmp_path / "base", "mixtral", **MOE)
    spec = LoraSpec(rank=4, targets=["q_proj"], experts=True)
    adapters = [random_adapter(base, spec, tmp_path / f"{n}", n) for n in range(2)]

    found = combined(tmp_path / "out", base, dict(zip(adapters, (0.7, -0.4), strict=True)), method)

    assert METHODS[method].is_sum == (found.worst[1] < 1e-6)
    weighted = [Weighted(path.name, path, weight) for path, weight in zip(adapters, (0.7, -0.4), strict=True)]
    stacked = [layer for layer in layers_of(weighted, base) if "experts" in layer.name]
    assert len(stacked) == 2
    plain, result = weights(base), weights(tmp_path / "out")
    for layer in stacked:
        for expert in range(3):
            changes = [factors for _, factors in layer.factors(weighted, expert)]
            expected = one_layer_by_peft(changes, METHODS[method].peft or "cat")
            expected = expected.T if layer.first.layer == "transposed" else expected
            found_change = result[layer.name][expert] - plain[layer.name][expert]
            torch.testing.assert_close(found_change, expected, atol=3e-7, rtol=1e-4)


def one_layer_by_peft(changes: list[Factors], method: str) -> torch.Tensor:
    """PEFT's combined change of a linear layer that has these changes."""

    class One(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(changes[0].a.shape[1], len(changes[0].b), bias=False)

    def config(change: Factors) -> LoraConfig:
        return LoraConfig(r=len(change.a), lora_alpha=change.scale * len(change.a), target_modules=["layer"])

    with quiet_transformers(), torch.no_grad():
        model: Any = get_peft_model(One(), config(changes[0]), "a")  # pyright: ignore
        model.add_adapter("b", config(changes[1]))
        layer = model.base_model.model.layer
        for name, change in zip("ab", changes, strict=True):
            layer.lora_A[name].weight.copy_(change.a)
            layer.lora_B[name].weight.copy_(change.b)
        given = [change.weight for change in changes]
        model.base_model.add_weighted_adapter(["a", "b"], given, "sum", method, density=0.6)
        return layer.get_delta_weight("sum")
