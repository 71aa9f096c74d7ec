"""How far a merged model is from the trained one, where the adapter was trained on a base in 4 bits.

Compared are the distributions of the next token on a short text, which is part of this file.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from burnish.core.errors import BurnishError
from burnish.core.files import file_size
from burnish.models.adapters.attach import load_adapter
from burnish.models.bases import Source, tokenizer_folder
from burnish.models.device import inference_dtype, pick_device
from burnish.models.load import describe, load_model, load_plain
from burnish.models.quantization.record import Quantization
from burnish.models.reward import is_reward_adapter
from burnish.tokens.load import load_tokenizer
from burnish.train.resolve import Machine

if TYPE_CHECKING:
    from torch import Tensor

_TEXT = """The harbour was quiet when the survey began. Two boats left at six in the morning with 14 people on board and
measured the depth of the channel every fifty metres. "Nothing has changed since 2019," said the captain, but the
records show otherwise: the northern bank has moved 120 m to the east.

def mean(values):
    return sum(values) / len(values)

Question: What is 17 * 3?
Answer: 17 * 3 = 51.
"""
_LONGEST = 256
_SHARE_OF_MEMORY = 0.6


@dataclass(frozen=True)
class Deviation:
    """Of the merged model from the trained one, over the tokens of the text."""

    tokens: int
    kl: float
    """Mean KL divergence, in nats per token."""
    same_top: float
    """Share of tokens for which both find the same next token likeliest."""
    adapter_kl: float
    """What the adapter itself changes, for comparison: the divergence of the base in 4 bits from the trained model."""


def deviation(adapter: Path, base: Source, quantization: Quantization, merged: Path) -> Deviation | str:
    """The deviation of the model in `merged`, or why it was not measured."""
    if is_reward_adapter(adapter):
        return "a reward model has no next token"
    device = pick_device("auto")
    dtype = inference_dtype(device) or torch.bfloat16
    needed, free = describe(merged).parameters * dtype.itemsize, Machine.here().memory_of(device.type)
    if needed > _SHARE_OF_MEMORY * free:
        return f"the merged model takes {file_size(needed)} of the {file_size(free)} of free memory"
    try:
        tokenizer = load_tokenizer(tokenizer_folder(merged))
    except BurnishError as error:
        return error.what
    ids = torch.tensor([tokenizer(_TEXT)["input_ids"][:_LONGEST]], device=device)
    trained: Any = load_adapter(load_plain(base, dtype=dtype, device=device, quantization=quantization), adapter)
    expected = _log_shares(trained, ids)
    with trained.disable_adapter():
        without = _log_shares(trained, ids)
    del trained
    found = _log_shares(load_model(merged, dtype=dtype, device=device), ids)
    return Deviation(
        tokens=ids.shape[1],
        kl=_divergence(expected, found),
        same_top=float((expected.argmax(-1) == found.argmax(-1)).float().mean()),
        adapter_kl=_divergence(expected, without),
    )


@torch.no_grad()
def _log_shares(model: Any, ids: "Tensor") -> "Tensor":
    """Log-probabilities of the next token [T, V]."""
    return model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(-1)


def _divergence(expected: "Tensor", found: "Tensor") -> float:
    return float((expected.exp() * (expected - found)).sum(-1).mean())
