"""Check a workspace and its runs: damaged records and artifacts, failed and killed steps, what a killed start left."""

import contextlib
import os
import re
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from burnish.core.errors import CODES, BurnishError, RunError
from burnish.core.inputs.checks import check_input
from burnish.core.runs.artifact import Artifact, summary
from burnish.core.runs.names import NUMBER
from burnish.core.runs.records import RECORDS, broken, is_there, misplaced_logs, read_hashes, read_latest, read_record
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import QUEUE, Workspace
from burnish.core.secrets import mask
from burnish.studio.registry.upkeep import registry_damage

_MOST_NAMED = 20
"""Leftovers."""
_OLD_SECONDS = 3600.0
"""Anything newer may be of a process that is at it."""
_UNFINISHED = re.compile(r"\.[a-z]+\.json\.[a-z0-9_]{8}")
"""A record that was being written (see `burnish.core.files.write_atomically`)."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    level: Literal["ok", "warning", "problem"]
    subject: str
    what: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def check_workspace(place: Workspace, *, deep: bool) -> Iterator[Finding]:
    """Report damaged records and artifacts, killed runs, and the newest failed run.

    Files of artifacts are compared by size and time; with `deep` they are hashed.
    """
    folder = place.root
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        yield Finding("problem", "workspace", f"{folder} is not writable", "use another --workspace")
        return
    if folder != place.root:
        fix = "check --workspace and BURNISH_WORKSPACE; a first run creates the folder"
        yield Finding("warning", "workspace", f"{place.root} does not exist", fix)
        return
    unreadable = [_of_error("record", error) for error in _damaged_records(place)]
    yield from unreadable
    runs = [run for run in place.all_runs() if not list(_damaged_records_of(run.folder))]
    failed_runs = list(_stopped(runs))
    yield from failed_runs
    artifacts = [(run, artifact) for run in runs if (artifact := run.artifact()) is not None]
    known = place.hashes()
    damaged = [found for run, artifact in artifacts for found in _damage(run, artifact, known, deep=deep)]
    yield from damaged
    registered = [Finding("problem", *found) for found in registry_damage(place, deep=deep)]
    yield from registered
    if left := _leftovers(place):
        first = f"; the first {_MOST_NAMED} are" if len(left) > _MOST_NAMED else ","
        what = f"{len(left):,} of processes that were killed as they started or recorded a run{first} named below"
        fix = f"they hold nothing; remove them: rm -r {shlex.join(map(str, left[:_MOST_NAMED]))}"
        yield Finding("warning", "leftovers", what, fix)
    unrecorded = [run.name for run, artifact in artifacts if artifact.files is None]
    if unrecorded:
        yield Finding(
            "warning",
            "artifacts",
            f"{len(unrecorded):,} from an older burnish have no recorded hashes and cannot be checked: "
            f"{', '.join(unrecorded[:3])}{' …' if len(unrecorded) > 3 else ''}",
            "rerun the steps that matter: burnish run RECIPE --force STEP",
        )
    if artifacts and not damaged:
        sizes = [file["size"] for _, artifact in artifacts for file in (artifact.files or {}).values()]
        how = "hashed" if deep else "compared by size and time; --deep hashes them"
        yield Finding(
            "ok", "artifacts", f"{len(artifacts):,} intact: {len(sizes):,} files, {sum(sizes):,} bytes, {how}"
        )
    if not (unreadable or failed_runs or damaged or registered):
        yield Finding("ok", "workspace", f"{place.root}: {len(runs)} runs, no problems")


def check_runs(place: Workspace, name: str, *, deep: bool) -> list[Finding]:
    """Check every step of a run. Raises AskError `ask.no-such-run`."""
    try:
        return [finding for run in place.find_runs(name) for finding in check_run(run, deep=deep)]
    except RunError as error:  # the plan is damaged
        return [_of_error(name, error)]


def check_run(run: Run, *, deep: bool) -> Iterator[Finding]:
    """Report why a step failed, or whether its artifact is intact."""
    damaged = list(_damaged_records_of(run.folder))
    if damaged:
        for error in damaged:
            yield _of_error(run.name, error)
        return
    record, state = run.record, run.state
    error = record.get("error")
    artifact = run.artifact()
    if state == "succeeded" and artifact is not None:
        damage = list(_damage(run, artifact, {}, deep=deep))
        yield from damage
        if not damage and artifact.files is None:
            what = f"succeeded; output at {run.out}, from an older burnish: its files cannot be checked"
            yield Finding("warning", run.name, what, "rerun to be sure: burnish run RECIPE --force STEP")
        elif not damage:
            how = "hashes match" if deep else "sizes and times match"
            yield Finding("ok", run.name, f"succeeded; output at {run.out}, {how}")
    elif state == "killed":
        yield Finding("problem", run.name, "its worker was killed", "run the same command again to resume")
    elif state in ("failed", "interrupted") and error is not None:
        meaning = CODES.get(error["code"], "")
        yield Finding("problem", run.name, f"{error['what']} ({error['code']}: {meaning})", error["fix"])
        last = "\n".join(error.get("log", "").splitlines()[-10:]) or _last_error_lines(run)
        if last:
            yield Finding("warning", f"{run.name} log", last, f"full log: {run.log}")
    else:
        yield Finding("ok", run.name, state)


def _damaged_records(place: Workspace) -> Iterator[BurnishError]:
    """Damaged records of the workspace, of its runs and of their steps."""
    for folder in (place.runs, place.hash_file.parent):
        if is_there(folder) and not folder.is_dir():
            yield broken(folder, "is not a folder")
    for path, read in ((place.runs / "latest.txt", read_latest), (place.hash_file, read_hashes)):
        if is_there(path):
            yield from _errors_of(lambda path=path, read=read: read(path))
    for number in sorted(place.runs.glob("*/[0-9]*")):
        steps = [folder for folder in sorted(number.glob("*")) if _is_step(folder)]
        if steps or is_there(number / "plan.json"):
            yield from _errors_of(lambda number=number: read_record(number / "plan.json"))
        for step in steps:
            yield from _damaged_records_of(step)


def _is_step(folder: Path) -> bool:
    return any(is_there(folder / name) for name in (*RECORDS, "out"))


def _damaged_records_of(folder: Path) -> Iterator[BurnishError]:
    yield from misplaced_logs(folder)
    for name in RECORDS:
        if is_there(folder / name) or not _may_be_missing(folder, name):
            yield from _errors_of(lambda name=name: read_record(folder / name))


def _may_be_missing(folder: Path, name: str) -> bool:
    """A step that has not succeeded has no artifact.json; one that has does not need its job.json."""
    has_artifact = is_there(folder / "artifact.json")
    return (name == "artifact.json" and not _has_succeeded(folder)) or (name == "job.json" and has_artifact)


def _has_succeeded(folder: Path) -> bool:
    try:
        return read_record(folder / "run.json")["state"] == "succeeded"
    except BurnishError:
        return False


def _errors_of(read: Callable[[], object]) -> Iterator[BurnishError]:
    try:
        read()
    except BurnishError as error:
        yield error


def _leftovers(place: Workspace) -> list[Path]:
    """Run folders that hold no plan and nothing else, and records that were not written to their end."""
    return [path for path in _left(place.runs) if _is_old(path)]


def _left(runs: Path) -> Iterator[Path]:
    for folder in sorted(runs.glob("*/[0-9]*")):
        if not NUMBER.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
            continue
        if is_there(folder / "plan.json") or any(_holds_something(path) for path in folder.iterdir()):
            parts = (*folder.glob(".*"), *folder.glob("*/.*"), *folder.glob(f"{QUEUE}/*/.*"))
            yield from sorted(path for path in parts if _UNFINISHED.fullmatch(path.name) and path.is_file())
        else:
            yield folder


def _holds_something(path: Path) -> bool:
    """Whether it is a submission, a step, or a file of the user."""
    if path.name == QUEUE:
        return is_there(path / "submitted.json")
    return path.is_dir() or not path.name.startswith((".plan.", "plan.lock", "stop"))


def _is_old(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime > _OLD_SECONDS
    return False


def _stopped(runs: list[Run]) -> Iterator[Finding]:
    for run in runs:
        if run.state == "killed":
            yield Finding("warning", f"run {run.name}", "its worker was killed", "run the same command again to resume")
    failed = next((run for run in runs if run.state == "failed"), None)
    if failed is not None:
        reason = failed.record.get("reason", "failed")
        yield Finding("warning", f"run {failed.name}", reason, f"burnish doctor {failed.name}")


def _damage(run: Run, artifact: Artifact, known: dict[str, Any], *, deep: bool) -> Iterator[Finding]:
    damage = artifact.damage(known, deep=deep)
    if damage:
        yield Finding("problem", f"artifact {run.name}", summary(damage, most=20), artifact.repair)
    elif deep:  # also checks the base of an adapter
        for error in _errors_of(lambda: check_input(artifact.as_input(run.name), known)):
            yield _of_error(f"artifact {run.name}", error)


def _of_error(subject: str, error: BurnishError) -> Finding:
    return Finding("problem", subject, error.what, error.fix)


def _last_error_lines(run: Run) -> str:
    if not run.log.is_file():
        return ""
    lines = run.log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line.strip() for line in lines if "Error" in line or "ERROR" in line]
    return mask("\n".join(errors[-3:]))
