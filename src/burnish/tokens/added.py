"""Adds new tokens to a tokenizer, each matched in a text as it is written."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from burnish.core.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def add_tokens(
    tokenizer: "PreTrainedTokenizerBase", plain: Sequence[str], special: Sequence[str] = ()
) -> dict[str, bool]:
    """Add the tokens that the tokenizer does not have; returns each token, and whether it is new.

    Errors: ModelError `model.unsupported` for a token that the tokenizer does not find in a text.
    """
    from transformers import AddedToken

    known = tokenizer.get_vocab()
    found = {token: token not in known for token in (*plain, *special)}
    for tokens, is_special in ((plain, False), (special, True)):
        added = [AddedToken(token, normalized=False, special=is_special) for token in tokens if found[token]]
        tokenizer.add_tokens(added, special_tokens=is_special)
    for token, is_new in found.items():
        number = tokenizer.convert_tokens_to_ids(token)
        if is_new and number not in tokenizer.encode(f"a{token}a", add_special_tokens=False):
            raise ModelError(
                "model.unsupported",
                f"new_tokens: this tokenizer ({type(tokenizer).__name__}) does not find '{token}' in a text",
                "write the token in another way, without spaces at its ends",
            )
    return found
