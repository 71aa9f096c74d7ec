"""Runs a model over a flat batch and gives the loss of every learned token, by the fastest path that is exact.

The path is not guessed from the model's name: the model itself is tested. Do its positions count from 0? Do the hidden
states and the head reproduce the model's own logits? Does a packed batch reproduce the hidden states of its sequences
alone, and the gradient of the model's own loss? A model that fails a test is run one sequence at a time, or through its
own forward; one that cannot be trained exactly in any way is refused by name.
"""

from collections.abc import Callable, Collection, Mapping
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from burnish.models.probing import (
    MOST,
    beyond,
    boundaries,
    distance,
    drops_attention,
    error_text,
    evaluating,
    gradient,
    has_experts,
    off_by,
    random_ids,
    side_of_masks,
    some_trained,
    trunks,
)
from burnish.train.batches import Batch, TokenisedRows, make_batch
from burnish.train.forward import Forward
from burnish.train.kernels import attention as per_sequence
from burnish.train.kernels.lora import FusedLora

_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 1e-2}
_GRADIENT_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}
"""Least tolerances; a model that rounds more is allowed a multiple of what it rounds."""
_COPIES = 3
_SHARE_OF_LEAK, _LEAST_ROUNDING = 0.1, 1e-3
"""Of the rounding: what a row may change in another one. Without a leak it is zero, with one a quarter or more."""
_SHORT = [7, 19, 23, 12]
"""Lengths of the rows of a test."""
_LONGEST, _WORK = 600, 5e11
"""A question has at most so many tokens; a small model, so many that parameters times tokens stay below the second."""


class Scorer(Forward):
    """The fastest exact way to run a model.

    `model` is a causal language model, with or without PEFT's adapters in it. `attention` is `auto`, `varlen`
    (per sequence of a packed batch), `sdpa` or `eager`; `longest` is the length of the longest row, None for any.
    `one_by_one` is True if a batch may hold only one sequence, and `reason` says why. `fused` are layers that a kernel
    of ours computes: they are compared too, and removed if they differ from the model's own. `width` is the number of
    sequences of a row: with several, it is tested whether their common prompt can be computed once.

    Errors: ModelError `model.unsupported` for a model that cannot be trained exactly; AskError `ask.wrong-value` for
    an attention that it does not have.
    """

    def __init__(
        self,
        model: nn.Module,
        attention: str = "auto",
        longest: int | None = None,
        fused: FusedLora | None = None,
        width: int = 1,
    ):
        super().__init__(model, attention, fused)
        plain = self._plain_attention
        self.kernel_reason = ""
        """Why a packed batch is not given to the kernel for all of its sequences; empty where it is, and on a CPU."""
        flash = self._flash = per_sequence.flash_on(self.causal.device)
        if flash is not None:
            flash.refusals.clear()
        with evaluating(self.model):
            self.rounding = cache(lambda: self._rounding_of_states(plain))  # measured once a comparison needs it
            self._learn_the_forward()
            if attention in ("auto", "varlen"):
                self._learn_to_pack(plain, longest)
            self._packed_attention = self._cheapest_attention() if self.packs else per_sequence.NAME
            self._set_attention(self._packed_attention if self.packs else plain)
            self._check_gradients(plain)
            drops = drops_attention(self.causal.config.get_text_config())
            if width > 1 and self.packs and self._packed_attention == per_sequence.WITHOUT_MASKS and not drops:
                self.shares_prompts = not _refusal(lambda: self._why_no_sharing(width))
        if flash is not None and self.packs and not self.kernel_reason:
            self.kernel_reason = "; ".join(sorted(flash.refusals | ({"it has no dropout"} if drops else set())))

    def _question(self, lengths: list[int], changed: int = 0) -> tuple[TokenisedRows, list[Batch]]:
        """Rows of random tokens, and a batch of each alone; every second row, from the first, may be `changed`."""
        ids = random_ids(self.causal.config, lengths)
        if changed:
            ids[::2] = random_ids(self.causal.config, lengths, seed=changed)[::2]
        rows = TokenisedRows.of((str(i), row.numpy(), row.numpy() * 0 + 1) for i, row in enumerate(ids))
        every = torch.arange(len(rows)).numpy()
        return rows, [make_batch(rows, every[i : i + 1], self.causal.device) for i in every.tolist()]

    @torch.no_grad()
    def _learn_the_forward(self) -> None:
        """Find positions, trunk and head that reproduce the model's own logits, or none of these."""
        batch = self._question(_SHORT)[1][0]
        try:
            with self.fused.removed():
                own = self.causal(input_ids=batch.input_ids, use_cache=False).logits[0]
        except Exception as error:  # a family may raise any error here
            raise self._unsupported(f"its own forward pass fails: {error_text(error)}") from error
        if not bool(own.isfinite().any(dim=-1).all()):
            raise self._unsupported("its logits are NaN or infinite")

        def agrees(logits: Callable[[], Tensor], expected: Tensor = own) -> bool:
            return not _refusal(lambda: off_by(logits(), expected, _TOLERANCE, self.rounding))

        some = batch.positions[1:]
        if not agrees(lambda: self._own_logits(batch, some), own[some]):  # one of the two, or both
            self._sends_positions = agrees(lambda: self._own_logits(batch))
            self._keeps_logits = agrees(lambda: self._own_logits(batch, some), own[some])
        for trunk in trunks(self.causal):
            self._trunk = trunk
            if agrees(lambda: self._logits(self.hidden(batch))):
                return
        self._trunk = None
        if agrees(lambda: self._own_logits(batch)):
            return
        if not self.fused.layers:
            raise self._unsupported("its logits differ between two forward passes of the same row")
        self.fused.remove()
        self._sends_positions = self._keeps_logits = True
        self._learn_the_forward()

    @torch.no_grad()
    def _learn_to_pack(self, plain: str, longest: int | None) -> None:
        """Decide whether a batch may hold several sequences, at any length up to the longest."""
        if not self._sends_positions:
            self.reason = "its positions do not count from 0, so sequences cannot be distinguished"
            return
        self.reason = self._why_no_packing(plain, longest)
        if self.reason and self._flash is not None:  # the kernel may be wrong, not the model
            first, self._trusts_kernel = self.reason, False
            self.reason = self._why_no_packing(plain, longest)
            self.kernel_reason = "" if self.reason else f"with it {first}"
        self.packs = not self.reason

    def _why_no_packing(self, plain: str, longest: int | None) -> str:
        per_sequence.Sight.sizes.clear()
        reason, lengths = self._why_packing_fails(plain, _SHORT), list[int]()
        if not reason:
            side, parameters = side_of_masks(self.causal, max(_SHORT)), self.causal.num_parameters()
            limits = boundaries(self.causal.config)
            lengths, reason = past_boundaries(limits, side, per_sequence.Sight.sizes, longest, parameters)
        return self._why_packing_fails(plain, lengths) if lengths else reason

    def _why_packing_fails(self, plain: str, lengths: list[int]) -> str:
        """Empty when a packed batch gives each sequence the same hidden states as alone."""
        rows, batches = self._question(lengths)
        states = self._own_logits if self.uses_own_head else self.hidden
        self.packs = False
        self._set_attention(plain)
        try:
            alone = torch.cat([states(batch) for batch in batches])
        except Exception as error:  # a family may raise any error here
            raise self._unsupported(
                f"its own forward pass fails for {max(lengths)} tokens: {error_text(error)}"
            ) from error
        self.packs = True

        def packed() -> str:
            self._set_attention(per_sequence.register())
            every = torch.arange(len(rows)).numpy()
            found = states(batch := make_batch(rows, every, self.causal.device))
            reads = off_by(found, alone, _TOLERANCE, self.rounding)
            if not reads and not self._is_exact and not has_experts(self.causal):
                # rounding may hide a leak: the same batch with other rows has the same rounding, bit for bit
                others = states(make_batch(self._question(lengths, changed=1)[0], every, self.causal.device))
                kept = [at for start, end in list(pairwise(batch.bounds))[1::2] for at in range(start, end)]
                changed = distance(others[kept], found[kept])
                reads = changed > 0 and changed > _SHARE_OF_LEAK * max(self.rounding(), _LEAST_ROUNDING)
            return "layers of this model read across packed sequences" if reads else ""

        return _refusal(packed)

    @torch.no_grad()
    def _cheapest_attention(self) -> str:
        """The name of attention per sequence without masks, if all masks are plainly causal at any length."""
        from transformers.masking_utils import causal_mask_function

        rows, batches = self._question(_SHORT)
        packed = make_batch(rows, torch.arange(len(rows)).numpy(), self.causal.device)
        states = self._own_logits if self.uses_own_head else self.hidden
        self._set_attention(per_sequence.NAME)
        expected = states(packed)
        per_sequence.Sight.functions = functions = set()
        states(batches[0])  # of one sequence: transformers wraps masks of packed ones in another function
        per_sequence.Sight.functions, is_causal = None, functions <= {causal_mask_function}
        self._set_attention(per_sequence.WITHOUT_MASKS)
        is_same = is_causal and not _refusal(lambda: "" if torch.equal(states(packed), expected) else "differs")
        return per_sequence.WITHOUT_MASKS if is_same else per_sequence.NAME

    def _why_no_sharing(self, width: int) -> str:
        """Empty when sequences with their prompt computed once have the losses and the gradient of whole ones."""
        parts = [part.numpy() for part in random_ids(self.causal.config, _SHORT * (1 + width))]
        groups: list[tuple[str, list[tuple[NDArray[np.int32], NDArray[np.float32]]]]] = []
        for row, prompt in enumerate(parts[: len(_SHORT)]):
            whole = [np.concatenate([prompt, answer]) for answer in parts[len(_SHORT) + row :: len(_SHORT)]]
            groups.append((str(row), [(ids, (np.arange(len(ids)) >= len(prompt)).astype(np.float32)) for ids in whole]))
        rows, every = TokenisedRows.of_groups(groups, width), np.arange(len(groups))
        apart, shared = (make_batch(rows, every, self.causal.device, share_prompts=share) for share in (False, True))
        signs = torch.linspace(-1, 2, len(apart.targets), device=self.causal.device)  # each token has its own gradient

        def loss(batch: Batch) -> Tensor:
            return (self.token_losses(batch) * signs).sum()

        with torch.no_grad():
            found = off_by(self.token_losses(shared), self.token_losses(apart), _TOLERANCE, self.rounding)
        weights = some_trained(self.model)
        if found or not weights:
            return found
        expected = gradient(lambda: loss(apart), weights)
        return off_by(gradient(lambda: loss(shared), weights), expected, _GRADIENT_TOLERANCE, self.rounding)

    @property
    def _is_exact(self) -> bool:
        """True for float32 on a CPU, where rounding cannot hide a difference."""
        return self.causal.dtype == torch.float32 and self.causal.device.type == "cpu"

    def _check_gradients(self, plain: str) -> None:
        """Compare the gradient of a few trained weights with that of the model's own loss; a slower path is tried next.

        Errors: ModelError `model.unsupported`.
        """
        weights = some_trained(self.model)
        if not weights:
            return
        rows, batches = self._question(_SHORT[:2])
        packed = make_batch(rows, torch.arange(len(rows)).numpy(), self.causal.device)

        def own(copies: int = 1) -> Tensor:
            ids = [batch.input_ids.repeat(copies, 1) for batch in batches]
            logits = [self.causal(input_ids=some, use_cache=False).logits[copies // 2] for some in ids]
            kept = [scores[batch.positions].float() for scores, batch in zip(logits, batches, strict=True)]
            return nn.functional.cross_entropy(torch.cat(kept), packed.targets, reduction="sum")

        def ours() -> Tensor:
            return torch.stack([self(batch, 1.0)[0] for batch in ([packed] if self.packs else batches)]).sum()

        used = self._packed_attention if self.packs else plain
        self._set_attention(plain)
        try:
            with self.fused.removed():
                expected = gradient(own, weights)
        except Exception as error:  # a family may raise any error here
            raise self._unsupported(f"its own loss has no gradient: {error_text(error)}") from error

        def rounding() -> float:
            return self._rounding_of(lambda: gradient(lambda: own(_COPIES), weights), expected)

        self._set_attention(used)
        if not (why := _refusal(lambda: off_by(gradient(ours, weights), expected, _GRADIENT_TOLERANCE, rounding))):
            return
        if self.fused.layers:
            self.fused.remove()
        elif self.packs and self._trusts_kernel and self._flash is not None:
            self._trusts_kernel, self.kernel_reason = False, f"with it a packed batch has another gradient ({why})"
        elif self.packs:
            self.packs, self.reason = False, f"a packed batch has another gradient ({why})"
            self._set_attention(plain)
        elif not self.uses_own_head:
            self._trunk = None
        else:
            raise self._unsupported(f"its gradient differs from that of its own loss ({why})")
        self._check_gradients(plain)

    @torch.no_grad()
    def _rounding_of_states(self, plain: str) -> float:
        """The relative distance of the model's own logits between two kernels; 0 if it is small.

        It depends on depth, width and training: 64 random layers in bfloat16 gave 0.014 to 0.08.
        """
        ids, used = [batch.input_ids for batch in self._question(_SHORT[1:3])[1]], self._attention

        def logits(copies: int) -> Tensor:
            found = [self.causal(input_ids=some.repeat(copies, 1), use_cache=False).logits for some in ids]
            return torch.cat([scores[copies // 2] for scores in found])

        self._set_attention(plain)
        rounding = self._rounding_of(lambda: logits(_COPIES), logits(1))
        self._set_attention(used)
        return rounding

    def _rounding_of(self, copied: Callable[[], Tensor], alone: Tensor) -> float:
        """The distance between what rows give alone and as one of several copies, with attention written out.

        Both are correct; kernels for another shape add in another order.
        """
        found, used = list[float](), self._attention

        def other_way() -> str:
            self._set_attention("eager")
            found.append(distance(copied(), alone))
            return ""

        if not self._is_exact:
            _refusal(other_way)
            self._set_attention(used)
        return min(found[0], MOST) if found else 0.0


def past_boundaries(
    limits: Mapping[str, int], side: int, tested: Collection[int], longest: int | None, parameters: int
) -> tuple[list[int], str]:
    """Lengths of rows that pass every boundary that a run may cross, empty if there is none; or why one is not tested.

    `limits` are the boundaries of a model by name, and `side` is that of its masks of fixed size: a row may not exceed
    it, but a batch may. `tested` are the sizes of masks that the short rows of a test had.
    """
    tested = {*tested, *range(max(_SHORT))}
    far = {name: at for name, at in limits.items() if at not in tested and (longest is None or longest > at)}
    name, limit = max([*far.items(), ("mask of fixed size", side)], key=lambda item: item[1])
    if limit > max(_LONGEST, min(8192, int(_WORK / max(parameters, 1)))):
        return [], f"rows or batches are longer than its {name} ({limit}), which is too long to test"
    if not limit:
        return [], ""
    rows = [beyond(max(far.values()))] if far else []
    return [*rows, *_SHORT[:2], *[_SHORT[1]] * (side // _SHORT[1])], ""


def _refusal(question: Callable[[], str]) -> str:
    """The result of a test that may also fail with any error; running out of memory is not a result."""
    try:
        return question()
    except per_sequence.UnsupportedAttentionError as error:
        return str(error)
    except Exception as error:
        if per_sequence.Sight.__name__ in str(error):
            return "its layers modify their masks in place"
        return error_text(error)
