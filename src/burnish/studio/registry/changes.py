"""Change versions of the registry: promote, demote, tag, untag, remove."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError, RunError
from burnish.core.inputs.references import refuse_secret
from burnish.core.registry.author import author
from burnish.core.registry.description import refuse_damage
from burnish.core.registry.entries import Version
from burnish.core.registry.evidence import Case, gather
from burnish.core.registry.names import check_stage, check_tag
from burnish.core.registry.registry import Draft, Registry
from burnish.core.registry.stages import Direction, move
from burnish.core.runs.workspace import Workspace
from burnish.studio.registry.versions import Notes, refuse_kind


def promote(
    ref: str,
    *,
    to: str | None = None,
    because: str = "",
    kind: str | None = None,
    who: str | None = None,
    workspace: Path | str | None = None,
    say: Notes = lambda _: None,
) -> dict[str, Any]:
    """Move a version one stage up, or to `to`. Returns the version, with `replaced`: those that left production.

    Its files are hashed first. Errors: RunError `run.no-evidence` where a certificate (or proof) and a verdict are
    missing and `because` is empty, `run.damaged-artifact`; AskErrors of the reference and the move.
    """
    return _move(ref, "promote", to, because, kind, who, workspace, say)


def demote(
    ref: str,
    *,
    to: str | None = None,
    because: str = "",
    kind: str | None = None,
    who: str | None = None,
    workspace: Path | str | None = None,
    say: Notes = lambda _: None,
) -> dict[str, Any]:
    """Move a version one stage down, or to `to`; a candidate becomes retired."""
    return _move(ref, "demote", to, because, kind, who, workspace, say)


def _move(
    ref: str,
    direction: Direction,
    to: str | None,
    because: str,
    kind: str | None,
    who: str | None,
    workspace: Path | str | None,
    say: Notes,
) -> dict[str, Any]:
    place = Workspace.find(workspace)
    refuse_secret(because, "the reason", is_reference=False)
    registry = Registry(place)
    refuse_kind(registry.version(ref).kind, kind, ref)

    def evidence(version: Version) -> Case:
        refuse_damage(version.ref, version.record, place.root, {}, deep=True)
        case = gather(version.record, place)
        for text in case.left_out:
            say(text)
        return case

    stage = None if to is None else check_stage(to)
    moved, replaced, faults = move(registry, ref, direction, stage, who or author(place.root), because, evidence)
    _report(faults, say)
    return {**moved.as_dict(), "ref": moved.ref, "replaced": [other.ref for other in replaced]}


def tag(
    ref: str,
    name: str,
    *,
    because: str = "",
    kind: str | None = None,
    who: str | None = None,
    workspace: Path | str | None = None,
    say: Notes = lambda _: None,
) -> dict[str, Any]:
    """Give a version a tag, so that `name@TAG` means it. A tag is of one version: another loses it, which is reported.

    Errors: AskError `ask.nothing-to-do` if the version has it, `ask.wrong-value` for a tag that has another meaning.
    """
    check_tag(name)
    place, version, draft_of = _version(ref, kind, workspace)
    refuse_secret(because, "the reason", is_reference=False)
    with draft_of as draft:
        now = draft.entry.version(str(version.number))
        if name in now.tags:
            raise AskError("ask.nothing-to-do", f"{now.ref} has the tag {name} already", "use another tag")
        before = next((other for other in draft.entry.live.values() if name in other.tags), None)
        if before is not None:
            say(f"the tag {name} was of {before.ref}")
        found = draft.change("tag", now.number, who or author(place.root), because, tag=name)
        _report(draft.faults, say)
    return {**found.as_dict(), "ref": found.ref}


def untag(
    ref: str,
    name: str,
    *,
    because: str = "",
    kind: str | None = None,
    who: str | None = None,
    workspace: Path | str | None = None,
    say: Notes = lambda _: None,
) -> dict[str, Any]:
    """Remove a tag of a version. AskError `ask.bad-reference` if it has none of that name."""
    place, version, draft_of = _version(ref, kind, workspace)
    refuse_secret(because, "the reason", is_reference=False)
    with draft_of as draft:
        now = draft.entry.version(str(version.number))
        if name not in now.tags:
            tags = f"its tags are {', '.join(now.tags)}" if now.tags else "it has no tags"
            raise AskError("ask.bad-reference", f"{now.ref} has no tag {name}", tags)
        found = draft.change("untag", now.number, who or author(place.root), because, tag=name)
        _report(draft.faults, say)
    return {**found.as_dict(), "ref": found.ref}


def remove(
    ref: str,
    *,
    because: str = "",
    kind: str | None = None,
    who: str | None = None,
    workspace: Path | str | None = None,
    say: Notes = lambda _: None,
) -> dict[str, Any]:
    """Remove a version from the registry. Its files stay (`burnish gc` finds them), and its number is not used again.

    Errors: RunError `run.in-production` for a version in production without a reason.
    """
    place, version, draft_of = _version(ref, kind, workspace)
    refuse_secret(because, "the reason", is_reference=False)
    with draft_of as draft:
        now = draft.entry.version(str(version.number))
        if now.stage == "production" and not because:
            fix = f'demote it first (burnish {now.kind}s demote {now.ref}), or say why: --because "…"'
            raise RunError("run.in-production", f"{now.ref} is in production, and is not removed", fix)
        draft.change("remove", now.number, who or author(place.root), because)
        _report(draft.faults, say)
    return {"ref": now.ref, "removed": True, "artifact": dict(now.record["artifact"])}


def _version(
    ref: str, kind: str | None, workspace: Path | str | None
) -> tuple[Workspace, Version, AbstractContextManager[Draft]]:
    """The version of a reference, and a context that holds the lock of its name."""
    place = Workspace.find(workspace)
    registry = Registry(place)
    version = registry.version(ref)
    refuse_kind(version.kind, kind, version.ref)
    return place, version, registry.changing(version.name)


def _report(faults: list[str], say: Notes) -> None:
    for fault in faults:
        say(f"{fault}; burnish reindex writes it again")
