"""The counter of tokens of a stage's tokenizer."""

from burnish.core.context import Input
from burnish.core.errors import ModelError
from burnish.models.bases import tokenizer_folder
from burnish.tokens.counting import TokenCounter
from burnish.tokens.ids import backend_of
from burnish.tokens.load import load_tokenizer


def counter_of(given: Input) -> TokenCounter:
    """Counts whole texts, whatever truncation and padding the tokenizer was saved with.

    Errors: those of `load_tokenizer`; ModelError `model.broken` for a tokenizer that has no tokenizer.json.
    """
    tokenizer = load_tokenizer(tokenizer_folder(given))
    if not tokenizer.is_fast:
        fix = "load the model with a current transformers and save it, which converts the tokenizer"
        raise ModelError("model.broken", f"{given.ref}: the tokenizer has no tokenizer.json", fix)
    return TokenCounter(backend_of(tokenizer).to_str())
