"""The load-balancing loss of a mixture of experts, as transformers' `load_balancing_loss_func` computes it.

    loss = E · Σ_e f_e · P_e      (Switch Transformer, arXiv 2101.03961, equations 4 to 6)

f_e is the frequency of expert e among the chosen ones and P_e its mean router probability, both over all tokens,
learned or not, and all layers: here of the whole optimizer step. f_e has no gradient, but it is a factor of every
micro-batch's gradient. So a step of several micro-batches counts first, in a separate forward pass, and the loss and
its gradient do not depend on how the step is split. The losses of the micro-batches add up to that of the step.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from burnish.core.errors import AskError
from burnish.core.events import Chosen, Event, Note
from burnish.models.probing import error_text

_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Balance:
    """`coefficient` · loss is added to a step's loss."""

    experts: int
    top_k: int
    coefficient: float

    def counts(self, logits: Sequence[Tensor]) -> Tensor:
        """How often each expert is chosen [experts]; `logits` are a layer's [tokens, experts] each."""
        chosen = torch.cat([layer.softmax(-1).topk(self.top_k, -1).indices.flatten() for layer in logits])
        counts = torch.zeros(self.experts, dtype=torch.int64, device=chosen.device)
        return counts.index_add_(0, chosen, torch.ones_like(chosen)).float()  # bincount would wait for the device

    def part_of_loss(self, logits: Sequence[Tensor], counts: Tensor, tokens: int) -> Tensor:
        """A micro-batch's part of the loss of a step of `tokens` tokens, in which experts were chosen `counts` times.

        Differentiable in `logits`.
        """
        rows = tokens * len(logits)
        probabilities = torch.stack([layer.softmax(-1).float().sum(0) for layer in logits]).sum(0)  # [experts]
        return self.experts * (counts / rows * (probabilities / rows)).sum()


def balance_of(model: Any, requested: float | str) -> tuple[Balance | None, Event | None]:
    """The loss of a causal language model, or None if it has none or it is off, and what to report about it.

    `requested` is a coefficient or `auto`, the model's own. The model is tested on a few tokens.
    Errors: AskError `ask.wrong-value` for a coefficient when the model has no such loss.
    """
    found = _own_loss(model)
    if isinstance(found, Balance):
        if requested != "auto":
            return (Balance(found.experts, found.top_k, float(requested)) if requested else None), None
        reason = "the model's own; 0 switches the load-balancing loss off"
        event = Chosen(field="router_aux_loss_coef", value=found.coefficient, reason=reason)
        return (found if found.coefficient else None), event
    if requested not in ("auto", 0):
        raise AskError(
            "ask.wrong-value",
            f"router_aux_loss_coef is {requested}, but this {model.config.model_type} model {found}",
            "remove it, or set router_aux_loss_coef: auto",
        )
    if requested == "auto" and any(
        word in name for name, _ in model.named_parameters() for word in ("expert", "router")
    ):
        return None, Note(text=f"no load-balancing loss is added: this {model.config.model_type} model {found}")
    return None, None


@torch.no_grad()
def _own_loss(model: Any) -> Balance | str:
    """The load-balancing loss that the model itself would add, or why there is none."""
    if not hasattr(sys.modules[type(model).__module__], "load_balancing_loss_func"):
        return "has no load-balancing loss in transformers"
    ids = torch.arange(16, device=model.device)[None] % model.config.get_text_config().vocab_size
    was_training = model.training
    model.eval()
    try:
        output = model(input_ids=ids, output_router_logits=True, use_cache=False)
        theirs, logits = output.get("aux_loss"), output.get("router_logits")
        if not logits or not isinstance(theirs, Tensor):
            return "routes no token in this configuration"
        balance = Balance(logits[0].shape[-1], model.num_experts_per_tok, _coefficient(model))
        ours = balance.part_of_loss(logits, balance.counts(logits), ids.shape[1])
    except (AttributeError, IndexError, ValueError, RuntimeError, TypeError) as error:
        return f"does not compute its load-balancing loss ({error_text(error)})"
    finally:
        model.train(was_training)
    if not abs(float(ours - theirs)) <= _TOLERANCE * abs(float(theirs)):  # nor where one is NaN
        return "has an unknown kind of load-balancing loss"
    return balance


def _coefficient(model: Any) -> float:
    config = model.config.get_text_config()
    places = ((model, "router_aux_loss_coef"), (config, "router_aux_loss_coef"), (config, "aux_loss_coef"))
    return float(next(getattr(place, name) for place, name in places if getattr(place, name, None) is not None))
