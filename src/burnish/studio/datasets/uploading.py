"""Uploads: a stream of bytes becomes a whole file below `data/uploads/`, or nothing.

The bytes are written to a hidden file that is locked while it grows, flushed, and linked to the upload's name, which
fails where the name is taken (without hard links: renamed under a lock): of two uploads of one name at once, one is
refused. A killed upload leaves the hidden
file, which no one reads; the next upload removes it.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from burnish.core.errors import AskError, DataError, MachineError
from burnish.core.files import file_size, sync
from burnish.core.runs.locks import held, is_locked, share
from burnish.core.runs.workspace import Workspace
from burnish.studio.datasets.names import next_version, upload_name, uploaded
from burnish.studio.datasets.records import new_record, upload_record, write_upload_record

SIZE_VARIABLE, _MOST_GIB = "BURNISH_UPLOAD_GIB", 64
"""The variable with the size of the largest upload, and the size without it."""
_PART, _LOCK = ".part", ".lock"
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""Of file systems without hard links, such as exFAT and some that are mounted from elsewhere."""
_CHECK_EVERY = 4 << 20
_MOST_RESERVED, _RESERVED_SHARE = 256 << 20, 20
Existing = Literal["refuse", "version"]


def most_bytes() -> int:
    """The size of the largest upload: that of BURNISH_UPLOAD_GIB, or 64 GiB."""
    given = os.environ.get(SIZE_VARIABLE, "")
    return (int(given) if given.isdecimal() and 0 < int(given) < 1 << 20 else _MOST_GIB) << 30


class Upload:
    """A file that is being received. A context manager: what is not finished leaves nothing.

    `length` is the size that the sender states, `sha256` the hash; both are checked. Errors: AskError
    `ask.wrong-value`, `ask.name-taken`, `ask.too-large`, `ask.no-such-run` without a workspace; DataError
    `data.unreadable` for a stream of another length, `data.wrong-checksum`; MachineError `machine.no-disk`.
    """

    def __init__(
        self,
        name: str,
        place: Workspace,
        *,
        length: int | None = None,
        sha256: str | None = None,
        most: int | None = None,
        existing: Existing = "refuse",
        purpose: str = "data",
        edited_from: str = "",
        version: str = "",
        may_be_empty: bool = True,
    ):
        """With `version` it is stored under that name, which must be free, as a version of `name`."""
        self.name = version or upload_name(name)
        self._given, self._place, self._existing = name, place, "refuse" if version else existing
        self._length, self._sha256, self._most = length, sha256, most_bytes() if most is None else most
        self._purpose, self._edited_from, self._may_be_empty = purpose, edited_from, may_be_empty
        self._hash, self._size, self._unchecked = hashlib.sha256(), 0, 0
        self._descriptor: int | None = None
        self._part = Path()

    def __enter__(self) -> "Upload":
        if self._length is not None and self._length > self._most:
            raise self._too_large()
        if self._existing == "refuse" and self.name in uploaded(self._place):
            raise self._taken()
        self._place.refuse_missing()  # it may have been moved under a server
        folder = self._place.uploads
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        self._refuse_full(self._length or 0)
        self._descriptor, self._part = _new_part(folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            with suppress(FileNotFoundError):
                self._part.unlink()
            os.close(self._descriptor)
            self._descriptor = None

    def write(self, chunk: bytes) -> None:
        """Add bytes."""
        assert self._descriptor is not None, "the upload is not open"
        self._size += len(chunk)
        if self._size > self._most:
            raise self._too_large()
        if self._length is not None and self._size > self._length:
            raise self._other_length("more than")
        self._unchecked += len(chunk)
        if self._unchecked >= _CHECK_EVERY:
            self._refuse_full(0)
            self._unchecked = 0
        self._hash.update(chunk)
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise self._of_disk(error) from error

    def finish(self) -> dict[str, Any]:
        """Flush the file, give it its name, and return its record."""
        assert self._descriptor is not None, "the upload is not open"
        if self._length is not None and self._size < self._length:
            raise self._other_length("less than")
        if not self._size and not self._may_be_empty:
            raise AskError("ask.wrong-value", f"file: {self.name} is empty", "send one JSON object a line")
        digest = self._hash.hexdigest()
        if self._sha256 is not None and digest != self._sha256.lower():
            what = f"{self.name} arrived with the sha256 {digest}, and {self._sha256[:80]} was stated"
            raise DataError("data.wrong-checksum", what, "send it again")
        try:
            os.fsync(self._descriptor)
            self._link()
            made = {"filename": self._given, "purpose": self._purpose, "edited_from": self._edited_from}
            record = new_record(self.name, self._size, digest, **made)
            try:
                write_upload_record(record, self._place, os.fstat(self._descriptor))
            except OSError:
                (self._place.uploads / self.name).unlink()
                raise
        except OSError as error:
            raise self._of_disk(error) from error
        return asdict(record)

    def _link(self) -> None:
        """Give the file its name, which no other file has, or the next version of it."""
        while True:
            target = self._place.uploads / self.name
            try:
                _rename(self._part, target)
            except FileExistsError:
                if self._existing == "refuse":
                    raise self._taken() from None
                self.name = next_version(self.name, uploaded(self._place))
                continue
            os.chmod(target, 0o600)
            sync(target.parent)
            return

    def _refuse_full(self, wanted: int) -> None:
        """Refuse what would fill the disk: other programs, and the records of runs, need some of it."""
        disk = shutil.disk_usage(self._place.uploads)
        if disk.free - wanted < min(_MOST_RESERVED, disk.total // _RESERVED_SHARE):
            stated = f", and the upload has {file_size(wanted)}" if wanted else ""
            what = f"the disk of {self._place.uploads} has {file_size(disk.free)} left{stated}"
            raise MachineError("machine.no-disk", what, "free some space, and send it again; nothing of it was kept")

    def _of_disk(self, error: OSError) -> Exception:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return error
        what = f"the disk of {self._place.uploads} is full after {file_size(self._size)} of {self.name}"
        return MachineError("machine.no-disk", what, "free some space, and send it again; nothing of it was kept")

    def _too_large(self) -> AskError:
        what = f"{self.name} has more than {file_size(self._most)}, which is the most that an upload may have"
        fix = f"copy the file into {self._place.data} instead, or allow more: {SIZE_VARIABLE} in the settings"
        return AskError("ask.too-large", what, fix)

    def _other_length(self, relation: str) -> DataError:
        what = f"{self.name} has {relation} the {self._length:,} bytes that were stated ({self._size:,} arrived)"
        return DataError("data.unreadable", what, "send it again; nothing of it was kept")

    def _taken(self) -> AskError:
        if self._edited_from:
            what = f"{self.name} was made just now, by another edit"
            return AskError("ask.name-taken", what, f"look at {self.name}, and change that; nothing was written")
        other = next_version(self.name, uploaded(self._place))
        what = f"there is an upload named {self.name} already"
        return AskError("ask.name-taken", what, f"choose another name, such as {other}, or delete that one first")


def upload(
    name: str,
    stream: Iterable[bytes],
    *,
    length: int | None = None,
    sha256: str | None = None,
    most: int | None = None,
    existing: Existing = "refuse",
    purpose: str = "data",
    workspace: Path | str | None = None,
) -> dict[str, Any]:
    """Store a stream of bytes as `data/uploads/NAME`; returns its record. `existing` says what happens if the name is
    taken. Errors: those of `Upload`, and those of the stream; after an error nothing is left."""
    place = Workspace.find(workspace)
    options: dict[str, Any] = {"length": length, "sha256": sha256, "most": most, "existing": existing}
    with Upload(name, place, **options, purpose=purpose) as receiving:
        for chunk in stream:
            receiving.write(chunk)
        return receiving.finish()


def record_of(name: str, *, workspace: Path | str | None = None) -> dict[str, Any]:
    """The record of an upload."""
    return asdict(upload_record(name, Workspace.find(workspace)))


def _rename(part: Path, target: Path) -> None:
    """Give a file another name. Errors: FileExistsError if there is one of that name."""
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with held(part.with_name(_LOCK), "naming an upload"):  # of uploads, one after the other
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
            part.rename(target)
    else:
        part.unlink()


def _new_part(folder: Path) -> tuple[int, Path]:
    """A hidden file and its descriptor, locked: another upload may have removed it before the lock was taken."""
    while True:
        descriptor, name = tempfile.mkstemp(prefix=".upload-", suffix=_PART, dir=folder)
        share(descriptor)
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(name)
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove what killed uploads have left: hidden files that no process holds."""
    for path in folder.glob(f".upload-*{_PART}"):
        if not is_locked(path, also_shared=True):
            path.unlink(missing_ok=True)
