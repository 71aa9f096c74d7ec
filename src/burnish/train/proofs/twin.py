"""The plain twin of a training's path: transformers' own forward of each sequence alone, and torch's cross-entropy.

It shares no code with packed batches, attention per sequence, fused layers or the chunked head; positions and targets
come from the rows, not from a batch.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from burnish.models.probing import causal_model, trunks
from burnish.tokens.tokenised import TokenisedRows
from burnish.train.batches import Batch


class Plain:
    """Stands in for the `Forward` of an objective, inside `with`; batches must be of the given rows."""

    uses_own_head = True

    def __init__(self, model: nn.Module, settings: Callable[[], AbstractContextManager[None]], rows: TokenisedRows):
        """`settings` gives the model its own attention and layers."""
        self.model, self.rows, self._settings = model, rows, settings
        self.causal: Any = causal_model(model)
        self.kept: dict[float, Tensor] = {}
        """ce [K] of the last batch with a gradient, by temperature: other checks need it, too."""

    def __enter__(self) -> "Plain":
        self._entered = self._settings()
        self._entered.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.__exit__(kind, error, trace)

    def __call__(self, batch: Batch, normaliser: float) -> tuple[Tensor, Tensor]:
        """As `Forward`; weights are those of the rows."""
        losses = self.token_losses(batch)
        weights = np.concatenate([self.rows.weights[span] for span in self._spans(batch)])
        shares = torch.from_numpy(weights[weights != 0] / normaliser).to(losses)
        return (losses * shares).sum(), losses.detach()

    def token_losses(self, batch: Batch, temperature: float = 1.0) -> Tensor:
        """ce [K] of the learned tokens of the batch's rows."""
        found = torch.cat([self._losses(span, temperature) for span in self._spans(batch)])
        if found.requires_grad:
            self.kept[temperature] = found.detach()
        return found

    def token_losses_and_states(self, batch: Batch, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
        """As `Forward`: the states [K, d] before the learned tokens."""
        learned = np.concatenate([self.rows.weights[span][1:] != 0 for span in self._spans(batch)])
        ends = np.cumsum([span.stop - span.start for span in self._spans(batch)]) - 1
        states = self.hidden(batch)
        before = np.delete(np.arange(len(states)), ends)[learned]
        return self.token_losses(batch, temperature), states[torch.from_numpy(before).to(states.device)]

    def hidden(self, batch: Batch) -> Tensor:
        """The last hidden states [T, d] of the batch's rows, of which none shares a prompt."""
        trunk: Any = trunks(self.causal)[0]
        parts = [trunk(input_ids=self._ids(span)[None], use_cache=False) for span in self._spans(batch)]
        return torch.cat([part.last_hidden_state[0] for part in parts])

    def all_losses(self, temperature: float = 1.0) -> Tensor:
        """ce [K] of the learned tokens of all rows."""
        rows = range(len(self.rows))
        return torch.cat([self._losses(span, temperature) for row in rows for span in self.rows.spans(row)])

    def _spans(self, batch: Batch) -> list[slice]:
        return [span for row in batch.rows.tolist() for span in self.rows.spans(row)]

    def _losses(self, span: slice, temperature: float = 1.0) -> Tensor:
        ids = self._ids(span)
        logits = self.causal(input_ids=ids[None], use_cache=False).logits[0].float() / temperature  # [T, V]
        ce = nn.functional.cross_entropy(logits[:-1], ids[1:], reduction="none")
        return ce[torch.from_numpy(self.rows.weights[span][1:] != 0).to(ce.device)]

    def _ids(self, span: slice) -> Tensor:
        return torch.from_numpy(self.rows.ids[span].astype(np.int64)).to(self.causal.device)

    @contextmanager
    def untrained(self) -> Iterator[None]:
        """As `Forward.untrained`."""
        model: Any = self.model
        with torch.no_grad(), model.disable_adapter() if hasattr(model, "disable_adapter") else nullcontext():
            yield
