"""The tokenizer of what answers: of a folder, or the one that belongs to a GGUF file, proved against llama.cpp."""

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from burnish.core.context import Input
from burnish.core.errors import BurnishError
from burnish.core.events import Event, Note
from burnish.core.inputs.gguf import CHAT_TEMPLATE, gguf_file, read_keys
from burnish.export.gguf.proof import prove_tokenizer
from burnish.models.bases import Source, tokenizer_folder
from burnish.models.engines.llama.model import LlamaModel
from burnish.models.engines.opening import is_gguf
from burnish.tokens.gguf import template_in, tokenizer_from_keys
from burnish.tokens.load import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_STRINGS = 1000
"""On which the tokens are compared, besides the golden conversations; 10,000 as the file was made."""


def tokenizer_of(source: Source, emit: Callable[[Event], None] = lambda event: None) -> "PreTrainedTokenizerBase":
    """The tokenizer with the chat template in effect.

    For a GGUF file that of the model it was made from, if its artifact names it, else one made from the keys of the
    file. The template is that of the file. Either gives llama.cpp's tokens, or is refused: ModelError
    `model.unsupported`.
    """
    if not is_gguf(source):
        return load_tokenizer(tokenizer_folder(source))
    path = gguf_file(source.path if isinstance(source, Input) else source)
    keys, model = read_keys(path), LlamaModel(path, vocabulary_only=True)
    try:
        origin = source.inputs.get("model") if isinstance(source, Input) else None
        if origin is not None:
            try:
                return _proved(model, load_tokenizer(tokenizer_folder(origin)), keys)
            except BurnishError as error:
                why = f"the tokenizer of {origin.ref} is not used for {path.name}: {error.what}"
                emit(Note(level="warning", text=f"{why}; the file's own is"))
        return _proved(model, tokenizer_from_keys(keys, model.attributes()), keys)
    finally:
        model.close()


def _proved(
    model: LlamaModel, tokenizer: "PreTrainedTokenizerBase", keys: Mapping[str, Any]
) -> "PreTrainedTokenizerBase":
    """The tokenizer with the templates of the file, if it gives llama.cpp's tokens."""
    found = copy.copy(tokenizer)
    template, named = template_in(keys), keys.get(f"{CHAT_TEMPLATE}s", [])
    others = {name: template_in(keys, f"{CHAT_TEMPLATE}.{name}") for name in named if f"{CHAT_TEMPLATE}.{name}" in keys}
    found.chat_template = {**({} if template is None else {"default": template}), **others} if others else template
    prove_tokenizer(model, found, strings=_STRINGS)
    return found
