"""What lies in a folder or archive is read or named: links, kinds of files, folders that cannot be listed, bombs."""

import gzip
import json
import os
import stat
import tempfile
import zipfile
from pathlib import Path

import pytest

from burnish.core.errors import DataError
from burnish.data.record import ReadReport
from burnish.data.sources.listing import find_files


def line(text: str) -> str:
    return json.dumps({"text": text}) + "\n"


def texts(records) -> list[str]:
    return [record.raw["text"] for record in records]


def test_every_link_is_read_once_or_named(write, read_all, tmp_path):
    secret = write("secret.jsonl", line("secret"))
    write("elsewhere/b.jsonl", line("elsewhere"))
    folder = write("set/a.jsonl", line("a")).parent
    write("set/sub/b.jsonl", line("b"))
    write("set/.store/c", line("c"))
    links = {
        "same.jsonl": "a.jsonl",
        "sub/again.jsonl": "b.jsonl",
        "stored.jsonl": ".store/c",
        "broken.jsonl": "nothing.jsonl",
        "loop.jsonl": "loop.jsonl",
        "stolen.jsonl": str(secret),
        "inner": "sub",
        "outer": str(tmp_path / "elsewhere"),
        "round": ".",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    records, bad, reading = read_all(folder)
    assert texts(records) == ["a", "c", "b"]
    assert not bad
    assert {name.removeprefix("set/"): reason for name, (reason, _) in reading.skipped.items()} == {
        "same.jsonl": "a link to a file that is read itself",
        "sub/again.jsonl": "a link to a file that is read itself",
        "broken.jsonl": "a broken link",
        "loop.jsonl": "a broken link",
        "stolen.jsonl": "a link to outside the folder",
        "inner": "a link to a folder",
        "outer": "a link to outside the folder",
        "round": "a link to a folder",
    }


def test_a_folder_that_cannot_be_listed_is_an_error():
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "set")
        (folder / "closed").mkdir(parents=True)
        for name in ("a.jsonl", "closed/b.jsonl"):
            (folder / name).write_text(line(name))
        for path in (Path(scratch), folder):
            path.chmod(0o755)
        (folder / "closed").chmod(0)
        user = os.geteuid()
        try:
            if user == 0:
                os.seteuid(65534)  # root may list everything
            with pytest.raises(DataError, match="closed cannot be listed: Permission denied"):
                find_files(folder, ReadReport())
        finally:
            os.seteuid(user)
            (folder / "closed").chmod(0o755)


def test_files_of_other_kinds_are_named_and_counted(write, read_all):
    folder = write("set/rows.jsonl", line("a")).parent
    for i in range(7):
        write(f"set/images/{i}.png", b"\x89PNG")
    write("set/LICENSE", "free")
    write("set/more.xlsx", b"PK")
    write("set/config.json", '{"lr": 1}')
    records, bad, reading = read_all(folder)
    assert texts(records) == ["a"]
    assert not bad
    assert dict(reading.messages()) == {
        "1 file is not read (a kind of file that is not read beside the others): set/more.xlsx": True,
        "9 files are not read (another kind of file): set/LICENSE, set/config.json, set/images/0.png, "
        "set/images/1.png, set/images/2.png and 4 more (4 .png)": False,
    }


def test_a_card_tells_which_files_it_leaves_out(write, read_all):
    write("set/data/a.jsonl", line("a"))
    write("set/data/b.jsonl", line("b"))
    files = {"2024": "a.jsonl", "no": "b.jsonl", "1.10": "*.jsonl"}
    configs = "".join(f"- config_name: {name}\n  data_files: data/{file}\n" for name, file in files.items())
    folder = write("set/README.md", f"---\nconfigs:\n{configs}---\n").parent
    records, _, reading = read_all(folder, subset="2024")
    assert texts(records) == ["a"]
    assert list(reading.skipped) == ["set/data/b.jsonl"]
    assert texts(read_all(folder, subset="no")[0]) == ["b"]
    assert texts(read_all(folder, subset="1.10")[0]) == ["a", "b"]


# Archives


@pytest.fixture
def zipped(tmp_path):
    """Write a .zip of {name: content}."""

    def zipped(members: dict[str, str | bytes], name: str = "set.zip", compression: int = zipfile.ZIP_DEFLATED) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", compression) as archive:
            for member, content in members.items():
                archive.writestr(member, content)
        return path

    return zipped


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_the_files_of_an_archive_are_read_where_they_lie(compression, zipped, read_all, tmp_path):
    files = {
        "data/train.jsonl": line("a") + "broken\n" + line("b"),
        "data/test.json": json.dumps([{"text": "c"}]),
        "data/more.csv": "text\nd\n",
        "data/packed.jsonl.gz": gzip.compress(line("e").encode()),
        "__MACOSX/data/._train.jsonl": "\0",
        "picture.png": b"\x89PNG",
    }
    path = zipped(files, compression=compression)
    before = sorted(tmp_path.rglob("*"))
    records, bad, reading = read_all(path)
    assert sorted(texts(records)) == list("abcde")
    assert {record.source: record.split for record in records} == {
        "set.zip/data/train.jsonl:1": "train",
        "set.zip/data/train.jsonl:3": "train",
        "set.zip/data/test.json:1#1": "test",
        "set.zip/data/more.csv:2": "",
        "set.zip/data/packed.jsonl.gz:1": "",
    }
    assert [row.source for row in bad] == ["set.zip/data/train.jsonl:2"]
    assert list(reading.skipped) == ["set.zip/picture.png"]
    assert reading.done_bytes == reading.total_bytes > 0
    assert sorted(tmp_path.rglob("*")) == before


def test_an_archive_of_documents_and_one_in_a_folder(zipped, write, read_all):
    path = zipped({"a.md": "# A", "b/c.py": "print(1)"})
    assert [record.raw["path"] for record in read_all(path)[0]] == ["set.zip/a.md", "set.zip/b/c.py"]
    folder = write("set/readme.md", "# no row").parent
    path.rename(folder / "set.zip")
    assert len(read_all(folder)[0]) == 2
    write("set/rows.jsonl", line("a"))
    records, _, reading = read_all(folder)
    assert texts(records) == ["a"]
    assert reading.skipped["set/set.zip"] == ("a kind of file that is not read beside the others", True)


def test_a_subset_of_an_archive_is_a_folder_in_it(zipped, read_all):
    path = zipped({"one/a.jsonl": line("a"), "two/b.jsonl": line("b")})
    assert texts(read_all(path, subset="two")[0]) == ["b"]
    with pytest.raises(DataError, match="no subset 'three'"):
        read_all(path, subset="three")


@pytest.mark.parametrize(
    "name", ["../out.jsonl", "/etc/out.jsonl", "a/../../out.jsonl", "..\\out.jsonl", "C:\\out.jsonl"]
)
def test_a_member_that_leads_out_is_refused(name, zipped, read_all):
    with pytest.raises(DataError, match="is outside it"):
        read_all(zipped({"a.jsonl": line("a"), name: line("b")}))


def test_a_bomb_is_refused_and_nothing_of_it_is_unpacked(tmp_path, read_all):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.jsonl", "w") as member:
        for _ in range(150):
            member.write(bytes(1 << 20))
    with pytest.raises(DataError, match="unpacks to 157,286,400 bytes"):
        read_all(path)


def test_what_cannot_be_read_in_an_archive_is_an_error_that_names_it(zipped, read_all, tmp_path):
    for name in ("a.parquet", "a.arrow", "dataset_info.json"):
        with pytest.raises(DataError, match=f"{name}, which cannot be read inside an archive"):
            read_all(zipped({"rows.jsonl": line("a"), name: "{}"}))
    with pytest.raises(DataError, match="holds no file that can be read, but picture"):
        read_all(zipped({"picture.png": b"\x89PNG"}))
    doubled = zipped({"a.jsonl": line("a")})
    with zipfile.ZipFile(doubled, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a.jsonl", line("b"))
    with pytest.raises(DataError, match=r"holds 2 files called 'a.jsonl'"):
        read_all(doubled)
    link = zipfile.ZipInfo("link.jsonl")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = zipped({"a.jsonl": line("a")})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    records, _, reading = read_all(path)
    assert texts(records) == ["a"]
    assert reading.skipped == {"set.zip/link.jsonl": ("a link in an archive", True)}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_is_an_error_or_holds_the_same_rows(compression, zipped, read_all):
    rows = "".join(line(f"{i * 7919 % 10007}") for i in range(300))
    path = zipped({"a.jsonl": rows}, compression=compression)

    def outcome(path: Path) -> list[str] | str:
        try:
            return texts(read_all(path)[0])
        except DataError as error:
            return "set.zip is named" if "set.zip" in error.what else error.what

    whole = path.read_bytes()
    expected = texts(read_all(path)[0])
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        assert outcome(path) in ("set.zip is named", expected)
        path.write_bytes(whole[:at])
        with pytest.raises(DataError, match=r"set\.zip"):
            read_all(path)
