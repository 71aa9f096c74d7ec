"""What is checked before and after transformers loads a model, and the summary of its files."""

import json
import warnings

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from burnish.core.errors import ModelError
from burnish.models.load import (
    ModelCard,
    _refuse_half_a_model,
    check_vocabulary,
    describe,
    load_model,
    read_config,
    refuse_remote_code,
    refuse_unscaled,
)
from burnish.models.quiet import quiet_transformers
from burnish.testing import tiny_model


def folder_with(path, config, **tensors):
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    save_file(tensors, path / "model.safetensors", {"format": "pt"})
    return path


def test_a_card_sums_up_config_and_headers(tmp_path):
    halves = {"a": torch.zeros(2, 3, dtype=torch.bfloat16), "b": torch.zeros(5, dtype=torch.bfloat16)}
    names = {"num_hidden_layers": 3, "hidden_size": 4, "vocab_size": 5, "max_position_embeddings": 6}
    old = {"n_layer": 3, "n_embd": 4, "vocab_size": 5, "n_positions": 6}
    inner = {"hidden_size": 99, "text_config": names}
    for number, config in enumerate((names, old, inner, {})):
        folder = folder_with(tmp_path / str(number), {"model_type": "x", **config}, **halves, c=torch.zeros(10))
        sizes = (3, 4, 5, 6) if config else (0, 0, 0, 0)
        assert describe(folder) == ModelCard("x", 21, "BF16", *sizes, 2 * 11 + 4 * 10)
    floats = folder_with(tmp_path / "floats", {"model_type": "x"}, a=torch.zeros(12), b=halves["b"])
    assert (describe(floats).dtype, describe(floats).parameters) == ("F32", 17)
    nothing = folder_with(tmp_path / "nothing", {"model_type": "x"})
    assert describe(nothing) == ModelCard("x", 0, "", 0, 0, 0, 0, 0)


def test_the_config_is_looked_for_step_by_step(tmp_path):
    def refusal() -> tuple[str, str]:
        with pytest.raises(ModelError) as caught:
            read_config(tmp_path / "model")
        return caught.value.code, caught.value.what.removeprefix(str(tmp_path))

    assert refusal() == ("model.not-found", f"there is no folder {tmp_path / 'model'}")
    (tmp_path / "model").mkdir()
    assert refusal() == ("model.not-found", "/model is not a model: it has no config.json")
    for config in ({}, {"model_type": 7}, {"model_type": None}):
        (tmp_path / "model" / "config.json").write_text(json.dumps(config))
        assert refusal() == ("model.broken", "/model/config.json has no model_type")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "x", "a": 1}')
    assert read_config(tmp_path / "model") == {"model_type": "x", "a": 1}
    (tmp_path / "model" / "generation_config.json").write_text("{")
    assert refusal()[0] == "model.broken"


@pytest.mark.parametrize(
    ("config", "is_scaled"),
    [
        ({}, False),
        ({"quantization_config": {}}, True),
        ({"compression_config": {}}, True),
        ({"text_config": {"quantization_config": {}}}, True),
        ({"text_config": {"compression_config": {}}}, True),
        ({"text_config": {}}, False),
        ({"text_config": "none"}, False),
    ],
)
def test_integer_weights_need_a_scale_from_the_config(tmp_path, config, is_scaled):
    folder = folder_with(tmp_path / "model", config, **{"q_proj.weight": torch.zeros(2, 2, dtype=torch.int8)})
    if is_scaled:
        refuse_unscaled(folder, config)
    else:
        with pytest.raises(ModelError, match=r"'q_proj\.weight' is I8, integers"):
            refuse_unscaled(folder, config)


@pytest.mark.parametrize(
    ("key", "keys", "what"),
    [
        ("missing_keys", {"b", "a", "c"}, "3 weights that config.json needs are missing, the first is 'a'"),
        (
            "unexpected_keys",
            ["z", "y"],
            "2 weights are not part of the model that config.json describes, the first is 'y'",
        ),
        ("mismatched_keys", [("b", 1, 2)], "1 weights have other shapes than in config.json, the first is 'b'"),
        ("error_msgs", ["no such dtype"], "1 weights cannot be read, the first is 'no such dtype'"),
    ],
)
def test_each_fault_of_the_weights_is_named_with_the_first_of_them(tmp_path, key, keys, what):
    with pytest.raises(ModelError) as caught:
        _refuse_half_a_model(tmp_path, {key: keys})
    assert (caught.value.code, caught.value.what) == ("model.broken", f"{tmp_path}: {what}")
    _refuse_half_a_model(tmp_path, {key: []})
    _refuse_half_a_model(tmp_path, {})


@pytest.mark.parametrize("error", [PermissionError("no"), MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_faults_of_the_machine_are_not_faults_of_the_model(tmp_path, monkeypatch, error):
    folder = tiny_model(tmp_path)

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", fail)
    with pytest.raises(type(error)) as caught:
        load_model(folder)
    assert caught.value is error


def test_another_error_of_transformers_is_one_of_the_model(tmp_path, monkeypatch):
    folder = tiny_model(tmp_path)

    def fail(*_, **__):
        raise KeyError("layers")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", fail)
    with pytest.raises(ModelError, match="cannot be loaded as a qwen3 causal language model") as caught:
        load_model(folder)
    assert caught.value.code == "model.broken"


def test_a_model_on_the_cpu_is_loaded_without_a_device_map(tmp_path):
    model = load_model(tiny_model(tmp_path))
    assert getattr(model, "hf_device_map", None) is None
    assert not model.training


def test_code_is_refused_for_families_that_transformers_does_not_have(tmp_path):
    refuse_remote_code(tmp_path, {"model_type": "own"})
    refuse_remote_code(tmp_path, {"model_type": "qwen3", "auto_map": {}})
    for config in ({"model_type": "own", "auto_map": {}}, {"auto_map": {}}):
        with pytest.raises(ModelError) as caught:
            refuse_remote_code(tmp_path, config)
        assert caught.value.code == "model.remote-code"


def test_an_empty_vocabulary_fits_every_model(tmp_path):
    (tmp_path / "tokenizer.json").write_text('{"model": {"vocab": {}}}')
    for rows in (0, 1, 2):
        check_vocabulary(tmp_path, {"vocab_size": rows})


def test_transformers_is_quiet_within_and_as_loud_as_before_afterwards():
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    try:
        for verbosity, has_bars in ((logging.INFO, True), (logging.WARNING, False), (logging.CRITICAL, True)):
            logging.set_verbosity(verbosity)
            (logging.enable_progress_bar if has_bars else logging.disable_progress_bar)()
            with quiet_transformers():
                assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (logging.ERROR, False)
                warnings.warn("nobody sees this", UserWarning, stacklevel=1)
            assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (verbosity, has_bars)
            with pytest.raises(KeyError), quiet_transformers():
                raise KeyError
            assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (verbosity, has_bars)
    finally:
        logging.set_verbosity(before[0])
        (logging.enable_progress_bar if before[1] else logging.disable_progress_bar)()
