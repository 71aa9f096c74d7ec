"""Makes a loaded model ready for a training: dtypes of adapters, gradient checkpointing, its embedding checked."""

from typing import Any

import torch
from torch import nn

from burnish.core.errors import ModelError
from burnish.models.adapters.initial import fixed_matrices
from burnish.models.probing import causal_model
from burnish.models.value_head import HEAD
from burnish.tokens.tokenised import TokenisedRows


def check_tokens(model: nn.Module, *splits: TokenisedRows | None) -> None:
    """ModelError `model.broken` when the rows have tokens outside the model's embedding."""
    embedding: Any = causal_model(model).get_input_embeddings()
    embedded = len(embedding.weight)
    highest = max(int(split.ids.max()) for split in splits if split is not None)
    if highest >= embedded:
        raise ModelError(
            "model.broken",
            f"the rows hold token id {highest}, but the model embeds only {embedded} tokens",
            "use the tokenizer that belongs to the model, or resize the model's embedding",
        )


def longest(*splits: TokenisedRows | None) -> int:
    """Tokens of the longest sequence."""
    return max(int(split.sequence_lengths.max(initial=0)) for split in splits if split is not None)


def cast_trained(model: nn.Module, dtype: torch.dtype) -> None:
    """Cast adapters to the run's dtype; their float32 masters are in the optimizer.

    Those of DoRA stay in float32, as in PEFT: the norm of weight and change together loses more than rounding. So do
    those that start from the base's weights: an update is small beside them.
    A value head stays in float32, too. A full model is loaded in that dtype, except for weights that its family keeps
    in float32.
    """
    configs: Any = getattr(model, "peft_config", {})
    is_dora = any(getattr(config, "use_dora", False) for config in configs.values())
    stays = is_dora or bool(fixed_matrices(model))
    for name, weight in model.named_parameters():
        if weight.requires_grad and not (stays and ".lora_" in name) and f".{HEAD}." not in name:
            weight.data = weight.data.to(dtype)


def recompute_activations(model: nn.Module) -> None:
    """Switch gradient checkpointing on."""
    causal = causal_model(model)
    try:  # older versions of transformers use another name
        enable = causal.activation_checkpointing_enable
    except AttributeError:
        enable = causal.gradient_checkpointing_enable
    enable({"use_reentrant": False})
