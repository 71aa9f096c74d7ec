"""The ids of a text, without the places of its tokens."""

from typing import Any

_LONG = 20_000
"""Characters from which on other threads run meanwhile."""


def backend_of(tokenizer: Any) -> Any:
    """The backend of a fast tokenizer, which takes whole texts, and control tokens in them as such."""
    core = tokenizer.backend_tokenizer
    if core.truncation is not None:
        core.no_truncation()
    if core.padding is not None:
        core.no_padding()
    core.encode_special_tokens = False
    return core


def ids_of(tokenizer: Any, text: str, add_special_tokens: bool = False) -> list[int]:
    """The ids of a text, with the special tokens that the tokenizer adds if they are requested.

    A long text is a batch of one: `encode` keeps Python's lock for as long as it takes, seconds for a few megabytes,
    and a batch does not. (A batch of a short one would mark a process as parallel, which warns at each fork.)
    """
    core = backend_of(tokenizer)
    if len(text) < _LONG:
        return list(core.encode(text, add_special_tokens=add_special_tokens).ids)
    return list(core.encode_batch_fast([text], add_special_tokens=add_special_tokens)[0].ids)
