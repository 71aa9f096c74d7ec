"""Repair the registry's files, and check what it points to."""

from collections.abc import Iterator
from pathlib import Path

from burnish.core.registry.author import author
from burnish.core.registry.description import damage_of, path_of
from burnish.core.registry.names import is_name
from burnish.core.registry.rebuild import Repair, rebuild
from burnish.core.registry.registry import Registry
from burnish.core.runs.artifact import summary
from burnish.core.runs.workspace import Workspace


def reindex(*, workspace: Path | str | None = None) -> list[Repair]:
    """Repair the files of every name: set damaged ones aside and write them again. Returns what was found and done."""
    place = Workspace.find(workspace)
    place.refuse_missing()
    registry, found = Registry(place), list[Repair]()
    if not registry.folder.is_dir():
        return found
    for folder in sorted(registry.folder.iterdir()):
        if folder.is_dir() and is_name(folder.name):
            with registry.locked(folder.name):
                found += rebuild(folder, author(place.root))
        elif not folder.name.startswith("."):
            found.append(Repair(folder.name, f"{folder} is not a valid name in the registry, and is ignored"))
    return found


def registry_damage(place: Workspace, *, deep: bool) -> Iterator[tuple[str, str, str]]:
    """Subject, problem and fix of each damaged entry, and of each version whose artifact is missing or damaged."""
    registry, known = Registry(place), place.hashes()
    entries, errors = registry.entries()
    for error in errors:
        yield "registry", error.what, error.fix
    for entry in entries:
        for fault in entry.faults:
            yield f"registry {entry.name}", fault, "burnish reindex sets it aside and writes it again"
        for version in entry.live.values():
            damage = damage_of(version.record, place.root, known, deep=deep)
            if damage:
                path = path_of(version.record, place.root)
                text = f"its artifact at {path} is damaged: {summary(damage)}"
                fix = f"restore the files, or remove the version: burnish {entry.kind}s remove {version.ref}"
                yield f"registry {version.ref} ({version.stage})", text, fix
