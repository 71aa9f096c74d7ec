"""A Forward whose losses of tokens are given: an objective alone, without the model."""

from typing import Any

from torch import Tensor

from burnish.train.batches import Batch


class Leaf:
    """Stands in for the `Forward` of an objective; `losses` [K] has a gradient."""

    def __init__(self, scorer: Any, losses: Tensor):
        self._scorer, self.losses = scorer, losses.detach().clone().requires_grad_()

    def token_losses(self, batch: Batch, temperature: float = 1.0) -> Tensor:
        return self.losses

    def token_losses_and_states(self, batch: Batch, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
        return self.losses, self._scorer.token_losses_and_states(batch, temperature)[1].detach()

    def __call__(self, batch: Batch, normaliser: float) -> tuple[Tensor, Tensor]:
        return (self.losses * batch.weights).sum() / normaliser, self.losses.detach()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)
