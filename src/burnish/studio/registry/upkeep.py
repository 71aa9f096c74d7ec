"""Repair the registry's files, and check what it points to."""

from collections.abc import Iterator
from pathlib import Path

from burnish.core.registry.author import author
from burnish.core.registry.description import damage_of, path_of
from burnish.core.registry.entries import no_folder
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
    for path in _inside(registry.folder):
        if is_name(path.name) and path.is_dir():
            with registry.locked(path.name):
                found += rebuild(path, author(place.root))
        elif not is_name(path.name) and not path.name.startswith("."):
            found.append(Repair(path.name, f"{path} is not a valid name in the registry, and is ignored"))
    entries, errors, _ = registry.survey()
    found += [Repair("registry", f"{error.what}; {error.fix}") for error in errors]
    for version in (version for entry in entries for version in entry.live.values()):
        with registry.keeping():
            if registry.claim(version):
                found.append(Repair(version.ref, "the run that made it lacked the mark of it, which is written"))
    return found


def _inside(folder: Path) -> list[Path]:
    """What the folder of the registry holds; nothing if it is not a folder, which is reported."""
    return sorted(folder.iterdir()) if folder.is_dir() and no_folder(folder) is None else []


def registry_damage(place: Workspace, *, deep: bool) -> Iterator[tuple[str, str, str]]:
    """Subject, problem and fix of each damaged entry, and of each version whose artifact is missing or damaged."""
    registry, known = Registry(place), place.hashes()
    entries, errors, _ = registry.survey()
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
