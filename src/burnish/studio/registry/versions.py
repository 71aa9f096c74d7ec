"""Register artifacts in the registry, list the versions, and show one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol

from burnish.core.context import Input
from burnish.core.errors import AskError, BurnishError
from burnish.core.inputs.checkpoints import has_checkpoint
from burnish.core.inputs.checks import check_input
from burnish.core.inputs.references import check_kind, refuse_secret, resolve
from burnish.core.registry.author import author, reason
from burnish.core.registry.description import damage_of, describe, path_of
from burnish.core.registry.entries import Version
from burnish.core.registry.evidence import gather
from burnish.core.registry.licences import consequences
from burnish.core.registry.names import KINDS, check_name
from burnish.core.registry.registry import Registry
from burnish.core.runs.artifact import Artifact, summary
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace

Notes = Callable[[str], None]


class Say(Protocol):
    """Reports a note."""

    def __call__(self, text: str, level: Literal["info", "warning"] = "warning") -> None: ...


def register(
    ref: str,
    *,
    name: str,
    because: str = "",
    kind: str | None = None,
    who: str | None = None,
    workspace: Path | str | None = None,
    say: Notes = lambda _: None,
) -> dict[str, Any]:
    """Register an artifact, a folder or a hub name as the next version of a name; returns the version.

    What is registered already under that name is not registered again: `new` is False, and `because` is not kept.
    Errors: AskError `ask.wrong-kind` for other kinds than adapters and models, or than `kind`; those of a reference.
    """
    place = Workspace.find(workspace)
    check_name(name)
    kinds = KINDS if kind is None else (kind,)
    known = place.hashes()
    value = resolve(ref, kinds, place, known, say)
    check_kind(value, kinds, "the reference")
    if has_checkpoint(replace(value, inputs={})):
        what = f"{ref} is a checkpoint, which its run removes or a cache holds: the registry keeps artifacts"
        raise AskError("ask.wrong-kind", what, f"register the run's artifact, or that of burnish merge --model {ref}")
    check_input(value, known)
    return register_input(value, name, place, because=because, who=who, say=say)


def register_input(
    value: Input, name: str, place: Workspace, *, because: str = "", who: str | None = None, say: Notes = lambda _: None
) -> dict[str, Any]:
    """Register a resolved input that was checked."""
    refuse_secret(because, "the reason", is_reference=False)
    because, who = reason(because), author(place.root, who)
    record, registry = describe(value, place.root), Registry(place)
    unusable = _damaged_versions(registry, name, place)
    numbers = [other.number for other in unusable]
    version, new, faults = registry.register(name, record, who, because, unusable=numbers)
    report_unwritten(faults, say)
    damaged = [other.ref for other in unusable if other.fingerprint == version.fingerprint and new]
    for ref in damaged:
        say(f"the artifact of {ref} is damaged or missing: registered again as {version.ref}")
    if because and not new:
        say(f"{version.ref} is registered already: the reason is not kept")
    if new and not damaged:
        report_alike(version, registry, say)
    return as_dict(version, new=new, path=str(_path(version, place)))


def register_artifact(artifact: Artifact, name: str | None, run: Run, place: Workspace, say: Say) -> str | None:
    """Register the artifact of a run's step, if it is to be and is not yet; returns the version."""
    if name is None:
        return None
    artifact.refuse_damage(place.hashes(), run.name)
    value = replace(artifact.as_input(run.reference), revision=run.name)
    found = register_input(value, name, place, say=say)
    ref = f"{found['name']}@{found['version']}"
    say(f"registered as {ref}" if found["new"] else f"registered before, as {ref}", "info")
    return ref


def report_unwritten(faults: list[str], say: Notes) -> None:
    """Name the files of versions that could not be written; their history was."""
    for fault in faults:
        say(f"{fault}; burnish reindex writes it again")


def report_alike(version: Version, registry: Registry, say: Notes) -> None:
    """Report the versions of the name that are of the same recipe and have other files than a new version."""
    live = registry.entry(version.name).live.values()
    alike = [one.ref for one in live if one.fingerprint == version.fingerprint and one.number != version.number]
    if alike:
        say(f"{version.ref} has the same fingerprint as {', '.join(alike)}, and other files")


def _damaged_versions(registry: Registry, name: str, place: Workspace) -> list[Version]:
    if name not in registry.names():
        return []
    known = place.hashes()
    return [v for v in registry.entry(name).live.values() if damage_of(v.record, place.root, known)]


def listing(
    name: str | None = None,
    *,
    kind: str | None = None,
    workspace: Path | str | None = None,
    say: Notes = lambda _: None,
) -> list[dict[str, Any]]:
    """A row for each version, the newest of each name first; of one name, also those that were removed.

    Damaged names are reported to `say`. Errors: AskError `ask.bad-reference` for an unknown name.
    """
    place = Workspace.find(workspace)
    place.refuse_missing()
    registry, known = Registry(place), place.hashes()
    if name is not None:
        entries, errors = [registry.entry(name)], list[BurnishError]()
        refuse_kind(entries[0].kind, kind, name)
    else:
        entries, errors, _ = registry.survey()
    if errors and not entries:
        raise errors[0]
    for error in errors:
        say(f"{error.what}; {error.fix}")
    rows: list[dict[str, Any]] = []
    for entry in entries:
        for fault in entry.faults:
            say(f"{fault}; burnish reindex writes it again")
        if kind is None or entry.kind == kind:
            chosen = entry.versions if name is not None else entry.live
            rows += [_row(chosen[number], place, known) for number in sorted(chosen, reverse=True)]
    return rows


def _row(version: Version, place: Workspace, known: dict[str, Any]) -> dict[str, Any]:
    if version.removed is not None:
        return as_dict(version)
    damage = damage_of(version.record, place.root, known)
    files = version.record["files"]
    return {
        "ref": version.ref,
        "name": version.name,
        "version": version.number,
        "kind": version.kind,
        "stage": version.stage,
        "tags": list(version.tags),
        "at": version.registered.at,
        "who": version.registered.who,
        "why": version.registered.why,
        "fingerprint": version.fingerprint,
        "made_by": version.record.get("made_by"),
        "base": version.record.get("base"),
        "bytes": None if files is None else sum(file["size"] for file in files.values()),
        "path": str(_path(version, place)),
        "measures": version.record.get("measures", {}),
        "damage": summary(damage) if damage else "",
    }


def show(ref: str, *, kind: str | None = None, workspace: Path | str | None = None) -> dict[str, Any]:
    """Everything known of one version: its record, stage, tags, history, and whether its artifact is whole.

    Errors: AskError `ask.bad-reference`, `ask.wrong-kind`; RunError `run.broken-record`.
    """
    place = Workspace.find(workspace)
    registry = Registry(place)
    version = version_of(ref, kind, registry)
    damage = damage_of(version.record, place.root, place.hashes())
    case = gather(version.record, place)
    history = [
        {**change.model_dump(exclude={"previous", "sha256", "details"}), **_details(change.details)}
        for change in registry.entry(version.name).changes
        if change.version == version.number or version.number in change.details.get("displaced", ())
    ]
    return as_dict(
        version,
        path=str(_path(version, place)),
        damage=summary(damage, most=20) if damage else "",
        evidence=[one.as_dict() for one in case.evidence],
        licence=consequences(version.record.get("licences", ())),
        missing=case.missing(),
        left_out=list(case.left_out),
        history=history,
    )


def version_of(ref: str, kind: str | None, registry: Registry) -> Version:
    """The version of a reference. Errors: AskError `ask.bad-reference`; `ask.wrong-kind` for another than `kind`."""
    version = registry.version(ref)
    refuse_kind(version.kind, kind, version.ref)
    return version


def as_dict(version: Version, **more: Any) -> dict[str, Any]:
    """A version as every function here returns it: its file's content and its reference."""
    return {**version.as_dict(), "ref": version.ref, **more}


def refuse_kind(found: str, wanted: str | None, ref: str) -> None:
    """AskError `ask.wrong-kind` if `burnish adapters` is called for a model, or the other way round."""
    if wanted is not None and found != wanted:
        raise AskError("ask.wrong-kind", f"{ref} is of kind {found}", f"use `burnish {found}s`")


def _details(details: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in details.items() if key != "record"}


def _path(version: Version, place: Workspace) -> Path | str:
    return "" if version.record["files"] is None else path_of(version.record, place.root)
