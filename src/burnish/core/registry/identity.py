"""Which artifact is meant: by its files, since a fingerprint is that of a recipe, and a recipe may give other files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.core.context import Input
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
