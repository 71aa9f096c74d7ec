"""Estimates the peak memory of a training from a model's shape, before anything is loaded.

The rule is fitted to measured peaks (`tests/train/test_footprint.py`) as an upper bound: what it reports as fitting,
fits.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

import torch

from burnish.models.quantization.layers import layers_of
from burnish.train.kernels.head import CHUNK

_MASTER, _GRADIENT, _STATES = 4, 4, 8
"""Bytes for each trained weight: its float32 master, the master's gradient, two float32 states."""
_FOUR_BITS = 0.5 + 4 / 64
"""Bytes for each weight in 4 bits: two weights in a byte, and a float32 scale for 64."""
STATES_IN_8_BITS = 2.1
"""Bytes of two states in 8 bits, with a float32 scale for 256 each."""


@dataclass(frozen=True)
class ModelShape:
    """The facts about the model that the rules use; widths are elements per token."""

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    attention: int
    """Of queries, keys and values together."""
    vocabulary: int
    context: int | None = None
    """The most tokens of a row, by the model's positions; None if its config has no limit."""
    learned_positions: bool = False
    """Positions are rows of an embedding: a longer row cannot be computed."""
    linear: int = 0
    """Parameters in the linear layers that can be held in 4 bits."""

    @classmethod
    def of(cls, config: Any) -> "ModelShape":
        """Count the weights of a transformers config without allocating them."""
        from transformers import AutoModelForCausalLM

        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        text = config.get_text_config()
        hidden, heads = text.hidden_size, _number(text, "num_attention_heads") or 1
        keys = _number(text, "num_key_value_heads") or heads
        dense = _number(text, "intermediate_size") or 4 * hidden
        sparse = (_number(text, "moe_intermediate_size") or 0) * (_number(text, "num_experts_per_tok") or 1)
        context = getattr(text, "max_position_embeddings", None)
        return cls(
            parameters=sum(weight.numel() for weight in model.parameters()),
            layers=text.num_hidden_layers,
            hidden=hidden,
            intermediate=max(dense, sparse),
            attention=(heads + 2 * keys) * (_number(text, "head_dim") or hidden // heads),
            vocabulary=text.vocab_size,
            context=context,
            learned_positions=context is not None and _learns_positions(model, context),
            linear=sum(model.get_submodule(path).weight.numel() for path in layers_of(model)),  # pyright: ignore
        )


@dataclass(frozen=True)
class Footprint:
    """The memory of one training, in bytes.

    `frees_gradients`: a weight's own gradient is freed as soon as it is added to its master's.
    """

    shape: ModelShape
    dtype: torch.dtype
    trained: int
    """Number of trained weights."""
    checkpointing: bool
    frees_gradients: bool = False
    quantized: int = 0
    """Number of frozen weights in 4 bits."""
    states: float = _STATES
    """Bytes of the optimizer's states for each trained weight."""

    @property
    def held(self) -> int:
        """Memory independent of the batch: weights and, for each trained one, master, gradient and states."""
        master = 0 if self.dtype == torch.float32 else _MASTER
        weights = (self.shape.parameters - self.quantized) * self.dtype.itemsize + int(self.quantized * _FOUR_BITS)
        return weights + int(self.trained * (master + _GRADIENT + self.states))

    def peak(self, tokens: int) -> int:
        """The peak of a step whose largest micro-batch has `tokens` tokens.

        Activations and the gradients of weights in bfloat16 take each other's place, and the larger of them counts: 20
        bytes for each parameter where all are trained and nothing is freed, 18 where gradients are.
        """
        activations = tokens * self.token + self.head(tokens)
        if self.quantized:  # a layer's weight is dequantized, in both passes
            activations += max(self.shape.intermediate, self.shape.attention) * self.shape.hidden * self.dtype.itemsize
        own = 0 if self.dtype == torch.float32 or self.frees_gradients else self.trained * self.dtype.itemsize
        return self.held + max(activations, own)

    @property
    def token(self) -> int:
        """Bytes that one token keeps for the backward pass.

        In each layer: norms their inputs in float32; attention its states before and after rotation, and in float32 on
        a CPU; the MLP four tensors. With gradient checkpointing, only the layer's input, and one layer's activations.
        """
        shape, size = self.shape, self.dtype.itemsize
        layer = shape.hidden * (12 + 3 * size) + shape.attention * (8 + 3 * size) + 4 * shape.intermediate * size
        return shape.layers * shape.hidden * size + layer if self.checkpointing else shape.layers * layer

    def head(self, tokens: int) -> int:
        """The logits of a chunk, in the product's dtype and in float32, their gradient, and that of a trained head."""
        size = self.dtype.itemsize
        logits = min(tokens, CHUNK) * self.shape.vocabulary * (4 if size == 4 else 4 + 2 * size)
        is_trained = self.trained >= self.shape.parameters
        return logits + (self.shape.vocabulary * self.shape.hidden * (4 + size) if is_trained else 0)

    def tokens_within(self, memory: float, most: int = 1 << 20) -> int:
        """The largest micro-batch, up to `most` tokens, whose peak fits into the given bytes; 0 if none does."""
        return bisect_right(range(1, most + 1), memory, key=self.peak)


def _number(config: Any, name: str) -> int | None:
    """A setting of a config, if it is one number for all layers."""
    value = getattr(config, name, None)
    return value if isinstance(value, int) and value > 0 else None


def _learns_positions(model: torch.nn.Module, context: int) -> bool:
    """True when a position embedding is about as long as the context (OPT's has two more rows)."""
    return any(
        isinstance(module, torch.nn.Embedding)
        and context <= module.num_embeddings <= context + 2
        and ("pos" in (name := path.rpartition(".")[2]) or name == "wpe")
        for path, module in model.named_modules()
    )
