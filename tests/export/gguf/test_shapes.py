"""Every mapped family, with what its config can say: llama.cpp computes the same as transformers, or it is refused."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig

from burnish.core.errors import ModelError
from burnish.export.gguf.settings import _NO_EFFECT
from burnish.export.gguf.shapes import SHAPES
from families import FAMILIES, build, config_of
from gguf_files import CHANGED, FITTING, logits_of, reference_logits, save_fitting, written

LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
LLAMA3 |= {"original_max_position_embeddings": 64}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 128}
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
LONGROPE = {**ROPE, "rope_type": "longrope", "original_max_position_embeddings": 256}
LONGROPE |= {"long_factor": [1.5, 2.0, 3.0, 4.0], "short_factor": [1.0, 1.1, 1.2, 1.3], "partial_rotary_factor": 1.0}
GEMMA_ROPE = {"sliding_attention": {"rope_type": "default", "rope_theta": 5000.0}, "full_attention": LINEAR}
NO_ROPE = {"num_hidden_layers": 6, "no_rope_layers": [1, 1, 1, 0, 1, 1], "layer_types": None}
VARIANTS = [
    *[(family, {}) for family in SHAPES],
    *[(family, {"tie_word_embeddings": True}) for family in SHAPES if family not in ("gemma2", "gemma3_text")],
    *[(family, {"rope_parameters": YARN}) for family in SHAPES if "yarn" in SHAPES[family].ropes],
    *[(family, {"rope_parameters": LINEAR}) for family in ("llama", "qwen2", "qwen3", "qwen3_moe", "smollm3")],
    ("gemma3_text", {"rope_parameters": GEMMA_ROPE}),
    *[(family, {"rope_parameters": LLAMA3}) for family in ("llama", "mistral", "mixtral")],
    *[(family, {"head_dim": 16}) for family in ("llama", "mistral", "qwen3", "qwen3_moe")],
    *[(family, {"head_dim": 16, "query_pre_attn_scalar": 16}) for family in ("gemma2", "gemma3_text")],
    *[(family, {"num_key_value_heads": 4}) for family in SHAPES],
    *[(family, {"num_key_value_heads": 1}) for family in ("llama", "phi3", "gemma2")],
    *[(family, {"rms_norm_eps": 0.05}) for family in SHAPES],
    *[("llama", {name: True}) for name in ("attention_bias", "mlp_bias")],
    *[("smollm3", NO_ROPE)],
    *[("phi3", {"rope_parameters": {**ROPE, "partial_rotary_factor": part}}) for part in (0.5, 0.75)],
    *[(family, {"num_experts_per_tok": 1}) for family in ("mixtral", "qwen3_moe")],
    *[("gemma2", {name: value}) for name, value in (("final_logit_softcapping", 3.0), ("attn_logit_softcapping", 2.0))],
    ("gemma2", {"layer_types": ["full_attention", "sliding_attention"]}),
    ("gemma3_text", {"layer_types": ["sliding_attention"] * 2}),
    ("gemma3_text", {"final_logit_softcapping": 5.0}),
]


def assert_equal(found, expected):
    """Logits with a standard deviation of 1; where GELU is rounded to 16 bits, a few differ by more."""
    difference = np.abs(found - expected)
    assert np.median(difference) < 2e-5
    assert difference.max() < 3e-3


@pytest.mark.parametrize(("family", "config"), VARIANTS, ids=str)
def test_llama_cpp_computes_what_transformers_computes(tmp_path, family, config):
    base = save_fitting(family, tmp_path / "base", **config)
    file, plan = written(base, tmp_path / "x.gguf")
    assert not plan.notes
    ids = torch.randint(4, 200, (90,), generator=torch.Generator().manual_seed(0)).tolist()

    found, expected = logits_of(file, ids), reference_logits(base, ids)

    assert expected.std() > 0.1
    assert_equal(found, expected)
    assert (found.argmax(-1) == expected.argmax(-1)).all()


@pytest.mark.parametrize("family", ["gemma2", "gemma3_text"])
def test_gelu_in_16_bits_is_all_that_differs_in_gemma(tmp_path, family):
    base = save_fitting(family, tmp_path / "base")
    file, _ = written(base, tmp_path / "x.gguf")
    ids = list(range(4, 94))
    found, exact = logits_of(file, ids), reference_logits(base, ids, half_gelu=False)
    assert np.median(np.abs(found - exact)) > 5e-5
    assert np.abs(found - exact).max() < 4e-3
    assert (found.argmax(-1) == exact.argmax(-1)).all()


def changed(value):
    """Another value of a field's kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value * 2
    if isinstance(value, float):
        return value * 1.5 + 0.125
    if isinstance(value, str):
        return {"silu": "gelu", "gelu_pytorch_tanh": "relu"}.get(value, "other")
    return None


def refusal_or_file(base, path):
    """What the refusal says; or the file and its plan."""
    try:
        return written(base, path)
    except ModelError as error:
        return error.what


FIELDS = [
    (family, name)
    for family in SHAPES
    for name, value in config_of(family).to_dict().items()
    if name not in _NO_EFFECT
    and ((family, name) in CHANGED or changed(FITTING.get(family, {}).get(name, value)) is not None)
]


@pytest.mark.some(every=3)
@pytest.mark.parametrize(("family", "name"), FIELDS)
def test_a_changed_field_of_the_config_changes_the_file_likewise_or_is_refused(tmp_path, family, name):
    config = {**config_of(family).to_dict(), **FITTING.get(family, {})}
    value = CHANGED.get((family, name), changed(config[name]))
    more = {}
    if name == "num_hidden_layers":
        more = {field: None for field in ("layer_types", "no_rope_layers") if field in config}
    if name == "head_dim" and family.startswith("gemma"):
        more = {"query_pre_attn_scalar": value}
    base = save_fitting(family, tmp_path / "base", **{name: value, **more})
    ids = torch.randint(4, 200, (90,), generator=torch.Generator().manual_seed(0)).tolist()
    found = refusal_or_file(base, tmp_path / "x.gguf")
    if isinstance(found, str):
        assert name in found
        return
    file, plan = found
    ids = ids[: plan.keys[f"{plan.architecture}.context_length"]]
    found, expected = logits_of(file, ids), reference_logits(base, ids)
    assert_equal(found, expected)


@pytest.mark.parametrize("family", SHAPES)
def test_a_field_that_the_export_does_not_know_is_refused(family):
    config = {**config_of(family).to_dict(), **FITTING.get(family, {}), "attention_sink": 4}
    weights = build(family, **FITTING.get(family, {})).named_parameters()
    shapes = {name: tuple(weight.shape) for name, weight in weights}
    with pytest.raises(ModelError, match=r"attention_sink is 4, and a GGUF file .* cannot say so") as caught:
        SHAPES[family].plan(family, config, shapes)
    assert caught.value.code == "model.unsupported"


@pytest.mark.parametrize("family", SHAPES)
def test_a_field_without_an_effect_has_none(family):
    ids = torch.arange(4, 40)[None]
    plain = build(family)(ids).logits
    values = config_of(family).to_dict()
    for name in sorted(
        _NO_EFFECT & values.keys() - {"model_type", "transformers_version", "auto_map", "architectures"}
    ):
        value = changed(values[name])
        if value is None or name in ("return_dict", "initializer_range", "pad_token_id", "is_encoder_decoder", "dtype"):
            continue
        assert torch.equal(build(family, **{name: value})(ids).logits, plain), name


def test_a_window_that_llama_cpp_does_not_know_ends_the_context(tmp_path):
    base = save_fitting("mistral", tmp_path / "base", sliding_window=16)
    file, plan = written(base, tmp_path / "x.gguf")
    assert plan.keys["llama.context_length"] == 16
    assert "layers look 16 tokens back" in plan.notes[0]
    ids = list(range(4, 20))
    assert_equal(logits_of(file, ids), reference_logits(base, ids))


def test_longrope_ends_the_context_where_its_positions_change(tmp_path):
    config = {"rope_parameters": LONGROPE, "original_max_position_embeddings": 256}
    base = save_fitting("phi3", tmp_path / "base", **config)
    file, plan = written(base, tmp_path / "x.gguf")
    assert plan.keys["phi3.context_length"] == 256
    assert "rotary positions change beyond 256 tokens" in plan.notes[0]
    ids = torch.randint(4, 200, (256,), generator=torch.Generator().manual_seed(0)).tolist()
    assert_equal(logits_of(file, ids), reference_logits(base, ids))


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(SHAPES))[::12])
def test_another_family_is_refused_by_name(family):
    from burnish.export.gguf.shapes import shape_of

    with pytest.raises(ModelError, match=f"no mapping of the family {family} to GGUF; it has gemma2"):
        shape_of(family)


@pytest.mark.parametrize("family", SHAPES)
def test_tensors_have_the_names_of_the_gguf_package(family):
    import gguf

    model = build(family, **FITTING.get(family, {}))
    shape = SHAPES[family]
    config = AutoConfig.for_model(**model.config.to_dict()).to_dict()
    plan = shape.plan(family, config, {name: tuple(weight.shape) for name, weight in model.named_parameters()})
    architecture = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == shape.architecture)
    known = gguf.get_tensor_name_map(architecture, plan.layers)
    for source in plan.sources:
        if "experts" not in source.weight:
            assert known.get_name(source.weight, (".weight", ".bias")) == source.name
