"""What a folder must hold to be loaded, and what the person is told when it does not."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish.core.context import Input
from burnish.core.errors import BurnishError, MachineError, ModelError
from burnish.models import tensors
from burnish.models.device import pick_device
from burnish.models.load import check_vocabulary, describe, load_model
from burnish.testing import tiny_model


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A model in several shards."""
    return tiny_model(tmp_path_factory.mktemp("whole"), max_shard_bytes=60_000)


@pytest.fixture
def model(whole, tmp_path) -> Path:
    """A copy of it, to be broken."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def change_json(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def refusal(source: Path | Input) -> BurnishError:
    with pytest.raises(BurnishError) as error:
        load_model(source)
    assert error.value.fix
    return error.value


def a_shard(model: Path) -> Path:
    return sorted(model.glob("model-*.safetensors"))[0]


def test_a_model_is_loaded_with_its_own_weights_in_eval_mode(whole):
    model = load_model(whole)
    assert not model.training
    assert model.dtype == torch.float32
    state = {name: tensor for file in whole.glob("*.safetensors") for name, tensor in load_file(file).items()}
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in state.items())


def test_dtype_and_attention_can_be_chosen(whole):
    model = load_model(whole, dtype=torch.bfloat16, attention="eager")
    assert model.dtype == torch.bfloat16
    assert model.config._attn_implementation == "eager"
    assert load_model(whole).config._attn_implementation == "sdpa"


def test_a_card_is_read_from_headers(whole):
    card = describe(whole)
    assert (card.family, card.layers, card.hidden, card.vocabulary, card.context) == ("qwen3", 2, 32, 264, 512)
    assert card.parameters == load_model(whole).num_parameters()
    assert (card.dtype, card.bytes) == ("F32", 4 * card.parameters)


def test_a_missing_folder_is_named(tmp_path):
    error = refusal(tmp_path / "nowhere")
    assert error.code == "model.not-found"
    assert "nowhere" in error.what


def test_a_folder_without_config_is_no_model(tmp_path):
    assert refusal(tmp_path).code == "model.not-found"


def test_a_missing_shard_is_named(model):
    gone = a_shard(model)
    gone.unlink()
    error = refusal(model)
    assert error.code == "model.broken"
    assert gone.name in error.what


@pytest.mark.parametrize("length", [0, 5, 100, -1, 70_000])
def test_a_torn_shard_is_named(model, length):
    torn = a_shard(model)
    os.truncate(torn, torn.stat().st_size - 1 if length == -1 else length)
    error = refusal(model)
    assert error.code == "model.broken"
    assert torn.name in error.what


def test_a_damaged_header_is_an_error(model):
    shard = a_shard(model)
    shard.write_bytes(shard.read_bytes().replace(b'"F32"', b'"F16"', 1))
    assert refusal(model).code == "model.broken"


def test_a_config_without_family_is_broken(model):
    (model / "config.json").write_text('{"hidden_size": 32}')
    error = refusal(model)
    assert error.code == "model.broken"
    assert "model_type" in error.what


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_config_that_is_no_json_is_broken(model, text):
    (model / "config.json").write_text(text)
    assert refusal(model).code == "model.broken"


def test_weights_that_are_missing_are_never_made_up(model):
    """transformers would fill them with random numbers and warn."""
    shard = a_shard(model)
    tensors = load_file(shard)
    lost = next(iter(tensors))
    del tensors[lost]
    save_file(tensors, shard, {"format": "pt"})
    error = refusal(model)
    assert error.code == "model.broken"
    assert lost in error.what
    assert "missing" in error.what


def test_weights_that_nothing_uses_are_refused(model):
    shard = a_shard(model)
    save_file({**load_file(shard), "model.layers.9.extra.weight": torch.zeros(3)}, shard, {"format": "pt"})
    error = refusal(model)
    assert error.code == "model.broken"
    assert "layers.9.extra" in error.what


def test_weights_of_other_shapes_are_refused(model):
    change_json(model / "config.json", intermediate_size=96)
    assert refusal(model).code == "model.broken"


def test_pickled_weights_are_refused(model):
    for file in model.glob("model*"):
        file.unlink()
    torch.save({}, model / "pytorch_model.bin")
    error = refusal(model)
    assert error.code == "model.pickle"
    assert "pytorch_model.bin" in error.what
    assert "safetensors" in error.fix


def test_code_of_its_own_is_refused_and_never_run(model):
    (model / "modeling_own.py").write_text("raise SystemExit('code of the model was run')")
    auto_map = {"AutoConfig": "modeling_own.Config", "AutoModelForCausalLM": "modeling_own.Model"}
    change_json(model / "config.json", auto_map=auto_map, model_type="own")
    assert refusal(model).code == "model.remote-code"

    change_json(model / "config.json", model_type="qwen3")  # a family that transformers has code for itself
    assert load_model(model).config.model_type == "qwen3"


def test_an_unknown_family_is_told(model):
    change_json(model / "config.json", model_type="qwen99")
    error = refusal(model)
    assert error.code == "model.broken"
    assert "qwen99" in error.what


def test_a_tokenizer_larger_than_the_model_is_refused(model):
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": 264, "content": "<|new|>"})
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    error = refusal(model)
    assert error.code == "model.broken"
    assert "264" in error.what

    change_json(model / "tokenizer_config.json", image_token="<|new|>")  # as Gemma 3 1B has it
    load_model(model)


def test_cuda_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto") == pick_device("cpu") == torch.device("cpu")
    for asked in ("cuda", "mps"):
        with pytest.raises(MachineError) as error:
            pick_device(asked)
        assert error.value.code == "machine.no-device"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == torch.device("cuda")


def test_weights_of_other_shapes_are_named(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    with pytest.raises(ModelError, match=r"weights have other shapes .* the first is 'model\.layers\.0\.mlp"):
        load_model(folder)


def test_a_torn_generation_config_is_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    (folder / "generation_config.json").write_text('{"temperature": "hot", ')
    with pytest.raises(ModelError, match=r"generation_config\.json"):
        load_model(folder)


def test_weights_are_read_onto_the_device_and_do_not_pass_through_main_memory(whole, monkeypatch) -> None:
    devices: list[set[str]] = []
    monkeypatch.setattr(
        tensors, "refuse_not_finite", lambda _, named: devices.append({weight.device.type for weight in named.values()})
    )
    monkeypatch.setattr(torch.nn.Module, "to", lambda *_: pytest.fail("the model was moved"))
    load_model(whole, device="meta")  # a device that every machine has
    assert devices == [{"meta"}]


@pytest.mark.parametrize(
    ("tokenizer", "settings", "fits"),
    [
        ({"model": {"vocab": {"a": 0, "b": 9}}}, None, True),
        ({"model": {"vocab": {"a": 0, "b": 10}}}, None, False),
        ({"model": {"vocab": [["a", 0.0]] * 10}}, None, True),
        ({"model": {"vocab": [["a", 0.0]] * 11}}, None, False),
        ({"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 9, "content": "x"}]}, None, True),
        ({"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 10, "content": "x"}]}, None, False),
        ({"added_tokens": [{"id": 10, "content": "<image>"}]}, {"image_token": "<image>"}, True),
        ({"added_tokens": [{"id": 10, "content": "<video>"}]}, {"video_token": "<video>"}, True),
        ({"added_tokens": [{"id": 10, "content": "<audio>"}]}, {"image_token": "<image>"}, False),
        ({}, None, True),
    ],
)
def test_every_token_has_a_row_in_the_embedding(tmp_path, tokenizer, settings, fits):
    check_vocabulary(tmp_path, {"vocab_size": 10})
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    if settings:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    check_vocabulary(tmp_path, {})
    for config in ({"vocab_size": 10}, {"vocab_size": 99, "text_config": {"vocab_size": 10}}):
        if fits:
            check_vocabulary(tmp_path, config)
        else:
            with pytest.raises(ModelError, match=r"up to 10.* 10 embeddings"):
                check_vocabulary(tmp_path, config)
