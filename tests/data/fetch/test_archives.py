"""Hostile and damaged archives are refused by name, and nothing of them is written, inside or outside."""

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from burnish.core.errors import DataError
from burnish.data.fetch import archives
from burnish.data.fetch.archives import unpack
from burnish.data.record import ReadReport

ROW = b'{"text": "a"}\n'
OUTSIDE = ("../evil.jsonl", "/evil.jsonl", "a/../../evil.jsonl", "..\\evil.jsonl", "C:\\evil.jsonl", "C:evil.jsonl")
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tar.xz": lzma.compress,
    ".tar.gz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.zst": zstandard.compress,
}


def tar(*members: tuple[str, bytes] | tarfile.TarInfo, **of: int) -> bytes:
    """A tar of (name, content), or of members without content."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=of.get("format", tarfile.PAX_FORMAT)) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member, io.BytesIO(bytes(member.size)) if member.isreg() else None)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return file.getvalue()


def special(name: str, kind: bytes, target: str = "", size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, target, size
    return member


def zipped(*members: tuple[str, bytes], **attributes: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo("x")
            info.filename = name  # as it is: the constructor would change it
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = attributes.get("mode", 0o644) << 16
            with warnings.catch_warnings(action="ignore"):  # of a name twice
                archive.writestr(info, content)
    return file.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped(("a.jsonl", ROW)))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    return bytes(data)


def declaring_a_pax_header_of_gigabytes() -> bytes:
    header = bytearray(special("pax", tarfile.XHDTYPE, size=4 << 30).tobuf(tarfile.GNU_FORMAT))
    return bytes(header) + b"\0" * 4096


def sparse_of_gigabytes() -> bytes:
    member = special("a.jsonl", tarfile.GNUTYPE_SPARSE)
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[386:398], header[398:410] = b"%011o\0" % (7 << 30), b"%011o\0" % 0  # data far behind: zeros before it
    header[483:495] = b"%011o\0" % (7 << 30)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + b"\0" * 1024


def damaged_header() -> bytes:
    data = bytearray(tar(("a.jsonl", ROW), ("b.jsonl", ROW), ("c.jsonl", ROW), format=tarfile.USTAR_FORMAT))
    data[1024 + 10] ^= 1
    return bytes(data)


HOSTILE: dict[str, tuple[str, bytes, str]] = {
    **{
        f"tar: a file called {name}": (".tar", tar(("a.jsonl", ROW), (name, ROW)), "which is outside it")
        for name in OUTSIDE
    },
    **{
        f"zip: a file called {name}": (".zip", zipped(("a.jsonl", ROW), (name, ROW)), "which is outside it")
        for name in OUTSIDE
    },
    **{
        f"{ending}: zip slip": (ending, pack(tar(("a.jsonl", ROW), ("../evil.jsonl", ROW))), "which is outside it")
        for ending, pack in PACKERS.items()
    },
    "a link outside": (".tar", tar(special("a", tarfile.SYMTYPE, "../../etc")), "a link that leads outside"),
    "an absolute link": (".tar", tar(special("a", tarfile.SYMTYPE, "/etc/passwd")), "a link"),
    "a hard link outside": (".tar", tar(special("a", tarfile.LNKTYPE, "../../etc/passwd")), "a link"),
    "an absolute hard link": (".tar", tar(special("a", tarfile.LNKTYPE, "/etc/passwd")), "a link"),
    "a device": (".tar", tar(special("a", tarfile.CHRTYPE)), "a device or pipe"),
    "a block device": (".tar", tar(special("a", tarfile.BLKTYPE)), "a device or pipe"),
    "a pipe": (".tar", tar(special("a", tarfile.FIFOTYPE)), "a device or pipe"),
    "a name twice": (".tar", tar(("a.jsonl", ROW), ("a.jsonl", ROW)), "'a.jsonl' twice"),
    "a name in two cases": (".tar", tar(("a.jsonl", ROW), ("A.jsonl", ROW)), "'A.jsonl' twice"),
    "a name with a dot before": (".tar", tar(("a.jsonl", ROW), ("./a.jsonl", ROW)), "'./a.jsonl' twice"),
    "zip: a name twice": (".zip", zipped(("a.jsonl", ROW), ("a.jsonl", ROW)), "2 files called 'a.jsonl'"),
    "zip: a name in two cases": (".zip", zipped(("a.jsonl", ROW), ("A.jsonl", ROW)), "'a.jsonl' twice"),
    "a file below a file": (".tar", tar(("a", ROW), ("a/b.jsonl", ROW)), "below a file"),
    "zip: a file below a file": (".zip", zipped(("a", ROW), ("a/b.jsonl", ROW)), "below a file"),
    "a name of controls": (".tar", tar(("a\x1b[2J.jsonl", ROW)), "no name of a file"),
    "a long name": (".tar", tar(("x" * 300, ROW)), "no name of a file"),
    "a deep name": (".tar", tar(("x/" * 200 + "a.jsonl", ROW)), "no name of a file"),
    "a file through a link": (
        ".tar",
        tar(special("d", tarfile.SYMTYPE, ".."), ("d/evil.jsonl", ROW)),
        "a link that leads outside",
    ),
    "a bomb": (".tar.gz", gzip.compress(tar(("a.jsonl", bytes(4_000_000)))), "250 times"),
    "a bomb of zstandard": (".tar.zst", zstandard.compress(tar(("a.jsonl", bytes(4_000_000)))), "250 times"),
    "a bomb of bzip2": (".tar.bz2", bz2.compress(tar(("a.jsonl", bytes(4_000_000)))), "250 times"),
    "zip: a bomb": (".zip", zipped(("a.jsonl", bytes(4_000_000))), "unpacks to"),
    "zip: a bomb of many files": (
        ".zip",
        zipped(*((f"{n}.jsonl", bytes(90_000)) for n in range(40))),
        "250 times|unpacks to",
    ),
    "a bomb of padding": (".tar.gz", gzip.compress(tar(("a.jsonl", ROW)) + bytes(40_000_000)), "cannot be read"),
    "too many members": (".tar", tar(*((f"{n}", b"") for n in range(60))), "more than 50 files"),
    "too many folders": (".tar", tar(*(special(f"{n}", tarfile.DIRTYPE) for n in range(60))), "more than 50 files"),
    "zip: too many members": (".zip", zipped(*((f"{n}", b"") for n in range(60))), "more than 50 files"),
    "a header of gigabytes": (".tar", declaring_a_pax_header_of_gigabytes(), "cannot be read"),
    "a sparse file of gigabytes": (".tar", sparse_of_gigabytes(), "250 times|cannot be read"),
    "zip: encrypted": (".zip", encrypted(), "is encrypted"),
    "a damaged header": (".tar", damaged_header(), "damaged or cut off"),
    "something after the end": (".tar", tar(("a.jsonl", ROW)) + tar(("b.jsonl", ROW)), "something follows"),
    "cut off": (".tar", tar(("a.jsonl", ROW * 200))[:1500], "cannot be read"),
    "cut off at a header": (".tar", tar(("a.jsonl", ROW))[:1024], "cut off"),
    "gzip cut off": (".tar.gz", gzip.compress(tar(("a.jsonl", os.urandom(9000))))[:-2000], "cannot be read"),
    "a wrong gzip checksum": (
        ".tar.gz",
        (lambda data: data[:-8] + b"\0\0\0\0" + data[-4:])(gzip.compress(tar(("a.jsonl", ROW)))),
        "cannot be read",
    ),
    "zip cut off": (".zip", zipped(("a.jsonl", ROW * 200))[:-30], "cannot be read"),
    "no archive": (".tar.gz", b"<html>sorry</html>", "cannot be read"),
    "nothing": (".tar", b"", "cannot be read"),
    "another kind": (".7z", b"7z", "is not unpacked"),
}


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 50)
    monkeypatch.setattr(archives, "_LARGE", 1_000_000)
    monkeypatch.setattr("burnish.data.files.archive._LARGE", 1_000_000)


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing(tmp_path, name):
    ending, content, said = HOSTILE[name]
    folder = tmp_path / "one" / "two"
    folder.mkdir(parents=True)
    archive = folder / f"all{ending}"
    archive.write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        unpack(archive, folder / "into", f"all{ending}", ReadReport())
    assert f"all{ending}" in caught.value.what
    assert caught.value.code in ("data.unsafe-archive", "data.unreadable")
    assert everything(tmp_path) == ["one", "one/two", f"one/two/all{ending}"]


@pytest.mark.parametrize("ending", [*PACKERS, ".zip"])
def test_a_sound_archive_is_unpacked_with_its_folders(tmp_path, ending):
    files = {f"folder/{n}/日本 {n}.jsonl": ROW * n for n in range(30)}
    content = zipped(*files.items()) if ending == ".zip" else PACKERS[ending](tar(*files.items()))
    (tmp_path / "a").write_bytes(content)
    counted: list[int] = []
    into = unpack(tmp_path / "a", tmp_path / "into", f"a{ending}", ReadReport(), counted.append)
    assert {str(path.relative_to(into)): path.read_bytes() for path in into.rglob("*.jsonl")} == files
    assert sum(counted) == sum(map(len, files.values()))
    assert stat.S_IMODE((into / "folder").stat().st_mode) & 0o700 == 0o700


def test_links_that_stay_inside_are_left_out_and_reported(tmp_path):
    content = tar(
        ("a.jsonl", ROW), special("b.jsonl", tarfile.SYMTYPE, "a.jsonl"), special("c", tarfile.LNKTYPE, "a.jsonl")
    )
    (tmp_path / "a.tar").write_bytes(content)
    reading = ReadReport()
    into = unpack(tmp_path / "a.tar", tmp_path / "into", "a.tar", reading)
    assert everything(into) == ["a.jsonl"]
    ((text, matters),) = reading.messages()
    assert (text, matters) == ("2 files are not read (a link in an archive): a.tar/b.jsonl, a.tar/c", True)


def test_an_unpacked_folder_is_not_unpacked_again(tmp_path):
    (tmp_path / "a.tar").write_bytes(tar(("a.jsonl", ROW)))
    into = unpack(tmp_path / "a.tar", tmp_path / "into", "a.tar", ReadReport())
    (into / "mark").touch()
    assert unpack(tmp_path / "a.tar", tmp_path / "into", "a.tar", ReadReport()) == into
    assert (into / "mark").exists()
