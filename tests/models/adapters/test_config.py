"""The config of an adapter from elsewhere: a wrong value is named with its file and field, and a right one is read."""

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from burnish.core.errors import ModelError
from burnish.models.adapters.config import read_adapter_config
from burnish.models.load import load_model
from burnish.models.merge import merge_adapter
from burnish.testing import tiny_model

PATTERNS = [{}, None, {"q_proj": 3}, {r".*\.q_proj": 8, "v_proj": 1}]
NO_PATTERNS = ["q_proj", 3, ["q_proj"], {"q_proj": "3"}, {"q_proj": None}, {"q_proj": True}, {"(": 3}]
RIGHT = {
    "r": [1, 16],
    "lora_alpha": [8, 0.5, -1],
    "rank_pattern": PATTERNS,
    "alpha_pattern": [*PATTERNS, {"q_proj": 0}, {"q_proj": -2.5}],
    "target_modules": ["all-linear", ["q_proj"], [], None],
    "modules_to_save": [["lm_head"], [], None],
    "lora_dropout": [0, 0.0, 0.5],
    "use_dora": [True, False, 0, 1, None],
    "use_rslora": [True, False, 0, 1, None],
    "fan_in_fan_out": [True, False, 0, 1, None],
    "bias": ["none", "all", "lora_only"],
}
WRONG = {
    "r": ["4", 0, -1, None, 2.5, True, [4]],
    "lora_alpha": ["8", None, True, [8], {}],
    "rank_pattern": [*NO_PATTERNS, {"q_proj": 0}, {"q_proj": -1}, {"q_proj": 2.5}],
    "alpha_pattern": NO_PATTERNS,
    "target_modules": [3, True, [3], ["q_proj", None], {"q_proj": 1}],
    "modules_to_save": ["lm_head", 3, [3], {}],
    "lora_dropout": ["0", None, True, []],
    "use_dora": ["yes", 2, []],
    "use_rslora": ["no", 2, []],
    "fan_in_fan_out": ["", 2, []],
    "bias": ["some", None, True, []],
}


def written(folder, **fields):
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"} | fields))
    return folder


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in RIGHT.items() for v in values], ids=str)
def test_a_right_value_is_read(tmp_path, field, value):
    assert read_adapter_config(written(tmp_path, **{field: value})) == {"peft_type": "LORA", field: value}


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in WRONG.items() for v in values], ids=str)
def test_a_wrong_value_is_named_with_its_file_and_field(tmp_path, field, value):
    with pytest.raises(ModelError) as caught:
        read_adapter_config(written(tmp_path, **{field: value}))
    assert caught.value.code == "model.wrong-adapter"
    assert caught.value.what.startswith(f"{tmp_path / 'adapter_config.json'}: {field}: {value!r} is not ")


def test_a_config_without_fields_is_that_of_peft(tmp_path):
    assert read_adapter_config(written(tmp_path)) == {"peft_type": "LORA"}


@pytest.mark.filterwarnings("ignore::UserWarning")  # PEFT on copies and tied weights
@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT asks transformers by names that have gone old
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("target", ["embed_tokens", "lm_head"])
def test_a_copy_of_the_base_beside_an_adapter_is_read_over_if_it_is_one_and_refused_if_not(tmp_path, target, tied):
    base = tiny_model(tmp_path / "base", tie_word_embeddings=tied)
    config = LoraConfig(r=2, target_modules=["q_proj", target], init_lora_weights=False)
    model = get_peft_model(load_model(base), config)
    model.save_pretrained(tmp_path / "with")
    model.save_pretrained(tmp_path / "without", save_embedding_layers=False)
    with_copy, without = (load_model(tmp_path / name).state_dict() for name in ("with", "without"))
    assert all(torch.equal(weight, without[name]) for name, weight in with_copy.items())
    for name in ("with", "without"):
        merge_adapter(tmp_path / name, base, tmp_path / f"merged-{name}")
    merged = [load_file(tmp_path / f"merged-{name}" / "model.safetensors") for name in ("with", "without")]
    assert merged[0].keys() == merged[1].keys()
    assert all(torch.equal(weight, merged[1][name]) for name, weight in merged[0].items())
    file = tmp_path / "with" / "adapter_model.safetensors"
    tensors = load_file(file)
    (copy,) = (name for name in tensors if name.endswith(".base_layer.weight"))
    tensors[copy][3, 1] += 0.5
    save_file(tensors, file)
    for use in (load_model, lambda folder: merge_adapter(folder, base, tmp_path / "refused")):
        with pytest.raises(ModelError, match="with other values than the base has") as caught:
            use(tmp_path / "with")
        assert (caught.value.code, f"'{copy}'" in caught.value.what) == ("model.wrong-adapter", True)
