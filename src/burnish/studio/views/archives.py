"""The files of an artifact as one tar, made while it is sent: nothing is copied to disk, and no file is held whole."""

import hashlib
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from burnish.core.errors import AskError, RunError
from burnish.core.paths.within import file_within
from burnish.core.runs.artifact import Artifact
from burnish.core.runs.workspace import Workspace
from burnish.core.secrets import masked_value

BLOCK_BYTES = 1 << 18
CERTIFICATE = "certificate.json"
_END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class Archive:
    """A tar of an artifact: `name` is that of the file, `size` its bytes; all that it holds is in the folder `top`.

    `blocks` can be read once.
    """

    name: str
    size: int
    blocks: Iterator[bytes]


def archive(name: str, *, workspace: Path | str | None = None) -> Archive:
    """The files that an artifact's record names, and its certificate; `name` as for `artifact`.

    Each file is compared with its hash while it is read: the error of one that changed, or is gone, comes before the
    last bytes of the tar. Errors: AskError `ask.no-such-run` without an artifact; RunError `run.damaged-artifact` for
    files that differ already.
    """
    place = Workspace.find(workspace)
    run = place.find_run(name)
    made = run.artifact()
    if made is None:
        raise AskError("ask.no-such-run", f"{name} has made no artifact", f"its state is {run.state}")
    if made.files is None:
        what = f"{run.reference} was made by an older burnish, which recorded none of its files"
        raise AskError("ask.bad-reference", what, f"copy {made.path}, or run the step again")
    made.refuse_damage(place.hashes(), run.reference)
    for file in made.files:
        file_within(made.path, file)
    top = run.reference.replace("@", "-")
    headers = {
        file: _header(f"{top}/{file}", about["size"], about["mtime_ns"] / 1e9)
        for file, about in sorted(made.files.items())
    }
    has_own = made.certificate is None or CERTIFICATE in made.files
    written = (run.folder / "artifact.json").stat().st_mtime
    end = (b"" if has_own else _certificate(top, made.certificate or {}, written)) + _END
    sizes = [len(headers[file]) + about["size"] + len(_padding(about["size"])) for file, about in made.files.items()]
    return Archive(f"{top}.tar", sum(sizes) + len(end), _blocks(made, headers, end))


def _blocks(made: Artifact, headers: Mapping[str, bytes], end: bytes) -> Iterator[bytes]:
    assert made.files is not None
    for file, header in headers.items():
        yield header
        yield from _content(made, file, made.files[file])
    yield end


def _content(made: Artifact, name: str, about: Mapping[str, Any]) -> Iterator[bytes]:
    """The bytes of a file and their padding. Errors: RunError `run.damaged-artifact` if they are not those recorded."""
    try:
        with file_within(made.path, name).open("rb") as file:
            yield from _hashed(file, about)
    except (OSError, ValueError, AskError) as error:
        what = f"{name} of {made.path} changed while it was sent ({error})"
        raise RunError("run.damaged-artifact", what, made.repair) from error


def _hashed(file: IO[bytes], about: Mapping[str, Any]) -> Iterator[bytes]:
    """ValueError before the end of a file that is not the one that was recorded."""
    found, left = hashlib.sha256(), int(about["size"])
    while left:
        block = file.read(min(left, BLOCK_BYTES))
        if not block:
            raise ValueError(f"it ends {left:,} bytes early")
        found.update(block)
        left -= len(block)
        yield block
    if file.read(1) or found.hexdigest() != about["sha256"]:
        raise ValueError("its hash differs")
    yield _padding(about["size"])


def _header(path: str, size: int, seconds: float) -> bytes:
    member = tarfile.TarInfo(path)
    member.size, member.mode, member.mtime = size, 0o644, int(seconds)
    return member.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _certificate(top: str, record: Mapping[str, Any], seconds: float) -> bytes:
    """The certificate of the record as one more file of the tar."""
    text = json.dumps(masked_value(record), indent=2, ensure_ascii=False).encode()
    return _header(f"{top}/{CERTIFICATE}", len(text), seconds) + text + _padding(len(text))
