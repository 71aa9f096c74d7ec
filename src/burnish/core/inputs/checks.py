"""Check that inputs match the fingerprints of the plan, and that an adapter is used with its own base."""

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from burnish.core.context import Input
from burnish.core.errors import ModelError, RunError
from burnish.core.files import write_json
from burnish.core.fingerprint import BASE_RECORD, content_files, of_model, of_path
from burnish.core.inputs import checkpoints, packages
from burnish.core.runs.artifact import Artifact
from burnish.core.runs.checkpoints import KeptCheckpoint
from burnish.core.runs.records import broken, is_there, read_record
from burnish.core.runs.run import run_of_output
from burnish.core.secrets import mask

_MAX_SHOWN = 3
Stamp = tuple[int, int, int, int]


def check_input(value: Input, known: dict[str, Any], since: float | None = None, *, other_base: bool = False) -> None:
    """Refuse an input whose files do not match its fingerprint; for an adapter, check its base as well.

    `known` caches hashes; `since` is the time of the plan, used to name the files that changed. Inputs pinned to a
    revision (such as a hub commit) are not checked. With `other_base` the adapter is used on a base other than its own.

    Errors: RunError `run.input-changed`, `run.damaged-artifact`, `run.broken-record`; ModelError `model.wrong-adapter`,
    `model.not-found`.
    """
    if value.kind == "package":
        _check_package(value, known)
    elif _is_content(value):
        artifact = artifact_at(value)
        if artifact is not None:
            artifact.refuse_damage(known, value.ref)
        elif (checkpoint := KeptCheckpoint.at(value.path)) is not None:
            checkpoints.refuse_change(value, checkpoint, known)
        elif checkpoints.is_restored(value):
            checkpoints.refuse_changed_files(value, known)
        else:
            _check_path(value, known, since)
    base = value.base
    if value.kind == "adapter" and base is not None and not other_base:
        _check_own_base(value, base, known)


def check_base(adapter: Path, base: Path, known: dict[str, Any] | None = None) -> None:
    """Refuse a base other than the one recorded in the adapter's `burnish_base.json`.

    Adapters of other tools lack that file and pass. Errors: ModelError `model.wrong-adapter` naming the files.
    """
    if not is_there(adapter / BASE_RECORD):
        return
    trained_on: dict[str, str] = read_record(adapter / BASE_RECORD)["files"]
    found = of_model(base, _HASHES if known is None else known)
    changed = sorted(name for name in trained_on.keys() | found.keys() if trained_on.get(name) != found.get(name))
    if changed:
        raise ModelError(
            "model.wrong-adapter",
            f"{base} is not the base that the adapter {adapter} was trained on: {_named(changed)} differ",
            "restore the base, or train the adapter again on this one; without "
            f"{adapter / BASE_RECORD} the base is not checked",
        )


def has_other_base(name: str, inputs: Container[str]) -> bool:
    """Whether a step sets another base for its adapter, as `merge --base` does; `name` is the adapter's field."""
    return name == "model" and "base" in inputs


def check_fetched(value: Input, known: dict[str, Any]) -> Input:
    """Check a downloaded input: an adapter with a base from a hub is compared with it. Returns the input."""
    base = value.base
    if value.kind == "adapter" and base is not None and _is_pinned(base):
        check_base(value.path, base.path, known)
    return value


_HASHES: dict[str, Any] = {}
"""Hashes of this process, for callers without a cache."""


def write_base_record(adapter: Path, base: Input, known: dict[str, Any]) -> dict[str, str]:
    """Write `burnish_base.json` next to an adapter, to check copies of it; returns sha256 of the base's files."""
    files = of_model(base.path, known)
    write_json(adapter / BASE_RECORD, {"base": mask(base.ref), "files": files})
    return files


def artifact_at(value: Input) -> Artifact | None:
    """The artifact that an input is the output of; None for a plain file or folder.

    Errors: RunError `run.broken-record` if its record is broken or missing.
    """
    run = run_of_output(value.path)
    artifact = run.artifact() if run is not None else None
    if run is not None and artifact is None and is_there(run.folder / "run.json"):
        raise broken(run.folder / "artifact.json", "is missing")
    return artifact if artifact is not None and artifact.fingerprint == value.fingerprint else None


def is_verifiable(value: Input) -> bool:
    """False for an artifact of an older version of burnish, which recorded no file hashes."""
    artifact = artifact_at(value)
    return artifact is None or artifact.files is not None


class InputWatch:
    """The inputs of one step, checked when it starts and again when it ends.

    `record` is a file that keeps the stamps of watched inputs for a later attempt, which a kill leaves unchecked.
    """

    def __init__(self, inputs: Mapping[str, Input], known: dict[str, Any], since: float, record: Path | None = None):
        self._inputs, self._known, self._since, self._record = inputs, known, since, record
        self._released: set[str] = set()
        self._stamps: dict[str, dict[str, Stamp]] = {}

    def start(self) -> list[str]:
        """Refuse inputs that changed since the plan; returns the references that cannot be checked.

        Errors: those of `check_input`.
        """
        for name, value in self._inputs.items():
            self._stamps[name] = _stamps(value)
            self._check(name)
        self._keep()
        return [value.ref for value in self._inputs.values() if _is_content(value) and not is_verifiable(value)]

    def rewritten(self) -> list[str]:
        """A clause for each input written since an earlier attempt recorded it; call it before `start`.

        Its content may be that of the plan again, after the earlier attempt read another.
        """
        recorded = self._recorded()
        if recorded is None:
            return [f"{self._record} is damaged: inputs may have been written"]
        clauses: list[str] = []
        for name, before in recorded.items():
            now = _stamps(self._inputs[name]) if name in self._inputs else before
            moved = sorted(before.keys() ^ now.keys())
            written = sorted(file for file in before.keys() & now.keys() if list(now[file]) != list(before[file]))
            if written:
                clauses.append(f"{self._inputs[name].ref} was written ({_named(written)})")
            elif moved:
                clauses.append(f"{self._inputs[name].ref} was moved, and may have been written ({_named(moved)}),")
        return clauses

    def _recorded(self) -> dict[str, dict[str, Stamp]] | None:
        """The stamps of an earlier attempt; None if the record is damaged."""
        from pydantic import TypeAdapter

        if self._record is None or not self._record.exists():
            return {}
        try:
            return TypeAdapter(dict[str, dict[str, Stamp]]).validate_json(self._record.read_bytes(), strict=True)
        except (OSError, ValueError):
            return None

    def _keep(self) -> None:
        """Record inputs that are not released; the stamps of the first attempt are kept."""
        if self._record is not None:
            watched = {name: stamps for name, stamps in self._stamps.items() if name not in self._released and stamps}
            earlier = {name: stamps for name, stamps in (self._recorded() or {}).items() if name in watched}
            write_json(self._record, {**watched, **earlier})

    def release(self, name: str) -> None:
        """Check an input that the stage no longer needs; later changes are allowed.

        Weights are still watched: libraries map them into memory and read them on use.
        """
        self._refuse_change(name)
        if self._inputs[name].kind not in ("model", "adapter"):
            self._released.add(name)
            self._keep()

    def end(self) -> list[str]:
        """Refuse inputs that changed since the start; returns the released ones that changed later."""
        changed: list[str] = []
        for name, value in self._inputs.items():
            if name not in self._released:
                self._refuse_change(name)
            elif self._stamps[name] != _stamps(value):
                changed.append(value.ref)
        return changed

    def _check(self, name: str) -> None:
        value, other_base = self._inputs[name], has_other_base(name, self._inputs)
        check_input(value, self._known, self._since, other_base=other_base)

    def _refuse_change(self, name: str) -> None:
        value = self._inputs[name]
        self._check(name)
        refuse_rewritten(value.ref, self._stamps[name], _stamps(value))


def _is_content(value: Input) -> bool:
    """Whether the fingerprint is that of files on disk, not of a pinned revision."""
    return bool(value.fingerprint) and not _is_pinned(value)


def _is_pinned(value: Input) -> bool:
    return value.ref.partition(":")[0] in ("hub", "git", "https", "http")


def _check_path(value: Input, known: dict[str, Any], since: float | None) -> None:
    if not value.path.exists():
        raise RunError("run.input-changed", f"{value.ref}: {value.path} is missing", "restore it, or change the recipe")
    if of_path(value.path, known, value.kind) != value.fingerprint:
        raise RunError(
            "run.input-changed",
            f"{value.ref} changed since the run was planned: {changed_files(value, since)}",
            "run it again to use the current content, or undo the change and run it again",
        )


def _check_package(value: Input, known: dict[str, Any]) -> None:
    found = packages.find(value.ref.removeprefix("package:"))
    if found.fingerprint(known) != value.fingerprint:
        raise RunError(
            "run.input-changed",
            f"{value.ref} changed since the run was planned: it was {value.revision}, and is {found.version}",
            "run it again to use what is installed now",
        )


def _check_own_base(adapter: Input, base: Input, known: dict[str, Any]) -> None:
    """Check the base among an artifact's inputs; one from a hub is checked once it is downloaded."""
    if _is_pinned(base) or not base.fingerprint:
        return
    is_checkpoint = KeptCheckpoint.at(base.path) is not None  # what was restored from it is recorded
    if not base.path.exists():
        if is_checkpoint and checkpoints.has_restored_copy(base, known):
            return
        raise ModelError(
            "model.not-found",
            f"the base of {adapter.ref} is missing: {base.ref} at {base.path}",
            "restore it, or merge with another copy of the same model: burnish merge --base",
        )
    if artifact_at(base) is None and not is_checkpoint and is_there(adapter.path / BASE_RECORD):
        check_base(adapter.path, base.path, known)
        return
    try:
        check_input(base, known)
    except RunError as error:
        if error.code != "run.input-changed":
            raise
        raise ModelError(
            "model.wrong-adapter",
            f"the base of {adapter.ref} changed after training: {base.ref} at {base.path}",
            "restore the base, or train the adapter again on this one",
        ) from error


def changed_files(value: Input, since: float | None) -> str:
    """A clause that names the file, or the files of a folder that changed after a time."""
    path = value.path
    if path.is_file():
        return f"{path} changed"
    names = [
        file.relative_to(path).as_posix()
        for file in content_files(path, value.kind)
        if since is not None and file.stat().st_ctime > since
    ]
    return f"{_named(names)} changed" if names else f"files of {path} were added, removed, renamed or changed"


def stamps(path: Path, kind: str = "folder") -> dict[str, Stamp]:
    """Size, times and inode of a file, or of every file in a folder that enters its fingerprint.

    Includes ctime, which unlike mtime cannot be set back (`cp -p` does that).
    """
    if not path.exists():
        return {}
    found: dict[str, Stamp] = {}
    for file in [path] if path.is_file() else content_files(path, kind):
        status = file.stat()
        found[str(file)] = status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
    return found


def refuse_rewritten(ref: str, before: Mapping[str, Stamp], after: Mapping[str, Stamp]) -> None:
    """RunError `run.input-changed` if files were written between two snapshots, even with the same content."""
    rewritten = sorted(file for file in before.keys() | after.keys() if before.get(file) != after.get(file))
    if rewritten:
        raise RunError(
            "run.input-changed",
            f"{ref} changed while the step read it: {_named(rewritten)}",
            "run it again, and do not change the input during the run",
        )


def _stamps(value: Input) -> dict[str, Stamp]:
    if value.kind == "package":
        found = packages.find(value.ref.removeprefix("package:"))
        return {name: stamp for file in found.files for name, stamp in stamps(found.root / file).items()}
    return stamps(value.path, value.kind) if _is_content(value) else {}


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_SHOWN:,} more" if len(names) > _MAX_SHOWN else ""
    return ", ".join(names[:_MAX_SHOWN]) + more
