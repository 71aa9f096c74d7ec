"""Each method against PEFT's `add_weighted_adapter`, bit by bit, at the same seed."""

import inspect
import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
from peft import LoraModel, PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from tests.models.combining.adapters import random_adapter

from burnish.models.combining.combine import combine_adapters
from burnish.models.combining.layers import Weighted
from burnish.models.combining.methods import METHODS, Settings
from burnish.models.load import load_model
from burnish.models.quiet import quiet_transformers
from burnish.specs.models import CombineSpec
from burnish.specs.train import LoraSpec
from burnish.testing import tiny_model

PEFTS = {method.peft: name for name, method in METHODS.items() if method.peft}
KINDS = {
    "linear and embedding": ("qwen3", LoraSpec(rank=4, targets=["q_proj", "down_proj", "embed_tokens"])),
    "Conv1D": ("gpt2", LoraSpec(rank=4, targets=["c_attn", "c_proj"])),
}
DTYPES = ("float32", "bfloat16", "float16")
WEIGHTS = (0.7, -0.4, 0.3)


def pefts_methods() -> set[str]:
    """What the installed PEFT's `add_weighted_adapter` knows, by its signature."""
    annotation = (
        inspect.signature(LoraModel.add_weighted_adapter, eval_str=True).parameters["combination_type"].annotation
    )
    assert get_origin(annotation) is Literal
    return set(get_args(annotation))


def test_every_method_of_the_installed_peft_is_one_of_ours():
    named = set(re.findall(r'"(\w+)"', inspect.getsource(LoraModel.add_weighted_adapter).partition('"""')[2]))
    assert pefts_methods() == PEFTS.keys()
    assert {name for name in named if name.endswith(("svd", "linear", "ties", "cat", "prune"))} == PEFTS.keys()
    assert METHODS.keys() == set(get_args(CombineSpec.model_fields["method"].annotation))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(base, three adapters, PEFT's model with them) of a kind of layer and a dtype of the adapters' files."""
    kept: dict[tuple[str, str], tuple[Path, list[Path], Any]] = {}

    def made(kind: str, dtype: str) -> tuple[Path, list[Path], Any]:
        if (kind, dtype) not in kept:
            family, spec = KINDS[kind]
            folder = tmp_path_factory.mktemp("made")
            layers: Any = {"n_layer": 1} if family == "gpt2" else {"num_hidden_layers": 1}
            base = tiny_model(folder / "base", family, tie_word_embeddings=False, **layers)
            specs = [spec.model_copy(update={"alpha": alpha}) for alpha in (5.3, 9.0, 6.7)]  # no powers of two
            found = [random_adapter(base, each, folder / f"{n}", n, dtype) for n, each in enumerate(specs)]
            kept[kind, dtype] = base, found, peft_model(base, found)
        return kept[kind, dtype]

    return made


def peft_model(base: Path, adapters: list[Path]) -> Any:
    """PEFT's model with adapters that are named by their numbers."""
    with quiet_transformers():
        model: Any = PeftModel.from_pretrained(load_model(base), str(adapters[0]), adapter_name="adapter_0")
        for number, adapter in enumerate(adapters[1:], 1):
            model.load_adapter(str(adapter), adapter_name=f"adapter_{number}")
    return model


def combined_by_peft(model: Any, weights: tuple[float, ...], method: str, seed: int, **settings: Any) -> dict[str, Any]:
    """The tensors of PEFT's combination by their names in its files."""
    names = [f"adapter_{number}" for number in range(len(weights))]
    with torch.random.fork_rng(), quiet_transformers():
        torch.manual_seed(seed)
        model.base_model.add_weighted_adapter(
            names, list(weights), "combined", method, svd_full_matrices=False, **settings
        )
    found = get_peft_model_state_dict(model, adapter_name="combined", save_embedding_layers=False)
    model.delete_adapter("combined")
    return found


@pytest.mark.some
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        pytest.param(kind, dtype, marks=pytest.mark.torture if kind == "Conv1D" and dtype != "float32" else ())
        for kind in KINDS
        for dtype in DTYPES
    ],
)
@pytest.mark.parametrize("method", PEFTS)
def test_a_method_has_the_bits_of_pefts(tmp_path, made, method, kind, dtype):
    check_bits(tmp_path, made(kind, dtype), method)


OTHERWISE: dict[str, dict[str, Any]] = {
    "ties": {"majority_sign": "frequency"},
    "dare_ties_svd": {"majority_sign": "frequency", "density": 1.0},
    "svd": {"rank": 5},
    "dare_linear": {"density": 1.0},
}


@pytest.mark.parametrize("method", OTHERWISE)
def test_a_setting_has_the_effect_of_pefts(tmp_path, made, method):
    check_bits(tmp_path, made("Conv1D", "float32"), method, **OTHERWISE[method])


def check_bits(
    folder: Path, parts: Any, method: str, density: float = 0.6, majority_sign: str = "total", rank: int = 0
) -> None:
    base, adapters, model = parts
    weighted = [Weighted(str(n), path, weight) for n, (path, weight) in enumerate(zip(adapters, WEIGHTS, strict=True))]
    settings = Settings(METHODS[PEFTS[method]], density, majority_sign, rank)

    combine_adapters(weighted, base, folder / "out", settings, seed=3)

    ours = load_file(folder / "out/adapter_model.safetensors")
    given: dict[str, Any] = {"density": density, "majority_sign_method": majority_sign, "svd_rank": rank or None}
    theirs = combined_by_peft(model, WEIGHTS, method, 3, **given)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert any(tensor.abs().max() > 0 for tensor in ours.values())
