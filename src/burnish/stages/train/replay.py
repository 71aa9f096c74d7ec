"""The checkpoint from which a training can go on as if it had never had some of its rows."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError
from burnish.stages.answer import answer
from burnish.train.checkpoints.checkpoint import CheckpointFolder, damage
from burnish.train.reporting.visits import Visits
from burnish.train.rollout.ledger import first_step_of
from burnish.train.rollout.store import RolloutFolder


def start_without(
    ledger: Path, checkpoints: Path, without: Sequence[str], earlier: Path | None = None
) -> dict[str, Any]:
    """`checkpoint` (None for the beginning), `first_visit` of the rows, and the `reason` for the choice.

    `earlier` is the checkpoint of another run that this one was resumed from. In a training on rollouts, the checkpoint
    is also before the first step on the rollout that sampled a row.
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
    first, kept = min(steps), CheckpointFolder(checkpoints).steps()
    sampled = first_step_of(RolloutFolder(checkpoints.parent / "rollouts"), without)
    end = first if sampled is None else min(first, sampled)
    places = [checkpoints / f"step-{step:08d}" for step in reversed(kept) if step < end]
    places += [earlier] if earlier is not None and _step_of(earlier) < end else []
    damaged = list[str]()
    for place in places:
        why = damage(place)
        if why is None:
            return _start(place, first, "the newest checkpoint before", damaged)
        damaged.append(f"{place.name} is damaged ({why})")
    if damaged:
        return _start(None, first, "no checkpoint before is whole", damaged)
    if not kept:
        return _start(None, first, "no checkpoints were kept after the run: checkpoint.archive keeps them")
    return _start(None, first, f"the first checkpoint that was kept is of step {kept[0]}")


def _start(checkpoint: Path | None, first: int, reason: str, damaged: Sequence[str] = ()) -> dict[str, Any]:
    start = None if checkpoint is None else str(checkpoint)
    return {"checkpoint": start, "first_visit": first, "reason": "; ".join([reason, *damaged])}


def _step_of(checkpoint: Path) -> int:
    """The step of a checkpoint, by the name of its folder."""
    number = checkpoint.name.removeprefix("step-")
    return int(number) if number.isdigit() else sys.maxsize


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    earlier = None if request["earlier"] is None else Path(request["earlier"])
    return start_without(Path(request["ledger"]), Path(request["checkpoints"]), request["without"], earlier)


if __name__ == "__main__":
    answer(_answer)
