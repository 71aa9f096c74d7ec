"""reward: train a reward model on pairs, saved as transformers' sequence classifier with one label."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from burnish.core.context import Context, Outcome
from burnish.core.errors import ModelError
from burnish.core.events import Chosen, Note
from burnish.models.probing import causal_model
from burnish.models.quiet import quiet_transformers
from burnish.models.reward import (
    add_score_head,
    as_classifier,
    distance_to_classifier,
    padding_token,
    save_reward_adapter,
)
from burnish.specs.preferences import RewardSpec
from burnish.stages.tokens.rendering import PAIRS, PAIRS_WITH_MARGIN
from burnish.stages.train.run import Run
from burnish.train.objectives.reward import MARGIN, Reward

_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.2}
_TESTED = 3


def run(spec: RewardSpec, ctx: Context) -> Outcome:
    """Train on the preference rows of the train split; save the adapter with its head, or the whole classifier."""
    run = WithScore.of(spec, ctx, PAIRS_WITH_MARGIN if spec.margin else PAIRS)
    if spec.margin and (margins := int(np.count_nonzero(run.rows.values[MARGIN]))):
        ctx.emit(Note(text=f"{margins:,} of {len(run.rows):,} rows have a margin"))
    model: Any = run.made(ctx)
    causal: Any = causal_model(model)
    pad = _padding(run, causal)
    _check_classifier(run, causal, pad)

    run.tokenizer.pad_token_id = pad
    return run.train(Reward(spec), model=model)


class WithScore(Run):
    """The training of a language model with a scalar head."""

    def made(self, ctx: Context) -> nn.Module:
        model = super().made(ctx)
        causal: Any = causal_model(model)
        add_score_head(causal)  # after the adapter, which would cover it
        if not _is_tied(causal):
            causal.get_output_embeddings().requires_grad_(False)  # no part of the score
        return model

    def write(self, model: Any, folder: Path) -> None:
        """As a sequence classifier, which pads with the tokenizer's padding token."""
        causal: Any = causal_model(model)
        was_training = causal.training
        with quiet_transformers():
            if hasattr(model, "peft_config"):
                save_reward_adapter(model, folder, self.base)
            else:
                pad: Any = self.tokenizer.pad_token_id
                as_classifier(causal, pad).save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        causal.train(was_training)  # the classifier shares the trunk


def _is_tied(causal: Any) -> bool:
    return causal.get_output_embeddings().weight is causal.get_input_embeddings().weight


def _padding(run: Run, causal: Any) -> int:
    """The padding token of the classifier; it ends no row, so each is scored at its last token."""
    splits = [rows for rows in (run.rows, run.held_out) if rows is not None]
    last_tokens = {int(token) for rows in splits for token in np.unique(rows.ids[rows.offsets[1:] - 1])}
    pad, reason = padding_token(causal.config, run.tokenizer, last_tokens)
    name = run.tokenizer.convert_ids_to_tokens(pad)
    run.ctx.emit(Chosen(field="pad_token", value=str(name), reason=f"{reason}; scores are read at the token before it"))
    if hasattr(causal, "hf_device_map") or causal.config.get_text_config().pad_token_id == pad:
        return pad
    if run.spec.__dict__["method"].kind != "full":
        text = (
            f"the base's config has another pad_token_id: set it to {pad} where PEFT loads the adapter; merge writes it"
        )
        run.ctx.emit(Note(level="warning", text=text))
    return pad


def _check_classifier(run: Run, causal: Any, pad: int) -> None:
    """ModelError `model.unsupported` where transformers' classifier would give other scores in a padded batch."""
    rows = run.rows
    spans = [span for row in range(min(_TESTED, len(rows))) for span in rows.spans(row)]
    ids = [torch.from_numpy(rows.ids[span].astype(np.int64)).to(causal.device) for span in spans]
    distance = distance_to_classifier(causal, pad, ids)
    if not distance <= _TOLERANCE.get(run.resolved.dtype, 0.2):
        raise ModelError(
            "model.unsupported",
            f"transformers' sequence classifier of this {causal.config.model_type} model gives other scores in a "
            f"padded batch than for each row alone (by {distance:.1%})",
            "use a base of another family, such as qwen3, llama or gemma2",
        )
