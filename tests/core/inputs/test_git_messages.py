"""Git references: what they are split into, what Git is allowed, and every message, whole."""

import os
import shutil
import socket
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from burnish.core.errors import BurnishError
from burnish.core.inputs import git

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def run_git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder with the repository `repo`, of two commits on `main` and one on `feature/search`."""
    folder = tmp_path / "work" / "repo"
    folder.mkdir(parents=True)
    run_git(folder, "init", "-q", "-b", "main")
    for text in ("one", "two"):
        (folder / "a.txt").write_text(text)
        run_git(folder, "add", "a.txt")
        run_git(folder, "commit", "-q", "-m", text)
    run_git(folder, "branch", "feature/search", "HEAD~1")
    run_git(folder, "tag", "light")
    run_git(folder, "tag", "-a", "v1", "-m", "annotated", "HEAD~1")
    return folder.parent


def said(call, *args) -> str:
    with pytest.raises(BurnishError) as caught:
        call(*args)
    return f"{caught.value.code} | {caught.value.what} | {caught.value.fix}"


@pytest.mark.parametrize(
    ("name", "existing", "parts"),
    [
        ("https://host/a@v", (), ("https://host/a", "v")),
        ("https://host/a/b@v", (), ("https://host/a/b", "v")),
        ("https://host/@scope", (), ("https://host/@scope", "")),
        ("https://host/a/@scope/name", (), ("https://host/a/@scope/name", "")),
        ("https://host/a@/b", (), ("https://host/a", "/b")),
        ("host:path@v", (), ("host:path", "v")),
        ("a@b@c", ("a", "a@b"), ("a@b", "c")),
        ("a@b@c", ("a",), ("a", "b@c")),
        ("a@b@c", ("a", "a@b", "a@b@c"), ("a@b@c", "")),
        ("repository", ("repo",), ("repository", "")),
        ("@v1", ("",), ("@v1", "")),
        ("file:///a@b@c", ("/a@b",), ("file:///a@b", "c")),
        ("file:///a@b", ("/a@b",), ("file:///a@b", "")),
        ("file:///a@b", (), ("file:///a@b", "")),
        ("a@bfile://", ("a",), ("a", "bfile://")),
    ],
)
def test_a_name_is_an_address_or_a_folder_and_a_revision(name, existing, parts):
    assert git.split_name(name, existing.__contains__) == parts


@pytest.mark.parametrize(
    ("address", "is_one"),
    [
        ("https://host/x", True),
        ("ssh://git@host/x", True),
        ("git@host:x", True),
        ("host:x", True),
        ("file:///x", True),
        ("repo", False),
        ("/a/b", False),
        ("./a:b/c", False),
        ("x/file://", False),
    ],
)
def test_an_address_is_told_from_a_folder(address, is_one):
    assert git.is_address(address) is is_one
    assert git.address_of(address) == (address if is_one else "")
    assert git.address_of("https://host/x@v1") == "https://host/x"


def test_a_full_commit_of_an_address_is_taken_as_it_is(tmp_path):
    for commit in (COMMIT, COMMIT + "0" * 24):
        assert git.pin(f"https://host.invalid/x@{commit}", tmp_path) == git.Pin(commit, None, "")


def test_what_a_revision_means_is_noted(root):
    one, two = (run_git(root / "repo", "rev-parse", name) for name in ("HEAD~1", "HEAD"))
    (root / "link").symlink_to("repo")
    url, repo = f"file://{root}/repo", root / "repo"
    notes = {
        "repo": (two, repo, f"is commit {two[:12]} (HEAD of main)"),
        "link": (two, repo, f"is commit {two[:12]} (HEAD of main)"),
        "link@v1": (one, repo, f"is commit {one[:12]} (v1)"),
        "repo@light": (two, repo, f"is commit {two[:12]} (light)"),
        "repo@feature/search": (one, repo, f"is commit {one[:12]} (feature/search)"),
        f"repo@{one[:7]}": (one, repo, f"is commit {one[:12]} ({one[:7]})"),
        url: (two, None, f"is commit {two[:12]} (HEAD)"),
        f"{url}@main": (two, None, f"is commit {two[:12]} (branch main)"),
        f"{url}@v1": (one, None, f"is commit {one[:12]} (tag v1)"),
        f"{url}@light": (two, None, f"is commit {two[:12]} (tag light)"),
        f"{url}@refs/tags/v1": (one, None, f"is commit {one[:12]} (tag refs/tags/v1)"),
    }
    for name, (commit, path, note) in notes.items():
        assert git.pin(name, root) == git.Pin(commit, path, note), name
    run_git(root / "repo", "checkout", "-q", "--detach", "v1")
    assert git.pin("repo", root).note == f"is commit {one[:12]} (HEAD)"


def test_a_branch_and_a_tag_of_one_name_must_be_one_commit(root):
    folder, two = root / "repo", run_git(root / "repo", "rev-parse", "HEAD")
    run_git(folder, "branch", "both")
    run_git(folder, "tag", "-a", "both", "-m", "x")
    for name in ("repo@both", f"file://{folder}@both"):
        assert git.pin(name, root).commit == two
    run_git(folder, "branch", "-f", "both", "HEAD~1")
    for name in ("repo@both", f"file://{folder}@both"):
        assert said(git.pin, name, root) == (
            f"ask.bad-reference | git:{name}: 'both' is both a branch and a tag, at different commits | "
            "write @refs/heads/both or @refs/tags/both"
        )


def test_every_refusal_names_the_reference_and_the_fix(root):
    (root / "plain").mkdir()
    (root / "words.txt").write_text("a")
    (root / "repo" / "sub").mkdir()
    for folder in ("new", "bad"):
        (root / folder).mkdir()
        run_git(root / folder, "init", "-q")
    (root / "bad" / ".git" / "config").write_text("[")
    repo, url = root / "repo", f"file://{root}/repo"
    revision = "git:{name}: the repository has no revision 'x' | known names: feature/search, light, main, v1"
    remote = "git:{name}: the repository has no branch or tag '{rev}' | {fix}"
    known = "known names: feature/search, light, main, v1"
    for name, message in {
        "repo@-x": "git:repo@-x: '-x' is not a valid revision | write a branch, a tag or a commit after the @",
        f"{url}@a b": f"git:{url}@a b: 'a b' is not a valid revision | write a branch, a tag or a commit after the @",
        "rep": f"git:rep: there is no folder {root}/rep | did you mean 'repo'?",
        "no/rep": f"git:no/rep: there is no folder {root}/no/rep | check the path",
        "plain": f"git:plain: {root}/plain is not a Git repository | write file:plain to read its files",
        "words.txt": f"git:words.txt: {root}/words.txt is not a Git repository | "
        "write file:words.txt to read its files",
        "repo/sub": f"git:repo/sub: {repo}/sub is a folder inside the repository {repo} | "
        f"write git:{repo} for the repository, or file:repo/sub for this folder in the working tree",
        "new": "git:new: the repository has no commits | commit something, or write file:new",
        f"file://{root}/new": f"git:file://{root}/new: the repository has no commits | check the address",
        "repo@x": revision.format(name="repo@x"),
        f"{url}@x": remote.format(name=f"{url}@x", rev="x", fix=known),
        f"{url}@abc": remote.format(name=f"{url}@abc", rev="abc", fix=known),
        f"{url}@feature/serch": remote.format(
            name=f"{url}@feature/serch", rev="feature/serch", fix="did you mean 'feature/search'?"
        ),
        **{
            f"{url}@{digits}": remote.format(
                name=f"{url}@{digits}", rev=digits, fix="write all 40 digits of the commit"
            )
            for digits in ("abcd", COMMIT[:39])
        },
    }.items():
        assert said(git.pin, name, root) == f"ask.bad-reference | {message}"
    assert said(git.pin, "bad", root) == (
        f"ask.bad-reference | git:bad: {root}/bad is not a Git repository "
        "(git: fatal: bad config line 2 in file .git/config) | write file:bad to read its files"
    )


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (("b",), "1 uncommitted change is not read: b"),
        (("b", "c"), "2 uncommitted changes are not read: b, c"),
        (("b", "c", "d", "e", "f"), "5 uncommitted changes are not read: b, c, d, e, f"),
        (("b", "c", "d", "e", "f", "g g"), "6 uncommitted changes are not read: b, c, d, e, f, …"),
    ],
)
def test_five_uncommitted_changes_are_listed_and_the_index_is_left_alone(root, names, note):
    for name in names:
        (root / "repo" / name).write_text("x")
    os.utime(root / "repo" / "a.txt", (1, 1))
    index = (root / "repo" / ".git" / "index").read_bytes()
    assert git.pin("repo", root).note.endswith(f" (HEAD of main); {note} (commit, or use file:repo)")
    assert (root / "repo" / ".git" / "index").read_bytes() == index


def test_git_runs_in_english_without_prompts_and_without_the_callers_repository(root, tmp_path, monkeypatch):
    real = shutil.which("git")
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nenv -0 > {tmp_path}/seen\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(wrapper.parent), prepend=os.pathsep)
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "ext")
    monkeypatch.setenv("MY_OWN", "kept")
    elsewhere = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")
    for name in elsewhere:
        monkeypatch.setenv(name, str(tmp_path / "none"))
    git.pin("repo", root)
    seen = dict(pair.split("=", 1) for pair in (tmp_path / "seen").read_text().split("\0") if pair)
    expected = {
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
        "MY_OWN": "kept",
    }
    assert {key: seen.get(key) for key in expected} == expected
    assert not seen.keys() & set(elsewhere)
    program = f"ext::sh -c touch% {tmp_path}/owned"
    assert "no host can be read in its address" in said(git.pin, program, root)
    assert "transport 'ext' not allowed" in said(git.call, ["ls-remote", "--", program], program)
    assert not (tmp_path / "owned").exists()


def test_a_host_that_asks_for_a_password_is_refused_without_a_prompt(root):
    class Private(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Private)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        found = said(git.pin, f"http://127.0.0.1:{server.server_port}/x", root, ["127.0.0.1"])
    finally:
        server.shutdown()
        server.server_close()
    assert found.endswith("terminal prompts disabled | check the address, the revision and your access")


def test_a_host_that_does_not_answer_counts_as_unreachable(root, monkeypatch):
    monkeypatch.setattr(git, "_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        name = f"git://127.0.0.1:{silent.getsockname()[1]}/x"
        assert said(git.pin, name, root, ["127.0.0.1"]) == (
            f"machine.no-network | git:{name} cannot be reached: connection timed out | "
            "check the network and the host, or use a local clone: git:PATH"
        )


@pytest.mark.parametrize(
    "words",
    ["Could not resolve host", "Failed to connect", "Connection refused", "Connection reset", "Network is unreachable"],
)
def test_words_of_git_that_mean_no_network(words):
    done = subprocess.CompletedProcess([], 1, b"", f" fatal: {words} \n\n".encode())
    error = git._refused("x", done)
    assert (error.code, error.what) == ("machine.no-network", f"git:x cannot be reached: fatal: {words}")


def test_the_end_of_a_long_message_of_git_is_shown():
    done = subprocess.CompletedProcess([], 1, b"", b"a" * 100 + b"b" * 500 + b"\n")
    assert git._refused("x", done).what == f"git:x: git: {'b' * 500}"
    assert git._refused("x", done).fix == "check the address, the revision and your access"


def test_a_server_that_serves_only_its_branches_is_fetched_whole(root, tmp_path, monkeypatch):
    for key, value in (("COUNT", "1"), ("KEY_0", "protocol.version"), ("VALUE_0", "0")):
        monkeypatch.setenv(f"GIT_CONFIG_{key}", value)
    url, one = f"file://{root}/repo", run_git(root / "repo", "rev-parse", "HEAD~1")
    run_git(root / "repo", "branch", "-D", "-q", "feature/search")
    run_git(root / "repo", "tag", "-d", "v1")
    git.fetch(url, one, tmp_path / "clone", url)
    assert (tmp_path / "clone" / "a.txt").read_text() == "one"
    assert run_git(tmp_path / "clone", "rev-parse", "HEAD") == one
    assert not (tmp_path / "clone" / ".git" / "FETCH_HEAD").exists()
    assert said(git.fetch, url, COMMIT, tmp_path / "other", url).startswith(
        f"ask.bad-reference | git:{url}: git: fatal: "
    )


def test_a_repository_of_longer_hashes_is_fetched(tmp_path):
    folder = tmp_path / "repo"
    folder.mkdir()
    run_git(folder, "init", "-q", "--object-format=sha256")
    (folder / "a.txt").write_text("one")
    run_git(folder, "add", "a.txt")
    run_git(folder, "commit", "-q", "-m", "one")
    pinned = git.pin("repo", tmp_path)
    assert len(pinned.commit) == 64
    git.fetch(f"file://{folder}", pinned.commit, tmp_path / "clone", "repo")
    assert (tmp_path / "clone" / "a.txt").read_text() == "one"
