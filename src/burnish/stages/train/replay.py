"""The checkpoint from which a training can go on as if it had never had some of its rows."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError, BurnishError
from burnish.train.checkpoints.checkpoint import CheckpointFolder
from burnish.train.reporting.visits import Visits
from burnish.train.rollout.ledger import first_step_of
from burnish.train.rollout.store import RolloutFolder


def start_without(ledger: Path, checkpoints: Path, without: Sequence[str]) -> dict[str, Any]:
    """`checkpoint` (None for the beginning), `first_visit` of the rows, and the `reason` for the choice.

    In a training on rollouts, the checkpoint is also before the first step on the rollout that sampled a row.
    Errors: AskError `ask.bad-reference` for a row that no step has visited; those of `first_step_of`.
    """
    visits = Visits.read(ledger)
    steps = list[int]()
    for name in without:
        rows = visits.named(name)
        if not rows:
            what = f"no step up to {visits.last_step} has learned the row {name}"
            raise AskError("ask.bad-reference", what, "ids are printed by `burnish runs rows`")
        steps += [visit["step"] for row in rows for visit in visits.of(row)["visits"]]
    first = min(steps)
    folder = CheckpointFolder(checkpoints)
    sampled = first_step_of(RolloutFolder(checkpoints.parent / "rollouts"), without)
    before = first if sampled is None else min(first, sampled)
    kept = [step for step in folder.steps() if step < before]
    chosen = next((place for step in reversed(kept) if (place := folder.at(step)) is not None), None)
    return {
        "checkpoint": None if chosen is None else str(chosen),
        "first_visit": first,
        "reason": _reason(folder, kept),
    }


def _reason(folder: CheckpointFolder, kept: Sequence[int]) -> str:
    if not folder.steps():
        return "no checkpoints were kept after the run: checkpoint.archive keeps them"
    if not kept:
        return f"the first checkpoint that was kept is of step {folder.steps()[0]}"
    return "the newest checkpoint before"


def main() -> None:
    """Entry point for the control plane: a request as JSON on stdin, the answer or an error as JSON on stdout."""
    request = json.load(sys.stdin)
    try:
        found = start_without(Path(request["ledger"]), Path(request["checkpoints"]), request["without"])
    except BurnishError as error:
        found = {"error": error.as_dict()}
    json.dump(found, sys.stdout, ensure_ascii=False)


if __name__ == "__main__":
    main()
