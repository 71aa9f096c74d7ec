"""vLLM has one scale for all modules of an adapter: PEFT says which adapters have another one somewhere."""

import pytest
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer

from burnish.models.adapters.vllm import reason_not_loaded
from burnish.models.load import load_model, quiet_transformers
from burnish.testing import tiny_model

Q, V = "q_proj", "v_proj"
CONFIGS = {
    "plain": {},
    "a rank of its own": {"rank_pattern": {Q: 16}},
    "an alpha of its own": {"alpha_pattern": {Q: 32}},
    "both, of the same scale": {"rank_pattern": {Q: 16}, "alpha_pattern": {Q: 32}},
    "both, of the same scale only without rsLoRA": {
        "rank_pattern": {Q: 16},
        "alpha_pattern": {Q: 32},
        "use_rslora": True,
    },
    "both, of the same scale with rsLoRA": {"rank_pattern": {Q: 32}, "alpha_pattern": {Q: 32}, "use_rslora": True},
    "patterns of the same values": {"rank_pattern": {Q: 8}, "alpha_pattern": {V: 16}},
    "patterns that meet in another order": {
        "rank_pattern": {Q: 16, "self_attn.q_proj": 8},
        "alpha_pattern": {"self_attn.q_proj": 16, Q: 32},
    },
    "two modules, one of another scale": {"rank_pattern": {Q: 16, V: 16}, "alpha_pattern": {Q: 32, V: 16}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model") / "m")


@pytest.mark.parametrize("name", CONFIGS)
def test_vllm_gets_adapters_of_one_scale_alone(name, folder):
    config = LoraConfig(**{"r": 8, "lora_alpha": 16, "target_modules": [Q, V], **CONFIGS[name]})
    with quiet_transformers():
        model = get_peft_model(load_model(folder), config)
    scales = {layer.scaling["default"] for layer in model.modules() if isinstance(layer, LoraLayer)}
    as_vllm = 16 / (8**0.5 if config.use_rslora else 8)
    reason = reason_not_loaded(config.to_dict())
    assert (reason == "") == (scales == {as_vllm}), (reason, scales)
    if reason:
        assert reason == "adapters with another scale (alpha / rank) for some modules"
