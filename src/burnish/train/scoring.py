"""Runs a model over a flat batch and gives the loss of every learned token, by the fastest path that is exact.

Which path that is, is not guessed from the model's name: questions are put to the model itself. Do its positions count
from 0? Do the hidden states and the head give the model's own logits? Does a packed batch give the hidden states of its
sequences alone, and the gradient of its own loss? A model that answers no is run one sequence at a time, or through its
own forward, and one that cannot be trained exactly in any way is refused by name.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from burnish.core.errors import AskError, ModelError
from burnish.models.probing import boundaries, causal_model, distance, evaluating, random_ids, said
from burnish.train.batches import Batch, TokenisedRows, make_batch
from burnish.train.kernels import attention as per_sequence
from burnish.train.kernels.head import linear_cross_entropy, module_cross_entropy

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 1e-2}
_GRADIENT_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.2, torch.float16: 0.1}
_SHORT = [7, 19, 23, 12]
"""Tokens of the rows of a question."""
_LONGEST, _WORK = 600, 5e11
"""A question has at most so many tokens; a small model, so many that parameters times tokens stay below the second."""


class Scorer:
    """`scorer(batch, normaliser)` is (loss, ce [K]): loss = Σ weight·ce / normaliser over the batch's learned tokens.

    `model` is a causal language model, with or without PEFT's adapters in it. `attention` is `auto`, `varlen`
    (per sequence of a packed batch), `sdpa` or `eager`; `longest` is the longest row that will come, None for any.
    `one_by_one` says whether a batch may hold one sequence only, and `reason` why.

    Errors: ModelError `model.unsupported` for a model that cannot be trained exactly; AskError `ask.wrong-value` for
    an attention that it lacks.
    """

    def __init__(self, model: nn.Module, attention: str = "auto", longest: int | None = None):
        self.model = model
        self.causal = causal_model(model)
        self.keeps_routing = False
        """Whether `routing` is filled: the router logits [T, experts] of each mixture of experts in the last batch."""
        self.routing: tuple[Tensor, ...] | None = None
        self.packs, self.reason = False, ""
        self._usual_attention: str = self.causal.config._attn_implementation or "eager"
        plain = attention if attention in ("sdpa", "eager") else self._usual_attention
        self._set_attention(plain)
        self.head: Any = self.causal.get_output_embeddings()
        self._scale, self._softcap = _after_head(self.causal.config.get_text_config())
        self._closed_form = type(self.head) is nn.Linear and self._softcap is None
        self._trunk: Any = None
        self._sends_positions = self._keeps_logits = True
        with evaluating(self.model):
            self._learn_the_forward()
            if attention in ("auto", "varlen"):
                self._learn_to_pack(plain, longest)
            self._packed_attention = self._cheapest_attention() if self.packs else per_sequence.NAME
            self._set_attention(self._packed_attention if self.packs else plain)
            self._check_gradients(plain)

    @property
    def one_by_one(self) -> bool:
        return not self.packs

    @property
    def uses_own_head(self) -> bool:
        """Whether the logits are computed by the model's own forward."""
        return self._trunk is None

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
            logits = self._own_logits(batch, batch.positions).float()  # [K, V]
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

    def route(self, batch: Batch) -> tuple[Tensor, ...]:
        """Run the model for its `routing` only. Errors: those of `routed`."""
        _ = self._own_logits(batch, batch.positions[:1]) if self.uses_own_head else self.hidden(batch)
        return self.routed()

    def routed(self) -> tuple[Tensor, ...]:
        """`routing` of the last batch. Errors: ModelError `model.unsupported` where the model gave none."""
        if not self.routing:
            raise self._unsupported("it gives no router logits in training, which its load-balancing loss needs")
        return self.routing

    def _own_logits(self, batch: Batch, positions: Tensor | None = None) -> Tensor:
        """The logits of the model's own forward, at some positions [K, V] or all [T, V]."""
        kept = {} if positions is None or not self._keeps_logits else {"logits_to_keep": positions}
        output = self.causal(**self._inputs(batch), **kept)
        self.routing = output.get("router_logits")
        return output.logits[0] if kept or positions is None else output.logits[0, positions]

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
            inputs |= {"sequence_bounds": batch.bounds, "cu_seq_lens_q": batch.cu_seqlens}
        return inputs

    def _question(self, lengths: list[int]) -> tuple[TokenisedRows, list[Batch]]:
        """Rows of random tokens, and each as a batch of its own."""
        ids = random_ids(self.causal.config, lengths)
        rows = TokenisedRows.of((str(i), row.numpy(), row.numpy() * 0 + 1) for i, row in enumerate(ids))
        every = torch.arange(len(rows)).numpy()
        return rows, [make_batch(rows, every[i : i + 1], self.causal.device) for i in every.tolist()]

    @torch.no_grad()
    def _learn_the_forward(self) -> None:
        """Find positions, trunk and head that give the model's own logits, or none of these."""
        batch = self._question(_SHORT)[1][0]
        try:
            own = self.causal(input_ids=batch.input_ids, use_cache=False).logits[0]
        except Exception as error:  # any family may fail in any way here
            raise self._unsupported(f"its own forward pass fails: {said(error)}") from error
        if not bool(own.isfinite().any(dim=-1).all()):
            raise self._unsupported("its logits are NaN or infinite")

        def agrees(logits: Callable[[], Tensor], expected: Tensor = own) -> bool:
            return not _refusal(lambda: _far(logits(), expected, _TOLERANCE))

        self._sends_positions = agrees(lambda: self._own_logits(batch))
        some = batch.positions[1:]
        self._keeps_logits = agrees(lambda: self._own_logits(batch, some), own[some])
        for trunk in _trunks(self.causal):
            self._trunk = trunk
            if agrees(lambda: self._logits(self.hidden(batch))):
                return
        self._trunk = None
        if not agrees(lambda: self._own_logits(batch)):
            raise self._unsupported("its logits are not the same from one forward pass to the next")

    @torch.no_grad()
    def _learn_to_pack(self, plain: str, longest: int | None) -> None:
        """Decide whether batches may hold several sequences, at any length up to the longest."""
        if not self._sends_positions:
            self.reason = "its positions do not count from 0, so sequences cannot be told apart"
            return
        per_sequence.Sight.sizes.clear()
        self.reason = self._why_packing_fails(plain, _SHORT)
        if not self.reason:
            limits = boundaries(self.causal.config)
            far = {
                name: limit
                for name, limit in limits.items()
                if limit not in per_sequence.Sight.sizes
                and limit >= max(_SHORT)
                and (longest is None or longest > limit)
            }
            side = _side_of_masks(self.causal)  # which a row may not pass, but a batch may
            name, limit = max([*far.items(), ("mask of fixed size", side)], key=lambda item: item[1])
            if limit > max(_LONGEST, min(8192, int(_WORK / max(self.causal.num_parameters(), 1)))):
                self.reason = f"rows or batches are longer than its {name} ({limit}), which is too long to test"
            elif limit:
                rows = [_beyond(max(far.values()))] if far else []
                self.reason = self._why_packing_fails(plain, [*rows, *_SHORT[:2], *[_SHORT[1]] * (side // _SHORT[1])])
        self.packs = not self.reason

    def _why_packing_fails(self, plain: str, lengths: list[int]) -> str:
        """Empty when a packed batch gives each sequence the states that it has alone."""
        rows, batches = self._question(lengths)
        states = self._own_logits if self.uses_own_head else self.hidden
        self.packs = False
        self._set_attention(plain)
        try:
            alone = torch.cat([states(batch) for batch in batches])
        except Exception as error:  # any family may fail in any way here
            raise self._unsupported(f"its own forward pass fails for {max(lengths)} tokens: {said(error)}") from error
        self.packs = True

        def packed() -> str:
            self._set_attention(per_sequence.register())
            found = states(make_batch(rows, torch.arange(len(rows)).numpy(), self.causal.device))
            return _far(found, alone, _TOLERANCE) and "layers of this model read across packed sequences"

        return _refusal(packed)

    @torch.no_grad()
    def _cheapest_attention(self) -> str:
        """The name of attention per sequence without masks where all of them are plainly causal at any length."""
        from transformers.masking_utils import causal_mask_function

        rows, batches = self._question(_SHORT)
        packed = make_batch(rows, torch.arange(len(rows)).numpy(), self.causal.device)
        states = self._own_logits if self.uses_own_head else self.hidden
        self._set_attention(per_sequence.NAME)
        expected = states(packed)
        per_sequence.Sight.functions = functions = set()
        states(batches[0])  # of one sequence: transformers puts packed ones behind a function of their own
        per_sequence.Sight.functions, is_causal = None, functions <= {causal_mask_function}
        self._set_attention(per_sequence.WITHOUT_MASKS)
        is_same = is_causal and not _refusal(lambda: "" if torch.equal(states(packed), expected) else "differs")
        return per_sequence.WITHOUT_MASKS if is_same else per_sequence.NAME

    def _check_gradients(self, plain: str) -> None:
        """The gradient of a few trained weights must be that of the model's own loss; a slower path is tried first.

        Errors: ModelError `model.unsupported`.
        """
        weights = _some_trained(self.model)
        if not weights:
            return
        rows, batches = self._question(_SHORT[:2])
        packed = make_batch(rows, torch.arange(len(rows)).numpy(), self.causal.device)

        def own() -> Tensor:
            logits = [self.causal(input_ids=batch.input_ids, use_cache=False).logits[0] for batch in batches]
            kept = [scores[batch.positions].float() for scores, batch in zip(logits, batches, strict=True)]
            return nn.functional.cross_entropy(torch.cat(kept), packed.targets, reduction="sum")

        def ours() -> Tensor:
            return torch.stack([self(batch, 1.0)[0] for batch in ([packed] if self.packs else batches)]).sum()

        used = self._packed_attention if self.packs else plain
        self._set_attention(plain)
        try:
            expected = _gradient(own, weights)
        except Exception as error:  # any family may fail in any way here
            raise self._unsupported(f"its own loss has no gradient: {said(error)}") from error
        self._set_attention(used)
        if not (why := _refusal(lambda: _far(_gradient(ours, weights), expected, _GRADIENT_TOLERANCE))):
            return
        if self.packs:
            self.packs, self.reason = False, f"a packed batch has another gradient ({why})"
            self._set_attention(plain)
        elif not self.uses_own_head:
            self._trunk = None
        else:
            raise self._unsupported(f"its gradient differs from that of its own loss ({why})")
        self._check_gradients(plain)

    def _unsupported(self, why: str) -> ModelError:
        return ModelError(
            "model.unsupported",
            f"this {self.causal.config.model_type} model cannot be trained or measured here: {why}",
            "check that the model's files are whole, or choose a model of another family",
        )


def _trunks(causal: "PreTrainedModel") -> list[nn.Module]:
    """What may give the last hidden states: the decoder that the model names, what that wraps, the base model."""
    decoder: Any = getattr(causal, "get_decoder", lambda: None)()
    inner = getattr(decoder, "model", None)  # Llama 4 names the whole as its decoder
    candidates = [decoder, inner, causal.base_model]
    return [module for module in candidates if isinstance(module, nn.Module) and module is not causal]


def _beyond(limit: int) -> int:
    """Tokens of a row that passes a boundary so far that ignoring it is more than the rounding of bfloat16."""
    return limit + max(8, limit // 4)


def _side_of_masks(model: nn.Module) -> int:
    """Tokens of the largest mask that layers keep as a square buffer, 0 for none."""
    shapes = [buffer.shape for buffer in model.buffers() if buffer.dim() > 1]
    return max((shape[-1] for shape in shapes if shape[-1] == shape[-2] > max(_SHORT)), default=0)


def _refusal(question: Callable[[], str]) -> str:
    """The answer to a question that a model may also answer with any error; memory that runs out is no answer."""
    try:
        return question()
    except per_sequence.UnsupportedAttentionError as error:
        return str(error)
    except Exception as error:
        if per_sequence.Sight.__name__ in str(error):
            return "its layers change the masks that they are given"
        return said(error)


def _far(ours: Tensor, theirs: Tensor, tolerance: dict[torch.dtype, float]) -> str:
    """Empty when equal up to rounding, by the relative distance of the whole tensors."""
    share = distance(ours, theirs)
    return "" if share <= tolerance.get(theirs.dtype, 1e-4) else f"off by {share:.2g}"


def _some_trained(model: nn.Module) -> list[nn.Parameter]:
    """The first and the last trained weights, a few million numbers at most where one is not larger by itself."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    chosen: list[nn.Parameter] = []
    for weight in [*trained[:4], *reversed(trained[-4:])]:
        if not chosen or sum(map(torch.numel, chosen)) + weight.numel() < 1 << 22:
            chosen += [weight] if all(weight is not other for other in chosen) else []
    return chosen


@torch.enable_grad()
def _gradient(loss: Callable[[], Tensor], weights: list[nn.Parameter]) -> Tensor:
    found = torch.autograd.grad(loss(), weights, allow_unused=True)
    parts = [torch.zeros_like(w) if g is None else g for w, g in zip(weights, found, strict=True)]
    return torch.cat([part.flatten().float() for part in parts]).to(weights[0].dtype)


def _after_head(config: Any) -> tuple[float, float | None]:
    """(scale, soft cap) that a family applies to its logits: Cohere multiplies, Granite divides, Gemma 2 caps."""
    scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
    return scale, getattr(config, "final_logit_softcapping", None)
