"""Faults in what is learned: rendering, batches, and how a step is divided."""

from dataclasses import replace

import numpy as np
import torch

from burnish.tokens.rendering import renderer
from burnish.train import batches, passes
from burnish.train.objectives.causal import Causal
from burnish.train.proofs import subject
from museum.exhibit import FALLS_BACK, Exhibit, Patch


def in_batches(patch: Patch, change) -> None:
    """Wrap `make_batch` wherever it is used: `change(make, data, rows, ...)`."""
    make = batches.make_batch
    from burnish.train import scoring

    for module in (batches, passes, subject, scoring):
        patch.setattr(module, "make_batch", lambda *given, **named: change(make, *given, **named))


def in_weights(patch: Patch, change) -> None:
    """Change the weights of the tokens of a rendered conversation: `change(encoded, spans, weights)`."""
    weigh = renderer.token_weights

    def changed(encoded, spans):
        weights, straddling = weigh(encoded, spans)
        return change(encoded, spans, weights), straddling

    patch.setattr(renderer, "token_weights", changed)


def turn_end_masked(patch):
    in_weights(patch, lambda encoded, spans, weights: np.where(encoded.ids == 2, np.float32(0), weights))


def header_learned(patch):
    def earlier(encoded, spans, weights):
        first = int(np.argmax(weights))
        weights = weights.copy()
        weights[max(1, first - 3) : first] = 1
        return weights

    in_weights(patch, earlier)


def everything_learned(patch):
    def unmasked(make, data, rows, *others, **named):
        weights = np.ones_like(data.weights)
        weights[data.offsets[:-1]] = 0
        return make(replace(data, weights=weights), rows, *others, **named)

    in_batches(patch, unmasked)


def shifted_twice(patch):
    def shifted(make, *given, **named):
        batch = make(*given, **named)
        return replace(batch, positions=(batch.positions - 1).clamp(min=0))

    in_batches(patch, shifted)


def unshifted(patch):
    def same(make, *given, **named):
        batch = make(*given, **named)
        return replace(batch, positions=batch.positions + 1)

    in_batches(patch, same)


def positions_run_on(patch):
    def running(make, *given, **named):
        batch = make(*given, **named)
        return replace(batch, position_ids=torch.arange(batch.tokens)[None])

    in_batches(patch, running)


def per_micro_batch(patch):
    score = Causal.score
    patch.setattr(
        Causal,
        "score",
        lambda self, forward, batch, whole: score(
            self, forward, batch, replace(whole, divisor=float(batch.weights.sum()))
        ),
    )


def last_part_dropped(patch):
    split = passes.ForwardPasses._parts

    def dropped(self, data, rows):
        parts = split(self, data, rows)
        return parts[:-1] if len(parts) > 1 else parts

    patch.setattr(passes.ForwardPasses, "_parts", dropped)


def mean_of_rows(patch):
    """Σ over rows of the mean over a row's tokens, instead of the mean over all tokens."""
    from burnish.train.objectives.objective import Scored, no_metrics, no_row_values

    def score(self, forward, batch, whole):
        losses = batch.sums(forward.token_losses(batch)) / batch.counts / whole.divisor
        return Scored(losses.sum(), losses.detach(), no_metrics(losses), no_row_values(losses, len(batch.rows)))

    patch.setattr(Causal, "score", score)


def start_token_doubled(patch):
    encode = renderer.Renderer._encode

    def doubled(self, text, add_special_tokens=False):
        found = encode(self, text, add_special_tokens)
        ids = np.concatenate([[1, 1], found.ids]).astype(np.int32)
        offsets = np.concatenate([[[0, 0], [0, 0]], found.offsets])
        self.tokenizer.bos_token = "<|im_start|>"
        return replace(found, ids=ids, offsets=offsets)

    patch.setattr(renderer.Renderer, "_encode", doubled)


EXHIBITS = (
    Exhibit(
        "the end of a turn is masked, since padding is the same token",
        "huggingface/trl#976",
        "the loss falls, and the model never stops",
        "turn ends",
        turn_end_masked,
    ),
    Exhibit(
        "the header of a turn is learned",
        "NVIDIA-NeMo/Automodel#3352",
        "answers begin with the words of the template",
        "prompt as served",
        header_learned,
    ),
    Exhibit(
        "prompts and padding are in the loss",
        "EleutherAI/gpt-neo#45 huggingface/transformers#2759",
        "the model learns to write prompts; the loss is that of other tokens",
        "shift",
        everything_learned,
    ),
    Exhibit(
        "labels are shifted twice",
        "huggingface/transformers#47394",
        "the loss falls slowly, the model skips words",
        "shift",
        shifted_twice,
    ),
    Exhibit(
        "labels are not shifted",
        "EleutherAI/gpt-neox#1285 huggingface/transformers#35066",
        "the loss falls to zero: the model copies its input",
        "shift",
        unshifted,
    ),
    Exhibit(
        "rotary positions run on in a packed row",
        "NVIDIA/Megatron-LM#453 pytorch/torchtitan#2559",
        "nothing; long packed rows are learned worse",
        FALLS_BACK,
        positions_run_on,
        config={"model_type": "gpt2"},
        family="gpt2",
    ),
    Exhibit(
        "the loss is normalised for each micro-batch",
        "huggingface/transformers#34191",
        "gradient accumulation gives another loss than one large batch",
        "micro-batches",
        per_micro_batch,
    ),
    Exhibit(
        "the last micro-batch is left out",
        "tomhosking/torchseq#8",
        "nothing; some rows are never learned",
        "micro-batches",
        last_part_dropped,
    ),
    Exhibit(
        "the token that starts a text is doubled",
        "huggingface/trl#1114 huggingface/open-r1#462",
        "the model is served with other prompts than it was trained with",
        "model.doubled-special",
        start_token_doubled,
    ),
)
