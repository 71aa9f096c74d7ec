"""GGUF files of tiny models, and the logits of both sides."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.activations import GELUTanh

from burnish.export.gguf.shapes import Plan
from burnish.export.gguf.tensors import planned
from burnish.export.gguf.vocabulary import vocabulary_keys
from burnish.export.gguf.writer import write
from burnish.models.bases import tokenizer_folder
from burnish.models.engines.llama.model import LlamaModel
from burnish.models.load import load_model
from burnish.tokens.load import load_tokenizer
from families import save

FITTING: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": None},
    "gemma2": {"query_pre_attn_scalar": 8},
    "gemma3_text": {"query_pre_attn_scalar": 8},
    "qwen3_moe": {"norm_topk_prob": True, "num_local_experts": 4, "head_dim": 8},
}
"""What a GGUF file can say of each family, where the config of `families` differs."""
CHANGED: dict[tuple[str, str], Any] = {
    ("gemma2", "layer_types"): ["full_attention", "sliding_attention"],
    ("gemma3_text", "layer_types"): ["full_attention", "sliding_attention"],
    ("smollm3", "no_rope_layers"): [1, 0],
    ("mixtral", "num_experts_per_tok"): 1,
    ("qwen3_moe", "num_experts_per_tok"): 1,
    ("qwen3_moe", "mlp_only_layers"): [1],
    ("qwen2", "sliding_window"): 16,
    ("qwen3", "sliding_window"): 16,
    ("mistral", "sliding_window"): 16,
    ("mixtral", "sliding_window"): 16,
    ("phi3", "sliding_window"): 16,
    **{(family, "num_key_value_heads"): 4 for family in ("gemma2", "gemma3_text")},
}
"""Another value of fields whose kind does not give one."""


def save_fitting(family: str, folder: Path, **config: Any) -> Path:
    """A tiny model of the family that a GGUF file can hold, with `config` over it."""
    return save(family, folder, **{**FITTING.get(family, {}), **config})


def written(base: Path, file: Path, kind: str = "F32", name: str = "") -> tuple[Path, Plan]:
    """The model in a GGUF file; `name` is the one that the file says."""
    plan, weights = planned(base)
    rows = plan.keys[f"{plan.architecture}.vocab_size"]
    write(file, plan, weights, vocabulary_keys(load_tokenizer(tokenizer_folder(base)), rows, [], name), kind)
    return file, plan


def logits_of(file: Path, ids: list[int]) -> np.ndarray:
    """[ids, vocabulary] by llama.cpp."""
    model = LlamaModel(file)
    try:
        model.start(len(ids))
        return np.concatenate([scores.copy() for _, scores in model.scores(ids)])
    finally:
        model.close()


@torch.no_grad()
def reference_logits(base: Path, ids: list[int], *, half_gelu: bool = True) -> np.ndarray:
    """[ids, vocabulary] by transformers; `half_gelu` computes GELU as llama.cpp does, from and to 16 bits."""
    model = load_model(base, dtype=torch.float32)
    for module in model.modules() if half_gelu else ():
        if type(getattr(module, "act_fn", None)) is GELUTanh:
            module.act_fn = HalfGelu()
    return model(torch.tensor([ids])).logits[0].numpy()


class HalfGelu(torch.nn.Module):
    """ggml's table of GELU: the values of all 16-bit numbers, rounded to 16 bits."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.gelu(values.half().float(), approximate="tanh").half().float()
