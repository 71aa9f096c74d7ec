"""Models in the format of compressed-tensors: the values that are loaded, what they are, and what is refused."""

import json

import pytest
import torch

from burnish.core.errors import AskError, ModelError
from burnish.evals.certificates.change import change_of
from burnish.evals.certificates.limits import limits_of
from burnish.export.gguf.tensors import planned
from burnish.models.adapters.attach import attach_lora, save_adapter
from burnish.models.engines.forced import forced_log_probs
from burnish.models.load import describe, load_model, load_plain
from burnish.models.merge import merge_adapter
from burnish.models.quantization.record import Quantization
from burnish.specs.train import FullSpec, LoraSpec
from burnish.stages.train.training import with_method
from burnish.testing import input_at, temporary_context, tiny_model
from certified import copy_of, edit_json, make_base
from quantized_models import packed_model, rounding_model

FORMS = {
    "W4A16": lambda base, out: packed_model(base, out),
    "W4A16 with zero points": lambda base, out: packed_model(base, out, zero_points=True),
    "W8A16": lambda base, out: packed_model(base, out, bits=8),
    "W8A8": rounding_model,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def models(base, tmp_path_factory):
    """(folder, the weights it stands for) of each form."""
    folder = tmp_path_factory.mktemp("models")
    return {name: (folder / name, write(base, folder / name)) for name, write in FORMS.items()}


def logits(model):
    with torch.no_grad():
        return model(torch.arange(5, 60)[None]).logits


@pytest.mark.parametrize("form", FORMS)
def test_the_values_that_are_loaded_are_those_in_the_files(form, models, base):
    folder, weights = models[form]
    plain = load_model(base, dtype=torch.float32)
    plain.load_state_dict({**plain.state_dict(), **weights})
    model = load_model(folder, dtype=torch.float32)
    expected, found = logits(plain), logits(model)
    if form == "W8A8":  # the rounding of activations is computed
        assert 0 < (found - expected).abs().max() < 0.2 * expected.std()
    else:
        assert torch.equal(found, expected)
        assert {type(module) for path, module in model.named_modules() if "q_proj" in path} == {torch.nn.Linear}


@pytest.mark.parametrize("form", FORMS)
def test_the_size_is_that_of_the_weights_it_stands_for(form, models, base):
    found, plain = describe(models[form][0]), describe(base)
    assert found.parameters == plain.parameters
    assert found.dtype == plain.dtype
    assert found.bytes < plain.bytes


@pytest.mark.parametrize("form", FORMS)
def test_a_certificate_finds_the_kind_of_change(form, models, base):
    assert limits_of(change_of(base, models[form][0]))[0] == form.removesuffix(" with zero points")


def test_a_mixture_of_schemes_must_be_named(models, base, tmp_path):
    copy = copy_of(models["W4A16"][0], tmp_path / "copy")

    def add(config):
        groups = config["quantization_config"]["config_groups"]
        groups["group_1"] = json.loads(json.dumps(groups["group_0"]))
        groups["group_1"]["weights"]["num_bits"] = 8

    edit_json(copy / "config.json", add)
    with pytest.raises(AskError, match="quantized by 'compressed-tensors'"):
        change_of(base, copy)


def test_an_adapter_is_trained_on_weights_in_few_bits_and_loaded_again(models, tmp_path):
    folder, _ = models["W4A16"]
    ctx, _ = temporary_context(tmp_path)
    model = with_method(load_plain(folder, dtype=torch.float32), LoraSpec(rank=4), ctx)
    ids = torch.arange(5, 40)[None]
    model(input_ids=ids, labels=ids).loss.backward()
    assert all(weight.grad is not None for weight in model.parameters() if weight.requires_grad)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn(weight.shape) * 0.05)
    save_adapter(model, tmp_path / "adapter", input_at(folder))
    model.eval()
    assert torch.equal(logits(load_model(tmp_path / "adapter", dtype=torch.float32)), logits(model))
    with pytest.raises(ModelError, match="is quantized"):
        merge_adapter(tmp_path / "adapter", folder, tmp_path / "merged")


def test_all_weights_are_trained_as_float_ones(models, tmp_path):
    ctx, _ = temporary_context(tmp_path)
    model = with_method(load_plain(models["W4A16"][0], dtype=torch.float32), FullSpec(), ctx)
    assert all(weight.requires_grad for weight in model.parameters())
    model.save_pretrained(tmp_path / "saved")
    assert "quantization_config" not in json.loads((tmp_path / "saved" / "config.json").read_text())
    assert torch.equal(logits(load_model(tmp_path / "saved")), logits(model))


@pytest.mark.parametrize("method", [LoraSpec(rank=4), FullSpec()], ids=["lora", "full"])
def test_a_model_that_rounds_activations_is_not_trained(method, models, tmp_path):
    ctx, _ = temporary_context(tmp_path)
    with pytest.raises(ModelError, match="cannot train on a model that quantizes its activations"):
        with_method(load_plain(models["W8A8"][0], dtype=torch.float32), method, ctx)


def test_nothing_is_merged_into_a_model_that_rounds_activations(models, tmp_path):
    folder, _ = models["W8A8"]
    model = attach_lora(load_plain(folder, dtype=torch.float32), LoraSpec(rank=4))
    save_adapter(model, tmp_path / "adapter", input_at(folder))
    load_model(tmp_path / "adapter")
    with pytest.raises(ModelError, match="cannot be merged into a model that quantizes its activations"):
        load_plain(tmp_path / "adapter")


def test_the_rounding_of_activations_is_not_taken_for_a_look_ahead(tmp_path):
    base = tiny_model(
        tmp_path / "base", "qwen3", seed=1, initializer_range=0.4, num_hidden_layers=4, tie_word_embeddings=True
    )
    rounding_model(base, tmp_path / "rounds")
    (found,) = forced_log_probs(load_model(tmp_path / "rounds"), [[5, 6, 7, 8]])
    assert found.chosen.shape == (3,)


@pytest.mark.parametrize("form", ["W4A16", "W8A8"])
def test_what_needs_the_original_weights_is_refused(form, models):
    folder, _ = models[form]
    with pytest.raises(ModelError, match="is quantized already"):
        load_plain(folder, quantization=Quantization("nf4", True))
    with pytest.raises(ModelError, match="is quantized, and a GGUF file is written from weights that are not"):
        planned(folder)
