"""Runs a model over a flat batch and gives the loss of every learned token, by the fastest path that is exact.

Which path that is, is not guessed from the model's name: two short questions are put to the model itself.
Does a packed batch give the hidden states of its sequences alone? Do the hidden states and the head give the
model's own logits? A model that answers no is run one sequence at a time, or through its own forward.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from burnish.core.errors import AskError
from burnish.train.batches import Batch, TokenisedRows, make_batch
from burnish.train.kernels import attention as per_sequence
from burnish.train.kernels.head import linear_cross_entropy, module_cross_entropy

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 1e-2}
_LONGEST_PROBE = 600


class Scorer:
    """`scorer(batch, normaliser)` is (loss, ce [K]): loss = Σ weight·ce / normaliser over the batch's learned tokens.

    `model` is a causal language model, with or without PEFT's adapters in it. `attention` is `auto`, `varlen`
    (per sequence of a packed batch), `sdpa` or `eager`; `one_by_one` tells whether a batch may hold one
    sequence only.
    """

    def __init__(self, model: nn.Module, attention: str = "auto"):
        self.model = model
        self.causal = causal_model(model)
        self.keeps_routing = False
        """Whether `routing` is filled: the router logits [T, experts] of each mixture of experts in the last batch."""
        self.routing: tuple[Tensor, ...] | None = None
        decoder: Any = self.causal.get_decoder()
        self._trunk = decoder.model if decoder is self.causal else decoder  # Llama 4 names the whole as its decoder
        self._usual_attention: str = self.causal.config._attn_implementation or "eager"
        plain = attention if attention in ("sdpa", "eager") else self._usual_attention
        self.packs = attention in ("auto", "varlen") and self._packing_is_exact(plain)
        self._set_attention(per_sequence.NAME if self.packs else plain)
        self.head: Any = self.causal.get_output_embeddings()
        self._scale, self._softcap = _after_head(self.causal.config.get_text_config())
        self.uses_own_head = not self._head_is_exact()
        self._closed_form = type(self.head) is nn.Linear and self._softcap is None

    @property
    def one_by_one(self) -> bool:
        return not self.packs

    def restore_attention(self) -> None:
        """Give the model back the attention that it came with."""
        self._set_attention(self._usual_attention)

    def _set_attention(self, name: str) -> None:
        try:
            self.causal.set_attn_implementation(name)
        except ValueError as error:
            raise AskError(
                "ask.wrong-value",
                f"this {self.causal.config.model_type} model has no attention '{name}'",
                "set attention: auto",
            ) from error

    def __call__(self, batch: Batch, normaliser: float) -> tuple[Tensor, Tensor]:
        shares = batch.weights / normaliser
        if self.uses_own_head:
            output = self.causal(**self._inputs(batch), logits_to_keep=batch.positions)
            self.routing = output.get("router_logits")
            logits = output.logits[0].float()  # [K, V]
            losses = nn.functional.cross_entropy(logits, batch.targets, reduction="none")
            return (losses * shares).sum(), losses.detach()
        hidden = self.hidden(batch)[batch.positions]  # [K, d]
        if self._closed_form:
            return linear_cross_entropy(hidden, self.head.weight, self.head.bias, batch.targets, shares, self._scale)
        trained = [parameter for parameter in self.head.parameters() if parameter.requires_grad]
        return module_cross_entropy(hidden, self._logits, trained, batch.targets, shares)

    def hidden(self, batch: Batch) -> Tensor:
        """The last hidden states, [T, d]."""
        output = self._trunk(**self._inputs(batch))
        self.routing = output.get("router_logits")
        return output.last_hidden_state[0]

    def _logits(self, hidden: Tensor) -> Tensor:
        logits = self.head(hidden)
        logits = logits if self._scale == 1.0 else logits * self._scale
        return logits if self._softcap is None else self._softcap * torch.tanh(logits / self._softcap)

    def _inputs(self, batch: Batch) -> dict[str, Any]:
        inputs: dict[str, Any] = {
            "input_ids": batch.input_ids,
            "position_ids": batch.position_ids,
            "use_cache": False,
        }
        if self.keeps_routing:
            inputs["output_router_logits"] = True
        if self.packs:
            inputs |= {"sequence_bounds": batch.bounds, "cu_seq_lens_q": batch.cu_seqlens}
        return inputs

    def _probe(self) -> tuple[TokenisedRows, torch.device]:
        """A few short rows of random tokens, one of them longer than the attention window where that is cheap."""
        config = self.causal.config.get_text_config()
        longest = (getattr(config, "sliding_window", None) or 0) + 8
        lengths = [7, 19, longest if 8 < longest <= _LONGEST_PROBE else 23, 12]
        random = torch.Generator().manual_seed(0)
        rows = [torch.randint(config.vocab_size, (length,), generator=random).numpy() for length in lengths]
        return TokenisedRows.of((str(i), row, row * 0 + 1) for i, row in enumerate(rows)), self.causal.device

    @torch.no_grad()
    def _packing_is_exact(self, plain: str) -> bool:
        """True when a packed batch gives each sequence the hidden states that it has alone."""
        rows, device = self._probe()
        every = torch.arange(len(rows)).numpy()
        with _evaluating(self.model):
            self.packs = False
            self._set_attention(plain)
            alone = torch.cat([self.hidden(make_batch(rows, every[i : i + 1], device)) for i in every.tolist()])
            self.packs = True
            try:
                self._set_attention(per_sequence.register())
                packed = self.hidden(make_batch(rows, every, device))
            except (per_sequence.UnsupportedAttentionError, AskError, ValueError, TypeError):
                return False  # ValueError: some recurrent layers say themselves that they cannot keep sequences apart
        return _agree(packed, alone)

    @torch.no_grad()
    def _head_is_exact(self) -> bool:
        """True when hidden states, head, scale and soft cap give the model's own logits."""
        rows, device = self._probe()
        batch = make_batch(rows, torch.arange(1).numpy(), device)
        with _evaluating(self.model):
            own = self.causal(**self._inputs(batch)).logits[0]
            return _agree(self._logits(self.hidden(batch)), own)


def causal_model(model: Any) -> "PreTrainedModel":
    """The causal language model itself, without PEFT's wrapper around it; its adapters stay in place."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def _agree(ours: Tensor, theirs: Tensor) -> bool:
    """Equal up to rounding, by the relative distance of the whole tensors."""
    distance = (ours.float() - theirs.float()).norm() / theirs.float().norm().clamp_min(1e-20)
    return bool(distance <= _TOLERANCE[theirs.dtype])


def _after_head(config: Any) -> tuple[float, float | None]:
    """(scale, soft cap) that a family applies to its logits: Cohere multiplies, Granite divides, Gemma 2 caps."""
    scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
    return scale, getattr(config, "final_logit_softcapping", None)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode for a while; no dropout, so no random number is drawn."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
