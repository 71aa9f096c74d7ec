"""Move a version from stage to stage: the table of moves, and what a promotion needs.

    retired ↔ candidate ↔ staging ↔ production

`promote` moves up and `demote` down, one stage or to a named one. At most one version of a name is in production: a
promotion retires the one that was. To go back, promote that one again.
"""

from collections.abc import Callable
from typing import Literal

from burnish.core.errors import AskError, RunError
from burnish.core.registry.entries import Entry, Version
from burnish.core.registry.evidence import Case
from burnish.core.registry.names import STAGES, Stage
from burnish.core.registry.registry import Registry

Direction = Literal["promote", "demote"]
NEEDS_EVIDENCE: tuple[Stage, ...] = ("staging", "production")


def next_stage(version: Version, direction: Direction, to: Stage | None) -> Stage:
    """The stage that a version moves to. AskError `ask.nothing-to-do` if it is there, `ask.wrong-value` if the other
    command moves there."""
    now = STAGES.index(version.stage)
    step = 1 if direction == "promote" else -1
    if to is None:
        if not 0 <= now + step < len(STAGES):
            end = "highest" if step > 0 else "lowest"
            hint = "use demote" if step > 0 else "use promote, or remove it"
            raise AskError("ask.nothing-to-do", f"{version.ref} is in {version.stage}, the {end} stage", hint)
        return STAGES[now + step]
    if to == version.stage:
        raise AskError("ask.nothing-to-do", f"{version.ref} is in {to} already", f"see `burnish {version.kind}s list`")
    if (STAGES.index(to) > now) != (step > 0):
        other = "demote" if direction == "promote" else "promote"
        what = f"{to} is {'below' if step > 0 else 'above'} {version.stage}, the stage of {version.ref}"
        raise AskError("ask.wrong-value", what, f"use `burnish {version.kind}s {other} {version.ref} --to {to}`")
    return to


def move(
    registry: Registry,
    ref: str,
    direction: Direction,
    to: Stage | None,
    who: str,
    because: str,
    evidence: Callable[[Version], Case],
) -> tuple[Version, list[Version], list[str]]:
    """Move a version; returns it, those that it replaced in production, and files that could not be written.

    `evidence` is gathered before the lock is taken. A promotion to staging or production without it needs a reason.
    Errors: RunError `run.no-evidence`; AskErrors of `next_stage`.
    """
    before = registry.version(ref)
    goal = next_stage(before, direction, to)
    case = evidence(before) if direction == "promote" and goal in NEEDS_EVIDENCE else None
    against = case.missing() if case is not None else []
    if against and not because:
        raise RunError(
            "run.no-evidence",
            f"{before.ref} is not promoted to {goal}: {'; '.join(against)}",
            'add the evidence (burnish certify, burnish compare, prove: on), or give a reason: --because "…"',
        )
    shown = [one.as_dict() for one in case.evidence if one.kind != "score"] if case is not None else []
    with registry.changing(before.name) as draft:
        version = draft.entry.version(str(before.number))
        if next_stage(version, direction, to) != goal:  # another process moved it meanwhile
            what = f"{version.ref} was moved to {version.stage} by another process"
            raise AskError("ask.nothing-to-do", what, "look at it, and repeat the command")
        displaced = _displaced(draft.entry, version, goal)
        details = {"from": version.stage, "to": goal, "displaced": displaced}
        if case is not None:
            details |= {"evidence": shown, "against": against}
        moved = draft.change(direction, version.number, who, because, **details)
        return moved, [draft.entry.versions[number] for number in displaced], draft.faults


def _displaced(entry: Entry, version: Version, goal: Stage) -> list[int]:
    if goal != "production":
        return []
    return [other.number for other in entry.live.values() if other.stage == "production" and other is not version]
