"""NEFTune: uniform noise on the embedding output in training (arXiv 2310.05914), independent of how a step is split.

A sequence of L tokens and embeddings of d features get noise of ±alpha/√(L·d). L is the length of the sequence, not of
the batch that it is packed into. Each value is a hash of (seed, step, row, position, feature), as in
`train/dropout.py`.
"""

from typing import Any

from torch import Tensor, nn

from burnish.core.errors import ModelError
from burnish.train.dropout import TokenDropout, hashed_words


class EmbeddingNoise:
    """Adds noise to a model's input embeddings in training mode, until `remove`; `tokens` knows the batch."""

    def __init__(self, causal: Any, tokens: TokenDropout, alpha: float | None):
        self._tokens, self._alpha, self._family = tokens, alpha, causal.config.model_type
        embedding = causal.get_input_embeddings()
        self._hook = None if alpha is None else embedding.register_forward_hook(self._add)

    def remove(self) -> None:
        """Remove the noise."""
        if self._hook is not None:
            self._hook.remove()

    def _add(self, module: nn.Module, inputs: tuple[Any, ...], embedded: Tensor) -> Tensor:
        """`embedded` is [..., T, d]."""
        keys, lengths = self._tokens.keys, self._tokens.lengths
        if not module.training or self._alpha is None:
            return embedded
        if keys is None or lengths is None or embedded.shape[-2] != len(keys):
            raise ModelError(
                "model.unsupported",
                f"neftune_alpha: this {self._family} model embeds its tokens in another shape: {list(embedded.shape)}",
                "remove neftune_alpha",
            )
        width = embedded.shape[-1]
        noise = hashed_words(keys, width, _PLACE).float().mul_(2.0**-31)  # [T, d], uniform in ±1
        return embedded + (noise * (self._alpha / (lengths * width).sqrt())[:, None]).to(embedded.dtype)


_PLACE = -1
"""Dropout layers count from 0."""
