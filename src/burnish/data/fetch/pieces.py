"""What a source consists of: files that are read one after the other, each on the disk, in an archive or at a URL."""

import hashlib
import re
import shutil
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from burnish.core.context import Input
from burnish.core.errors import BurnishError, DataError, MachineError, RunError
from burnish.core.files import file_size
from burnish.core.inputs import hub
from burnish.core.inputs.urls import FAULTS, asked, split_checksum, unreachable, validator_of
from burnish.data.fetch.archives import unpack
from burnish.data.fetch.choice import CARD, Choice, choose
from burnish.data.fetch.download import download
from burnish.data.fetch.remote import Connection, Remote
from burnish.data.files.endings import NOT_UNPACKED, archive_ending
from burnish.data.reader import read, read_file
from burnish.data.readers import ending_of, readers
from burnish.data.readers.texts import read_whole
from burnish.data.record import Bad, Read, ReadReport, Record
from burnish.data.sources import hub_folder
from burnish.data.sources.listing import SourceFile, find_files
from burnish.data.sources.repository import checkout

_NOT_STREAMED = (".arrow",)
"""Of rows, but read by mapping the file."""
_BY_RANGES = (".parquet",)
"""Read from their end."""
_COMMIT_IN_PATH = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class Piece:
    """One file of a source. `rows` gives its rows; `split` is that of all of them, or "" where they may differ."""

    name: str
    split: str
    size: int
    """Bytes that are downloaded for it; 0 for what is on the disk."""
    rows: Callable[[ReadReport], Generator[Record | Bad]]
    has_size: bool = True
    """False of what is read as it comes from a server that does not say how long it is, and may never end."""


@dataclass(frozen=True)
class Source:
    """The pieces of a source in their order, and what is known of it for the manifest."""

    pieces: list[Piece]
    about: dict[str, Any] = field(default_factory=dict)
    """Added to while the pieces are read."""


@dataclass(frozen=True)
class Place:
    """Where a source is read from and to: how to connect, the folder of downloads, and whether rows are streamed."""

    connection: Connection
    downloads: Path
    """Downloads and what is unpacked of them stay there, so that an interrupted step continues with them."""
    is_streamed: bool = False
    """Read a file as it comes, since its end may not be needed."""
    unpacked: Callable[[int], None] = lambda _: None
    """Called with the number of bytes that were unpacked."""
    downloaded: Callable[[str], None] = lambda _: None
    """Called with the sha256 of a file that was downloaded."""


def open_source(value: Input, choice: Choice, place: Place, reading: ReadReport) -> Source:
    """The pieces of any source. Errors: those of planning it, for what has changed since."""
    if value.kind != "remote":
        return _local(value, choice, place, reading)
    if value.ref.startswith("hub:"):
        return _of_hub(value, choice, place, reading)
    return _of_url(value, place, reading)


def _local(value: Input, choice: Choice, place: Place, reading: ReadReport) -> Source:
    about: dict[str, Any] = {"source": value.ref, "revision": value.revision or None, "licence": None}
    path = checkout(value, place.downloads)
    if path.is_file() and archive_ending(path.name):
        return Source([_archive(path, path.name, "", place, reading)], about)
    if path.is_dir():
        about["licence"] = hub_folder.licence_in(_card_of(path))
    files = find_files(path, reading, choice.subset)
    return Source([_on_disk(file) for file in files], about)


def _on_disk(file: SourceFile) -> Piece:
    def rows(reading: ReadReport) -> Generator[Record | Bad]:
        yield from read_file(file, reading)

    return Piece(file.name, _split_of_all(file.name, file.split), 0, rows)


def _split_of_all(name: str, split: str) -> str:
    """The split of every row of a file; "" of a .json, which may name the splits of its rows."""
    return (split or "train") if ending_of(Path(name)) != ".json" else ""


def _card_of(folder: Path) -> dict[str, Any]:
    card = folder / CARD
    if not card.is_file():
        return {}
    with card.open(encoding="utf-8", errors="replace") as file:
        return hub_folder.head_of(file.read(hub_folder.MOST_CHARACTERS))


def _of_hub(value: Input, choice: Choice, place: Place, reading: ReadReport) -> Source:
    name, endpoint = value.ref.removeprefix("hub:"), hub.endpoint()
    repo, _ = hub.split_name(name)
    host = urlsplit(endpoint).hostname or ""
    connection = replace(place.connection, allowed=(*place.connection.allowed, host))
    shared = {"headers": hub.headers(), "is_pinned": True, "gate": f"{endpoint}/datasets/{repo}"}
    files = {one.path: one for one in hub.files(name, value.revision, "dataset", (choice.data_dir or "").strip("/"))}
    remotes = {path: Remote(one.url, path, connection, one.size, **shared) for path, one in files.items()}
    card: dict[str, Any] = {}
    if CARD in remotes:
        quiet = replace(remotes[CARD], connection=replace(connection, received=lambda _: None))
        with quiet.open() as text:
            written = text.read(hub_folder.MOST_CHARACTERS).decode("utf-8", "replace")
        card = hub_folder.head_of(written, names_files=not choice.data_files and choice.data_dir is None)
    chosen = choose(list(files), card, choice, value.ref, reading)
    pieces: list[Piece] = []
    for path, split in chosen:
        place_of = replace(place, downloads=place.downloads / _folder(value.ref, value.revision))
        pieces.append(_piece(remotes[path], path, split, files[path].sha256, place_of, reading))
    about = {
        "source": f"hub:{repo}",
        "revision": value.revision,
        "licence": hub_folder.licence_in(card),
        "endpoint": endpoint,
        "files": {path: {"split": split, "bytes": files[path].size} for path, split in chosen},
    }
    return Source(pieces, about)


def _of_url(value: Input, place: Place, reading: ReadReport) -> Source:
    url, sha256 = split_checksum(value.ref)
    name, size, validator = _described(url, place.connection)
    if not sha256 and value.revision and validator != value.revision:
        what = f"{url} changed since the run was planned: it was {value.revision}, and is {validator or 'without ETag'}"
        raise RunError("run.input-changed", what, "run it again to use the current content")
    if not archive_ending(name) and ending_of(Path(name)) not in readers():
        known = ", ".join(sorted(readers()))
        what = f"{url} is called '{name}', whose ending says of no kind of rows"
        raise DataError("data.unreadable", what, f"known are {known} and archives; download it yourself, and rename it")
    remote = Remote(url, name, place.connection, size, validator)
    about: dict[str, Any] = {"source": url, "revision": validator or None, "sha256": sha256 or None, "licence": None}
    place = replace(
        place,
        downloaded=lambda found: about.update(sha256=found),
        downloads=place.downloads / _folder(url, sha256 or validator),
        is_streamed=place.is_streamed and not sha256,  # a checksum is that of the whole file
    )
    return Source([_piece(remote, name, "", sha256, place, reading)], about)


def _described(url: str, connection: Connection) -> tuple[str, int | None, str]:
    """The name, size and validator of a file, as its server gives them."""
    probe = Remote(url, urlsplit(url).path or url, replace(connection, received=lambda _: None))
    for attempt in range(connection.retries + 1):
        try:
            return _answer(url, connection)
        except BurnishError:
            raise
        except FAULTS as error:
            status = getattr(error, "code", None)
            if status is not None and status not in (429, 500, 502, 503, 504):
                raise probe.refusal(status) from None
            if attempt == connection.retries:
                raise unreachable(url, error) from error
            probe.wait(attempt + 1)
    raise AssertionError


def _answer(url: str, connection: Connection) -> tuple[str, int | None, str]:
    reply: Any = asked(url, connection.allowed, connection.seconds)
    with reply:
        length = reply.headers.get("Content-Length", "")
        named = Message()
        named["Content-Disposition"] = reply.headers.get("Content-Disposition", "")
        name = named.get_filename("") or unquote(Path(urlsplit(url).path).name)
        return Path(name).name, int(length) if length.isdecimal() else None, validator_of(reply.headers)


def _piece(remote: Remote, name: str, split: str, sha256: str, place: Place, reading: ReadReport) -> Piece:
    """One file at a URL: read as it comes, or downloaded before."""
    path = place.downloads / hashlib.sha256(name.encode()).hexdigest()[:16] / Path(name).name
    if (ending := archive_ending(name)) in NOT_UNPACKED:
        raise DataError(
            "data.unreadable", f"{name}: {ending} is not unpacked", "unpack it yourself, and use its folder"
        )
    if ending:

        def unpacked(reading: ReadReport) -> Generator[Record | Bad]:
            place.downloaded(download(remote, path, sha256, place.unpacked))
            yield from _archive(path, name, split, place, reading).rows(reading)

        return Piece(name, "", remote.size or 0, unpacked)
    reader: Read = readers().get(ending_of(Path(name)), read_whole)

    def streamed(reading: ReadReport) -> Generator[Record | Bad]:
        is_possible = ending_of(Path(name)) not in _BY_RANGES or remote.gives_ranges()
        for item in reader(remote, name, reading) if is_possible else downloaded(reading):
            yield replace(item, split=item.split or split) if isinstance(item, Record) else item

    def downloaded(reading: ReadReport) -> Generator[Record | Bad]:
        place.downloaded(download(remote, path, sha256, place.unpacked))
        yield from read_file(SourceFile(path, name, reader, path.stat().st_size, split), reading)

    is_streamed = place.is_streamed and ending_of(Path(name)) not in _NOT_STREAMED
    split_of_all = _split_of_all(name, split)
    if is_streamed:
        return Piece(name, split_of_all, 0, streamed, has_size=remote.size is not None)
    return Piece(name, split_of_all, remote.size or 0, downloaded)


def _archive(path: Path, name: str, split: str, place: Place, reading: ReadReport) -> Piece:
    """An archive on the disk, unpacked when it is read."""

    def rows(reading: ReadReport) -> Generator[Record | Bad]:
        _refuse_full_disk(path.stat().st_size, place.downloads)
        key = hashlib.sha256(f"{path}{path.stat().st_mtime_ns}".encode()).hexdigest()[:16]
        into = place.downloads / f"unpacked-{key}" / Path(name).name  # messages name a folder by its last part
        for item in read(unpack(path, into, name, reading, place.unpacked), reading):
            source = f"{name}/{item.source}"
            if isinstance(item, Record):
                yield replace(item, source=source, split=item.split or split)
            else:
                yield replace(item, source=source)

    return Piece(name, "", 0, rows)


def refuse_full_disk(source: Source, folder: Path) -> None:
    """MachineError `machine.no-disk` if what will be downloaded does not fit."""
    _refuse_full_disk(sum(piece.size for piece in source.pieces), folder)


def _refuse_full_disk(needed: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        what = f"{file_size(needed)} are to be downloaded, and {file_size(free)} are free in {folder}"
        raise MachineError("machine.no-disk", what, "free space, or fetch a part: `limit`, `split`, `data_files`")


def _folder(ref: str, revision: str) -> str:
    stem = _COMMIT_IN_PATH.sub("-", ref)[-40:].strip("-.")
    return f"{stem}-{hashlib.sha256(f'{ref} {revision}'.encode()).hexdigest()[:12]}"
