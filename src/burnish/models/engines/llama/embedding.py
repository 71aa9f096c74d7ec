"""Embeddings of texts by llama.cpp: the model's last hidden states, as one vector of length 1 for each text."""

from collections.abc import Iterator, Sequence

import numpy as np

from burnish.core.errors import RunError
from burnish.models.engines.llama.model import LlamaModel
from burnish.models.engines.llama.parallel import ParallelContext, Piece

_MOST_TOKENS = 512
_MOST_SCORES = 1 << 25
"""Tokens of one call times vocabulary: llama.cpp computes scores beside the hidden states."""
_LEAST = 1e-30
_LAST = "3"
"""llama.cpp's number of models whose embedding is the state of the last token; for all others it is the mean."""


class Embedder:
    """Embeds one text at a time, with the model without adapters. `close` frees its memory."""

    def __init__(self, model: LlamaModel, *, places: int, threads: int):
        """`places` are the most tokens of a text. Errors: MachineError `machine.no-memory`."""
        most = max(1, min(_MOST_TOKENS, _MOST_SCORES // max(1, model.vocabulary)))
        self._context = ParallelContext(
            model, texts=1, places=places, threads=threads, most_tokens=most, gives_states=True
        )
        self._is_last = model.metadata(f"{model.metadata('general.architecture')}.pooling_type") == _LAST

    def embed(self, texts: Sequence[Sequence[int]]) -> Iterator[list[float] | None]:
        """Reads a part of a text at each turn: None inside a text, its vector at its end.

        Errors: RunError `run.failed`, also for states that are not finite.
        """
        most = self._context.most_tokens
        for tokens in texts:
            self._context.forget(0, 0)
            total = np.zeros(1)
            for first in range(0, len(tokens), most):
                if first:
                    yield None
                states = self._context.states(Piece(0, tokens[first : first + most], first, True)).astype(np.float64)
                if not np.isfinite(states).all():
                    raise RunError("run.failed", "the hidden states are NaN or infinite", "make the file again")
                total = states[-1] if self._is_last else total + states.sum(axis=0)
            yield list(map(float, total / max(float(np.linalg.norm(total)), _LEAST)))

    def close(self) -> None:
        self._context.close()
