"""Paths of a folder: their order, whether they stay in it, and what is said of those that are not read."""

import os
from pathlib import Path

import pytest

from burnish.core.errors import DataError
from burnish.data.files.folder import in_order, inside, leads_outside, names_below, stays
from burnish.data.record import ReadReport


def refused(call, *args) -> tuple[str, str]:
    with pytest.raises(DataError) as caught:
        call(*args)
    assert caught.value.code == "data.unreadable"
    return caught.value.what, caught.value.fix


def test_the_files_of_a_folder_stand_before_its_folders():
    names = ["b/c", "a/b/c", "z", "a/z", "a/b/a", "B", "a/c/a", "a.b/c", "b", "a-b"]
    assert in_order(names) == ["B", "a-b", "b", "z", "a/z", "a/b/a", "a/b/c", "a/c/a", "a.b/c", "b/c"]
    assert in_order([]) == []


def test_what_is_not_a_visible_file_is_left_out_and_links_are_read_once(tmp_path):
    folder = tmp_path / "set"
    for name in ("b", "a/b", "a/a", ".hidden/a", "a/.hidden", "__MACOSX/a", "a/__pycache__/a", "c/d/e", "c/a"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "c/pipe")
    links = {"again": "b", "new": ".hidden/a", "gone": "nothing", "a/out": "../../set.txt", "c/up": "../a"}
    (tmp_path / "set.txt").write_text("outside")
    for name, target in {**links, ".secret": "b"}.items():
        (folder / name).symlink_to(target)
    reading = ReadReport()
    assert names_below(folder, reading) == ["b", "new", "a/a", "a/b", "c/a", "c/d/e"]
    assert reading.skipped == {
        "set/pipe": ("no regular file", True),
        "set/c/pipe": ("no regular file", True),
        "set/again": ("a link to a file that is read itself", False),
        "set/gone": ("a broken link", True),
        "set/a/out": ("a link to outside the folder", True),
        "set/c/up": ("a link to a folder", True),
    }
    assert list(reading.skipped)[:2] == ["set/c/pipe", "set/pipe"]
    assert names_below(folder / "c/d", ReadReport()) == ["e"]


def test_what_is_not_read_is_reported_in_order(tmp_path):
    folder = tmp_path / "set"
    for place in ("b", "a", "c"):
        (folder / place).mkdir(parents=True)
        for name in "zxywvu":
            os.mkfifo(folder / place / f"pipe-{name}")
            (folder / place / name).symlink_to("nothing")
        (folder / place / "m").symlink_to("../a")
    reading = ReadReport()
    assert names_below(folder, reading) == []
    pipes = [f"set/{place}/pipe-{name}" for place in "abc" for name in "uvwxyz"]
    links = [f"set/{place}/{name}" for place in "abc" for name in ("m", *"uvwxyz")]
    assert list(reading.skipped) == [*pipes, *links]


def test_a_folder_that_is_not_there_cannot_be_listed(tmp_path):
    what, fix = refused(names_below, tmp_path / "gone", ReadReport())
    assert what == "the folder gone cannot be listed: No such file or directory"
    assert fix == "make it readable, or use a source without it"


@pytest.mark.parametrize(
    ("name", "leads_out"),
    [
        ("a", False),
        ("a/b.txt", False),
        ("./a", False),
        ("a:b/c", True),
        ("a/b:c", False),
        ("a..b", False),
        ("a/..b/c", False),
        ("..", True),
        ("../a", True),
        ("a/../b", True),
        ("a/..", True),
        ("/a", True),
        ("", True),
        (".", True),
        ("..\\a", True),
        ("a\\..\\b", True),
        ("\\a", True),
        ("C:\\a", True),
        ("C:a", True),
    ],
)
def test_a_name_leads_outside_by_any_system(name, leads_out):
    assert leads_outside(name) is leads_out


def test_a_path_stays_by_where_its_links_lead(tmp_path):
    for name in ("set/a", "set/sub/b", "other/a", "setter/a", "hub/snapshots/1/a", "hub/snapshots/2/a", "hub/blobs/a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to("set")
    (tmp_path / "set/out").symlink_to("../other")
    (tmp_path / "set/back").symlink_to("../set/sub")

    def stay(folder: str, path: str) -> bool:
        return stays(tmp_path / folder, tmp_path / path)

    assert stay("set", "set")
    assert stay("set", "set/a")
    assert stay("set", "set/gone")
    assert stay("link", "set/a")
    assert stay("set", "link/a")
    assert stay("set", "set/back/b")
    assert stay("set", "other/../set/a")
    assert not stay("set", "other/a")
    assert not stay("set", "set/out/a")
    assert not stay("set", "setter/a")
    assert stay("hub/snapshots/1", "hub/blobs/a")
    assert not stay("hub/snapshots/1", "hub/snapshots/2/a")
    assert not stay("hub/snapshots", "hub/blobs/a")
    assert not stay("set/sub", "blobs/a")


def test_a_name_of_a_file_is_found_inside_its_folder(tmp_path):
    folder = tmp_path / "set"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/rows.jsonl").write_text("x")
    (folder / "out").symlink_to(tmp_path)
    assert inside(folder, "sub/rows.jsonl") == folder / "sub/rows.jsonl"
    assert inside(folder, "sub\\rows.jsonl") == Path(folder, "sub", "rows.jsonl")
    assert inside(folder, "sub") == folder / "sub"
    assert refused(inside, folder, "../x")[0] == "'../x' leads out of set"
    assert refused(inside, folder, "out/x")[0] == "'out/x' leads out of set"
    what, fix = refused(inside, folder, "subs")
    assert what == "there is no subs in set"
    assert "did you mean 'sub'?" in fix
