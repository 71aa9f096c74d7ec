"""Checks of the model before the first step: adapters, the seed, and what is saved."""

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from burnish.core.context import Input
from burnish.core.files import file_size
from burnish.models.load import load_model
from burnish.models.probing import evaluating
from burnish.models.reward import load_reward_model
from burnish.train.objectives.reward import HEAD, Reward
from burnish.train.proofs.objectives.losses import alone
from burnish.train.proofs.question import Answer, Question, fails, holds, skipped
from burnish.train.proofs.subject import Subject
from burnish.train.proofs.twin import Plain
from burnish.train.resolve import Machine

_MOST_LOADED, _MOST_WRITTEN = 10**9, 10**8
"""Parameters of a model that is loaded a second time, and of one that is written to disk whole."""
_SHARE_OF_MEMORY = 0.6
"""Of free memory, that a second model may take."""
_ORDINARY = (True, False, "gaussian", "orthogonal")
"""Initialisations of LoRA that leave the base's weights as they are."""


def off(subject: Subject) -> Answer:
    if not hasattr(subject.model, "peft_config"):
        return skipped("there is no adapter")
    model: Any = subject.model
    with subject.in_evaluation() as plain, model.disable_adapter():
        disabled = plain.all_losses()
    return subject.compare(
        disabled, subject.base_losses_at(), "losses with the adapter disabled, and of the base's own layers"
    )


def start(subject: Subject) -> Answer:
    if subject.is_started:
        return skipped("the training is resumed")
    if not hasattr(subject.model, "peft_config"):
        return skipped("there is no adapter")
    if any("trainable_tokens" in name for name in subject.trained):
        return skipped("rows of new tokens start at other values than the base's")
    if (how := _initialisation(subject.model)) not in _ORDINARY:
        return skipped(f"{how} moves a part of the base's weights into the adapter")
    with subject.in_evaluation() as plain:
        found = plain.all_losses()
    return subject.compare(
        found, subject.base_losses_at(), "losses with the fresh adapter, and of the base's own layers"
    )


def seed(subject: Subject) -> Answer:
    if subject.known.make is None or subject.is_started:
        return skipped("the training is resumed" if subject.is_started else "the model was made by the caller")
    if subject.parameters > _MOST_LOADED:
        return skipped(f"not checked: {subject.parameters:,} parameters are too many to load twice")
    if reason := _no_room(subject):
        return skipped(reason)
    if subject.known.is_rounded and not hasattr(subject.model, "peft_config"):
        return skipped("the weights are rounded from the exact ones of the base, which a second model is not")
    again = {name: weight for name, weight in subject.known.make().named_parameters() if weight.requires_grad}
    if set(again) != set(subject.trained):
        return fails("a second model made with the same seed has other trained weights")
    for name, weight in subject.trained.items():
        if not torch.equal(again[name].detach().to(weight.dtype), weight.detach()):
            return fails(f"{name} has other values in a second model made with the same seed")
    return holds(f"{len(again)} trained weights are the same bit for bit in a second model made with the same seed")


def saved(subject: Subject) -> Answer:
    save, is_adapter = subject.known.save, hasattr(subject.model, "peft_config")
    if save is None:
        return skipped("the model was made by the caller")
    most = _MOST_LOADED if is_adapter else _MOST_WRITTEN
    if subject.parameters > most:
        return skipped(f"not checked: {subject.parameters:,} parameters are too many to save and load")
    if reason := _no_room(subject):
        return skipped(reason)
    with tempfile.TemporaryDirectory(prefix="burnish-proof-") as folder:
        with subject.plain():
            save(subject.model, Path(folder))
        inputs = {} if subject.known.base is None else {"base": subject.known.base}
        written = Input("file:proof", "adapter" if is_adapter else "model", Path(folder), inputs=inputs)
        if isinstance(subject.objective, Reward):
            return _same_scores(subject, written)
        loaded = load_model(written, dtype=subject.scorer.causal.dtype, device=subject.device)
        with torch.no_grad(), evaluating(loaded):
            found = Plain(loaded, nullcontext, subject.sample.rows).all_losses()
    return subject.compare(found, subject.plain_losses, "losses of the model, and of the one saved and loaded")


def _same_scores(subject: Subject, written: Input) -> Answer:
    """A reward model is loaded as transformers' sequence classifier."""
    rows, dtype = subject.sample.rows, subject.scorer.causal.dtype
    loaded: Any = load_reward_model(written, dtype=dtype, device=subject.device)
    scores = list[torch.Tensor]()
    with torch.no_grad(), evaluating(loaded):
        for span in (span for row in range(len(rows)) for span in rows.spans(row)):
            ids = torch.from_numpy(rows.ids[span].astype(np.int64)).to(subject.device)
            scores.append(loaded(input_ids=ids[None], use_cache=False).logits[0, 0])
    expected = alone(subject, getattr(subject.scorer.causal, HEAD))
    return subject.compare(torch.stack(scores), expected, "scores of the model, and of the one saved and loaded")


def _no_room(subject: Subject) -> str:
    """Why the model cannot be loaded a second time; empty if it can."""
    needed = sum(weight.numel() * weight.element_size() for weight in subject.model.parameters())
    free = Machine.here().memory_of(subject.device.type)
    if needed <= _SHARE_OF_MEMORY * free:
        return ""
    return f"not checked: a second model takes {file_size(needed)} of the {file_size(free)} of free memory"


def _initialisation(model: nn.Module) -> Any:
    configs: Any = getattr(model, "peft_config", {})
    return next((getattr(config, "init_lora_weights", True) for config in configs.values()), True)


QUESTIONS = (
    Question(
        "adapter off",
        "Is the model with its adapter disabled the base?",
        "report this as a bug; until then use method: full, or a reference model of its own",
        off,
    ),
    Question("saved", "Does the saved model give the same losses when it is loaded?", "report this as a bug", saved),
)
AT_START = (
    Question(
        "fresh adapter",
        "Is the model with its fresh adapter the base?",
        "report this as a bug",
        start,
        at_start=True,
    ),
    Question(
        "seed",
        "Does the seed determine the weights at the start?",
        "report this as a bug: a run cannot be repeated",
        seed,
        at_start=True,
    ),
)
