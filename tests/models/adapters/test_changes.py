"""The change of each kind of layer by its formula, written out for single numbers."""

import json
import math

import pytest
import torch

from burnish.core.context import Input
from burnish.core.errors import ModelError
from burnish.models.adapters.attach import _alpha, adapter_weights, attach_lora, load_adapter, save_adapter
from burnish.models.adapters.changes import LowRank, Replaced, _stacked, changes_of, forget_stacks
from burnish.models.layout import skeleton_of
from burnish.models.load import load_model
from burnish.models.tensors import write_tensors
from burnish.models.weights import read_header
from burnish.specs.train import LoraSpec
from burnish.testing import input_at, tiny_model

OUT, IN, RANK, EXPERTS = 3, 4, 2, 5


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def stored(tmp_path):
    """`stored(a=…, b=…)`: the tensors of a file, by name."""

    def store(**tensors):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.safetensors"
        write_tensors(path, tensors)
        return {tensor.name: tensor for tensor in read_header(path)}

    return store


def product(a, b):
    """B·A, [out, in], by its definition."""
    rows, columns, rank = b.shape[0], a.shape[1], a.shape[0]
    made = [[sum(float(b[i, k]) * float(a[k, j]) for k in range(rank)) for j in range(columns)] for i in range(rows)]
    return torch.tensor(made)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("has_magnitude", [False, True])
@pytest.mark.parametrize("layer", ["linear", "transposed", "embedding"])
def test_a_matrix_is_changed_by_the_scaled_product(stored, layer, has_magnitude, dtype):
    a, b, m = numbers(RANK, IN), numbers(OUT, RANK, seed=1), numbers(OUT, seed=2).abs()
    files = stored(a=a, b=b, m=m)
    change = LowRank(files["a"], files["b"], 1.5, files["m"] if has_magnitude else None, layer)
    turned = layer != "linear"
    weight = numbers(*((IN, OUT) if turned else (OUT, IN)), seed=3).to(dtype)
    assert change.shape == tuple(weight.shape)
    expected = (weight.float().T if turned else weight.float()) + 1.5 * product(a, b)
    if has_magnitude:
        norms = [math.sqrt(sum(float(value) ** 2 for value in row)) for row in expected]
        expected = torch.stack([row * float(m[i]) / norms[i] for i, row in enumerate(expected)])
    expected = expected.T if turned else expected
    found = change.apply(weight.clone())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    if not (turned and has_magnitude):  # there a norm needs all rows
        for rows in ((0, 1), (1, 3)):
            part = change.apply(weight[slice(*rows)].clone(), None, rows)
            torch.testing.assert_close(part, expected[slice(*rows)], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layer", ["linear", "transposed"])
def test_each_expert_has_its_own_matrices(stored, layer):
    a, b = numbers(EXPERTS * RANK, IN), numbers(OUT, RANK * EXPERTS, seed=1)
    files = stored(a=a, b=b)
    change = LowRank(files["a"], files["b"], 0.5, None, layer, EXPERTS)
    turned = layer == "transposed"
    weight = numbers(EXPERTS, *((IN, OUT) if turned else (OUT, IN)), seed=3)
    assert change.shape == tuple(weight.shape)
    expected = []
    for expert in range(EXPERTS):
        own_a = a[expert * RANK : (expert + 1) * RANK]
        own_b = b[:, expert::EXPERTS]  # the rank is the outer index of b's columns
        delta = 0.5 * product(own_a, own_b)
        expected.append(weight[expert] + (delta.T if turned else delta))
    torch.testing.assert_close(change.apply(weight.clone()), torch.stack(expected), atol=1e-5, rtol=1e-5)
    half = change.apply(weight.bfloat16())
    assert half.dtype == torch.float32
    for expert in (0, 3):
        for rows in (None, (1, 3)):
            part = slice(None) if rows is None else slice(*rows)
            found = change.apply(weight[expert][part].clone(), expert, rows)
            torch.testing.assert_close(found, expected[expert][part], atol=1e-5, rtol=1e-5)
    assert _stacked.cache_info().currsize > 0
    forget_stacks()
    assert _stacked.cache_info().currsize == 0


def test_a_replacement_is_taken_whole_by_expert_or_by_rows(stored):
    tensor = numbers(EXPERTS, OUT, IN)
    change = Replaced(stored(x=tensor)["x"])
    assert change.shape == (EXPERTS, OUT, IN)
    weight = torch.zeros(1)
    assert torch.equal(change.apply(weight), tensor)
    assert torch.equal(change.apply(weight, 2), tensor[2])
    assert torch.equal(change.apply(weight, 2, (1, 3)), tensor[2, 1:3])
    assert torch.equal(change.apply(weight, None, (1, 3)), tensor[1:3])
    assert torch.equal(change.apply(weight, 0), tensor[0])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("base"), tie_word_embeddings=False)


def saved(base, folder, spec, ref=None, revision=None):
    save_adapter(
        attach_lora(load_model(base), spec), folder, Input(ref or f"file:{base}", "model", base, revision=revision)
    )
    return folder


def config_of(folder):
    return json.loads((folder / "adapter_config.json").read_text())


def test_the_changes_of_an_adapter_are_these(base, tmp_path):
    spec = LoraSpec(rank=2, alpha=3.0, dora=True, targets=["layers.0.mlp.up_proj", "embed_tokens"])
    adapter = saved(base, tmp_path / "adapter", spec.model_copy(update={"train_fully": ["lm_head"]}))
    infos = {tensor.name: tensor for tensor in read_header(adapter / "adapter_model.safetensors")}
    start, up = "base_model.model.", "model.layers.0.mlp.up_proj"
    embedding = "model.embed_tokens"
    skeleton = skeleton_of(base, {"model_type": "qwen3"})
    assert changes_of(adapter, skeleton) == {
        f"{up}.weight": LowRank(
            infos[f"{start}{up}.lora_A.weight"],
            infos[f"{start}{up}.lora_B.weight"],
            1.5,
            infos[f"{start}{up}.lora_magnitude_vector"],
            "linear",
        ),
        f"{embedding}.weight": LowRank(
            infos[f"{start}{embedding}.lora_embedding_A"],
            infos[f"{start}{embedding}.lora_embedding_B"],
            1.5,
            infos[f"{start}{embedding}.lora_magnitude_vector"],
            "embedding",
        ),
        "lm_head.weight": Replaced(infos[f"{start}lm_head.weight"]),
    }


@pytest.mark.parametrize(
    ("field", "neutral"),
    [("bias", "none"), ("lora_bias", False), ("use_qalora", None), ("layer_replication", None), ("arrow_config", None)],
)
def test_a_neutral_value_of_a_field_that_is_not_merged_is_fine(base, tmp_path, field, neutral):
    adapter = saved(base, tmp_path / "adapter", LoraSpec(rank=2, targets=["q_proj"]))
    (adapter / "adapter_config.json").write_text(json.dumps(config_of(adapter) | {field: neutral}))
    assert len(changes_of(adapter, skeleton_of(base, {"model_type": "qwen3"}))) == 2


@pytest.mark.parametrize("start", [True, False, "gaussian", "eva", "orthogonal"])
def test_a_start_that_leaves_the_base_alone_is_fine(base, tmp_path, start):
    adapter = saved(base, tmp_path / "adapter", LoraSpec(rank=2, targets=["q_proj"]))
    (adapter / "adapter_config.json").write_text(json.dumps(config_of(adapter) | {"init_lora_weights": start}))
    if start in (True, False, "gaussian", "orthogonal"):
        assert len(changes_of(adapter, skeleton_of(base, {"model_type": "qwen3"}))) == 2


@pytest.mark.parametrize(
    ("alpha", "rank", "expected"), [(None, 4, 8), (3.0, 4, 3), (2.5, 4, 2.5), (1, 8, 1), (None, 1, 2)]
)
def test_alpha_is_an_integer_where_it_can_be(alpha, rank, expected):
    found = _alpha(LoraSpec(rank=rank, alpha=alpha))
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("ref", "revision", "name", "recorded"),
    [
        ("hub:owner/x@v1", None, "owner/x", "v1"),
        ("hub:owner/x@v1", "c0ffee", "owner/x", "v1"),
        ("hub:owner/x", "c0ffee", "owner/x", "c0ffee"),
        ("hub:owner/x", None, "owner/x", None),
        (None, "c0ffee", None, None),
        ("tune.base@v1", None, None, None),
    ],
)
def test_the_base_is_recorded_by_its_name_on_the_hub_or_its_folder(base, tmp_path, ref, revision, name, recorded):
    folder = saved(base, tmp_path / "adapter", LoraSpec(rank=2), ref, revision)
    config = config_of(folder)
    assert (config["base_model_name_or_path"], config["revision"]) == (name or str(base), recorded)
    assert config["target_modules"] == sorted(config["target_modules"])
    assert len(config["target_modules"]) == 7


def test_a_loaded_adapter_is_frozen_and_in_eval_mode(base, tmp_path):
    folder = saved(base, tmp_path / "adapter", LoraSpec(rank=2, dropout=0.5))
    model = load_adapter(load_model(base).train(), folder)
    assert not any(weight.requires_grad for weight in model.parameters())
    assert not any(module.training for module in model.modules())


def test_a_file_that_does_not_match_is_refused_by_the_first_name(base, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = saved(base, tmp_path / "adapter", LoraSpec(rank=2, targets=["q_proj"]))
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    first = min(tensors)

    def refused(**changed):
        save_file({**tensors, **changed}, file, {"format": "pt"})
        with pytest.raises(ModelError) as caught:
            load_adapter(load_model(base), folder)
        return caught.value.code, caught.value.what

    code, what = refused(a_stranger=torch.zeros(1), b_stranger=torch.zeros(1))
    assert (code, "'a_stranger' is unknown" in what) == ("model.wrong-adapter", True)
    code, what = refused(**{first: torch.zeros(3, 32)})
    assert (code, f"'{first}' is [3, 32] where [2, 32] is expected" in what) == ("model.wrong-adapter", True)
    rest = {name: tensor for name, tensor in tensors.items() if name != first}
    save_file(rest, file, {"format": "pt"})
    with pytest.raises(ModelError, match="is missing") as caught:
        load_adapter(load_model(base), folder)
    assert f"'{first}'" in caught.value.what


@pytest.mark.parametrize("alpha", [math.inf, math.nan])
def test_a_scale_that_is_not_finite_is_refused(base, tmp_path, alpha):
    folder = saved(base, tmp_path / "adapter", LoraSpec(rank=2, targets=["q_proj"]))
    (folder / "adapter_config.json").write_text(json.dumps(config_of(folder) | {"lora_alpha": alpha}))
    with pytest.raises(ModelError, match=r"the scale of .*q_proj is not finite") as caught:
        load_adapter(load_model(base), folder)
    assert caught.value.code == "model.wrong-adapter"


def test_a_folder_without_an_adapter_has_no_weights(base, tmp_path):
    with pytest.raises(ModelError) as caught:
        adapter_weights(base)
    assert caught.value.code == "model.not-found"
    folder = saved(base, tmp_path / "adapter", LoraSpec(rank=2))
    weights = folder / "adapter_model.safetensors"
    (folder / "adapter_model.bin").write_bytes(b"")
    assert adapter_weights(folder) == weights  # the pickle beside it is not read
    weights.unlink()
    with pytest.raises(ModelError) as caught:
        adapter_weights(folder)
    assert caught.value.code == "model.pickle"
    assert input_at(folder).kind == "adapter"
