"""Which artifact is meant: by its files, since a fingerprint is that of a recipe, and a recipe may give other files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.context import Input
from burnish.core.fingerprint import of_manifest
from burnish.core.registry.description import path_of
from burnish.core.runs.artifact import digest_of
from burnish.core.runs.run import run_of_output


@dataclass(frozen=True)
class Identity:
    """What is known of an artifact: `digest` is that of its files, `run` where it is if a step made it.

    `digest` is "" where it was not recorded, `run` is None for a plain folder or a model on a hub.
    """

    fingerprint: str
    digest: str
    run: Path | None

    @classmethod
    def of_input(cls, value: Input) -> "Identity":
        run = run_of_output(value.path)
        return cls(value.fingerprint, value.digest, None if run is None else run.folder)

    @classmethod
    def of_record(cls, record: Mapping[str, Any], workspace: Path) -> "Identity":
        """That of a version of the registry."""
        files = record["files"]
        run = None if files is None else run_of_output(path_of(record, workspace))
        digest = record["digest"] if files is None else digest_of(files) if files else ""
        return cls(record["fingerprint"], digest, None if run is None else run.folder)

    def is_alike(self, other: "Identity") -> bool:
        """Whether both are of one recipe, whatever their files."""
        return self.fingerprint == other.fingerprint

    def is_same(self, other: "Identity") -> bool:
        """Whether both are one artifact.

        Outside of runs the fingerprint is that of the content. Of a record without a digest, as older versions wrote
        it, the run must be the same.
        """
        if self.fingerprint != other.fingerprint:
            return False
        if self.digest and other.digest:
            return self.digest == other.digest
        return self.run == other.run


def content_of_input(value: Input) -> str:
    """The fingerprint that a copy of an input's files has as a folder; "" if it is unknown.

    Of an artifact it follows from the hashes that its step recorded.
    """
    run = run_of_output(value.path)
    if run is None:
        return value.fingerprint
    made = run.artifact()
    return "" if made is None or made.files is None else of_manifest(made.files, value.kind)


def content_of_record(record: Mapping[str, Any]) -> str:
    """As `content_of_input`, of a version of the registry."""
    return of_manifest(record["files"], record["kind"]) if record["files"] else record["fingerprint"]
