"""Paths of Windows, shares and WSL, on each kind of machine: one table."""

from pathlib import Path

import pytest

from burnish.core.errors import AskError
from burnish.core.paths import expanded, is_windows_path, of_reference
from burnish.core.paths.system import Mount, System, system_of
from burnish.core.paths.windows import as_windows, native

WINDOWS = System("windows")
POSIX = System("posix")
CONTAINER = System("container")
WSL = System("wsl", "/mnt/", "Ubuntu", (Mount("C:", "/mnt/c"), Mount(r"\\nas\data", "/mnt/nas data")))
ROOTED = System("wsl", "/", "Debian-12")
NAMELESS = System("wsl")

# written, on Windows, in WSL
TABLE = [
    (r"C:\data\x.jsonl", r"C:\data\x.jsonl", "/mnt/c/data/x.jsonl"),
    (r"c:\data\x.jsonl", r"c:\data\x.jsonl", "/mnt/c/data/x.jsonl"),
    ("C:/data/x.jsonl", r"C:\data\x.jsonl", "/mnt/c/data/x.jsonl"),
    (r"C:\data/mixed\x", r"C:\data\mixed\x", "/mnt/c/data/mixed/x"),
    (r"C:\\data\\x", r"C:\\data\\x", "/mnt/c/data/x"),
    ("C:\\", "C:\\", "/mnt/c"),
    ("D:/", "D:\\", "/mnt/d"),
    (r"Z:\new drive\x", r"Z:\new drive\x", "/mnt/z/new drive/x"),
    (r"C:\My Files\it's\x", r"C:\My Files\it's\x", "/mnt/c/My Files/it's/x"),
    (r'"C:\My Files\x"', r"C:\My Files\x", "/mnt/c/My Files/x"),
    (r"'C:\My Files\x'", r"C:\My Files\x", "/mnt/c/My Files/x"),
    ("C:\\data. \\x..", "C:\\data. \\x..", "/mnt/c/data/x"),
    (r"C:\data\..\x", r"C:\data\..\x", "/mnt/c/x"),
    (r"C:\..\..\etc\.\x", r"C:\..\..\etc\.\x", "/mnt/c/etc/x"),
    (r"\\nas\data\a\..\..\..\x", r"\\nas\data\a\..\..\..\x", "/mnt/nas data/x"),
    (r"C:\données\数据", r"C:\données\数据", "/mnt/c/données/数据"),
    (r"C:\a@b#c%20d&e", r"C:\a@b#c%20d&e", "/mnt/c/a@b#c%20d&e"),
    (r"\\?\C:\long\x", r"C:\long\x", "/mnt/c/long/x"),
    (r"\\nas\data\x y", r"\\nas\data\x y", "/mnt/nas data/x y"),
    (r"\\NAS\Data", r"\\NAS\Data", "/mnt/nas data"),
    (r"\\nas/data/x", r"\\nas\data\x", "/mnt/nas data/x"),
    (r"\\?\UNC\nas\data\x", r"\\nas\data\x", "/mnt/nas data/x"),
    (r"\\wsl$\Ubuntu\home\x", r"\\wsl$\Ubuntu\home\x", "/home/x"),
    (r"\\wsl.localhost\ubuntu\home\x y", r"\\wsl.localhost\ubuntu\home\x y", "/home/x y"),
    ("//wsl$/Ubuntu/home/x", r"\\wsl$\Ubuntu\home\x", "/home/x"),
    (r"\\wsl$\Ubuntu", r"\\wsl$\Ubuntu", "/"),
    ("/mnt/c/data/x", r"C:\data\x", "/mnt/c/data/x"),
    ("/mnt/c", "C:\\", "/mnt/c"),
    ("/mnt/cdrom/x", "/mnt/cdrom/x", "/mnt/cdrom/x"),
    ("/home/x", "/home/x", "/home/x"),
    ("data/x", "data/x", "data/x"),
    (r"data\x", r"data\x", r"data\x"),
    ("./C:x", "./C:x", "./C:x"),
    ("", "", ""),
]


@pytest.mark.parametrize(("written", "windows", "wsl"), TABLE)
def test_a_path_is_translated_to_what_the_machine_opens(written, windows, wsl):
    assert native(written, WINDOWS) == windows
    assert native(written, WSL) == wsl


@pytest.mark.parametrize("written", [written for written, *_ in TABLE])
def test_other_machines_refuse_paths_of_windows_and_keep_their_own(written):
    for system, named in ((POSIX, "neither Windows nor WSL"), (CONTAINER, "this is a container")):
        if is_windows_path(written):
            said = refused(written, system)
            assert written in said
            assert named in said
        else:
            assert native(written, system) == written


def refused(written: str, system: System) -> str:
    with pytest.raises(AskError) as caught:
        native(written, system)
    assert caught.value.code == "ask.bad-reference"
    return f"{caught.value.what} | {caught.value.fix}"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("C:x", r"C:x is relative to the current folder of drive C: | write the whole path, such as C:\folder\x"),
        ("c:", "c: is relative to the current folder of drive c:"),
        ('"D:rows.jsonl"', "is relative to the current folder of drive D:"),
    ],
)
def test_a_path_relative_to_a_drive_is_refused_where_there_are_drives(written, said):
    assert said in refused(written, WINDOWS)
    assert said in refused(written, WSL)
    assert native(written, POSIX) == native(written, CONTAINER) == written  # a name with a colon


@pytest.mark.parametrize("system", [WINDOWS, WSL, POSIX, CONTAINER], ids=lambda system: system.kind)
@pytest.mark.parametrize(
    ("written", "said"),
    [
        (r"\\.\PhysicalDrive0", "is a device of Windows, not a file"),
        ("C:\temp\\x", r"has a control character, as from \t in double quotes"),
        ("C:\\data\new", r"has a control character, as from \n in double quotes"),
    ],
)
def test_some_paths_are_refused_everywhere(written, said, system):
    assert said in refused(written, system)


@pytest.mark.parametrize(
    ("written", "system", "said"),
    [
        (r"\\other\share\x", WSL, r"sudo mount -t drvfs '\\other\share' /mnt/share"),
        (r"\\other", WSL, "is on a share that WSL has not mounted"),
        (r"\\wsl$\Debian\x", WSL, "is in the WSL distribution Debian, and this is Ubuntu | copy it to a folder"),
        (r"\\wsl$\Ubuntu\home\x", NAMELESS, "the name of this one is unknown | write the path inside the distribution"),
    ],
)
def test_what_wsl_cannot_open_is_named_with_the_way_to_open_it(written, system, said):
    assert said in refused(written, system)


@pytest.mark.parametrize(
    ("path", "system", "windows"),
    [
        ("/mnt/c/data/x", WSL, r"C:\data\x"),
        ("/mnt/c", WSL, "C:\\"),
        ("/mnt/e/x", WSL, r"E:\x"),
        ("/mnt/nas data/x", WSL, r"\\nas\data\x"),
        ("/srv/me/x y", WSL, r"\\wsl.localhost\Ubuntu\srv\me\x y"),
        ("/mnt/cd/x", WSL, r"\\wsl.localhost\Ubuntu\mnt\cd\x"),
        ("/c/data/x", ROOTED, r"C:\data\x"),
        ("/", ROOTED, "\\\\wsl.localhost\\Debian-12\\"),
    ],
)
def test_windows_has_a_name_for_every_path_of_wsl_and_it_leads_back(path, system, windows):
    assert as_windows(path, system) == windows
    assert native(windows, system) == path


def test_a_path_of_a_distribution_without_a_name_has_none_in_windows():
    with pytest.raises(AskError, match="WSL distribution of unknown name"):
        as_windows("/home/x", NAMELESS)


REFERENCES = [
    (r"C:\x y", "/mnt/c/x y"),
    ("///C:/x%20y", "/mnt/c/x y"),
    ("/C:/x", None),
    ("//C:/x", "/mnt/c/x"),
    ("//localhost/C:/x", "/mnt/c/x"),
    ("///srv/100%25", "/srv/100%"),
    ("//nas/data/x%20y", "/mnt/nas data/x y"),
    ("//wsl.localhost/Ubuntu/home/x%20y", "/home/x y"),
    ("/home/100%25", "/home/100%25"),
    ("data/a%20b", "data/a%20b"),
]


@pytest.mark.parametrize(("rest", "path"), REFERENCES)
def test_a_reference_to_a_file_is_a_path_or_a_url(rest, path):
    assert of_reference(rest, WSL) == Path(path or rest)


def test_a_url_of_another_host_is_refused_where_there_are_no_shares():
    with pytest.raises(AskError) as caught:
        of_reference("//data/rows.jsonl", POSIX)
    assert "names the host 'data'" in caught.value.what
    assert caught.value.fix.startswith("write file:data/rows.jsonl for a path of the workspace")
    assert of_reference("///data/rows%20.jsonl", POSIX) == Path("/data/rows .jsonl")


def test_a_path_object_is_translated_too():
    assert expanded(Path("C:/data"), WSL) == Path("/mnt/c/data")
    assert expanded(Path("/mnt/c/data"), WSL) == Path("/mnt/c/data")


MOUNTS = """\
/dev/sdc / ext4 rw,relatime 0 0
C:\\134 /win/c 9p rw,noatime,aname=drvfs;path=C:\\134;uid=1000,access=client 0 0
drvfs /win/e 9p rw,aname=drvfs;path=E:\\134;uid=1000 0 0
\\134\\134nas\\134my\\040data /mnt/nas\\040data drvfs rw,noatime 0 0
none /mnt/wsl tmpfs rw 0 0
"""


@pytest.fixture
def tree(tmp_path):
    """A root folder with what the kernel of WSL shows."""
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/osrelease").write_text("5.15.167.4-microsoft-standard-WSL2\n")
    (tmp_path / "proc/mounts").write_text(MOUNTS)
    (tmp_path / "etc").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "root"),
    [
        (None, "/mnt/"),
        ("[automount]\nroot = /win\n", "/win/"),
        ('[boot]\nsystemd=true\n[automount]\nenabled = true\nroot = "/"\noptions = "metadata,umask=22"\n', "/"),
        ("[automount]\noptions = x\n", "/mnt/"),
        ("not a settings file\n[automount\n", "/mnt/"),
    ],
)
def test_the_root_of_the_drives_is_that_of_wsl_conf(tree, settings, root):
    if settings is not None:
        (tree / "etc/wsl.conf").write_text(settings)
    found = system_of(tree, {"WSL_DISTRO_NAME": "Ubuntu"})
    assert (found.kind, found.automount, found.distribution) == ("wsl", root, "Ubuntu")
    assert native(r"D:\x", found) == f"{root}d/x"


def test_drives_and_shares_are_where_the_kernel_has_mounted_them(tree):
    found = system_of(tree, {})
    assert found.mounts == (
        Mount("C:", "/win/c"),
        Mount("E:", "/win/e"),
        Mount(r"\\nas\my data", "/mnt/nas data"),
    )
    assert native(r"E:\x", found) == "/win/e/x"
    assert native(r"\\nas\my data\x", found) == "/mnt/nas data/x"


def test_a_container_on_the_kernel_of_wsl_has_none_of_its_drives(tree):
    (tree / ".dockerenv").touch()
    assert system_of(tree, {"WSL_DISTRO_NAME": "Ubuntu"}).kind == "container"


def test_another_kernel_is_not_wsl(tree):
    (tree / "proc/sys/kernel/osrelease").write_text("6.18.0-generic\n")
    assert system_of(tree, {}).kind == "posix"
    assert system_of(tree / "nothing", {}).kind == "posix"
