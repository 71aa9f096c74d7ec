"""Every family of causal language models that transformers knows, each built at tiny size with random weights.

`FAMILIES` names them all; `build(family)` gives a model in some hundredths of a second, or raises `CannotBuildError`
with the reason. Sizes are shrunk by the names of the config's fields; `OVERRIDES` holds what a family's config needs
beside that. A model has one layer of each kind that its family has, and layers with a boundary see 16 tokens.

    from families import FAMILIES, build, save

    @pytest.mark.parametrize("family", BUILDABLE)
"""

import inspect
from collections.abc import Iterable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from burnish.models.quiet import quiet_transformers
from burnish.testing import tiny_tokenizer

FAMILIES: tuple[str, ...] = tuple(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
VOCABULARY, CONTEXT, WINDOW = 264, 512, 16
"""Of every model: ids that a prompt may hold, tokens of context, and how far a layer with a boundary looks."""

_WIDTHS = ("hidden_size", "embedding_size", "word_embed_proj_dim", "attention_hidden_size", "lru_width")
_WIDTHS += ("hidden_size_global", "input_embedding_size", "output_embedding_size")
_CONTEXTS = ("max_position_embeddings", "max_target_positions", "max_seq_len", "model_max_length", "context_length")
_CONTEXTS += ("n_ctx", "original_max_position_embeddings")
# sizes by the name of a field, after the config's own aliases (`n_embd` is `hidden_size`)
SIZES: dict[str, Any] = {
    **dict.fromkeys(
        ("vocab_size", "decoder_vocab_size", "vocab_size_per_layer_input", "unpadded_vocab_size", "n_words", "n_token"),
        VOCABULARY,
    ),
    **dict.fromkeys(_WIDTHS, 32),
    **dict.fromkeys(("num_attention_heads", "encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "kv_n_heads"), 2),
    **dict.fromkeys(("head_dim", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "d_head", "index_head_dim"), 8),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "decoder_ffn_dim", "encoder_ffn_dim"), 48),
    **dict.fromkeys(_CONTEXTS, CONTEXT),
    **dict.fromkeys(("initializer_range", "init_std", "initializer_factor", "embed_init_std"), 0.2),
    **dict.fromkeys(("num_local_experts", "num_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "moe_k", "moe_top_k"), 2),
    "n_group": 2,
    "topk_group": 1,
    "num_kv_shared_layers": 0,
    "rotary_dim": 4,
    "time_step_rank": 2,
    **dict.fromkeys(("mamba_n_heads", "num_mamba_heads", "mamba_num_heads"), 8),
    "mamba_d_ssm": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "is_decoder": True,
    # how far layers with a boundary see
    **dict.fromkeys(("sliding_window", "attention_chunk_size", "local_attention", "window_size"), WINDOW),
    **dict.fromkeys(("sliding_window_size", "attention_window_size", "index_topk", "keep_window_size"), WINDOW),
    **dict.fromkeys(("local_attn_chunk_length", "lsh_attn_chunk_length", "rel_extent"), WINDOW),
}
_LAYERS = ("num_hidden_layers", "num_layers", "decoder_layers", "encoder_layers", "num_blocks")
_KINDS = ("layer_types", "mlp_layer_types", "layers_block_type", "indexer_types")
_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
_SSM = {"mamba_n_heads": 8, "mamba_d_head": 8}
OVERRIDES: dict[str, dict[str, Any]] = {
    "bamba": {**_SSM, "attn_layer_indices": [1]},
    "falcon_h1": _SSM,
    "granitemoehybrid": {**_SSM, "layer_types": ["linear_attention", "full_attention"]},
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 2},
    "nemotron_h": {"mamba_num_heads": 8, "mamba_head_dim": 8, "n_groups": 2, "ssm_state_size": 16},
    "cohere_compass_text": {
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {"sliding_attention": _ROPE, "full_attention": _ROPE},
    },
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8.0}},
    "deepseek_v2": {"num_experts_per_tok": 2, "topk_group": 1, "n_group": 1},
    "dots3_note_text": {
        "sliding_window": WINDOW,
        **{f"swa_{name}": 4 for name in ("num_attention_heads", "num_key_value_heads")},
        **{f"swa_{name}": 8 for name in ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")},
        "swa_q_lora_rank": 16,
        "swa_head_dim": 16,
    },
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "nemotron": {"num_key_value_heads": 2},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "prophetnet": {"relative_max_distance": 128},
    "qwen4_exp_text": {
        "indexer_n_heads": 4,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 8,
        "indexer_budget": WINDOW,
        "indexer_compress_ratio": 4,
    },
    "xlstm": {"hidden_size": 128, "embedding_dim": 128, "num_heads": 4},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "n_group": 1},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "zamba": {
        "num_hidden_layers": 4,
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
        "num_key_value_heads": 4,
        "attention_head_dim": 16,
        "attention_hidden_size": 64,
    },
    "recurrent_gemma": {"block_types": ["recurrent", "attention"]},
    "reformer": {
        "axial_pos_shape": [16, 32],
        "axial_pos_embds_dim": [16, 16],
        "attention_head_size": 8,
        "attn_layers": ["local", "lsh"],
    },
    "zaya": {"num_experts_per_tok": 1},
    "xmod": {"default_language": "en_XX"},
    "xlm": {"n_langs": 1, "causal": True},
    "xlnet": {"attn_type": "uni", "vocab_size": VOCABULARY},
}


UNBUILDABLE: dict[str, str] = {
    "dots3_note": "its text model is the family dots3_note_text",
    "gemma3n": "its image encoder needs timm; its text model is the family gemma3n_text",
    "gemma4_assistant": "drafts tokens for another model and has no keys and values of its own",
    "gemma4_unified_assistant": "drafts tokens for another model and has no keys and values of its own",
    "musicgen": "its config is that of a whole music generator; it is no model of text",
    "musicgen_melody": "its config is that of a whole music generator; it is no model of text",
}
"""Families that are not built here, and why; a test holds this list true."""
BUILDABLE = tuple(family for family in FAMILIES if family not in UNBUILDABLE)


class CannotBuildError(Exception):
    """A family that transformers cannot build as a language model of text at this size; the message says why."""


@cache
def config_of(family: str) -> PreTrainedConfig:
    """The shrunk config of a family. Errors: CannotBuildError."""
    try:
        with quiet_transformers():
            return _shrunk(CONFIG_MAPPING[family], OVERRIDES.get(family, {}))
    except Exception as error:
        raise CannotBuildError(_first_line(error)) from error


def build(family: str, seed: int = 0, **overrides: Any) -> PreTrainedModel:
    """A new model of that family, float32, in eval mode; `overrides` are fields of its config.

    Errors: CannotBuildError.
    """
    config = config_of(family)
    try:
        with quiet_transformers(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            config = type(config).from_dict({**config.to_dict(), **deepcopy(overrides)})
            return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    except Exception as error:
        raise CannotBuildError(_first_line(error)) from error


def save(family: str, folder: Path, seed: int = 0, **overrides: Any) -> Path:
    """Write that model, with the tokenizer of bytes, as a hub lays it out; gives the folder.

    Errors: CannotBuildError.
    """
    with quiet_transformers():
        build(family, seed, **overrides).save_pretrained(folder)
    return tiny_tokenizer(folder)


def token_ids(count: int, length: int, seed: int = 0) -> torch.Tensor:
    """Random ids [count, length] that every family embeds, none of them special."""
    return torch.randint(4, 200, (count, length), generator=torch.Generator().manual_seed(seed))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["-"]
    return f"{type(error).__name__}: {' '.join(lines[:2])[:200]}"


def _shrunk(kind: type[PreTrainedConfig], overrides: dict[str, Any]) -> PreTrainedConfig:
    try:
        default: PreTrainedConfig | None = kind()
    except Exception:
        default = None
    aliases = {name: alias for alias, name in kind.attribute_map.items()}
    settings: dict[str, Any] = {}
    layers = 2
    for name in _own_fields(kind):
        value = _value(default, name)
        if name in kind.sub_configs:
            if isinstance(value, PreTrainedConfig):
                settings[name] = _shrunk(type(value), OVERRIDES.get(value.model_type, {})).to_dict()
            continue
        canonical = aliases.get(name, name)
        if name in _KINDS and isinstance(value, list | tuple):
            settings[name] = list(dict.fromkeys(value))
            layers = max(layers, len(settings[name]))
        elif canonical in _LAYERS:
            settings[name] = layers
        elif canonical in SIZES:
            if value is not None or canonical == "head_dim" or canonical.endswith("token_id"):
                settings[name] = SIZES[canonical]
        elif canonical.endswith(("token_id", "token_index")):
            if isinstance(value, int) and value >= VOCABULARY:
                settings[name] = 200 + len(settings) % 50
        elif isinstance(value, int) and not isinstance(value, bool) and value > 32:
            settings[name] = 16
    if "qk_rope_head_dim" in settings and "num_key_value_heads" in settings:
        settings["num_key_value_heads"] = SIZES["num_attention_heads"]  # latent attention gives every head its keys
    for name in settings:
        if aliases.get(name, name) in _LAYERS:
            settings[name] = layers
        elif name in _KINDS:
            settings[name] += settings[name][-1:] * (layers - len(settings[name]))
    return kind(**{**settings, **overrides})


def thinned(families: Iterable[str], first: int, every: int = 3) -> list[Any]:
    """The families of a long test: each `every`-th one from `first` in `make test`, the others in `make torture`.

    Tables with different `first` together have every family.
    """
    names = sorted(families)
    return [
        pytest.param(family, id=family, marks=() if place % every == first else pytest.mark.torture)
        for place, family in enumerate(names)
    ]


def _own_fields(kind: type[PreTrainedConfig]) -> Iterator[str]:
    for name, parameter in inspect.signature(kind.__init__).parameters.items():
        if name not in ("self", "transformers_version") and parameter.kind is not parameter.VAR_KEYWORD:
            yield name


def _value(config: PreTrainedConfig | None, name: str) -> Any:
    if config is None:
        return None
    return config.__dict__.get(name)  # some refuse an attribute that differs from layer to layer
