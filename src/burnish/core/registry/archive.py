"""A version as one portable file or folder: its record, and the files of its artifact with their hashes.

    burnish-registry.json     the record, its history and evidence, and its own sha256
    files/<name>              the files of the artifact

An archive is not trusted: only regular files that the record lists are read, each compared with its size and hash.
"""

import hashlib
import io
import json
import shutil
import tarfile
import unicodedata
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from burnish.core.errors import AskError, BurnishError, DataError, RunError
from burnish.core.files import jsonable, publish_folder
from burnish.core.fingerprint import of_value
from burnish.core.printable import printable
from burnish.core.registry.entries import check_record
from burnish.core.registry.names import KINDS
from burnish.core.runs.artifact import IGNORED, digest_of

RECORD = "burnish-registry.json"
IMPORT = "import"
"""The stage of the run that holds an imported artifact."""
_FILES = "files/"
_FORMAT = 1
_MOST_RECORD = 64 * 1024 * 1024
_BLOCK = 1 << 20
_LONGEST = 512
_TARS = (".tar", ".tar.gz", ".tgz")
_OTHER_ARCHIVES = (".zip", ".7z", ".rar", ".gz", ".bz2", ".xz", ".zst", ".tbz", ".txz")
Opened = Callable[[str], IO[bytes]]


def write_archive(target: Path, content: Mapping[str, Any], folder: Path) -> None:
    """Write a `.tar`, a `.tar.gz` or `.tgz`, or for another name a folder. Files are hashed as they are written.

    Errors: AskError `ask.wrong-value` if it exists; RunError `run.damaged-artifact` for a file that changed.
    """
    if target.exists():
        raise AskError("ask.wrong-value", f"{target} exists", "remove it, or use another --to")
    if not target.parent.is_dir():
        raise AskError("ask.bad-reference", f"there is no folder {target.parent}", "create it, or use another --to")
    if target.name.endswith(_OTHER_ARCHIVES) and not _is_tar(target):
        fix = f"use a name that ends in {', '.join(_TARS)}, or one without an ending for a folder"
        raise AskError(
            "ask.wrong-value", f"{target.name}: {target.suffix} is not a form of archive that is written", fix
        )
    value: dict[str, Any] = {"format": _FORMAT, **cast(dict[str, Any], jsonable(content))}
    record = json.dumps({**value, "sha256": of_value(value)}, indent=1, ensure_ascii=False).encode()
    partial = target.with_name(f".{target.name}.partial")
    _remove(partial)
    files: Mapping[str, Any] = value["record"]["files"]
    try:
        if _is_tar(target):
            with partial.open("xb") as raw, _opened_for_writing(raw, target) as archive:
                _add(archive, RECORD, io.BytesIO(record), len(record))
                for name, file in files.items():
                    with (folder / name).open("rb") as source:
                        checked = _Hashed(source)
                        _add(archive, f"{_FILES}{name}", cast(IO[bytes], checked), file["size"])
                        _refuse_other(checked.digest, source.read(1), name, file, folder)
            partial.rename(target)
        else:
            (partial / _FILES).mkdir(parents=True)
            (partial / RECORD).write_bytes(record)
            for name, file in files.items():
                copied = partial / _FILES / name
                copied.parent.mkdir(parents=True, exist_ok=True)
                with (folder / name).open("rb") as source, copied.open("xb") as out:
                    digest = _copied(source, out, file["size"])
                    _refuse_other(digest, source.read(1), name, file, folder)
            publish_folder(partial, target)
    except OSError as error:
        _remove(partial)
        is_of_artifact = error.filename is not None and Path(error.filename).is_relative_to(folder)
        if is_of_artifact and isinstance(error, FileNotFoundError | IsADirectoryError):
            raise _damaged(f"{error.filename} cannot be read ({error.strerror})") from None
        if is_of_artifact:
            raise
        what = f"{target} cannot be written ({error.strerror or error})"
        raise AskError(
            "ask.wrong-value", what, "check the permissions of its folder and the disk, or use another --to"
        ) from error
    except BaseException:
        _remove(partial)
        raise


@contextmanager
def opened_archive(path: Path) -> Generator[tuple[dict[str, Any], Opened]]:
    """The checked record of an archive or folder, and a function that opens a file of its artifact.

    Errors: DataError `data.unreadable` for another file; AskError `ask.wrong-value` for names that could leave the
    folder; RunError `run.damaged-artifact` for a record that was changed.
    """
    if path.is_dir():
        content = _content(_bytes_of(path / RECORD), path)
        root = path / _FILES
        _refuse_added(path, {RECORD, *(f"{_FILES}{name}" for name in content["record"]["files"])})

        def in_folder(name: str) -> IO[bytes]:
            file = root / name
            if any(part.is_symlink() for part in (file, *file.parents) if part.is_relative_to(path)):
                raise _refused(path, name, "is a link")
            if not file.is_file():
                raise _damaged(f"{path} lacks {name}")
            return file.open("rb")

        yield content, in_folder
        return
    try:
        archive = tarfile.open(path, "r:*")  # noqa: SIM115
    except FileNotFoundError:
        raise AskError("ask.bad-reference", f"there is no file {path}", "check the path") from None
    except (tarfile.TarError, EOFError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "not a tar file"
        raise _unreadable(path, f"is not an archive of burnish ({why})") from None
    with archive:
        try:
            members = _members(archive, path)
            if RECORD not in members:
                raise _unreadable(path, f"lacks {RECORD}: it is not an archive of burnish")
            content = _content(_read(archive, members[RECORD], path), path)
            _refuse_others(members, content["record"]["files"], path)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise _unreadable(path, f"is truncated or damaged ({error})") from None

        def in_archive(name: str) -> IO[bytes]:
            member = members.get(f"{_FILES}{name}")
            found = archive.extractfile(member) if member is not None else None
            if found is None:
                raise _damaged(f"{path} lacks {name}")
            return found

        yield content, in_archive


def extract(content: Mapping[str, Any], opened: Opened, folder: Path, path: Path) -> None:
    """Write the files of an artifact into an empty folder. RunError `run.damaged-artifact` for one that differs."""
    for name, file in content["record"]["files"].items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with opened(name) as source, target.open("xb") as out:
                digest = _copied(source, out, file["size"])
                more = source.read(1)
        except (tarfile.TarError, EOFError) as error:
            raise _unreadable(path, f"is truncated or damaged ({error})") from None
        except OSError as error:
            if error.filename is not None:
                raise
            raise _unreadable(path, f"is truncated or damaged ({error})") from None
        _refuse_other(digest, more, name, file, path)


def _content(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        value: Any = json.loads(raw)
        digest = value.pop("sha256")
        if value["format"] != _FORMAT:
            raise _unreadable(path, f"has format {value['format']}, and this burnish reads {_FORMAT}")
        if of_value(value) != digest:
            raise _damaged(f"the record in {path} was changed since it was exported")
        record = value["record"]
        check_record(record)
        if record["kind"] not in KINDS or not isinstance(value["name"], str):
            raise TypeError("kind")
        for name, file in record["files"].items():
            _check_name(name, path)
            if not (isinstance(file["size"], int) and file["size"] >= 0 and isinstance(file["sha256"], str)):
                raise TypeError(name)
        _refuse_collisions(record["files"], path)
        if record["digest"] != digest_of(record["files"]):
            raise _damaged(f"the record in {path} has another digest than its files")
    except BurnishError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _unreadable(path, f"has a {RECORD} that cannot be read ({type(error).__name__}: {error})") from None
    return value


def _check_name(name: str, path: Path) -> None:
    """Refuse names that could leave the folder, or mean another file on another system."""
    plain = PurePosixPath(name)
    is_bad = plain.is_absolute() or name != plain.as_posix() or not name or len(name) > _LONGEST
    is_bad = is_bad or any(part in ("..", ".") or part.endswith((" ", ".")) for part in plain.parts)
    if is_bad or any(letter in name for letter in '\\:*?"<>|\n\t') or printable(name) != name:
        raise _refused(path, name, "is not a plain relative name")


def _refuse_collisions(names: Mapping[str, Any], path: Path) -> None:
    """Refuse two names that are one file where case or Unicode forms do not count, and a file that is also a folder."""
    seen: dict[str, str] = {}
    for name in names:
        key = unicodedata.normalize("NFC", name).casefold()
        if key in seen:
            raise _refused(path, name, f"and {seen[key]} are one file on some systems")
        seen[key] = name
    for key, name in seen.items():
        if any(parent.as_posix() in seen for parent in PurePosixPath(key).parents):
            raise _refused(path, name, "is below a file")


def _members(archive: tarfile.TarFile, path: Path) -> dict[str, tarfile.TarInfo]:
    """The regular files of an archive by name. Links, devices and names that leave the folder are refused."""
    found: dict[str, tarfile.TarInfo] = {}
    for member in archive:
        if not member.isreg() or member.issparse():
            raise _refused(path, member.name, "is not a regular file")
        try:
            tarfile.data_filter(member, "/")
        except tarfile.FilterError as error:
            raise _refused(path, member.name, f"is refused ({error})") from None
        _check_name(member.name, path)
        if member.name in found:
            raise _refused(path, member.name, "is in it twice")
        found[member.name] = member
    return found


def _refuse_others(members: Mapping[str, tarfile.TarInfo], files: Mapping[str, Any], path: Path) -> None:
    for name, member in members.items():
        if name == RECORD:
            continue
        file = files.get(name.removeprefix(_FILES)) if name.startswith(_FILES) else None
        if file is None:
            raise _refused(path, name, "is not in its record")
        if member.size != file["size"]:
            raise _damaged(f"{name} in {path} has {member.size:,} bytes instead of {file['size']:,}")


def _refuse_added(folder: Path, names: set[str]) -> None:
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if name not in names and file.name not in IGNORED and (file.is_symlink() or not file.is_dir()):
            raise _refused(folder, name, "is not in its record")


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    found = archive.extractfile(member)
    if found is None or member.size > _MOST_RECORD:
        raise _unreadable(path, f"has a {RECORD} of {member.size:,} bytes")
    return found.read()


def _bytes_of(file: Path) -> bytes:
    try:
        if file.stat().st_size > _MOST_RECORD:
            raise _unreadable(file, f"has more than {_MOST_RECORD:,} bytes")
        return file.read_bytes()
    except OSError as error:
        raise _unreadable(
            file.parent, f"is not an export of burnish: {RECORD} cannot be read ({error.strerror})"
        ) from None


class _Hashed:
    """A file that hashes what is read of it."""

    def __init__(self, source: IO[bytes]):
        self._source, self._hash = source, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._source.read(size)
        self._hash.update(block)
        return block

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


def _copied(source: IO[bytes], out: IO[bytes], size: int) -> str:
    """Copy at most `size` bytes; returns their hash."""
    content, left = hashlib.sha256(), size
    while left and (block := source.read(min(left, _BLOCK))):
        out.write(block)
        content.update(block)
        left -= len(block)
    return content.hexdigest()


def _refuse_other(digest: str, more: bytes, name: str, file: Mapping[str, Any], where: Path) -> None:
    if more or digest != file["sha256"]:
        raise _damaged(f"{name} in {where} is not the file that was registered: its hash differs")


def _add(archive: tarfile.TarFile, name: str, source: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    archive.addfile(member, source)


def _is_tar(target: Path) -> bool:
    return target.name.endswith(_TARS)


@contextmanager
def _opened_for_writing(raw: IO[bytes], target: Path) -> Generator[tarfile.TarFile]:
    if target.suffix == ".tar":
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
            yield archive
    else:
        with tarfile.open(fileobj=raw, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
            yield archive


def _remove(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial)
    else:
        partial.unlink(missing_ok=True)


def _unreadable(path: Path, what: str) -> DataError:
    return DataError("data.unreadable", f"{path} {what}", "export it again: burnish adapters export NAME@VERSION")


def _damaged(what: str) -> RunError:
    return RunError("run.damaged-artifact", what, "restore the file, or export the version again")


def _refused(path: Path, name: str, why: str) -> AskError:
    return AskError("ask.wrong-value", f"{path}: '{printable(name)}' {why}", "use an archive that burnish exported")
