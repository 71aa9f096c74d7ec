"""Runs a causal language model over a flat batch: hidden states, logits, and the loss of every learned token.

How the model may be run (packed or one sequence at a time, through its trunk or its own forward) is found out by
`burnish.train.scoring`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from burnish.core.errors import AskError, ModelError
from burnish.models.probing import after_head, causal_model
from burnish.train.batches import Batch
from burnish.train.kernels.head import (
    linear_cross_entropy,
    linear_token_losses,
    module_cross_entropy,
    module_token_losses,
)
from burnish.train.kernels.lora import FusedLora


class Forward:
    """The passes of one model. `one_by_one` is True if only one sequence may be computed at a time.

    A batch of several sequences is then split into them, and the results are joined.
    """

    def __init__(self, model: nn.Module, attention: str = "auto", fused: FusedLora | None = None):
        self.model = model
        self.fused = fused or FusedLora(nn.Module())
        self.causal = causal_model(model)
        self.keeps_routing = False
        """True fills `routing`: the router logits [T, experts] of each mixture of experts in the last batch, in which a
        prompt counts for each of its sequences."""
        self.routing: tuple[Tensor, ...] | None = None
        self.packs, self.reason = False, ""
        self.shares_prompts = False
        """True if a batch may hold the common prompt of a row's sequences once."""
        self._trusts_kernel = True
        self._usual_attention: str = self.causal.config._attn_implementation or "eager"
        self._plain_attention = attention if attention in ("sdpa", "eager") else self._usual_attention
        self._set_attention(self._plain_attention)
        self.head: Any = self.causal.get_output_embeddings()
        self._scale, self._softcap = after_head(self.causal.config.get_text_config())
        self._closed_form = type(self.head) is nn.Linear and self._softcap is None
        self._trunk: Any = None
        self._sends_positions = self._keeps_logits = True

    @property
    def one_by_one(self) -> bool:
        return not self.packs

    @property
    def ways(self) -> tuple[Any, ...]:
        """What was found of this model, and decides how rows are computed."""
        return self.packs, self.shares_prompts, self._sends_positions, self._keeps_logits, self.uses_own_head

    @property
    def uses_own_head(self) -> bool:
        """True if the model's own forward computes the logits."""
        return self._trunk is None

    @contextmanager
    def plain(self) -> Iterator[None]:
        """The model's own attention and layers inside the block."""
        used = self._attention
        self._set_attention(self._plain_attention)
        try:
            with self.fused.removed():
                yield
        finally:
            self._set_attention(used)

    def restore_attention(self) -> None:
        """Restore the model's own attention."""
        self._set_attention(self._usual_attention)

    @contextmanager
    def own_attention(self) -> Iterator[None]:
        """The model's own attention and eval mode inside the block, for generation."""
        used, was_training = self._attention, self.model.training
        self.restore_attention()
        self.model.eval()
        try:
            yield
        finally:
            self._set_attention(used)
            self.model.train(was_training)

    def _set_attention(self, name: str) -> None:
        self._attention = name
        try:
            self.causal.set_attn_implementation(name)
        except ValueError as error:
            raise AskError(
                "ask.wrong-value",
                f"this {self.causal.config.model_type} model has no attention '{name}'",
                "set attention: auto",
            ) from error

    def __call__(self, batch: Batch, normaliser: float) -> tuple[Tensor, Tensor]:
        """(loss, ce [K]): loss = Σ weight·ce / normaliser over the batch's learned tokens; ce has no gradient."""
        shares = batch.weights / normaliser
        if self.uses_own_head:
            losses = self.token_losses(batch)
            return (losses * shares).sum(), losses.detach()
        hidden = self.hidden(batch)[batch.positions]  # [K, d]
        if self._closed_form:
            return linear_cross_entropy(hidden, self.head.weight, self.head.bias, batch.targets, shares, self._scale)
        return module_cross_entropy(hidden, self._logits, self._trained_in_head(), batch.targets, shares)

    def token_losses(self, batch: Batch, temperature: float = 1.0) -> Tensor:
        """ce [K] of the learned tokens with logits / temperature, differentiable: a loss may be any function of it."""
        if self.uses_own_head:
            logits = self._own_logits(batch, batch.positions).float()  # [K, V]
            return nn.functional.cross_entropy(_cooled(logits, temperature), batch.targets, reduction="none")
        return self.token_losses_and_states(batch, temperature)[0]

    def token_losses_and_states(self, batch: Batch, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
        """`token_losses`, and the last hidden states [K, d] that predict these tokens; not with `uses_own_head`."""
        states, trained = self.hidden(batch)[batch.positions], self._trained_in_head()
        if self._closed_form and not trained:
            scale = self._scale / temperature
            return linear_token_losses(states, self.head.weight, self.head.bias, batch.targets, scale), states
        losses = module_token_losses(
            states, lambda some: _cooled(self._logits(some), temperature), trained, batch.targets
        )
        return losses, states

    @contextmanager
    def untrained(self) -> Iterator[None]:
        """The model with its adapter switched off, without dropout and without gradients inside the block."""
        model: Any = self.model
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad(), model.disable_adapter() if hasattr(model, "disable_adapter") else nullcontext():
                yield
        finally:
            model.train(was_training)

    def hidden(self, batch: Batch) -> Tensor:
        """The last hidden states, [T, d]."""
        return self.joined(batch, lambda part: self._trunk(**self._inputs(part)), "last_hidden_state")

    def route(self, batch: Batch) -> tuple[Tensor, ...]:
        """Run the model for its `routing` only. Errors: those of `routed`."""
        _ = self._own_logits(batch, batch.positions[:1]) if self.uses_own_head else self.hidden(batch)
        return self.routed()

    def routed(self) -> tuple[Tensor, ...]:
        """`routing` of the last batch. Errors: ModelError `model.unsupported` when the model returned none."""
        if not self.routing:
            raise self._unsupported("it returns no router logits in training, which its load-balancing loss needs")
        return self.routing

    def joined(self, batch: Batch, run: Callable[[Batch], Any], name: str) -> Tensor:
        """A result of `run` [T, …]; sequences that may not share a pass are run one after the other, and joined."""
        parts = [batch] if self.packs or len(batch.bounds) == 2 else batch.alone()
        outputs = [run(part) for part in parts]
        routing = [output.get("router_logits") for output in outputs]
        self.routing = routing[0] if len(routing) == 1 else None
        if batch.gather is not None and self.routing:
            self.routing = tuple(layer[batch.gather] for layer in self.routing)
        if len(routing) > 1 and all(routing):
            self.routing = tuple(torch.cat(layer) for layer in zip(*routing, strict=True))
        return torch.cat([getattr(output, name)[0] for output in outputs])

    def _own_logits(self, batch: Batch, positions: Tensor | None = None) -> Tensor:
        """The logits of the model's own forward, at some positions [K, V] or all [T, V]."""
        is_whole = self.packs or len(batch.bounds) == 2
        kept = {} if positions is None or not self._keeps_logits or not is_whole else {"logits_to_keep": positions}
        logits = self.joined(batch, lambda part: self.causal(**self._inputs(part), **kept), "logits")
        return logits if kept or positions is None else logits[positions]

    def _trained_in_head(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.head.parameters() if parameter.requires_grad]

    def _logits(self, hidden: Tensor) -> Tensor:
        logits = self.head(hidden)
        logits = logits if self._scale == 1.0 else logits * self._scale
        return logits if self._softcap is None else self._softcap * torch.tanh(logits / self._softcap)

    def _inputs(self, batch: Batch) -> dict[str, Any]:
        inputs: dict[str, Any] = {"input_ids": batch.input_ids, "use_cache": False}
        if self._sends_positions:
            inputs["position_ids"] = batch.position_ids
        if self.keeps_routing:
            inputs["output_router_logits"] = True
        if self.packs:
            inputs["sequence_bounds"] = batch.bounds
            if batch.gather is not None:
                inputs |= {"sequence_gather": batch.gather, "sequence_keep": batch.keep}
            if self._trusts_kernel:
                inputs["cu_seq_lens_q"] = batch.cu_seqlens
        return inputs

    def _unsupported(self, why: str) -> ModelError:
        return ModelError(
            "model.unsupported",
            f"this {self.causal.config.model_type} model cannot be trained or measured here: {why}",
            "check that the model's files are complete, or use a model of another family",
        )


def _cooled(logits: Tensor, temperature: float) -> Tensor:
    return logits if temperature == 1.0 else logits / temperature
