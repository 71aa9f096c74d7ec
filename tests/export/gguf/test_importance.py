"""The importance of columns: mean squares of the activations, as llama.cpp gathers and uses them."""

import ctypes

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type

from burnish.core.errors import DataError
from burnish.export.gguf.importance import gather
from burnish.export.gguf.tensors import planned
from burnish.export.gguf.types import encode
from burnish.export.gguf.vocabulary import vocabulary_keys
from burnish.export.gguf.writer import write
from burnish.models.engines.llama.library import library
from burnish.models.load import load_plain
from burnish.testing import tiny_model
from burnish.tokens.load import load_tokenizer
from gguf_files import save_fitting

ROWS = [
    torch.randint(4, 200, (length,), generator=torch.Generator().manual_seed(length)).tolist() for length in (9, 31)
]
SIZES = {"hidden_size": 256, "intermediate_size": 256, "head_dim": 64}
QUANTIZED = [Type.Q4_K, Type.Q5_K, Type.Q6_K, Type.Q3_K, Type.Q2_K, Type.IQ4_XS, Type.IQ4_NL, Type.Q4_0, Type.Q5_1]


def encoded_by_ggml(matrices, kind, importance, size):
    """[matrices, bytes] each with its importance, by one call of ggml."""
    found = np.zeros((len(matrices), size), dtype=np.uint8)
    for number, matrix in enumerate(np.ascontiguousarray(matrices)):
        row = None if importance is None else np.ascontiguousarray(importance[number])
        pointer = ctypes.c_void_p(None if row is None else row.ctypes.data)
        library().ggml_quantize_chunk(kind, matrix.ctypes.data, found[number].ctypes.data, 0, *matrix.shape, pointer)
    return found


def given_to(model, name):
    """What a module was given for each row."""
    found = []
    hook = model.get_submodule(name).register_forward_pre_hook(lambda module, given: found.append(given))
    for row in ROWS:
        model(torch.tensor([row]))
    hook.remove()
    return found


@torch.no_grad()
def test_the_importance_is_the_mean_square_of_each_column(tmp_path):
    model = load_plain(tiny_model(tmp_path))
    found = gather(model, ROWS)
    for name in ("model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"):
        expected = torch.cat([given[0][0] for given in given_to(model, name)]).square().mean(dim=0)
        np.testing.assert_allclose(found.values[f"{name}.weight"], expected.numpy(), rtol=1e-5)
    assert (found.rows, found.tokens, found.experts, found.unreached) == (2, 40, 0, {})
    assert not {"lm_head.weight", "model.embed_tokens.weight"} & found.values.keys()


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe"])
@torch.no_grad()
def test_experts_are_measured_apart(tmp_path, family):
    model = load_plain(save_fitting(family, tmp_path))
    found = gather(model, ROWS)
    name = "model.layers.0.mlp.experts"
    experts, seen = model.get_submodule(name), given_to(model, name)
    values, inner = found.values[f"{name}.gate_up_proj"], found.values[f"{name}.down_proj"]
    for expert in range(4):
        states = torch.cat([hidden[(chosen == expert).any(-1)] for hidden, chosen, _ in seen])
        assert len(states) > 1
        np.testing.assert_allclose(values[expert], states.square().mean(0).numpy(), rtol=1e-5)
        gate, up = (states @ experts.gate_up_proj[expert].T).chunk(2, dim=-1)
        expected = (torch.nn.functional.silu(gate) * up).square().mean(0)
        np.testing.assert_allclose(inner[expert], expected.numpy(), rtol=1e-4, atol=1e-9)
    assert found.experts == 4 * model.config.num_hidden_layers


@torch.no_grad()
def test_an_expert_that_no_token_reaches_is_counted(tmp_path):
    model = load_plain(save_fitting("mixtral", tmp_path))
    for name, module in model.named_modules():
        if name.endswith("mlp.gate"):
            module.weight[:] = 0.0  # a tie: the same two experts for every token
    found = gather(model, ROWS)
    assert sum(map(len, found.unreached.values())) == 4
    assert found.sentence().startswith("no token of the importance rows reached 4 of 8 experts, the first is expert ")
    assert found.as_dict()["experts_without_tokens"]
    for name, numbers in found.unreached.items():
        assert (found.values[name][list(numbers)] == 1).all()


@pytest.mark.parametrize("kind", QUANTIZED)
def test_bytes_are_those_of_ggml_with_that_importance(kind):
    random = np.random.default_rng(0)
    values = random.normal(size=(3, 40, 256)).astype(np.float32)
    importance = random.uniform(0.01, 9, size=(3, 256)).astype(np.float32)
    encoded = encode("x", values, kind, threads=2, importance=importance)
    expected = encoded_by_ggml(values, kind, importance, encoded.size // 3)
    assert np.array_equal(encoded, expected.reshape(-1))
    assert not np.array_equal(encoded, encode("x", values, kind))
    assert np.array_equal(encode("x", values[0], kind, importance=importance[0]), expected[0])


@pytest.mark.parametrize("family", ["llama", "phi3", "mixtral"])
def test_a_file_has_the_bytes_of_ggml_with_the_importance_of_its_weights(tmp_path, family):
    sizes = SIZES if family != "phi3" else {key: SIZES[key] for key in SIZES if key != "head_dim"}
    base = save_fitting(family, tmp_path / "base", **sizes)
    importance = gather(load_plain(base), ROWS).values
    plan, weights = planned(base)
    keys = vocabulary_keys(load_tokenizer(base), plan.keys[f"{plan.architecture}.vocab_size"], [])
    write(tmp_path / "x.gguf", plan, weights, keys, "Q4_K_M", importance=importance)
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "x.gguf").tensors}
    measured = 0
    for source in plan.sources:
        tensor = tensors[source.name]
        if tensor.tensor_type not in (Type.Q4_K, Type.Q6_K, Type.Q5_K):
            continue
        rows = source.of(weights[source.weight].float()).contiguous().numpy()
        matrices = rows.reshape(-1, *rows.shape[-2:])
        columns = importance.get(source.weight)
        each = None if columns is None else columns.reshape(len(matrices), -1)
        expected = encoded_by_ggml(matrices, tensor.tensor_type, each, tensor.data.nbytes // len(matrices))
        assert np.array_equal(tensor.data.view(np.uint8).reshape(-1), expected.reshape(-1)), source.name
        measured += columns is not None
    assert measured >= 8


def test_no_rows_are_refused(tmp_path):
    with pytest.raises(DataError, match="no rows to measure the importance on"):
        gather(load_plain(tiny_model(tmp_path)), [])
