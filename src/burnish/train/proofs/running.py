"""The checks inside a run: made once, kept in its scratch folder for a resumed attempt, published with the artifact."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from burnish.core.context import Context, StopRequestedError
from burnish.core.errors import RunError
from burnish.core.files import read_json
from burnish.specs.train import TrainSpec
from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.batches import FixedRows, Visits
from burnish.train.passes import Passes
from burnish.train.proofs.checks import prove
from burnish.train.proofs.processes import prove_together
from burnish.train.proofs.proof import COUNTS, FILE
from burnish.train.proofs.sample import rows_of_sample, tokens_of_sample, worth_checking
from burnish.train.proofs.subject import Drawn, Known, Subject


def prove_once(
    passes: Passes, subject: Callable[[], Subject], wanted: str, ctx: Context, is_resumed: bool
) -> Mapping[str, int]:
    """Make the checks, unless an earlier attempt has made them; those that do not hold stop a training.

    Each of several processes makes them, with its device, and one more with the others. Returns the number of checks by
    verdict, if they are made. `subject` is called only then: it may sample rows.
    Errors: RunError `run.not-proven`, `run.interrupted`; those of `subject`.
    """
    if wanted == "off":
        return {}
    is_alone = passes.ranks.is_alone
    found = _held(ctx.scratch) if is_alone else None  # only the first process of several has what was kept
    if found is not None or is_resumed:
        return found or {}
    try:
        with passes.alone():
            of = subject()
            proof = prove(of)
        if not is_alone:
            proof = replace(proof, checks=(*proof.checks, prove_together(of)))
    except StopRequestedError:
        fix = "run it again: the checks are made then"
        raise RunError("run.interrupted", "the run was stopped during its checks, before step 1", fix) from None
    proof.write(ctx.scratch)
    for event in proof.events():
        ctx.emit(event)
    if wanted == "auto":
        proof.refuse(ctx.scratch)
    return proof.counts


def subject_of(
    passes: Passes, material: Any, spec: TrainSpec, visited: Indices, known: Known, is_started: bool
) -> Subject:
    """The training as the checks see it. Rows that are sampled are those of the first rollout, which is made now.

    Errors: those of `Material.at`.
    """
    if isinstance(material, FixedRows):
        return Subject(passes, material.data, spec, visited, known, is_started)
    rollout = material.first()
    known = replace(known, examples=())  # their answers are sampled
    drawn = Drawn(rollout.prompts, material.reference, material.stop_ids, material.longest)
    return Subject(passes, rollout.rows, spec, worth_checking(rollout.rows), known, is_started, drawn)


def with_sample(visits: Visits, rows: TokenisedRows, model: nn.Module) -> Visits:
    """What the run reads, with the rows that the checks use; none where it visits none."""
    chosen = rows_of_sample(rows, visits.rows, tokens_of_sample(model))
    return replace(visits, sample=np.array(chosen, np.int64))


def publish(ctx: Context) -> None:
    """Copy `proof.json` into the artifact, if the checks were made."""
    if (ctx.scratch / FILE).exists():
        shutil.copyfile(ctx.scratch / FILE, ctx.out / FILE)


def _held(scratch: Path) -> Mapping[str, int] | None:
    """The counts of an earlier attempt in which every check that applies held."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = read_json(scratch / FILE)
        if found["failed"] == 0:
            return {name: found[name] for name in COUNTS.values()}
    return None
