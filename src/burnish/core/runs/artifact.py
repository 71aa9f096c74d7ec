"""Artifacts: the output folder of a step, and its record with the sha256 of every file."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.context import Input
from burnish.core.errors import RunError
from burnish.core.fingerprint import of_file, of_value
from burnish.core.runs.records import read_record

IGNORED = (".DS_Store",)
"""Files that desktops create in any folder that is opened."""


@dataclass(frozen=True)
class Damage:
    """One file of an artifact that differs from what the step wrote; `problem` completes the sentence."""

    file: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file} {self.problem}"


@dataclass(frozen=True)
class Artifact:
    """The output of a step: a folder and its record. It stays in the run that wrote it."""

    kind: str
    name: str
    version: str
    fingerprint: str
    path: Path
    inputs: Mapping[str, Input]
    spec: Mapping[str, Any]
    measures: Mapping[str, Any]
    provenance: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]] | None = None
    """Size, mtime_ns, ctime_ns and sha256 by name; None for artifacts of older versions, which recorded none."""
    certificate: Mapping[str, Any] | None = None
    """How it compares with its parent (see `Outcome.certificate`); None if that was not checked."""

    @classmethod
    def of(cls, folder: Path, workspace: Path) -> "Artifact":
        """Read the artifact.json of a run folder. RunError `run.broken-record` if it is broken."""
        record = read_record(folder / "artifact.json")
        return cls(
            kind=record["kind"],
            name=record["name"],
            version=record["version"],
            fingerprint=record["fingerprint"],
            path=folder / "out",
            inputs={key: Input.from_json(value, workspace) for key, value in record["inputs"].items()},
            spec=record["spec"],
            measures=record["measures"],
            provenance=record["provenance"],
            files=record.get("files"),
            certificate=record.get("certificate"),
        )

    def as_input(self, ref: str) -> Input:
        digest = "" if self.files is None else digest_of(self.files)
        return Input(ref, self.kind, self.path, self.fingerprint, self.inputs, digest=digest)

    @property
    def run(self) -> str:
        """The name of the run folder: `<recipe>/<number>/<step>`."""
        return "/".join(self.path.parts[-4:-1])

    def damage(self, known: dict[str, Any], *, deep: bool = False) -> list[Damage]:
        """All files that were removed, added or changed.

        A file is hashed only if its mtime or ctime differs from the record, as in a copied workspace; `known` caches
        the hashes. With `deep` every file is hashed.
        """
        if not self.path.is_dir():
            return [Damage("out/", "is missing")]
        if self.files is None:
            return []
        found = dict(_entries(self.path))
        damage: list[Damage] = []
        for name, expected in self.files.items():
            status = found.pop(name, None)
            if status is None:
                damage.append(Damage(name, "is missing"))
            elif status.st_size != expected["size"]:
                damage.append(Damage(name, f"has {status.st_size:,} bytes instead of {expected['size']:,}"))
            elif deep or _is_touched(status, expected):
                try:
                    digest = of_file(self.path / name, {} if deep else known)
                except OSError as error:
                    damage.append(Damage(name, f"cannot be read ({error.strerror})"))
                    continue
                if digest != expected["sha256"]:
                    damage.append(Damage(name, "has changed since the step wrote it"))
        return damage + [Damage(name, "was added after the step ended") for name in sorted(found)]

    def refuse_damage(self, known: dict[str, Any], ref: str = "") -> None:
        """RunError `run.damaged-artifact` naming the artifact, its files and the repair."""
        damage = self.damage(known)
        if damage:
            named = f"{ref} ({self.path})" if ref else str(self.path)
            raise RunError("run.damaged-artifact", f"the artifact {named} is damaged: {summary(damage)}", self.repair)

    @property
    def repair(self) -> str:
        """How to recreate a damaged artifact."""
        recipe, number, _ = self.run.split("/")
        return f"burnish runs resume {recipe}/{number} repeats the damaged steps, as a new run of the recipe"


def _is_touched(status: os.stat_result, expected: Mapping[str, Any]) -> bool:
    """Whether a file was written since: programs can set back its mtime, but not its ctime."""
    return [status.st_mtime_ns, status.st_ctime_ns] != [expected["mtime_ns"], expected.get("ctime_ns")]


def summary(damage: list[Damage], most: int = 3) -> str:
    """The first damaged files, and the number of others."""
    more = f" (and {len(damage) - most:,} more files)" if len(damage) > most else ""
    return ", ".join(map(str, damage[:most])) + more


def record_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Size, mtime_ns, ctime_ns and sha256 of every file in a folder, for artifact.json."""
    return {name: _record(folder / name, status) for name, status in sorted(_entries(folder))}


def _record(path: Path, status: os.stat_result) -> dict[str, Any]:
    times = {"mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns}
    return {"size": status.st_size, **times, "sha256": of_file(path, {})}


def digest_of(files: Mapping[str, Mapping[str, Any]]) -> str:
    """The hash of a manifest: the names and contents of the files, not their times."""
    return of_value({name: file["sha256"] for name, file in files.items()})


def _entries(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every file, and every link to a folder, by its relative path."""
    for base, folders, files in os.walk(folder):
        for name in (*files, *(name for name in folders if Path(base, name).is_symlink())):
            if name not in IGNORED:
                path = Path(base, name)
                yield path.relative_to(folder).as_posix(), path.stat() if path.exists() else path.lstat()
