"""Types per tensor as llama.cpp mixes them, and bytes equal to ggml's, block by block."""

import ctypes
from collections import Counter

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type

from burnish.core.errors import ModelError
from burnish.export.gguf.types import FILE_TYPES, Mix, encode, size_of
from burnish.models.engines.llama.library import library
from burnish.testing import tiny_model
from gguf_files import logits_of, reference_logits, written

LARGEST = {"F32": 0.0, "F16": 1e-3, "BF16": 8e-3, "Q8_0": 0.02, "Q6_K": 0.05, "Q5_K_M": 0.08, "Q4_K_M": 0.15}
LARGEST |= {"Q5_K_S": 0.08, "Q5_1": 0.08, "Q5_0": 0.08, "Q4_K_S": 0.15, "Q4_1": 0.15, "Q4_0": 0.2, "IQ4_NL": 0.15}
LARGEST |= {"IQ4_XS": 0.15, "Q3_K_L": 0.3, "Q3_K_M": 0.3, "Q3_K_S": 0.3, "Q2_K": 0.5}
"""‖rounding‖ / ‖values‖ of normal values."""


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("kind", sorted({kind for _, kind in FILE_TYPES.values()} | {Type.Q5_0, Type.Q5_1}))
def test_bytes_are_those_of_ggml_block_by_block(kind):
    values = normal(37, 512)
    encoded = encode("x", values, kind, threads=3)
    assert encoded.nbytes == size_of(kind, values.shape)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    flat, blocks = values.reshape(-1, block), encoded.reshape(-1, size)
    if kind in (Type.F32, Type.F16, Type.BF16):
        assert np.array_equal(encoded.reshape(37, -1), gguf.quantize(values, kind).view(np.uint8).reshape(37, -1))
        return
    for place in range(0, len(flat), 7):
        out = np.zeros(size, dtype=np.uint8)
        source = np.ascontiguousarray(flat[place])
        library().ggml_quantize_chunk(kind, source.ctypes.data, out.ctypes.data, 0, 1, block, ctypes.c_void_p(None))
        assert np.array_equal(blocks[place], out)


@pytest.mark.parametrize("kind", [Type.Q8_0, Type.Q4_0, Type.Q5_0, Type.Q5_1, Type.BF16, Type.F16])
def test_bytes_are_those_of_the_gguf_packages_own_formulas(kind):
    values = normal(8, 256)
    assert np.array_equal(encode("x", values, kind), gguf.quantize(values, kind).view(np.uint8).reshape(-1))


@pytest.mark.parametrize("file_type", FILE_TYPES)
def test_what_is_read_back_is_near_what_was_written(file_type):
    kind = FILE_TYPES[file_type][1]
    values = normal(16, 512)
    read = gguf.dequantize(encode("x", values, kind).reshape(16, -1), kind).reshape(16, 512)
    assert np.linalg.norm(read - values) <= LARGEST[file_type] * np.linalg.norm(values)


@pytest.mark.parametrize("value", [1e5, np.inf, np.nan])
def test_a_value_that_a_type_cannot_hold_is_refused(value):
    values = normal(4, 32)
    values[2, 3] = value
    with pytest.raises(ModelError, match=r"'blk.0.ffn_up.weight' has values that F16 cannot hold"):
        encode("blk.0.ffn_up.weight", values, Type.F16)


def mix(file_type, **settings):
    plain = {"architecture": "llama", "layers": 32, "experts": 0, "is_tied": False, "values_per_key": 4}
    return Mix(file_type, **{**plain, **settings})


def layers_of(found, part, kind, count=32, columns=4096):
    return [n for n in range(count) if found.of(f"blk.{n}.{part}.weight", (64, columns)) is kind]


MORE_BITS = [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]
"""The layers of 32 to which llama.cpp gives more bits (`use_more_bits`)."""


def test_q4_k_m_is_llama_cpps_mix_of_a_model_of_32_layers():
    found = mix("Q4_K_M")
    assert layers_of(found, "attn_v", Type.Q6_K) == layers_of(found, "ffn_down", Type.Q6_K) == MORE_BITS
    for part in ("attn_q", "attn_k", "attn_output", "ffn_gate", "ffn_up"):
        assert layers_of(found, part, Type.Q4_K) == list(range(32))
    assert found.of("output.weight", (1000, 4096)) is Type.Q6_K
    assert found.of("token_embd.weight", (1000, 4096)) is Type.Q4_K
    assert mix("Q4_K_M", is_tied=True).of("token_embd.weight", (1000, 4096)) is Type.Q6_K
    for name in (
        "blk.0.attn_norm.weight",
        "blk.0.attn_q_norm.weight",
        "blk.0.ffn_gate_inp.weight",
        "blk.0.attn_q.bias",
    ):
        assert found.of(name, (4096,) if "inp" not in name else (8, 4096)) is Type.F32


COUNTS = {
    ("Q5_K_S", "attn_v"): {"Q5_K": 32},
    ("Q4_K_S", "attn_v"): {"Q5_K": 4, "Q4_K": 28},
    ("Q4_K_S", "ffn_down"): {"Q5_K": 4, "Q4_K": 28},
    ("Q3_K_M", "attn_v"): {"Q5_K": 2, "Q4_K": 30},
    ("Q3_K_M", "ffn_down"): {"Q5_K": 2, "Q4_K": 30},
    ("Q3_K_M", "attn_output"): {"Q4_K": 32},
    ("Q3_K_M", "attn_q"): {"Q3_K": 32},
    ("Q3_K_L", "attn_v"): {"Q5_K": 32},
    ("Q3_K_L", "ffn_down"): {"Q5_K": 32},
    ("Q3_K_S", "ffn_down"): {"Q3_K": 32},
    ("Q2_K", "attn_v"): {"Q4_K": 32},
    ("Q2_K", "ffn_down"): {"Q3_K": 32},
    ("Q2_K", "attn_output"): {"Q3_K": 32},
    ("Q2_K", "ffn_up"): {"Q2_K": 32},
    ("IQ4_XS", "attn_v"): {"Q5_K": 32},
    ("IQ4_XS", "ffn_down"): {"Q5_K": 4, "IQ4_XS": 28},
    ("Q5_0", "ffn_down"): {"Q5_0": 32},
}
"""Of a model of 32 layers with four heads of queries for one of keys, from src/llama-quant.cpp."""


@pytest.mark.parametrize(("file_type", "part"), COUNTS)
def test_the_other_mixes_are_llama_cpps(file_type, part):
    found = mix(file_type)
    kinds = [found.of(f"blk.{n}.{part}.weight", (64, 4096)).name for n in range(32)]
    assert dict(Counter(kinds)) == COUNTS[file_type, part]


def test_an_importance_matrix_changes_the_mix():
    for file_type, kind in (("IQ4_NL", Type.IQ4_NL), ("Q4_0", Type.Q4_1), ("Q5_0", Type.Q5_1)):
        found = mix(file_type, has_importance=True)
        assert found.of("blk.3.ffn_down.weight", (64, 4096)) is kind
        assert found.of("blk.4.ffn_down.weight", (64, 4096)) is FILE_TYPES[file_type][1]


def test_eight_experts_get_more_bits_in_attention():
    found = mix("Q4_K_M", experts=8)
    assert {found.of(f"blk.0.{part}.weight", (64, 4096)) for part in ("attn_v", "attn_k")} == {Type.Q8_0}
    assert found.of("blk.5.attn_output.weight", (64, 4096)) is Type.Q5_K
    assert found.of("blk.0.ffn_down_exps.weight", (8, 64, 4096)) is Type.Q6_K
    assert mix("Q5_K_M", experts=8).of("blk.5.attn_output.weight", (64, 4096)) is Type.Q5_K


def test_a_70b_model_gets_more_bits_for_its_few_values():
    assert mix("Q4_K_M", layers=80).of("blk.11.attn_v.weight", (64, 8192)) is Type.Q5_K
    assert mix("Q4_K_M", layers=80, values_per_key=1).of("blk.11.attn_v.weight", (64, 8192)) is Type.Q4_K
    assert mix("Q4_K_M", layers=80, architecture="qwen2").of("blk.11.attn_v.weight", (64, 8192)) is Type.Q5_K


@pytest.mark.parametrize(
    ("file_type", "columns", "kind"),
    [
        ("Q4_K_M", 128, Type.Q5_0),
        ("Q5_K_M", 128, Type.Q5_1),
        ("Q6_K", 128, Type.Q8_0),
        ("Q3_K_M", 128, Type.Q4_0),
        ("Q2_K", 128, Type.Q4_0),
        ("IQ4_XS", 128, Type.IQ4_NL),
        ("Q4_K_M", 40, Type.F16),
        ("Q8_0", 40, Type.F16),
        ("F16", 40, Type.F16),
    ],
)
def test_rows_that_are_no_multiple_of_a_block_get_a_type_of_smaller_blocks(file_type, columns, kind):
    assert mix(file_type).of("blk.4.ffn_up.weight", (64, columns)) is kind


@pytest.mark.parametrize("file_type", FILE_TYPES)
def test_a_file_of_each_type_is_read_by_llama_cpp(tmp_path, file_type):
    base = tiny_model(tmp_path / "base", hidden_size=256, intermediate_size=256, initializer_range=0.05)
    file, _ = written(base, tmp_path / "x.gguf", file_type)
    held = {tensor.name: tensor.tensor_type for tensor in gguf.GGUFReader(file).tensors}
    assert held["blk.0.attn_q.weight"] is FILE_TYPES[file_type][1]
    ids = list(range(4, 44))
    found, expected = logits_of(file, ids), reference_logits(base, ids)
    allowed = max(2e-5, 3 * LARGEST[file_type]) * expected.std()
    assert np.sqrt(np.mean((found - expected) ** 2)) < allowed
