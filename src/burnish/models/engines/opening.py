"""Opens what answers: a model or adapter by transformers, a GGUF file by llama.cpp; and the engine over it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from burnish.core.context import Input
from burnish.core.events import Event
from burnish.core.inputs.gguf import gguf_file
from burnish.models.bases import Source
from burnish.models.engines.llama.engine import LlamaEngine
from burnish.models.engines.llama.model import LlamaModel
from burnish.models.engines.protocol import Engine
from burnish.models.engines.transformers import TransformersEngine
from burnish.models.engines.ways import context_of
from burnish.models.load import load_model
from burnish.models.quantization.layers import report

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    Opened = PreTrainedModel | PeftModel | LlamaEngine


def is_gguf(source: Source) -> bool:
    """Whether a source is a GGUF file, or the folder of one."""
    return source.kind == "gguf" if isinstance(source, Input) else source.suffix == ".gguf"


def open_model(
    source: Source,
    *,
    dtype: "torch.dtype | None",
    device: "torch.device",
    emit: Callable[[Event], None] = lambda event: None,
) -> "Opened":
    """The model in eval mode, or llama.cpp's engine, whose weights and computation are those of the file.

    It is freed with its last reference. Errors: those of `load_model` and `LlamaModel`.
    """
    if is_gguf(source):
        import torch

        path = source.path if isinstance(source, Input) else source
        return LlamaEngine(LlamaModel(gguf_file(path), threads=torch.get_num_threads()), emit)
    model = load_model(source, dtype=dtype, device=device)
    for note in report(model):
        emit(note)
    return model


def engine_of(
    model: "Opened", tokenizer: "PreTrainedTokenizerBase", emit: Callable[[Event], None] = lambda event: None
) -> Engine:
    """The engine over an opened model."""
    return model if isinstance(model, LlamaEngine) else TransformersEngine(model, tokenizer, emit)


def room_of(model: Any) -> int:
    """The most tokens of a prompt with its answer."""
    return model.context if isinstance(model, LlamaEngine) else context_of(model)
