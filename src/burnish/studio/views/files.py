"""The files of a step: its folder listed, one of them found, the first rows that it kept as a sample."""

import contextlib
import os
import stat
from pathlib import Path
from typing import Any, cast

from burnish.core.errors import AskError
from burnish.core.files import parsed_json
from burnish.core.naming import nearest
from burnish.core.paths.within import file_within
from burnish.core.runs.records import broken
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace
from burnish.studio.proving import read_proof

MOST_FILES = 5_000
_SAMPLE = "sample.jsonl"
_LOCK = ".lock"


def step_of(recipe: str, number: int, step: str, *, workspace: Path | str | None = None) -> Run:
    """The run folder of a step. Errors: AskError `ask.no-such-run`, also for one that has not started."""
    place = Workspace.find(workspace)
    recipe, number = place.number_of(f"{recipe}/{number}")
    steps = place.steps_of(recipe, number)
    if step not in steps:
        raise AskError(
            "ask.no-such-run", f"run {recipe}/{number} has no step '{step[:80]}'", nearest(step, list(steps))
        )
    if not steps[step].folder.is_dir():
        fix = f"resume it: burnish runs resume {recipe}/{number}"
        raise AskError("ask.no-such-run", f"step {step} of {recipe}/{number} has not started", fix)
    return steps[step]


def list_files(recipe: str, number: int, step: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """`run`, `files` (`name`, `bytes`, `modified`) by name, and how many `more` there are."""
    run = step_of(recipe, number, step, workspace=workspace)
    found: list[dict[str, Any]] = []
    for base, folders, names in os.walk(run.folder):
        folders.sort()
        for name in sorted(names):
            path = Path(base, name)
            with contextlib.suppress(FileNotFoundError):  # a training removes old checkpoints meanwhile
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and not name.endswith(_LOCK):
                    relative = path.relative_to(run.folder).as_posix()
                    found.append({"name": relative, "bytes": status.st_size, "modified": status.st_mtime})
    return {"run": run.name, "files": found[:MOST_FILES], "more": max(0, len(found) - MOST_FILES)}


def file_of(recipe: str, number: int, step: str, name: str, *, workspace: Path | str | None = None) -> Path:
    """A file in the folder of a step. Errors: AskError `ask.no-such-run`, `ask.bad-reference`."""
    return file_within(step_of(recipe, number, step, workspace=workspace).folder, name)


def proof_of(recipe: str, number: int, step: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """The proof of a training. Errors: AskError `ask.bad-reference` for a step without one; RunError
    `run.broken-record`."""
    try:
        return read_proof(step_of(recipe, number, step, workspace=workspace).out)
    except FileNotFoundError:
        fix = "a training has one with `prove`, see docs/guides/prove.md"
        raise AskError("ask.bad-reference", f"step {step} has no proof", fix) from None


def sample_of(recipe: str, number: int, step: str, *, workspace: Path | str | None = None) -> list[dict[str, Any]]:
    """The first rows of a dataset that the step made; empty if it made none.

    Errors: RunError `run.broken-record` for a line that is no JSON object, or is nested too deeply for an answer.
    """
    path = step_of(recipe, number, step, workspace=workspace).out / _SAMPLE
    if not path.is_file():
        return []
    with path.open("rb") as file:
        return [_row(path, line_number, line) for line_number, line in enumerate(file, 1) if line.endswith(b"\n")]


def _row(path: Path, line_number: int, line: bytes) -> dict[str, Any]:
    try:
        found = parsed_json(line)
    except ValueError as error:
        raise broken(path, f"has a line {line_number} that is no JSON, or is nested too deeply ({error})") from None
    if not isinstance(found, dict):
        raise broken(path, f"has a line {line_number} that is no JSON object")
    return cast(dict[str, Any], found)
