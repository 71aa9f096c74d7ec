"""The numbers of tokens of many texts, also in other processes: a counter travels with the tokenizer's whole text."""

from collections.abc import Sequence
from typing import Any

from burnish.core.errors import MachineError, ModelError


class TokenCounter:
    """Called with texts, gives the number of tokens of each, without the special tokens that a tokenizer adds.

    `described` is the content of a tokenizer.json. Pickled, a counter is that text alone, so that a process on another
    machine needs no file. Errors, when called: MachineError `machine.no-package` without the package tokenizers,
    ModelError `model.broken` where the tokenizer fails.
    """

    def __init__(self, described: str):
        self._described = described
        self._core: Any = None

    def __call__(self, texts: Sequence[str]) -> list[int]:
        if self._core is None:
            self._core = _read(self._described)
        try:
            found = self._core.encode_batch_fast(list(texts), add_special_tokens=False)
        except Exception as error:  # the package raises nothing narrower
            what = f"the tokenizer loads, and fails on a text: {error}"
            raise ModelError(
                "model.broken", what, "check `tokenizer`: its vocabulary may lack the unknown token"
            ) from error
        return [len(encoding) for encoding in found]

    def __reduce__(self) -> tuple[type["TokenCounter"], tuple[str]]:
        return TokenCounter, (self._described,)


def _read(described: str) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        what = "tokens are counted by the package tokenizers, which is not installed here"
        raise MachineError("machine.no-package", what, "pip install 'burnish[tokens]' on all machines") from error
    return Tokenizer.from_str(described)
