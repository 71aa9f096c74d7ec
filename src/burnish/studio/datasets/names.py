"""Names of datasets: of an upload, a file below `data/`, or an artifact; and which names an upload may have."""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from burnish.core.errors import AskError
from burnish.core.naming import nearest
from burnish.core.runs.artifact import Artifact
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace

MOST_CHARACTERS, MOST_NAME_BYTES = 120, 200
KINDS = ("dataset", "rows")
PARTS = ("rows", "preview", "profile", "quarantine")
"""What the API has below the name of a dataset."""
_SEPARATORS = ("/", "\\", "\0", ":")
_DEVICES = frozenset(("con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10))))
_OTHERS = re.compile(r"[^\w.+-]+")
_VERSION = re.compile(r"(?P<stem>.+?)\.v(?P<number>[1-9][0-9]{0,8})$")


@dataclass(frozen=True)
class Dataset:
    """A dataset of the workspace: `name` is that of the API, `ref` the reference that recipes use."""

    name: str
    origin: Literal["upload", "file", "artifact"]
    ref: str
    path: Path
    kind: str = "file"
    run: Run | None = None

    @property
    def artifact(self) -> Artifact | None:
        """The record of an artifact; None for a file."""
        return self.run.artifact() if self.run is not None else None


def upload_name(given: str) -> str:
    """The name of an upload: letters, digits, `.`, `_`, `+` and `-`; other characters become `-`.

    Errors: AskError `ask.wrong-value` for a name that leads to another folder, names a device, is hidden, is too long,
    or has characters that no one sees.
    """
    name = unicodedata.normalize("NFKC", given)
    if any(mark in name for mark in _SEPARATORS):
        raise _refused(given, "has a separator of folders or a NUL", name)
    if unseen := next((mark for mark in name if unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Co", "Cn")), None):
        raise _refused(given, f"has the character U+{ord(unseen):04X}, which is not printed", name)
    plain = _OTHERS.sub("-", name).strip("-")
    plain = re.sub(r"-*\.-*", ".", re.sub("-{2,}", "-", plain))
    if bare := next((part for part in name.split(".") if part and not _OTHERS.sub("-", part).strip("-")), None):
        why = f"has no letter, digit, '_' or '+' in {bare[:20]!r}"
        raise _refused(given, why, ".".join("rows" if part == bare else part for part in name.split(".")))
    if plain.startswith(".") or plain.endswith(".") or ".." in plain or not plain:
        raise _refused(given, "begins or ends with a dot, has two in a row, or is empty", name)
    if plain.partition(".")[0].lower() in _DEVICES:
        raise _refused(given, "names a device on Windows", f"rows-{plain}")
    if len(plain) > MOST_CHARACTERS or len(plain.encode()) > MOST_NAME_BYTES:
        raise _refused(given, f"has more than {MOST_CHARACTERS} characters", plain[:40])
    if plain.lower().endswith(".part"):
        raise _refused(given, "ends like an upload in progress", plain[: -len(".part")])
    return plain


def _refused(given: str, why: str, like: str) -> AskError:
    words = _OTHERS.sub("-", like.replace("..", "")).strip("-.") or "rows.jsonl"
    return AskError(
        "ask.wrong-value", f"the name {given!r:.140} {why}", f"name the file by itself, such as {words[:60]}"
    )


def next_version(name: str, taken: Collection[str]) -> str:
    """`rows.v2.jsonl` of `rows.jsonl`, `rows.v3.jsonl` of that: the first that is free."""
    base, number, endings = _parts(name)
    while (versioned := f"{base}.v{(number := number + 1)}{endings}") in taken:
        pass
    return versioned


def newest_version(name: str, taken: Collection[str]) -> str:
    """The one of all versions of an upload that has the highest number; itself if there is no other."""
    base, _, endings = _parts(name)
    numbers = {
        other: there for other in taken for start, there, end in [_parts(other)] if (start, end) == (base, endings)
    }
    return max(numbers, key=lambda other: numbers[other], default=name)


def _parts(name: str) -> tuple[str, int, str]:
    """Base, number of the version, and endings of a name: (`rows`, 2, `.jsonl`) of `rows.v2.jsonl`."""
    path = PurePosixPath(name)
    endings = "".join(path.suffixes[-2:]) if path.suffix.lower() in (".gz", ".zst") else path.suffix
    stem = name.removesuffix(endings) if endings else name
    match = _VERSION.fullmatch(stem)
    return (match["stem"], int(match["number"]), endings) if match else (stem, 1, endings)


def find(name: str, place: Workspace) -> Dataset:
    """The dataset of a name: `rows.jsonl` is an upload, `data/rows.jsonl` a file, `recipe.step@3` an artifact.

    Errors: AskError `ask.bad-reference` for a name that none has, with the nearest one.
    """
    if name.startswith("data/"):
        return _file(name, place)
    if "@" in name:
        return _artifact(name, place)
    if "/" not in name and name in uploaded(place):
        return upload_of(name, place)
    raise _unknown(name, place)


def upload_of(name: str, place: Workspace) -> Dataset:
    """The dataset of an upload that is there."""
    return Dataset(name, "upload", f"file:data/uploads/{name}", place.uploads / name)


def file_of(path: Path, place: Workspace) -> Dataset:
    """The dataset of a file or folder below `data/` that is there."""
    relative = path.relative_to(place.root).as_posix()
    return Dataset(relative, "file", f"file:{relative}", path, "file" if path.is_file() else "folder")


def uploaded(place: Workspace) -> set[str]:
    """The names of all uploads."""
    if not place.uploads.is_dir():
        return set()
    return {path.name for path in place.uploads.iterdir() if _is_own_file(path)}


def _is_own_file(path: Path) -> bool:
    return is_own_name(path.name) and not path.is_symlink() and path.is_file()


def is_own_name(name: str) -> bool:
    """Whether an upload can have this name: that of an artifact has an `@`."""
    return not name.startswith(".") and "@" not in name and is_askable(name)


def is_askable(name: str) -> bool:
    """Whether a file's name can be in an answer, and be asked for: it is Unicode without a backslash, and not that of a
    part of another dataset, as `data/x/rows` is of the folder `data/x`."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return "\\" not in name and not ("/" in name and name.rpartition("/")[2] in PARTS)


def _file(name: str, place: Workspace) -> Dataset:
    """A file or folder below `data/`. A link that leads out of the folder is not followed."""
    parts = PurePosixPath(name).parts
    is_plain = "\0" not in name and is_askable(name) and not any(part.startswith(".") for part in parts)
    path = place.root.joinpath(*parts)
    if not is_plain or not _is_below_data(path, place):
        raise _unknown(name, place)
    if path.parent == place.uploads and _is_own_file(path):
        return upload_of(path.name, place)
    return file_of(path, place)


def _is_below_data(path: Path, place: Workspace) -> bool:
    """Whether it is there; False for a path that the system does not take, such as one that is too long."""
    try:
        return path.exists() and place.data.resolve() in path.resolve().parents
    except (OSError, ValueError):
        return False


def _artifact(name: str, place: Workspace) -> Dataset:
    stem, _, version = name.rpartition("@")
    recipe, _, step = stem.rpartition(".")
    known = {number for number in place.numbers(recipe) if version in ("latest", str(number))}
    for number in sorted(known, reverse=True):
        run = place.steps_of(recipe, number).get(step)
        artifact = run.artifact() if run is not None else None
        if run is not None and artifact is not None and artifact.kind in KINDS:
            return Dataset(run.reference, "artifact", run.reference, artifact.path, artifact.kind, run)
    raise _unknown(name, place)


def refuse_damage(artifact: Artifact, run: str, place: Workspace) -> None:
    """RunError `run.damaged-artifact`. Of a copied workspace the hashes of its files are computed once."""
    known = place.hashes()
    before = dict(known)
    artifact.refuse_damage(known, run)
    if known != before:
        place.remember_hashes(known)


def _unknown(name: str, place: Workspace) -> AskError:
    names: list[Any] = [*uploaded(place)]
    fix = nearest(name, names) if names else "upload a file, or prepare one"
    return AskError("ask.bad-reference", f"there is no dataset {name!r:.140}", fix)
