"""The masked-language-model loss of an encoder, such as BERT, on texts.

Tokens are masked in one of two ways; a masked token is always replaced by the mask token, and special tokens never are:

    a share      that share of a chunk's tokens (rounded, at least one), chosen by a seed, its row and the chunk
    each         each token alone, one forward pass for each: pseudo-perplexity (Salazar et al. 2020)

loss = Σ -ln p(token | the rest) / masked tokens. It is no likelihood of the text, and differs from that of a causal
model.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from burnish.evals.likelihood import Likelihood
from burnish.evals.measure import Item
from burnish.evals.scoring.scorers import Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BATCH = 16


def measure_masked(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    rows: Sequence[Row],
    tick: Callable[[str, int, int], None],
    *,
    share: float,
    each: bool,
    seed: int,
    max_length: int,
) -> list[Item]:
    """The loss of each text, as the likelihood of its item without bytes; a row without text has none."""
    items: list[Item] = []
    for done, row in enumerate(rows):
        if done % 8 == 0:
            tick("masked loss", done, len(rows))
        item = Item()
        for number, ids in enumerate(chunks(tokenizer, str(row.get("text") or ""), max_length)):
            patterns = list(masks(tokenizer, ids, share, each, f"{seed} {row['id']} {number}"))
            for first in range(0, len(patterns), _BATCH):
                nats = _nats(model, tokenizer, ids, patterns[first : first + _BATCH])
                count = float(sum(map(len, patterns[first : first + _BATCH])))
                item.likelihood = (item.likelihood or Likelihood()) + Likelihood(nats, count, 0.0)
        if item.likelihood is None:
            item.unanswered = "the row has no text"
        items.append(item)
    tick("masked loss", len(rows), len(rows))
    return items


def chunks(tokenizer: "PreTrainedTokenizerBase", text: str, max_length: int) -> Iterator[list[int]]:
    """The ids of a text in pieces of at most `max_length`, each with the tokenizer's special tokens."""
    inner, whole = tokenizer.encode(text, add_special_tokens=False), tokenizer.encode(text)
    added = len(whole) - len(inner)
    begin = next((place for place in range(added + 1) if whole[place : place + len(inner)] == inner), 0)
    before, after = whole[:begin], whole[begin + len(inner) :]
    size = max(1, max_length - added)
    for start in range(0, len(inner), size):
        yield [*before, *inner[start : start + size], *after]


def masks(
    tokenizer: "PreTrainedTokenizerBase", ids: Sequence[int], share: float, each: bool, name: str
) -> Iterator[list[int]]:
    """The places that are masked in each forward pass."""
    special = set(tokenizer.all_special_ids)
    places = [place for place, token in enumerate(ids) if token not in special]
    if each:
        yield from ([place] for place in places)
    elif places:
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
        count = max(1, round(share * len(places)))
        yield sorted(np.random.default_rng(seed).choice(places, size=count, replace=False).tolist())


@torch.inference_mode()
def _nats(
    model: Any, tokenizer: "PreTrainedTokenizerBase", ids: Sequence[int], patterns: Sequence[Sequence[int]]
) -> float:
    whole = torch.tensor([list(ids)] * len(patterns), device=model.device)
    masked = whole.clone()
    for number, places in enumerate(patterns):
        masked[number, list(places)] = tokenizer.mask_token_id  # pyright: ignore[reportArgumentType]
    log_probs = model(input_ids=masked, attention_mask=torch.ones_like(masked)).logits.float().log_softmax(-1)
    chosen = log_probs.gather(-1, whole[..., None])[..., 0]
    return -sum(float(chosen[number, list(places)].double().sum()) for number, places in enumerate(patterns))
