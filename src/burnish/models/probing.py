"""Tests of a model before a faster path is used: their inputs, and when results agree."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from burnish.core.faults import first_line, is_out_of_memory

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

_LIMITS = re.compile(r"window|chunk|local_att|topk|budget|extent|block_size|mem_len|compress")
_NO_LIMITS = re.compile(r"layers|pattern|moe|group|feed_forward")
MARGIN, MOST = 4.0, 0.5
"""A difference of so many times the rounding of the model is explained by it, up to `MOST` of all."""
_ROPES_BY_LENGTH = {"longrope": "original_max_position_embeddings", "dynamic": "max_position_embeddings"}
"""Kinds of rotary embeddings whose angles change for every token once the text is longer than this setting."""


def causal_model(model: Any) -> "PreTrainedModel":
    """The causal language model inside PEFT's wrapper, if any; its adapters stay attached."""
    is_wrapped = hasattr(model, "get_base_model")  # `peft_config` is also an attribute of the model inside
    return model.get_base_model() if is_wrapped else model


def boundaries(config: "PreTrainedConfig") -> dict[str, int]:
    """Lengths in tokens, by setting of the config, beyond which a layer may behave differently.

    Windows, chunks, the tokens or blocks that sparse attention keeps, and the length at which rotary angles change.
    """
    found: dict[str, int] = {}
    for name, value in _integers(text_config(config).to_dict()):
        if value > 1 and _LIMITS.search(name) and not _NO_LIMITS.search(name):
            found[name] = max(value, found.get(name, 0))
    blocks = [value for name, value in found.items() if "block_size" in name or "compress" in name]
    for name in found:
        if "topk" in name or "budget" in name:  # in blocks, if the config has blocks
            found[name] *= max(blocks, default=1)
    if (length := length_of_rope(config)) is not None:
        found["rope_parameters"] = length
    return found


def length_of_rope(config: "PreTrainedConfig") -> int | None:
    """The length beyond which the rotary angles of all tokens change (LongRoPE, dynamic NTK); None if they do not."""
    text = text_config(config)
    rope = getattr(text, "rope_parameters", None) or {}
    kinds = [rope, *(part for part in rope.values() if isinstance(part, dict))]
    lengths = []
    for kind in kinds:
        if (name := _ROPES_BY_LENGTH.get(kind.get("rope_type", ""))) is not None:
            lengths.append(kind.get(name) or getattr(text, name, None))
    return min((length for length in lengths if length), default=None)


def text_config(config: "PreTrainedConfig") -> "PreTrainedConfig":
    """The part of a config that is about text."""
    return config.get_text_config(decoder=True)


def _integers(record: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _integers(value)
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, int) and not isinstance(number, bool):
                yield str(name), number


def random_ids(config: "PreTrainedConfig", lengths: list[int], seed: int = 0) -> list[Tensor]:
    """Rows of random token ids [length], without placeholders of images or audio and other special tokens."""
    special = {
        number
        for part in (config.to_dict(), text_config(config).to_dict())
        for name, number in _integers(part)
        if name.endswith(("_token_id", "_token_index"))
    }
    size = text_config(config).vocab_size
    plain = torch.tensor([number for number in range(size) if number not in special] or list(range(size)))
    random = torch.Generator().manual_seed(seed)
    return [plain[torch.randint(len(plain), (length,), generator=random)] for length in lengths]


def error_text(error: Exception) -> str:
    """The error of a failed test on one line. Running out of memory is not a result: it is raised again."""
    if is_out_of_memory(error):
        raise error
    return f"{type(error).__name__}: {first_line(error) or '-'}"


def distance(ours: Tensor, theirs: Tensor) -> float:
    """The distance of two tensors relative to the second; infinite if one is not finite."""
    ours, theirs = ours.float(), theirs.float()
    share = float((ours - theirs).norm() / theirs.norm().clamp_min(1e-20))
    return share if share == share else float("inf")


def off_by(ours: Tensor, theirs: Tensor, least: dict[torch.dtype, float], rounding: Callable[[], float]) -> str:
    """Empty when equal up to rounding, by the relative distance of the whole tensors."""
    share, allowed = distance(ours, theirs), least.get(theirs.dtype, 1e-4)
    if not share <= allowed:
        allowed = max(allowed, min(MARGIN * rounding(), MOST))
    return "" if share <= allowed else f"off by {share:.2g}, where rounding explains {allowed:.2g}"


def trunks(causal: "PreTrainedModel") -> list[nn.Module]:
    """What may give the last hidden states: the decoder that the model names, what that wraps, the base model."""
    decoder: Any = getattr(causal, "get_decoder", lambda: None)()
    inner = getattr(decoder, "model", None)  # Llama 4 names the whole as its decoder
    candidates = [decoder, inner, causal.base_model]
    return [module for module in candidates if isinstance(module, nn.Module) and module is not causal]


def side_of_masks(model: nn.Module, shortest: int) -> int:
    """Tokens of the largest mask that layers keep as a square buffer, 0 for none longer than `shortest`."""
    shapes = [buffer.shape for buffer in model.buffers() if buffer.dim() > 1]
    return max((shape[-1] for shape in shapes if shape[-1] == shape[-2] > shortest), default=0)


def drops_attention(config: Any) -> bool:
    """Whether the shares of attention are dropped in training."""
    settings = config.to_dict().items()
    return any(re.search("att.*drop", name) and isinstance(value, float) and value > 0 for name, value in settings)


def has_experts(model: nn.Module) -> bool:
    """True if the rounding of a token depends on how many others go to its expert."""
    return any("expert" in path for path, _ in model.named_modules())


def after_head(config: Any) -> tuple[float, float | None]:
    """(scale, soft cap) that a family applies to its logits: Cohere multiplies, Granite divides, Gemma 2 caps."""
    scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
    return scale, getattr(config, "final_logit_softcapping", None)


def beyond(limit: int) -> int:
    """Tokens of a row that passes a boundary so far that ignoring it is more than the rounding of bfloat16."""
    return limit + max(8, limit // 4)


def some_trained(model: nn.Module) -> list[nn.Parameter]:
    """The first and the last trained weights, a few million numbers at most where one is not larger by itself."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    chosen: list[nn.Parameter] = []
    for weight in [*trained[:4], *reversed(trained[-4:])]:
        if not chosen or sum(map(torch.numel, chosen)) + weight.numel() < 1 << 22:
            chosen += [weight] if all(weight is not other for other in chosen) else []
    return chosen


@torch.enable_grad()
def gradient(loss: Callable[[], Tensor], weights: list[nn.Parameter]) -> Tensor:
    found = torch.autograd.grad(loss(), weights, allow_unused=True)
    parts = [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]
    return torch.cat([part.flatten().float() for part in parts]).to(weights[0].dtype)


@contextmanager
def not_drawing(model: nn.Module) -> Iterator[None]:
    """Restore the random states of the CPU and of the model's device afterwards."""
    with torch.random.fork_rng(devices=list({weight.device for weight in model.parameters() if weight.is_cuda})):
        yield


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside the block; random states are restored afterwards."""
    was_training = model.training
    model.eval()
    try:
        with not_drawing(model):
            yield
    finally:
        model.train(was_training)
