"""The protocol of every engine, shared by evaluation, generation, chat and serving."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.specs.evals import GenerationSpec

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
Progress = Callable[[int, int], None]
"""Called with (prompts answered, total): first with 0 once every setting is read, then for each answer. May raise."""


@dataclass(frozen=True)
class Answer:
    """One answer, without the token that ended it; special tokens inside it are kept in the text."""

    ids: list[int]
    text: str
    finish_reason: Literal["stop", "length"]
    end: int | None = None
    """The token that ended it; None at the maximum length."""
    log_probs: tuple[float, ...] = ()
    """Where requested: the log-probability of each token, `end` included, at the sampling's temperature, and before
    top-k and top-p."""


@dataclass(frozen=True)
class Forced:
    """Teacher-forced log-probabilities, in nats, of one row of T ids: position t predicts token t + 1.

    A value that an engine cannot give is NaN.
    """

    chosen: FloatArray
    """[T - 1] of the token that follows."""
    ids: IntArray
    """[T - 1, k] the k most likely next tokens, most likely first; or the requested ones."""
    log_probs: FloatArray
    """[T - 1, k] of `ids`; -inf for one that is not in the vocabulary."""
    top: IntArray
    """[T - 1] the most likely next token."""
    vocabulary: int
    """The number of tokens that the distribution is over; 0 if the engine cannot tell."""


class Engine(Protocol):
    """Prompts and answers are token ids; `stop_ids` end an answer."""

    context: int
    """The most tokens of a prompt with its answer."""

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        spec: GenerationSpec,
        stop_ids: Sequence[int],
        progress: Progress = lambda done, total: None,
        *,
        log_probs: bool = False,
        until: Sequence[str] = (),
    ) -> list[Answer]:
        """Answer every prompt, in order. An answer does not depend on the other prompts.

        An answer also ends with the token that completes a text of `until`; that text is part of it.
        """
        ...

    def stream(self, prompt: Sequence[int], spec: GenerationSpec, stop_ids: Sequence[int]) -> Iterator[str]:
        """The answer to one prompt as pieces of text; no piece splits a character."""
        ...

    def log_probs(
        self, rows: Sequence[Sequence[int]], *, top: int = 1, at: Sequence[IntArray] | None = None
    ) -> Iterator[Forced]:
        """The log-probabilities of each row of ids, in order: of the `top` most likely tokens of each position, or of
        the tokens in `at`, [T - 1, k] for each row."""
        ...

    def close(self) -> None:
        """Free the memory; the engine cannot be used afterwards."""
        ...
