"""The checks inside a run: made once, kept in its scratch folder for a resumed attempt, published with the artifact."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from torch import nn

from burnish.core.context import Context
from burnish.core.errors import RunError
from burnish.core.files import read_json
from burnish.tokens.tokenised import Indices, TokenisedRows
from burnish.train.batches import Visits
from burnish.train.passes import StopRequestedError
from burnish.train.proofs.checks import prove
from burnish.train.proofs.proof import COUNTS, FILE
from burnish.train.proofs.sample import rows_of_sample, tokens_of_sample
from burnish.train.proofs.subject import Subject


def prove_once(subject: Subject, ctx: Context) -> Mapping[str, int]:
    """Make the checks, unless an earlier attempt has made them; those that do not hold stop a training.

    Returns the number of checks by verdict, if they are made. Errors: RunError `run.not-proven`, `run.interrupted`.
    """
    wanted = subject.spec.prove
    if wanted == "off":
        return {}
    if (found := _held(ctx.scratch)) is not None or subject.is_started:
        return found or {}
    try:
        proof = prove(subject)
    except StopRequestedError:
        fix = "run it again: the checks are made then"
        raise RunError("run.interrupted", "the run was stopped during its checks, before step 1", fix) from None
    proof.write(ctx.scratch)
    for event in proof.events():
        ctx.emit(event)
    if wanted == "auto":
        proof.refuse(ctx.scratch)
    return proof.counts


def sampled(rows: TokenisedRows, visited: Indices, model: nn.Module) -> Visits:
    """The rows that the checks use, as one step; none where the run visits none."""
    chosen = np.array(rows_of_sample(rows, visited, tokens_of_sample(model)), np.int64)
    return Visits(chosen, lambda: [chosen] if len(chosen) else [])


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
