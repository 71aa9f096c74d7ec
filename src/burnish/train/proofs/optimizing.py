"""Checks of what happens around the gradient: weight decay, masters, evaluation, and a resumed step."""

import random
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from burnish.train.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointFolder,
    capture_randomness,
    load,
    restore_randomness,
)
from burnish.train.proofs.question import Answer, Question, fails, holds, skipped, within
from burnish.train.proofs.subject import Subject

_MOST_WRITTEN = 10**8
"""Trained numbers of a checkpoint that is written to disk."""
_LEARNING_RATE = 1e-3


def decay(subject: Subject) -> Answer:
    decayed = subject.passes.optimizer.decayed
    if not decayed:
        return skipped("weight_decay is 0")
    norms = {
        f"{path}.{name}"
        for path, module in subject.model.named_modules()
        if "norm" in type(module).__name__.lower()
        for name, _ in module.named_parameters(recurse=False)
    }
    wrong = [name for name in decayed if name in norms or name.endswith("bias") or subject.trained[name].ndim < 2]
    if wrong:
        return fails(f"weight decay is applied to {len(wrong)} norms or biases, such as {wrong[0]}")
    missed = len([w for n, w in subject.trained.items() if w.ndim >= 2 and n not in decayed])
    return holds(f"{len(decayed)} matrices decay, no norm and no bias; {missed} other weights do not")


def masters(subject: Subject) -> Answer:
    found = subject.passes.optimizer.masters
    rounded = [name for name, master in found.items() if master.dtype != torch.float32]
    if rounded:
        return fails(f"{len(rounded)} weights are updated in {found[rounded[0]].dtype}: small updates are lost")
    worst = 0.0
    for name, master in found.items():
        worst = max(worst, float((master.to(subject.trained[name].dtype) != subject.trained[name]).float().mean()))
    return within(worst, 0.0, "weights that differ from their float32 masters")


def evaluation(subject: Subject) -> Answer:
    rows, passes = subject.sample.rows, subject.passes
    subject.model.train()
    with torch.no_grad():
        parts = passes.each(rows, subject.every, lambda batch: batch.sums(subject.scorer.token_losses(batch)))
    order = np.argsort(np.concatenate([part for part, _ in parts]), kind="stable")
    found = torch.cat([sums.reshape(len(part), -1) for part, sums in parts])[torch.from_numpy(order)]
    expected = subject.sums(subject.plain_losses)
    return subject.compare(found, expected, "losses as in an evaluation, and those of the plain twin without dropout")


def resumed(subject: Subject) -> Answer:
    """After an optimizer step on random gradients, a checkpoint is written, read and restored, and all is compared.

    The step is undone: weights bit for bit, and an optimizer that has not started yet.
    """
    optimizer = subject.passes.optimizer
    if sum(master.numel() for master in optimizer.masters.values()) > _MOST_WRITTEN:
        return skipped("not checked: the trained weights are too many to write twice")
    weights, state = _copies(optimizer.weights()), _copies(optimizer.state())
    random_gradients = torch.Generator().manual_seed(0)
    try:
        for master in optimizer.masters.values():
            master.grad = torch.randn(master.shape, generator=random_gradients).to(master)
        optimizer.step(_LEARNING_RATE)
        optimizer.zero_grad()
        return _kept(subject)
    finally:
        optimizer.zero_grad()
        optimizer.load_weights(weights)
        optimizer.load_state(state)


def _kept(subject: Subject) -> Answer:
    optimizer, before = subject.passes.optimizer, capture_randomness()
    weights, state = _copies(optimizer.weights()), _copies(optimizer.state())
    if not state:
        return fails("the optimizer has no state after a step")
    checkpoint = Checkpoint("proof", {}, optimizer.weights(), optimizer.state(), before)
    with tempfile.TemporaryDirectory(prefix="burnish-proof-") as folder:
        read = load(CheckpointFolder(Path(folder)).save(1, checkpoint))
    first = _draw(subject)
    try:
        restore_randomness(read.randomness)
    except LookupError as error:
        return fails(f"a checkpoint lacks a random state: {error}")
    if _draw(subject) != first:
        return fails("random numbers after a restored checkpoint differ from those of the run that wrote it")
    for expected, found in ((weights, read.weights), (state, read.optimizer)):
        if missing := sorted(set(expected) - set(found)):
            return fails(f"the checkpoint lacks {missing[0]}")
    optimizer.load_weights(read.weights)
    optimizer.load_state(read.optimizer)
    for expected, found in ((weights, optimizer.weights()), (state, optimizer.state())):
        for name, value in expected.items():
            if name not in found or not torch.equal(found[name], value):
                return fails(f"{name} has other values after a checkpoint is written and read")
    return holds("weights, optimizer state and random states are the same after a checkpoint is written and read")


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _draw(subject: Subject) -> list[float]:
    numbers = [random.random(), float(np.random.random()), float(torch.rand(()))]
    return [*numbers, float(torch.rand((), device=subject.device))]


QUESTIONS = (
    Question("evaluation", "Is dropout off in an evaluation?", "report this as a bug", evaluation),
    Question(
        "checkpoint",
        "Does a checkpoint keep weights, optimizer state and random states?",
        "report this as a bug; until then train without a stop",
        resumed,
    ),
)
AT_START = (
    Question(
        "masters",
        "Are weights updated in float32?",
        "set dtype: float32, and report this as a bug",
        masters,
        at_start=True,
    ),
    Question(
        "weight decay",
        "Is weight decay applied to matrices only?",
        "set optimizer.weight_decay: 0, and report this as a bug",
        decay,
        at_start=True,
    ),
)
