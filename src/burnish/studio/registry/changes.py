"""Change versions of the registry: promote, demote, tag, untag, remove."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError, RunError
from burnish.core.inputs.references import refuse_secret
from burnish.core.registry.author import author, reason
from burnish.core.registry.description import refuse_damage
from burnish.core.registry.entries import Version
from burnish.core.registry.evidence import Case, gather
from burnish.core.registry.history import Kind
from burnish.core.registry.names import check_name, check_stage, check_tag
from burnish.core.registry.registry import Draft, Registry
from burnish.core.registry.stages import Direction, move
from burnish.core.runs.workspace import Workspace
from burnish.studio.registry.versions import Notes, as_dict, report_unwritten, version_of


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
    because, who = reason(because), author(place.root, who)
    registry = Registry(place)
    _refuse_unnamed(ref, registry)
    version_of(ref, kind, registry)

    def evidence(version: Version) -> Case:
        refuse_damage(version.ref, version.record, place.root, {}, deep=True)
        case = gather(version.record, place)
        for text in case.left_out:
            say(text)
        return case

    stage = None if to is None else check_stage(to)
    moved, replaced, faults = move(registry, ref, direction, stage, who, because, evidence)
    report_unwritten(faults, say)
    return as_dict(moved, replaced=[other.ref for other in replaced])


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
    with _changing(ref, because, kind, who, workspace, say) as held:
        if name in held.version.tags:
            raise AskError("ask.nothing-to-do", f"{held.version.ref} has the tag {name} already", "use another tag")
        before = next((other for other in held.draft.entry.live.values() if name in other.tags), None)
        if before is not None:
            say(f"{before.ref} loses the tag {name}")
        return as_dict(held.change("tag", tag=name))


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
    with _changing(ref, because, kind, who, workspace, say) as held:
        tags = held.version.tags
        if name not in tags:
            fix = f"its tags are {', '.join(tags)}" if tags else "it has no tags"
            raise AskError("ask.bad-reference", f"{held.version.ref} has no tag {name}", fix)
        return as_dict(held.change("untag", tag=name))


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
    with _changing(ref, because, kind, who, workspace, say) as held:
        version = held.version
        if version.stage == "production" and not held.why:
            fix = f'demote it first (burnish {version.kind}s demote {version.ref}), or give a reason: --because "…"'
            raise RunError("run.in-production", f"{version.ref} is in production, and is not removed", fix)
        held.change("remove")
    return {"ref": version.ref, "removed": True, "artifact": dict(version.record["artifact"])}


@dataclass(frozen=True)
class _Held:
    """A version while the lock of its name is held."""

    version: Version
    draft: Draft
    who: str
    why: str

    def change(self, kind: Kind, **details: Any) -> Version:
        """Commit a change; returns the version after it."""
        return self.draft.change(kind, self.version.number, self.who, self.why, **details)


@contextmanager
def _changing(
    ref: str, why: str, kind: str | None, who: str | None, workspace: Path | str | None, say: Notes
) -> Generator[_Held]:
    """Hold the lock of a version's name. The reference is resolved before, the version is read again under the lock."""
    place = Workspace.find(workspace)
    refuse_secret(why, "the reason", is_reference=False)
    why, who = reason(why), author(place.root, who)
    registry = Registry(place)
    _refuse_unnamed(ref, registry)
    found = version_of(ref, kind, registry)
    with registry.changing(found.name) as draft:
        yield _Held(draft.entry.version(str(found.number)), draft, who, why)
        report_unwritten(draft.faults, say)


def _refuse_unnamed(ref: str, registry: Registry) -> None:
    """AskError `ask.missing-key` for a name alone: a change is of the version that is written, not of a guessed one."""
    if "@" not in ref:
        live = registry.entry(check_name(ref)).live
        known = ", ".join(f"{version.ref} ({version.stage})" for version in live.values()) or "none"
        raise AskError("ask.missing-key", f"{ref} is a name, and the version is missing", f"name one of: {known}")
