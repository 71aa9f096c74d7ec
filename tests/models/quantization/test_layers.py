"""Layers in 4 bits are those of transformers' own loader, whatever the dtype of the run, and they stay as they are."""

import json
import sys

import bitsandbytes
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from burnish.core.errors import MachineError, ModelError
from burnish.models.layout import skeleton_of
from burnish.models.load import load_plain, read_config
from burnish.models.quantization.layers import dequantize, in_four_bits, layers_of, quantization_of, quantize, report
from burnish.models.quantization.library import require
from burnish.models.quantization.record import Quantization
from burnish.models.quiet import quiet_transformers
from burnish.testing import tiny_model
from families import BUILDABLE, build, save, thinned, token_ids
from peak_memory import peak_memory

NF4 = Quantization("nf4", True)
IDS = token_ids(2, 9)
SEVERAL = ("qwen3", "llama", "gemma2", "gpt2", "phi3", "mixtral", "bloom", "jamba", "deepseek_v3", "gemma3n_text")
NOT_LOADED = {"emu3", "mllama"}  # see test_lora_families.py
WITHOUT_LAYERS = {"falcon": "its linear layers are of a class of their own"}
OTHER_FORWARD = {
    "longcat_flash": "reads a weight without calling its layer, which fails in transformers too",
    "mamba": "reads a weight without calling its layer, which fails in transformers too",
    "rwkv": "divides its weights in eval mode, and quantizes them again",
}


def theirs(base, kind="nf4", double=True, **settings):
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_use_double_quant=double)
    with quiet_transformers():
        return AutoModelForCausalLM.from_pretrained(
            base, quantization_config=config, device_map={"": "cpu"}, **{"dtype": "auto", **settings}
        )


def assert_same_state(one, other):
    ours, expected = one.state_dict(), other.state_dict()
    assert ours.keys() == expected.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, expected[name]), name
        assert tensor.dtype == expected[name].dtype, name


def logits(model):
    with torch.no_grad(), quiet_transformers():
        return model(input_ids=IDS, use_cache=False).logits


@pytest.mark.some(every=2)
@pytest.mark.parametrize("family", thinned(set(BUILDABLE) - NOT_LOADED - WITHOUT_LAYERS.keys(), first=2))
def test_a_family_in_four_bits_computes_what_its_dequantized_weights_do(family, tmp_path):
    base = save(family, tmp_path)
    model = load_plain(base, quantization=NF4)
    if family in SEVERAL:
        assert_same_state(model, theirs(base))
    plain = load_plain(base)
    dequantize(plain, quantization_of(model))
    assert set(in_four_bits(model)) == set(layers_of(plain))
    if family not in OTHER_FORWARD:
        torch.testing.assert_close(logits(model), logits(plain), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", WITHOUT_LAYERS)
def test_a_family_without_layers_for_it_is_refused(family, tmp_path):
    with pytest.raises(ModelError, match="no linear layer"):
        load_plain(save(family, tmp_path), quantization=NF4)


@pytest.mark.parametrize("family", ["longcat_flash", "mamba"])
def test_a_family_that_fails_here_fails_in_transformers(family, tmp_path):
    with pytest.raises(RuntimeError):
        logits(theirs(save(family, tmp_path)).train())  # in eval mode bitsandbytes fails earlier, on its repacking


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("files", ["float32", "bfloat16"])
def test_every_setting_gives_what_transformers_gives(tmp_path, kind, double, files):
    base = tiny_model(tmp_path, "llama", dtype=files, tie_word_embeddings=True)
    assert_same_state(load_plain(base, quantization=Quantization(kind, double)), theirs(base, kind, double))


@pytest.mark.some
@pytest.mark.parametrize("run", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("files", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", ["qwen3", "gemma3_text", "gpt2", "falcon_h1", "gpt_oss"])
def test_four_bits_do_not_depend_on_the_dtype_of_the_run(tmp_path, family, files, run):
    with quiet_transformers():
        build(family).to(getattr(torch, files)).save_pretrained(tmp_path)
    model = load_plain(tmp_path, dtype=run, quantization=NF4)
    packed, as_in_files = model.state_dict(), theirs(tmp_path).state_dict()
    for path in in_four_bits(model):
        parts = [name for name in packed if name.startswith(f"{path}.weight") and "quant_state" not in name]
        assert len(parts) == 5
        assert all(torch.equal(packed[name], as_in_files[name]) for name in parts)
    plain = load_plain(tmp_path, dtype=run)
    others = dict([*plain.named_parameters(), *plain.named_buffers()])
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if type(tensor).__name__ != "Params4bit":
            assert tensor.dtype == others[name].dtype, name
            assert torch.equal(tensor, others[name]), name
    assert {layer.weight.quant_state.dtype for layer in in_four_bits(model).values()} == {run}
    assert model.dtype == run


def test_one_weight_at_a_time_is_in_float_while_loading(tmp_path):
    sizes = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 8, "head_dim": 32}
    base = tiny_model(tmp_path, "llama", num_attention_heads=8, dtype="bfloat16", **sizes)
    with peak_memory() as peak:
        model = load_plain(base, dtype=torch.float32, quantization=NF4)
    in_float = 4 * model.num_parameters()
    assert peak.now < 0.2 * in_float
    assert peak.bytes < peak.now + 2 * 4 * 256 * 512


def test_a_loaded_model_is_quantized_as_while_loading(tmp_path):
    for family in ("llama", "gpt2"):
        base = tiny_model(tmp_path / family, family)
        model = load_plain(base)
        quantize(model, NF4)
        assert_same_state(model, load_plain(base, quantization=NF4))
        torch.testing.assert_close(logits(model), logits(load_plain(base, quantization=NF4)))


def gradient_of(model):
    states = torch.linspace(-1, 1, 5 * model.in_features).view(1, 5, -1).requires_grad_()
    model(states).square().sum().backward()
    return states.grad


@pytest.mark.parametrize("loading", ["quantized here", "quantized in the files"])
def test_an_eval_pass_does_not_change_a_later_gradient(tmp_path, loading):
    """bitsandbytes repacks the weights on a CPU with AVX512-BF16, where the widths fit."""
    base = tiny_model(tmp_path / "base", "llama", hidden_size=128, intermediate_size=256, head_dim=32)
    if loading == "quantized here":
        model = load_plain(base, quantization=NF4)
    else:
        with quiet_transformers():
            theirs(base).save_pretrained(tmp_path / "files")
        model = load_plain(tmp_path / "files")
    layer = in_four_bits(model)["model.layers.0.mlp.up_proj"]
    before, bits = gradient_of(layer.train()), layer.weight.data.clone()
    with torch.no_grad():
        model.eval()(input_ids=IDS)
    assert torch.equal(layer.weight.data, bits)
    assert torch.equal(gradient_of(layer.train()), before)


def test_the_switch_against_repacking_is_still_the_one_that_bitsandbytes_reads(tmp_path):
    """Where this CPU repacks: without the switch the weights change in an eval pass."""
    base = tiny_model(tmp_path, "llama", hidden_size=128, intermediate_size=256, head_dim=32)
    layer = in_four_bits(load_plain(base, quantization=NF4))["model.layers.0.mlp.up_proj"]
    if not require("this test").functional.has_avx512bf16():
        pytest.skip("this CPU has no AVX512-BF16")
    layer.support_avx512bf16_for_cpu = True
    bits = layer.weight.data.clone()
    with torch.no_grad():
        layer.eval()(torch.ones(1, 128))
    assert not torch.equal(layer.weight.data.flatten(), bits.flatten())


def test_forward_and_backward_read_the_same_weights_in_float32_on_a_bfloat16_base(tmp_path):
    base = tiny_model(tmp_path, "llama", dtype="bfloat16")
    layer = in_four_bits(load_plain(base, dtype=torch.float32, quantization=NF4))["model.layers.0.mlp.up_proj"]
    weight = layer(torch.eye(layer.in_features)).T.detach()  # [out, in]
    states = torch.linspace(-1, 1, layer.in_features)[None].requires_grad_()
    layer(states).sum().backward()
    torch.testing.assert_close(states.grad[0], weight.sum(0), atol=1e-6, rtol=1e-6)


def test_modules_named_to_be_skipped_stay_in_float(tmp_path):
    base = tiny_model(tmp_path)
    model = load_plain(base, quantization=Quantization("nf4", True, skip=("q_proj", "layers.1.mlp")))
    found = set(in_four_bits(model))
    assert len(found) == 14 - 2 - 3
    assert not [path for path in found if path.endswith("q_proj") or "layers.1.mlp" in path]


def test_what_is_in_four_bits_and_what_is_not_is_reported(tmp_path):
    [note] = report(load_plain(tiny_model(tmp_path / "dense"), dtype=torch.float32, quantization=NF4))
    assert note.text == (
        "14 linear layers are held in nf4: 9.56 kB instead of 73.7 kB; not quantized: embed_tokens, lm_head (67.6 kB) "
        "and vectors"
    )
    assert report(load_plain(tmp_path / "dense")) == []
    first, experts = report(load_plain(save("mixtral", tmp_path / "mixture"), quantization=NF4))
    assert "experts" in first.text
    assert experts.level == "warning"
    assert "the stacked weights of experts are not quantized" in experts.text
    [note] = report(load_plain(save("falcon_h1", tmp_path / "convolutions"), quantization=NF4))
    assert "conv1d" in note.text


def test_a_weight_that_is_not_finite_or_has_another_shape_is_refused(tmp_path):
    base = tiny_model(tmp_path)
    weights = load_file(base / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    for value in (float("nan"), float("inf")):
        broken = {**weights, name: weights[name].index_fill(0, torch.tensor([3]), value)}
        save_file(broken, base / "model.safetensors", {"format": "pt"})
        with pytest.raises(ModelError, match="NaN or infinite"):
            load_plain(base, quantization=NF4)
    save_file({**weights, name: weights[name][:-2].clone()}, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"'model.layers.1.mlp.up_proj' is \[62, 32\].*needs \[64, 32\]|other shapes"):
        load_plain(base, quantization=NF4)


def test_a_base_that_is_quantized_already_is_refused(tmp_path):
    with quiet_transformers():
        theirs(tiny_model(tmp_path / "base")).save_pretrained(tmp_path / "files")
    with pytest.raises(ModelError, match="quantized already") as error:
        load_plain(tmp_path / "files", quantization=NF4)
    assert "method: lora" in error.value.fix
    assert quantization_of(load_plain(tmp_path / "files")) is None


def test_layers_are_found_without_loading_weights(tmp_path):
    base = tiny_model(tmp_path, tie_word_embeddings=True)
    paths = layers_of(skeleton_of(base, read_config(base)))
    assert len(paths) == 14
    assert not [path for path in paths if "head" in path or "embed" in path]
    assert json.loads((base / "config.json").read_text())["num_hidden_layers"] == 2


def test_a_missing_package_and_an_apple_gpu_are_named(monkeypatch):
    with pytest.raises(MachineError) as error:
        require("method: qlora", "mps")
    assert error.value.code == "machine.no-device"
    with monkeypatch.context() as patch:
        missing = bitsandbytes.cextension.ErrorHandlerMockBNBNativeLibrary("no library for CUDA 99")
        patch.setattr(bitsandbytes.cextension, "lib", missing)
        with pytest.raises(MachineError, match="library does not load") as error:
            require("optimizer: adamw8bit")
        assert error.value.fix.startswith("python -m bitsandbytes says why")
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MachineError) as error:
        require("method: qlora")
    assert (error.value.code, error.value.fix) == ("machine.no-package", "pip install 'burnish[qlora]'")
    assert error.value.what.startswith("method: qlora needs the package bitsandbytes")
