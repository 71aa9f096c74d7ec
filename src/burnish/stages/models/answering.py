"""What `evaluate`, `compare` and `generate` share: the rows to answer, and the tokenizers of one or two models."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from burnish.core.context import Context, Input
from burnish.core.errors import AskError, DataError
from burnish.core.events import Note
from burnish.data.dataset import open_rows, split_of
from burnish.evals.measure import as_chat
from burnish.evals.scoring.scorers import Row
from burnish.specs.base import Spec
from burnish.specs.evals import MeasuringSpec
from burnish.specs.models import GenerateSpec
from burnish.stages.models.tokenizers import tokenizer_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def requested_rows(spec: MeasuringSpec | GenerateSpec, ctx: Context) -> list[Row]:
    """The split's rows, or all of a file's, each with the reference answer as its last turn.

    Errors: DataError `data.empty`, and those of reading the rows.
    """
    data = ctx.input("data")
    split = split_of(data, spec.split)  # a raw file is one split
    rows = [as_chat(row) for row in islice(open_rows(data, split), spec.max_rows)]
    if not rows:
        raise DataError("data.empty", f"{data.ref} has no rows to answer", "check the file, or name another split")
    return rows


def tokenizers_of(models: Sequence[Input | Path], ctx: Context) -> "list[PreTrainedTokenizerBase]":
    """The tokenizer of each model: the first is the evaluated one, the others are compared with it.

    Each model is prompted with its own chat template. One of the others may have none, such as the
    base of an adapter trained with a template: it gets the first one's, if their tokens are the same.
    """
    tokenizers = [tokenizer_of(model, ctx.emit) for model in models]
    first = tokenizers[0]
    for model, tokenizer in zip(models[1:], tokenizers[1:], strict=True):
        if tokenizer.chat_template is None and first.chat_template is not None and _same_tokens(tokenizer, first):
            tokenizer.chat_template = first.chat_template
            name = model.ref if isinstance(model, Input) else str(model)
            ctx.emit(Note(text=f"{name} has no chat template, and is prompted with that of the other model"))
    return tokenizers


def only_gguf(ctx: Context) -> bool:
    """Whether every model among the inputs is a GGUF file."""
    kinds = [value.kind for value in ctx.inputs.values() if value.kind in ("model", "adapter", "gguf")]
    return bool(kinds) and all(kind == "gguf" for kind in kinds)


def refuse_for_gguf(name: str, spec: Spec, *allowed: str) -> None:
    """Refuse a setting of transformers where llama.cpp computes. Errors: AskError `ask.wrong-value`."""
    if (value := getattr(spec, name)) not in allowed:
        what = f"{name}: {value} has no effect on a GGUF file: llama.cpp computes with the types of the file, on a CPU"
        raise AskError("ask.wrong-value", what, f"remove {name}, or use the model that the file was made from")


def count_alike(one: "PreTrainedTokenizerBase", other: "PreTrainedTokenizerBase") -> bool:
    """Whether two tokenizers learn the same tokens of a row, so that perplexities per token can be compared."""
    return one.chat_template == other.chat_template and _same_tokens(one, other)


def _same_tokens(one: "PreTrainedTokenizerBase", other: "PreTrainedTokenizerBase") -> bool:
    return one.get_vocab() == other.get_vocab()
