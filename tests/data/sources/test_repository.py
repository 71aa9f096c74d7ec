"""Git repositories as a source of text: which of their files are read, and at which commit."""

import subprocess

import pytest

from burnish.core.context import Input
from burnish.core.errors import AskError, DataError
from burnish.core.inputs.references import resolve
from burnish.core.runs.workspace import Workspace
from burnish.data.dataset import open_rows
from burnish.data.record import Record
from burnish.data.sources.repository import checkout


def raws(records: list[Record]) -> list[dict]:
    return [record.raw for record in records]


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(write):
    write("repo/a.py", "print(1)\n")
    write("repo/ignored.py", "print(2)\n")
    write("repo/.git-exclude", "ignored.py\n")
    folder = write("repo/logo.bin", b"\0").parent
    (folder / "out.py").symlink_to("/etc/passwd")
    git(folder, "init", "-q")
    (folder / ".git-exclude").rename(folder / ".git/info/exclude")
    git(folder, "add", "a.py", "logo.bin", "out.py")
    git(folder, "commit", "-q", "-m", "x")
    return folder


def test_a_repository_is_read_by_the_files_that_git_does_not_ignore(repository, read_all):
    records, _, reading = read_all(repository)
    assert raws(records) == [{"text": "print(1)\n", "path": "a.py"}]
    assert any("1 of its 2 files" in note and "ignores" in note for note in reading.notes)


def test_a_file_that_is_not_added_yet_is_read_so_that_adding_it_changes_nothing(repository, read_all):
    """`git add` changes no content of the folder, and so not its fingerprint: it must not change its rows either."""
    (repository / "new.py").write_text("print(3)\n")
    before = raws(read_all(repository)[0])
    assert [raw["path"] for raw in before] == ["a.py", "new.py"]
    git(repository, "add", "new.py")
    assert raws(read_all(repository)[0]) == before


def test_a_url_is_cloned_once(repository, tmp_path, read_all):
    (tmp_path / "scratch").mkdir()
    wanted = resolve(f"git:file://{repository}", ("folder",), Workspace(tmp_path), {})
    folder = checkout(wanted, tmp_path / "scratch")
    assert raws(read_all(folder)[0]) == [{"text": "print(1)\n", "path": "a.py"}]
    (folder / "a.py").write_text("kept")
    assert checkout(wanted, tmp_path / "scratch") == folder
    assert (folder / "a.py").read_text() == "kept"


def test_two_repositories_are_two_clones(repository, write, tmp_path, read_all):
    other = write("other/b.py", "print(2)\n").parent
    git(other, "init", "-q")
    git(other, "add", "b.py")
    git(other, "commit", "-q", "-m", "x")
    scratch = tmp_path / "scratch"
    folders = [
        checkout(resolve(f"git:file://{path}", ("folder",), Workspace(tmp_path), {}), scratch)
        for path in (repository, other)
    ]
    assert [raws(read_all(folder)[0])[0]["path"] for folder in folders] == ["a.py", "b.py"]


def test_a_commit_is_checked_out_as_it_was_whatever_lies_in_the_working_tree(repository, tmp_path, read_all):
    (repository / "a.py").write_text("print('not committed')\n")
    input = resolve(f"git:{repository}", ("folder",), Workspace(tmp_path), {})
    assert raws(read_all(checkout(input, tmp_path / "scratch"))[0]) == [{"text": "print(1)\n", "path": "a.py"}]


def test_rows_of_a_repository_that_is_not_cloned_ask_for_prepare(tmp_path):
    with pytest.raises(DataError) as caught:
        list(open_rows(Input("git:https://example.org/x/y", "git", tmp_path / "nothing"), "train"))
    assert "git:https://example.org/x/y" in caught.value.what
    assert "burnish prepare" in caught.value.fix


@pytest.mark.parametrize("url", ["ext::sh -c touch% HERE/owned% ://", "--upload-pack=touch owned ://", "gone"])
def test_a_url_runs_no_program(url, tmp_path):
    with pytest.raises((AskError, DataError)):
        resolve(f"git:{url.replace('HERE', str(tmp_path))}", ("folder",), Workspace(tmp_path), {})
    assert list(tmp_path.iterdir()) == []


def test_a_subset_of_what_has_none_is_refused(write, repository, read_all):
    for path in (write("x.jsonl", [{"text": "a"}]), repository):
        with pytest.raises(DataError, match="has no subsets"):
            read_all(path, subset="main")


def test_listing_a_repository_runs_no_program_of_its_own(repository, tmp_path, read_all):
    program = tmp_path / "run.sh"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/owned\n")
    program.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(program))
    read_all(repository)
    assert not (tmp_path / "owned").exists()


def test_a_checkout_is_named_by_its_repository_and_commit(repository, tmp_path):
    scratch = tmp_path / "scratch"
    other = tmp_path / "deep" / "other.git"
    other.parent.mkdir()
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(other))
    for reference, stem in (
        (f"git:{repository}", "repo"),
        (f"git:file://{repository}/", "repo"),
        (f"git:{other}", "other"),
    ):
        wanted = resolve(reference, ("folder",), Workspace(tmp_path), {})
        folder = checkout(wanted, scratch)
        assert folder == scratch / f"{stem}-{wanted.revision[:12]}"
        assert len(wanted.revision) == 40
        assert (folder / ".git/burnish-complete").exists()


def test_a_checkout_that_broke_off_is_made_again_and_another_input_is_where_it_is(repository, tmp_path):
    wanted = resolve(f"git:{repository}", ("folder",), Workspace(tmp_path), {})
    folder = checkout(wanted, tmp_path / "scratch")
    (folder / ".git/burnish-complete").unlink()
    (folder / "left.py").write_text("over")
    assert checkout(wanted, tmp_path / "scratch") == folder
    assert not (folder / "left.py").exists()
    assert checkout(Input("file:x", "folder", tmp_path / "x"), tmp_path / "scratch") == tmp_path / "x"


def test_the_files_of_a_repository_are_regular_and_there_and_sorted(repository, read_all):
    from burnish.data.sources.repository import files_of

    for name in ("z.py", "b/c.py", "b.py", "gone.py", "é.py", "run.sh", "tab\t\t.py", "new\t\t.py"):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text(name)
    (repository / "run.sh").chmod(0o755)
    (repository / "late.py").symlink_to("a.py")
    git(repository, "add", "z.py", "gone.py", "run.sh", "é.py", "tab\t\t.py")
    (repository / "gone.py").unlink()
    inner = repository / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    (inner / "x.py").write_text("x")
    assert files_of(repository) == [
        "a.py",
        "b.py",
        "b/c.py",
        "logo.bin",
        "new\t\t.py",
        "run.sh",
        "tab\t\t.py",
        "z.py",
        "é.py",
    ]
    records, _, reading = read_all(repository)
    assert [record.raw["path"] for record in records] == [name for name in files_of(repository) if name != "logo.bin"]
    assert reading.notes == [
        "repo: 8 of its 9 files are text or source code, one row each; what Git ignores is not read"
    ]
    assert reading.total_bytes == sum((repository / record.raw["path"]).stat().st_size for record in records)


def test_a_repository_without_text_is_refused(write, read_all):
    folder = write("pictures/a.png", b"\x89PNG").parent
    git(folder, "init", "-q")
    with pytest.raises(DataError) as caught:
        read_all(folder)
    assert caught.value.what == "pictures holds no file of text or source code"
