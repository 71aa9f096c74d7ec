"""What llama.cpp calls each family: the names of its tensors, and the fields of its config as keys of a GGUF file.

    SHAPES["qwen3"].plan(config, weights)  →  keys, and for each tensor of the file the weight that it comes from

Everything that differs between families is in the table `SHAPES`. llama.cpp refuses a file with a tensor that it
does not know, or without one that it needs; a field of the config that nothing reads is refused here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from burnish.core.errors import ModelError
from burnish.export.gguf.rope import rope_factors, rope_keys
from burnish.export.gguf.settings import Settings

How = Literal["as it is", "plus one", "query", "key", "first half", "second half"]

_ATTENTION = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output"}
_BLOCK = {f"self_attn.{name}": mapped for name, mapped in _ATTENTION.items()} | {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_DENSE = {"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
_EXPERTS = {"mlp.gate": "ffn_gate_inp", "mlp.experts.down_proj": "ffn_down_exps"}
_HEAD_NORMS = {"self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
_GEMMA_NORMS = {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
_PHI = {"self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up"}


@dataclass(frozen=True)
class Source:
    """A tensor of the file: a weight of the model, and how it is written."""

    name: str
    weight: str
    how: How
    shape: tuple[int, ...]
    heads: int = 0
    """Of a query or key whose rows are put in another order."""

    def of(self, weight: torch.Tensor) -> torch.Tensor:
        """The tensor's values from those of the weight, both float32."""
        if self.how == "plus one":
            return weight + 1
        if self.how in ("query", "key"):
            return _interleaved(weight, self.heads)
        if self.how in ("first half", "second half"):
            return weight.chunk(2, dim=1)[self.how == "second half"]
        return weight


@dataclass(frozen=True)
class Plan:
    """What a GGUF file of a model holds, without its tokenizer."""

    architecture: str
    keys: Mapping[str, Any]
    """With the architecture before each."""
    sources: tuple[Source, ...]
    constants: Mapping[str, NDArray[np.float32]]
    """Tensors that are not among the weights, such as the factors of rotary positions."""
    notes: tuple[str, ...]
    """What differs from the config, in words."""
    layers: int
    experts: int
    is_tied: bool


@dataclass(frozen=True)
class Shape:
    """One family. `architecture` is llama.cpp's name of it."""

    architecture: str
    names: Mapping[str, str]
    """The parts of a layer by transformers' name."""
    activation: str = "silu"
    is_permuted: bool = False
    """Rotary positions turn neighbouring values, so rows of queries and keys are put in that order."""
    norm_plus_one: bool = False
    """Norms multiply by 1 + weight."""
    biases: tuple[str, ...] = ()
    """Fields of the config that add biases llama.cpp knows."""
    own_head_size: bool = True
    """Heads may have another size than the width divided by their number."""
    ropes: tuple[str, ...] = ("default", "linear", "yarn")
    partial_rope: bool = False
    """A part of each head may be rotated."""
    windows: Literal["none", "pattern"] = "none"
    """Whether llama.cpp knows layers that look only a window back."""
    may_untie: bool = True
    """The head may have weights of its own."""

    def plan(self, family: str, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> Plan:
        """The plan for a config with its defaults, and the shapes of the weights by transformers' name.

        Errors: ModelError `model.unsupported` for a field that a file cannot express, `model.broken` for weights that
        the config does not explain.
        """
        settings = Settings(family, config)
        layers, heads = int(settings.number("num_hidden_layers")), int(settings.number("num_attention_heads"))
        width, own = int(settings.number("hidden_size")), settings.get("head_dim")
        head_size = int(own or width // heads)
        key_heads = int(settings.get("num_key_value_heads", heads))
        if head_size * heads != width and not self.own_head_size:
            settings.refuse("head_dim", "heads have the size of the width divided by their number")
        keys: dict[str, Any] = {
            "block_count": layers,
            "context_length": int(settings.number("max_position_embeddings")),
            "embedding_length": width,
            "feed_forward_length": int(settings.number("intermediate_size")),
            "attention.head_count": heads,
            "attention.head_count_kv": key_heads,
            "attention.key_length": head_size,
            "attention.value_length": head_size,
            "attention.layer_norm_rms_epsilon": float(settings.number("rms_norm_eps")),
            "vocab_size": int(settings.number("vocab_size")),
        }
        settings.expect("hidden_act", self.activation)
        settings.expect("hidden_activation", self.activation)
        for name in ("attention_bias", "mlp_bias"):
            settings.expect(name, *((False, True) if name in self.biases else (False,)))
        is_tied = bool(settings.get("tie_word_embeddings", False))
        if not is_tied and not self.may_untie:
            settings.refuse("tie_word_embeddings", "the head is the embedding")
        notes: list[str] = []
        ropes, constants = self._ropes(settings, head_size, keys["context_length"])
        if ropes.get("context_length", keys["context_length"]) < keys["context_length"]:
            notes.append(
                f"rotary positions change beyond {ropes['context_length']:,} tokens (longrope), and llama.cpp changes "
                f"those of earlier tokens, too: the context of the file ends there, not at {keys['context_length']:,}"
            )
        keys |= ropes
        keys |= self._windows(settings, keys["context_length"], layers, notes) | self._family(settings, keys)
        experts = self._experts(settings)
        keys |= experts
        settings.refuse_unread()
        sources = tuple(self._sources(shapes, is_tied, heads, key_heads))
        prefixed = {f"{self.architecture}.{name}": value for name, value in keys.items()}
        count = int(experts.get("expert_count", 0))
        return Plan(self.architecture, prefixed, sources, constants, tuple(notes), layers, count, is_tied)

    def _ropes(
        self, settings: Settings, head_size: int, context: int
    ) -> tuple[dict[str, Any], Mapping[str, NDArray[np.float32]]]:
        field = "rope_parameters"
        rope: Mapping[str, Any] = settings.get(field, {})
        sizes: dict[str, Any] = {"head_size": head_size, "context": context, "may_be_partial": self.partial_rope}
        if "full_attention" in rope:
            keys = rope_keys(settings, rope["full_attention"], self.ropes, field, **sizes)
            window = rope_keys(settings, rope["sliding_attention"], ("default",), field, **sizes)
            return keys | {"rope.freq_base_swa": window["rope.freq_base"]}, {}
        return rope_keys(settings, rope, self.ropes, field, **sizes), rope_factors(rope, head_size)

    def _windows(self, settings: Settings, context: int, layers: int, notes: list[str]) -> dict[str, Any]:
        """The keys of layers that look a window back; where llama.cpp knows none, the context ends at the window."""
        window = settings.get("sliding_window")
        kinds = settings.get("layer_types", ())
        has_switch = settings.get("use_sliding_window", True)
        settings.get("max_window_layers")
        settings.get("_sliding_window_pattern")
        if unknown := sorted({*kinds} - {"full_attention", "sliding_attention"}):
            settings.refuse("layer_types", f"it knows no layers of kind {unknown[0]}")
        if self.windows == "pattern":
            if not window:
                settings.refuse("sliding_window", "layers look a window back")
            return {
                "attention.sliding_window": int(window),
                "attention.sliding_window_pattern": [kind == "sliding_attention" for kind in kinds],
            }
        slides = bool(window) and has_switch and (not kinds or "sliding_attention" in kinds)
        if not slides or int(window) >= context:
            return {}
        notes.append(
            f"layers look {int(window):,} tokens back, which llama.cpp does not do for {self.architecture}: the "
            f"context of the file ends there, not at {context:,}, so that it computes the same"
        )
        return {"context_length": int(window)}

    def _family(self, settings: Settings, keys: Mapping[str, Any]) -> dict[str, Any]:
        """The keys that only some families have."""
        found: dict[str, Any] = {}
        if self.architecture in ("gemma2", "gemma3"):
            settings.expect("use_bidirectional_attention", None, False)
            large = {"gemma2": 46, "gemma3": 62}[self.architecture]
            scaled = keys["attention.key_length"]
            if keys["block_count"] == large:
                scaled = keys["embedding_length"] // keys["attention.head_count"]
            settings.expect("query_pre_attn_scalar", scaled, float(scaled))
            if self.architecture == "gemma2":
                found["attn_logit_softcapping"] = float(settings.get("attn_logit_softcapping", 0.0))
                if not found["attn_logit_softcapping"]:
                    settings.refuse("attn_logit_softcapping", "the scores of attention are always capped")
            else:
                settings.expect("attn_logit_softcapping", None)
            if final := settings.get("final_logit_softcapping"):
                found["final_logit_softcapping"] = float(final)
        if self.architecture == "smollm3":
            step = int(settings.get("no_rope_layer_interval", 4))
            uses = list(settings.get("no_rope_layers", ()))
            if uses and uses != [int((layer + 1) % 4 != 0) for layer in range(keys["block_count"])]:
                settings.refuse("no_rope_layers", "every fourth layer has no rotary positions")
            if not uses and step != 4:
                settings.refuse("no_rope_layer_interval", "every fourth layer has no rotary positions")
        if self.architecture == "phi3":
            original = int(settings.get("original_max_position_embeddings", keys["context_length"]))
            found["rope.scaling.original_context_length"] = original
        return found

    def _experts(self, settings: Settings) -> dict[str, Any]:
        if "mlp.gate" not in self.names:
            return {}
        settings.expect("decoder_sparse_step", 1)
        settings.expect("mlp_only_layers", [], None)
        settings.expect("norm_topk_prob", True)
        found = {
            "expert_count": int(settings.number("num_local_experts")),
            "expert_used_count": int(settings.number("num_experts_per_tok")),
        }
        if (size := settings.get("moe_intermediate_size")) is not None:
            found["expert_feed_forward_length"] = int(size)
        return found

    def _sources(
        self, shapes: Mapping[str, tuple[int, ...]], is_tied: bool, heads: int, key_heads: int
    ) -> Iterable[Source]:
        for weight, shape in shapes.items():
            if weight == "lm_head.weight" and is_tied:
                continue
            yield from self._written(weight, shape, heads, key_heads)

    def _written(self, weight: str, shape: tuple[int, ...], heads: int, key_heads: int) -> Iterable[Source]:
        ends = {"model.embed_tokens.weight": "token_embd.weight", "lm_head.weight": "output.weight"}
        if weight in ends:
            yield Source(ends[weight], weight, "as it is", shape)
            return
        if weight == "model.norm.weight":
            yield Source("output_norm.weight", weight, "plus one" if self.norm_plus_one else "as it is", shape)
            return
        _, _, rest = weight.partition("model.layers.")
        number, _, part = rest.partition(".")
        if part == "mlp.experts.gate_up_proj" and "mlp.gate" in self.names:
            half = (shape[0], shape[1] // 2, *shape[2:])
            yield Source(f"blk.{number}.ffn_gate_exps.weight", weight, "first half", half)
            yield Source(f"blk.{number}.ffn_up_exps.weight", weight, "second half", half)
            return
        stem, _, kind = part.rpartition(".")
        if part in self.names:  # a stack of experts has no `.weight`
            stem, kind = part, "weight"
        if not number.isdigit() or stem not in self.names or kind not in ("weight", "bias"):
            raise ModelError(
                "model.unsupported",
                f"the weight '{weight}' has no name in a GGUF file of {self.architecture}",
                "serve the safetensors model with another engine, or use llama.cpp's own converter",
            )
        how: How = "as it is"
        if self.norm_plus_one and "norm" in stem:
            how = "plus one"
        if self.is_permuted and stem == "self_attn.q_proj":
            how = "query"
        if self.is_permuted and stem == "self_attn.k_proj":
            how = "key"
        yield Source(
            f"blk.{number}.{self.names[stem]}.{kind}", weight, how, shape, key_heads if how == "key" else heads
        )


def _interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """The rows of each head, first and second half in turn."""
    size = weight.shape[0] // heads // 2
    return weight.reshape(heads, 2, size, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


_LLAMA: dict[str, Any] = {
    "architecture": "llama",
    "is_permuted": True,
    "biases": ("attention_bias", "mlp_bias"),
    "ropes": ("default", "linear", "yarn", "llama3"),
}
_GEMMA: dict[str, Any] = {
    "names": _BLOCK | _DENSE | _HEAD_NORMS | _GEMMA_NORMS,
    "activation": "gelu_pytorch_tanh",
    "norm_plus_one": True,
    "windows": "pattern",
}
SHAPES: Mapping[str, Shape] = {
    "llama": Shape(names=_BLOCK | _DENSE, **_LLAMA),
    "mistral": Shape(names=_BLOCK | _DENSE, **_LLAMA),
    "mixtral": Shape(names=_BLOCK | _EXPERTS, **_LLAMA),
    "qwen2": Shape("qwen2", _BLOCK | _DENSE, own_head_size=False),
    "qwen3": Shape("qwen3", _BLOCK | _DENSE | _HEAD_NORMS),
    "qwen3_moe": Shape("qwen3moe", _BLOCK | _EXPERTS | _HEAD_NORMS),
    "gemma2": Shape("gemma2", may_untie=False, **_GEMMA),
    "gemma3_text": Shape("gemma3", **_GEMMA),
    "phi3": Shape(
        "phi3", _BLOCK | _DENSE | _PHI, own_head_size=False, ropes=("default", "longrope"), partial_rope=True
    ),
    "smollm3": Shape("smollm3", _BLOCK | _DENSE, is_permuted=True),
}
"""By transformers' `model_type`."""


def shape_of(family: str) -> Shape:
    """The shape of a family. Errors: ModelError `model.unsupported`."""
    if family not in SHAPES:
        raise ModelError(
            "model.unsupported",
            f"burnish has no mapping of the family {family} to GGUF; it has {', '.join(sorted(SHAPES))}",
            "set converter: file:…/convert_hf_to_gguf.py of llama.cpp; what it writes is proved and certified",
        )
    return SHAPES[family]
