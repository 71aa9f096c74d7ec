"""The records of a workspace (small JSON files): their schemas, and how to repair a damaged one."""

import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from burnish.core.errors import RunError
from burnish.core.files import parsed_json
from burnish.core.fingerprint import of_value
from burnish.core.runs.names import is_inner_file, is_one_part, is_plain, is_run_folder


def _named(is_right: Callable[[str], bool], kind: str) -> AfterValidator:
    """Refuses a name that a path is made of, and that would lead to another place than its record says."""

    def refuse(name: str) -> str:
        if is_right(name):
            return name
        raise PydanticCustomError("name", "{shown} is not {kind}", {"shown": ascii(name[:80]), "kind": kind})

    return AfterValidator(refuse)


_Name = Annotated[str, _named(is_plain, "a plain name (letters, digits, '.', '-' and '_')")]
"""A recipe or a step: a folder."""
_Fingerprint = Annotated[str, _named(is_one_part, "one part of a path")]
_RunFolder = Annotated[str, _named(is_run_folder, "recipe/number/step, a folder below runs/")]
_InnerFile = Annotated[str, _named(is_inner_file, "a file in the folder")]


class _Record(BaseModel):
    model_config = ConfigDict(
        strict=True,
        extra="allow",
        defer_build=True,  # the start of every command would pay for schemas that it does not use
    )


_Time = Annotated[float, Field(ge=0, lt=1e11)]
"""Seconds since 1970."""


class _Process(_Record):
    """A worker, as `burnish.jobs.identity` tells it from others."""

    host: str
    boot: str
    pid: int
    started: str


class _Error(_Record):
    """An error as `BurnishError.as_dict` gives it."""

    code: str
    what: str
    fix: str


class _Run(_Record):
    recipe: _Name
    number: int
    step: _Name
    stage: str
    fingerprint: _Fingerprint
    state: Literal["planned", "running", "succeeded", "failed", "interrupted"]
    created: _Time
    attempts: int
    started: _Time | None = None
    ended: _Time | None = None
    reason: str = ""
    pid: int | None = None
    process: _Process | None = None
    error: _Error | None = None


class _Input(_Record):
    ref: str
    kind: str
    path: str
    fingerprint: _Fingerprint
    revision: str
    digest: str = ""
    inputs: dict[str, "_Input"]


class _File(_Record):
    size: int
    mtime_ns: int
    ctime_ns: int | None = None
    sha256: str


class _Subject(_Record):
    ref: str
    fingerprint: str


class _Check(_Record):
    name: str
    verdict: str
    found: str
    limit: str


class _Certificate(_Record):
    change: str
    parent: _Subject
    child: _Subject
    holds: bool
    checks: list[_Check]
    rows: int
    tokens: int
    burnish: str


class _Artifact(_Record):
    kind: str
    name: str
    version: str
    fingerprint: _Fingerprint
    inputs: dict[str, _Input]
    spec: dict[str, Any]
    measures: dict[str, Any]
    provenance: dict[str, Any]
    files: dict[_InnerFile, _File] | None = None
    certificate: _Certificate | None = None


class _Job(_Record):
    recipe: _Name
    number: int
    step: _Name
    stage: str
    fingerprint: _Fingerprint
    spec: dict[str, Any]
    inputs: dict[str, _Input]
    fence: int | None = None
    holder: str = ""


class _PlanStep(_Record):
    step: _Name
    folder: _RunFolder


class _Plan(_Record):
    recipe: _Name
    steps: list[_PlanStep]
    values: dict[str, Any] | None = None
    created: _Time | None = None


class _SubmittedStep(_Record):
    step: _Name
    stage: str
    action: Literal["run", "reuse", "resume"]
    reason: str
    needs: list[_Name]
    job: _Job


class _Options(_Record):
    model_config = ConfigDict(extra="forbid")  # one of a newer burnish would be queued without it

    priority: int
    retries: int
    time_limit: float | None
    on: str | None


class _Submitted(_Record):
    values: dict[str, Any]
    options: _Options
    steps: list[_SubmittedStep]


_Happened = Literal["created", "paused", "resumed", "cancelled"]


class _Ended(_Record):
    state: Literal["succeeded", "failed", "cancelled"]
    reason: str


class _Hyperparameters(_Record):
    hyperparameters: dict[str, Any]


class _Method(_Record):
    type: Literal["supervised", "dpo"]
    supervised: _Hyperparameters | None = None
    dpo: _Hyperparameters | None = None

    @model_validator(mode="after")
    def has_settings_of_its_type(self) -> "_Method":
        if getattr(self, self.type) is None:
            raise ValueError(f"there are no settings of {self.type}")
        return self


class _FineTuning(_Record):
    recipe: _Name
    number: int
    model: str
    training_file: str
    validation_file: str | None
    method: _Method
    suffix: str | None
    seed: int
    metadata: dict[str, str]
    history: Annotated[list[Annotated[tuple[_Time, _Happened], Field(strict=False)]], Field(min_length=1)]


class _Serving(_Record):
    address: str
    names: Annotated[list[str], Field(min_length=1)]
    engine: str
    context: int
    key: str | None
    chats: bool


class _Base(_Record):
    files: dict[_InnerFile, str]


class _Settings(_Record):
    """spec.json: any settings."""


_RERUN = "restore it from a copy, or run the recipe again: the step then runs again"
_SHAPES: Mapping[str, tuple[type[_Record], str]] = {
    "run.json": (_Run, f"{_RERUN}, in a folder of its own"),
    "artifact.json": (_Artifact, f"{_RERUN}; the files in {{folder}}/out stay"),
    "job.json": (_Job, "run the recipe again: a step that resumes writes the file again"),
    "spec.json": (_Settings, "copy the value of 'spec' from job.json in the same folder to the file"),
    "plan.json": (_Plan, "remove {path} and run the recipe again: finished steps are reused"),
    "submitted.json": (_Submitted, "remove {path}, and submit the recipe again: finished steps are reused"),
    "ended.json": (_Ended, "remove {path}: a worker writes it again"),
    "fine_tuning.json": (_FineTuning, "restore it from a copy; the run itself is listed by burnish"),
    "serving.json": (_Serving, "stop the run, and serve the model again"),
    "burnish_base.json": (_Base, "train the adapter again, or remove {path}: the base is then not checked"),
    "latest.txt": (_Record, "remove {path}, or write the newest run to it, such as my-recipe/3"),
    "hashes.json": (_Record, "remove {path}: the hashes are computed again"),
}
RECORDS = ("run.json", "job.json", "spec.json", "artifact.json")
"""The records of a run folder; artifact.json exists only if the step succeeded."""
LOGS = ("events.jsonl", "run.log", "run.lock")
"""The other files of a run folder; any may be missing."""
_PIECE = 1 << 16
_LATEST = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,99})/([0-9]{1,18})\s*")


def read_record(path: Path) -> dict[str, Any]:
    """Read a JSON record and validate it against the schema for its name.

    Errors: RunError `run.broken-record` with the file, the problem and the repair.
    """
    text = read_text(path)
    try:
        value = parsed_json(text)
    except json.JSONDecodeError as error:
        raise broken(path, f"is not valid JSON (line {error.lineno}, column {error.colno}: {error.msg})") from None
    except ValueError as error:
        raise broken(path, f"is not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise broken(path, f"contains a {type(value).__name__} instead of an object")
    shape, _ = _SHAPES[path.name]
    try:
        shape.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise broken(path, f"lacks '{where}'" if first["type"] == "missing" else f"'{where}': {first['msg']}") from None
    return value  # pyright: ignore[reportUnknownVariableType]


def read_latest(path: Path) -> tuple[str, int]:
    """Recipe and number of the newest run, from latest.txt."""
    match = _LATEST.fullmatch(read_text(path))
    if match is None:
        raise broken(path, "does not name a run such as my-recipe/3")
    return match[1], int(match[2])


def read_hashes(path: Path) -> dict[str, Any]:
    """Cached content hashes by file; empty for files of older versions, which have no checksum."""
    value = read_record(path)
    files = value.get("files")
    if "sha256" not in value and not isinstance(files, dict):
        return {}
    if not isinstance(files, dict) or value.get("sha256") != of_value(files):
        raise broken(path, "was modified: its hashes do not match its checksum")
    return cast(dict[str, Any], files)


def broken(path: Path, what: str) -> RunError:
    """The error of a damaged record."""
    return RunError("run.broken-record", f"{path} {what}", _repair(path))


def _repair(path: Path) -> str:
    """How to repair a record with the least loss: with what the other records of its folder hold, where they do."""
    if path.name == "run.json" and (content := _run_record(path.parent)) is not None:
        return f"write this to {path}: {json.dumps(content)}"
    if path.name == "job.json" and _is_whole(path.with_name("artifact.json")):
        return f"remove {path}: the step has succeeded, and its other records hold the same"
    _, repair = _SHAPES.get(path.name, (_Record, "rename or remove {path}, and run the command again"))
    return repair.format(path=path, folder=path.parent)


def _run_record(folder: Path) -> dict[str, Any] | None:
    """What run.json must hold, from the job or the artifact of the same folder; None if neither is readable."""
    for name, state in (("artifact.json", "succeeded"), ("job.json", "failed")):
        if is_there(folder / name) and _is_whole(folder / name):
            found, (recipe, number, step) = read_record(folder / name), folder.parts[-3:]
            if isinstance(found.get("stage"), str) and number.isdigit():
                named = {"recipe": recipe, "number": int(number), "step": step, "stage": found["stage"]}
                created = float(int((folder / name).stat().st_mtime))
                return {**named, "fingerprint": found["fingerprint"], "state": state, "created": created, "attempts": 1}
    return None


def _is_whole(path: Path) -> bool:
    try:
        read_record(path)
    except RunError:
        return False
    return True


def misplaced_logs(folder: Path) -> list[RunError]:
    """An error for each log or lock of a run folder that is no file: to open a pipe would wait for ever."""
    there = [path for name in LOGS if (path := folder / name).exists() and not path.is_file()]
    return [broken(path, _no_file(path)) for path in there]


def _no_file(path: Path) -> str:
    return "is a folder, not a file" if path.is_dir() else "is not a regular file"


def is_there(path: Path) -> bool:
    """Whether anything exists at that path, broken links included."""
    try:
        path.lstat()
    except OSError:
        return False
    return True


def read_text(path: Path) -> str:
    """The text of a record. RunError `run.broken-record` if it is missing, empty, no file, unreadable or not UTF-8."""
    raw = read_raw(path)
    if not raw.strip():
        raise broken(path, "is empty")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise broken(path, f"is not UTF-8 text (byte {error.start})") from None


def read_raw(path: Path) -> bytes:
    """The bytes of a regular file. RunError `run.broken-record` if there is none, or it is unreadable."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise broken(path, _no_file(path))
        return _bytes_of(path, found.st_size)
    except FileNotFoundError:
        raise broken(path, "is missing") from None
    except OSError as error:
        raise broken(path, f"cannot be read ({error.strerror})") from None


def _bytes_of(path: Path, size: int) -> bytes:
    """By half as many calls of the system as `read_bytes`: after each, a thread of a server waits for the others."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.read(file, size + 1)
        while more := os.read(file, _PIECE):
            found += more
        return found
    finally:
        os.close(file)
