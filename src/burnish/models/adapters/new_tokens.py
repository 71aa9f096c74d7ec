"""Trains rows of the embedding and the head with an adapter: PEFT's `trainable_token_indices`.

    TrainedTokens(ids, new)      which rows; those of new tokens start at the mean of all others
    tokens_of(config)            the rows that an adapter's config names
    grow(model, rows)            more rows, for ids beyond the embedding

The rows are in the adapter's file: they replace those of the base, and where the base has none, it grows.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from burnish.core.errors import ModelError
from burnish.core.faults import first_line
from burnish.models.adapters.targets import ends_with
from burnish.models.probing import distance, random_ids

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

FIELD = "trainable_token_indices"
"""In PEFT's config: ids, or ids by the name of a module."""
_ROUNDING = 1e-2
"""Relative: a copy of the weights may take another kernel."""


@dataclass(frozen=True)
class TrainedTokens:
    """The tokens whose rows are trained."""

    ids: Sequence[int]
    """Ascending."""
    new: Sequence[int]
    """Those among them that the base's tokenizer does not have."""


def tokens_of(config: Mapping[str, Any]) -> list[int]:
    """The ids of all rows that an adapter trains, ascending."""
    found = config.get(FIELD) or []
    return sorted({number for ids in (found.values() if isinstance(found, dict) else [found]) for number in ids})


def peft_setting(model: "PreTrainedModel", tokens: TrainedTokens, named: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The value of `FIELD`: the embedding, and the head unless it shares the embedding's weight.

    `named` are the modules that are trained as a whole, by the setting that names them. Errors: ModelError
    `model.unsupported` if embedding or head are among them, for a head with a bias, which PEFT leaves out, and for an
    unknown kind of embedding.
    """
    embedding, head = _ends(model)
    if not isinstance(embedding, nn.Embedding):
        raise _unsupported(model, "its embedding is of an unknown kind")
    if getattr(head, "bias", None) is not None:
        raise _unsupported(model, "its head has a bias")
    paths = {module: path for path, module in model.named_modules()}
    for setting, names in named.items():
        taken = [name for name in names for end in (embedding, head) if end in paths and ends_with(paths[end], name)]
        if taken:
            raise ModelError(
                "model.unsupported",
                f"new_tokens cannot be combined with {setting}: {taken[0]}, which trains every row",
                f"remove {taken[0]} from method.{setting}, or new_tokens",
            )
    is_tied = head is None or head.weight is embedding.weight
    return {paths[module]: list(tokens.ids) for module in ([embedding] if is_tied else [embedding, head])}


def grow(model: "PreTrainedModel", rows: int) -> None:
    """Give embedding and head at least so many rows; the new ones are the mean of the others.

    Errors: ModelError `model.unsupported` for a model with other tensors of this size, or that transformers cannot
    resize.
    """
    before = len(_ends(model)[0].weight)
    if before >= rows:
        return
    if obstacle := _obstacle(model, before):
        raise _unsupported(model, obstacle)
    try:
        model.resize_token_embeddings(rows, mean_resizing=False)
    except (AttributeError, NotImplementedError, TypeError) as error:
        raise _unsupported(model, f"transformers cannot resize its embedding: {first_line(error)}") from error
    ends = [end for end in _ends(model) if end is not None]
    if any(len(end.weight) != rows for end in ends):
        raise _unsupported(model, "transformers does not resize its embedding")
    with torch.no_grad():
        for weight in {id(end.weight): end.weight for end in ends}.values():
            weight[before:] = weight[:before].float().mean(0).to(weight.dtype)


def _obstacle(model: "PreTrainedModel", rows: int) -> str:
    """Why an embedding of so many rows cannot grow; empty if it can."""
    embedding, head = _ends(model)
    config = model.config.get_text_config()
    if config.vocab_size != rows or (head is not None and len(head.weight) != rows):
        return "embedding, head and vocabulary differ in size"
    own = {id(end.weight) for end in (embedding, head) if end is not None}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if id(tensor) not in own and rows in tensor.shape:
            return f"'{name}' has an entry for each token too"
    named = (name for name, value in config.to_dict().items() if name.endswith("vocab_size") and value == rows)
    other = next((name for name in named if name != "vocab_size"), None)
    return "" if other is None else f"its config has another {other}"


@torch.no_grad()
def start_at_mean(adapted: "PeftModel", tokens: TrainedTokens) -> None:
    """Set the rows of new tokens to the mean of the rows of all tokens before them, in float32."""
    if not tokens.new:
        return
    places = [place for place, number in enumerate(tokens.ids) if number in set(tokens.new)]
    for layer in _layers(adapted):
        rows = layer.trainable_tokens_delta["default"]
        rows.data = rows.data.float()
        rows[places] = layer.get_base_layer().weight[: min(tokens.new)].float().mean(0)


@contextmanager
def unchanged_outputs(model: "PreTrainedModel", tokens: TrainedTokens) -> Iterator[None]:
    """ModelError `model.unsupported` if embedding or head give something else for other tokens after the block.

    PEFT computes them itself, and knows some families only.
    """
    before = _outputs(model, tokens)
    yield
    for name, one, other in zip(("embedding", "head"), before, _outputs(model, tokens), strict=False):
        if distance(other, one) > _ROUNDING:
            raise _unsupported(model, f"PEFT computes another {name}")


@torch.no_grad()
def _outputs(model: "PreTrainedModel", tokens: TrainedTokens) -> list[Tensor]:
    """What embedding and head give for a few tokens that are not trained."""
    embedding, head = _ends(model)
    trained = set(tokens.ids)
    ids = [number for number in random_ids(model.config, [16])[0].tolist() if number not in trained]
    embedded = embedding(torch.tensor([ids], device=model.device))
    if head is None:
        return [embedded]
    states = torch.linspace(-1, 1, head.weight.shape[1], device=model.device, dtype=head.weight.dtype)
    logits = head(states[None, None])
    others = [number for number in range(logits.shape[-1]) if number not in trained]
    return [embedded, logits[..., others]]


def _layers(model: nn.Module) -> Iterator[Any]:
    from peft.tuners.trainable_tokens import TrainableTokensLayer

    for module in model.modules():
        if isinstance(module, TrainableTokensLayer) and module.tied_adapter is None:
            yield module


def _ends(model: "PreTrainedModel") -> tuple[Any, Any]:
    return model.get_input_embeddings(), model.get_output_embeddings()


def _unsupported(model: "PreTrainedModel", why: str) -> ModelError:
    return ModelError(
        "model.unsupported",
        f"new tokens cannot be trained in this {model.config.model_type} model: {why}",
        "remove method.new_tokens, or use a model of another family",
    )
