"""What the list of an archive says is checked before anything is unpacked: each limit from both sides."""

import stat
import struct
import zipfile
from dataclasses import dataclass

import pytest

from burnish.core.errors import DataError
from burnish.data.files import archive
from burnish.data.files.archive import members
from burnish.data.record import ReadReport

MIB = 1024 * 1024
UTF_8, ENCRYPTED = 0x800, 0x1


@dataclass
class Listed:
    """An entry of an archive's list, of which the archive holds nothing."""

    name: str
    size: int = 0
    packed: int = 0
    flags: int = 0
    mode: int = stat.S_IFREG | 0o644

    def spelled(self) -> bytes:
        name = self.name.encode()
        parts = (0x02014B50, 0x314, 20, self.flags, 8, 0, 0, 0, self.packed, self.size, len(name), 0, 0, 0, 0)
        return struct.pack("<I6H3I5HII", *parts, self.mode << 16, 0) + name


def listing(path, entries: list[Listed], times: int = 1):
    """An archive that is nothing but its list (APPNOTE 4.3.12 and 4.3.16)."""
    listed = b"".join(entry.spelled() for entry in entries) * times
    path.write_bytes(listed + struct.pack("<I4H2IH", 0x06054B50, 0, 0, 0, 0, len(listed), 0, 0))
    return path


def refused(path) -> str:
    with pytest.raises(DataError) as caught:
        members(path, ReadReport())
    assert caught.value.code == "data.unreadable"
    assert caught.value.what.startswith(f"{path.name} ")
    return caught.value.what.removeprefix(f"{path.name} ")


def test_the_files_are_listed_in_order_with_their_sizes(tmp_path):
    names = {"b/c.txt": 3, "a.txt": 2, "b/d/": 0, "B.txt": 1, "b/a.txt": 4, ".a": 5, "b/.c/d": 6, "__MACOSX/a": 7}
    reading = ReadReport()
    found = members(listing(tmp_path / "x.zip", [Listed(name, size) for name, size in names.items()]), reading)
    assert {name: member.size for name, member in found.items()} == {"B.txt": 1, "a.txt": 2, "b/a.txt": 4, "b/c.txt": 3}
    assert list(found) == ["B.txt", "a.txt", "b/a.txt", "b/c.txt"]
    assert reading == ReadReport()
    nested = listing(tmp_path / "y.zip", [Listed("a/__MACOSX/b"), Listed("a/__MACOSXX/b"), Listed("a.b/c.d.e")])
    assert list(members(nested, ReadReport())) == ["a/__MACOSXX/b", "a.b/c.d.e"]


def test_a_member_has_the_parts_of_a_path(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr("a/b.tar.gz", b"content")
    member = members(tmp_path / "x.zip", ReadReport())["a/b.tar.gz"]
    assert (member.name, member.stem, member.suffix, member.size) == ("b.tar.gz", "b.tar", ".gz", 7)
    with member.open() as stream:
        assert stream.read(4) + stream.read() == b"content"


def test_links_are_left_out_and_reported(tmp_path):
    link = Listed("b", mode=stat.S_IFLNK | 0o777)
    reading = ReadReport()
    found = members(listing(tmp_path / "x.zip", [Listed("a"), link, Listed("c", mode=0)]), reading)
    assert list(found) == ["a", "c"]
    assert reading.skipped == {"x.zip/b": ("a link in an archive", True)}


PROBLEMS = [
    (Listed("a", flags=UTF_8), ""),
    (Listed("a", flags=ENCRYPTED), "is encrypted: 'a'"),
    (Listed("a", flags=ENCRYPTED | UTF_8), "is encrypted: 'a'"),
    (Listed("a", 100 * MIB, 1), ""),
    (Listed("a", 100 * MIB + 1, 1), "holds 'a', which unpacks to 104,857,601 bytes from 1"),
    (Listed("a", 100 * MIB + 1, 0), "holds 'a', which unpacks to 104,857,601 bytes from 0"),
    (Listed("a", 250 * 420_000, 420_000), ""),
    (Listed("a", 250 * 420_000 + 1, 420_000), "holds 'a', which unpacks to 105,000,001 bytes from 420,000"),
    (Listed("a/../b"), "holds 'a/../b', which is outside it"),
]


def test_an_entry_is_refused_for_what_the_list_says_of_it(tmp_path):
    for entry, problem in PROBLEMS:
        path = listing(tmp_path / "x.zip", [Listed("first"), entry, Listed("last")])
        if problem:
            assert refused(path) == problem
        else:
            assert list(members(path, ReadReport())) == ["a", "first", "last"], entry


def test_the_first_problem_is_named(tmp_path):
    path = listing(tmp_path / "x.zip", [Listed("a"), Listed("b", flags=ENCRYPTED), Listed("../c"), Listed("a")])
    assert refused(path) == "holds 2 files called 'a'"
    assert refused(listing(path, [Listed("b", flags=ENCRYPTED), Listed("../c")])) == "is encrypted: 'b'"


def test_an_archive_may_hold_a_hundred_thousand_files(tmp_path, monkeypatch):
    assert refused(listing(tmp_path / "x.zip", [Listed("a")], 100_001)) == "holds 100,001 files"
    monkeypatch.setattr(archive, "_MOST_MEMBERS", 3)
    assert refused(listing(tmp_path / "x.zip", [Listed("a")], 4)) == "holds 4 files"
    assert list(members(listing(tmp_path / "x.zip", [Listed(name) for name in "abc"]), ReadReport())) == ["a", "b", "c"]


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK")
    assert refused(tmp_path / "x.zip").startswith("cannot be read: ")
    assert list(members(listing(tmp_path / "y.zip", []), ReadReport())) == []
