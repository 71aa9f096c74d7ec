"""Git references: pinned to one commit when planned; invalid repositories, revisions and commits are refused."""

import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import burnish
from burnish.core.errors import AskError, BurnishError, MachineError
from burnish.core.inputs import git
from burnish.core.inputs.references import check_kind, resolve

FOLDER = ("dataset", "file", "folder")


def run_git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Repository:
    """A repository of text files on branch `main`."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True)
        run_git(folder, "init", "-q", "-b", "main")

    def commit(self, text: str, name="a.txt") -> str:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(text)
        run_git(self.folder, "add", name)
        run_git(self.folder, "commit", "-q", "-m", text)
        return run_git(self.folder, "rev-parse", "HEAD")

    def git(self, *arguments) -> str:
        return run_git(self.folder, *arguments)


@pytest.fixture
def repository(workspace):
    made = Repository(workspace.root / "repo")
    made.commit("one")
    return made


@pytest.fixture(params=["path", "url"])
def reference(request, repository):
    """The same repository by its path and by a URL."""
    return "git:repo" if request.param == "path" else f"git:file://{repository.folder}"


def commit_of(ref, workspace, notes=None):
    return resolve(ref, FOLDER, workspace, {}, (notes if notes is not None else []).append).revision


def refused(ref, workspace, *hosts) -> BurnishError:
    with pytest.raises(BurnishError) as caught:
        resolve(ref, FOLDER, workspace, {}, allowed_hosts=hosts)
    return caught.value


def text_of(ref, workspace, scratch) -> str:
    value = resolve(ref, FOLDER, workspace, {})
    git.fetch(git.address_of(ref[4:]) or str(value.path), value.revision, scratch, ref)
    return (scratch / "a.txt").read_text()


def test_a_new_commit_is_a_new_input(repository, reference, workspace):
    before = resolve(reference, FOLDER, workspace, {})
    check_kind(before, FOLDER, "source")
    assert resolve(reference, FOLDER, workspace, {}) == before
    commit = repository.commit("two")
    after = resolve(reference, FOLDER, workspace, {})
    assert after.revision == commit
    assert after.fingerprint != before.fingerprint


def test_branches_with_slashes_tags_and_commits_are_revisions(repository, reference, workspace, tmp_path):
    one = repository.git("rev-parse", "HEAD")
    repository.git("tag", "plain")
    repository.git("tag", "-a", "v1", "-m", "annotated")
    repository.git("checkout", "-q", "-b", "feature/a/b")
    two = repository.commit("two")
    repository.git("checkout", "-q", "main")
    three = repository.commit("three")
    wanted = {"feature/a/b": two, "plain": one, "v1": one, "main": three, "refs/tags/v1": one, one: one, two: two}
    for index, (revision, commit) in enumerate(wanted.items()):
        assert commit_of(f"{reference}@{revision}", workspace) == commit, revision
        text = text_of(f"{reference}@{revision}", workspace, tmp_path / f"clone-{index}")
        assert text == {one: "one", two: "two", three: "three"}[commit]
    notes = []
    commit_of(f"{reference}@feature/a/b", workspace, notes)
    assert two[:12] in notes[0]
    assert "feature/a/b" in notes[0]


def test_a_commit_that_is_on_no_branch_is_fetched(repository, reference, workspace, tmp_path):
    lost = repository.commit("lost")
    repository.git("reset", "-q", "--hard", "HEAD~1")
    repository.commit("two")
    assert text_of(f"{reference}@{lost}", workspace, tmp_path / "clone") == "lost"


def test_a_clone_does_not_contain_the_address(repository, workspace, tmp_path):
    text_of(f"git:file://{repository.folder}", workspace, tmp_path / "clone")
    for path in (tmp_path / "clone").rglob("*"):
        assert not path.is_file() or b"file://" not in path.read_bytes(), path


def test_an_unknown_revision_suggests_the_nearest(repository, reference, workspace):
    repository.git("branch", "feature/search")
    error = refused(f"{reference}@feature/serch", workspace)
    assert error.code == "ask.bad-reference"
    assert "did you mean 'feature/search'?" in error.fix
    assert "not a valid revision" in refused("git:repo@-x", workspace).what


def test_a_name_that_is_a_branch_and_a_tag_is_refused(repository, reference, workspace):
    repository.git("tag", "both")
    repository.git("checkout", "-q", "-b", "both")
    commit = repository.commit("two")
    assert "a branch and a tag" in refused(f"{reference}@both", workspace).what
    assert commit_of(f"{reference}@refs/heads/both", workspace) == commit


def test_a_short_commit_is_enough_in_a_local_repository(repository, workspace):
    commit = repository.git("rev-parse", "HEAD")
    assert commit_of(f"git:repo@{commit[:8]}", workspace) == commit
    error = refused(f"git:file://{repository.folder}@{commit[:8]}", workspace)
    assert "all 40 digits" in error.fix


def test_a_folder_that_is_not_a_repository_is_refused_by_name(workspace):
    (workspace.root / "plain").mkdir()
    error = refused("git:plain", workspace)
    assert (type(error), error.code) == (AskError, "ask.bad-reference")
    assert f"{workspace.root / 'plain'} is not a Git repository" in error.what
    assert "file:plain" in error.fix
    (workspace.root / "words.txt").write_text("a")
    assert "is not a Git repository" in refused("git:words.txt", workspace).what
    assert "did you mean 'plain'?" in refused("git:plin", workspace).fix
    assert "git:" in refused(f"git:file://{workspace.root}/plain", workspace).what


def test_a_folder_inside_a_repository_is_refused_and_the_repository_named(repository, workspace):
    repository.commit("x", "sub/a.txt")
    error = refused("git:repo/sub", workspace)
    assert f"inside the repository {repository.folder}" in error.what
    assert "file:repo/sub" in error.fix


def test_a_repository_without_a_commit_is_refused(workspace):
    Repository(workspace.root / "new")
    for ref in ("git:new", f"git:file://{workspace.root}/new"):
        assert "no commits" in refused(ref, workspace).what


def test_uncommitted_changes_are_named(repository, workspace):
    notes = []
    commit_of("git:repo", workspace, notes)
    assert "not read" not in notes[0]
    (repository.folder / "a.txt").write_text("changed")
    (repository.folder / "new.txt").write_text("new")
    commit_of("git:repo", workspace, notes)
    assert "2 uncommitted changes are not read: a.txt, new.txt" in notes[1]
    assert "HEAD of main" in notes[1]


def test_detecting_changes_runs_no_filter_of_the_repository(repository, workspace, tmp_path):
    (repository.folder / ".gitattributes").write_text("* filter=evil\n")
    repository.git("config", "filter.evil.clean", f"touch {tmp_path}/owned; cat")
    repository.git("config", "filter.evil.process", f"touch {tmp_path}/owned")
    repository.git("config", "filter.evil.required", "true")
    os.utime(repository.folder / "a.txt", (1, 1))
    commit_of("git:repo", workspace)
    assert not (tmp_path / "owned").exists()


def test_a_bare_repository_and_a_folder_with_an_at_sign_are_repositories(repository, workspace, tmp_path):
    run_git(workspace.root, "clone", "-q", "--bare", "repo", "a@b.git")
    commit = repository.git("rev-parse", "HEAD")
    for ref in ("git:a@b.git", "git:a@b.git@main", f"git:file://{workspace.root}/a@b.git@main"):
        assert commit_of(ref, workspace) == commit, ref
    assert text_of("git:a@b.git@main", workspace, tmp_path / "clone") == "one"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("https://host/owner/name", ("https://host/owner/name", "")),
        ("https://host/owner/name@v1", ("https://host/owner/name", "v1")),
        ("https://host/owner/name@feature/x", ("https://host/owner/name", "feature/x")),
        ("https://host:8443/@scope/name", ("https://host:8443/@scope/name", "")),
        ("https://host/@scope/name@v1", ("https://host/@scope/name", "v1")),
        ("ssh://git@host/owner/name@v1", ("ssh://git@host/owner/name", "v1")),
        ("git@host:owner/name", ("git@host:owner/name", "")),
        ("git@host:owner/name@a/b", ("git@host:owner/name", "a/b")),
        ("repo@v1", ("repo@v1", "")),
    ],
)
def test_the_revision_follows_the_last_at_sign_of_the_path(name, parts):
    assert git.split_name(name, lambda _: False) == parts


def test_the_environment_of_another_repository_is_ignored(repository, workspace, monkeypatch, tmp_path):
    other = Repository(tmp_path / "other")
    other.commit("other")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    assert commit_of("git:repo", workspace) != run_git(other.folder, "rev-parse", "HEAD")


def test_an_unreachable_host_is_reported(workspace):
    error = refused("git:http://127.0.0.1:9/owner/name", workspace, "127.0.0.1")
    assert (type(error), error.code) == (MachineError, "machine.no-network")


@pytest.fixture
def web_server():
    """A server of this machine that sends all to another path, and the paths that it was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(301)
            self.send_header("Location", f"/moved{self.path}")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port, asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("http://127.0.0.1:{}/x", "ask.private-address"),
        (f"http://127.0.0.1:{{}}/x@{'a' * 40}", "ask.private-address"),
        ("http://localhost:{}/x", "ask.private-address"),
        ("http://2130706433:{}/x", "ask.private-address"),
        ("http://0x7f.1:{}/x", "ask.private-address"),
        ("http://[::ffff:127.0.0.1]:{}/x", "ask.private-address"),
        ("git://127.0.0.1:{}/x", "ask.private-address"),
        ("ssh://git@127.0.0.1:{}/x", "ask.private-address"),
        ("git@127.0.0.1:{}/x", "ask.private-address"),
        ("https::http://127.0.0.1:{}/x", "ask.bad-reference"),
        ("http://127.0.0.1:{}?@example.com/x", "ask.bad-reference"),
        ("http://127.0.0.1:{}\\@example.com/x", "ask.bad-reference"),
        ("git://127.0.0.1%3A{}%2F@example.com/x", "ask.bad-reference"),
        ("http://\uff11\uff12\uff17.0.0.1:{}/x", "ask.bad-reference"),
    ],
)
def test_a_private_address_is_not_asked(workspace, web_server, address, code):
    port, asked = web_server
    error = refused(f"git:{address.format(port)}", workspace)
    assert error.code in (code, "ask.wrong-value")  # which a login in an address is
    assert (error.code == "ask.private-address") == ("allow_hosts: [" in error.fix)
    assert asked == []


def test_an_allowed_host_is_asked_and_its_redirect_is_not_followed(workspace, web_server):
    port, asked = web_server
    error = refused(f"git:http://LocalHost:{port}/x", workspace, "localhost")
    assert "redirects" in error.what
    assert "the address that it leads to" in error.fix
    assert asked == ["/x/info/refs?service=git-upload-pack"]


def test_a_missing_git_command_is_reported(workspace, monkeypatch, repository):
    monkeypatch.setenv("PATH", "")
    error = refused("git:repo", workspace)
    assert (error.code, error.fix) == ("machine.no-package", "install git")


def test_prepare_reads_the_planned_commit_and_runs_again_after_a_new_one(repository, workspace):
    def prepared():
        return burnish.run_stage("prepare", source=f"git:file://{repository.folder}", workspace=workspace.root)

    first = prepared()
    assert prepared().action == "reuse"
    repository.commit("two")
    second = prepared()
    assert (first.action, second.action) == ("run", "run")
    plan = workspace.plan_of("prepare", 3)
    assert repository.git("rev-parse", "HEAD") in plan["steps"][0]["pinned"].values()
    assert any("is commit" in note for note in plan["notes"])
    assert "two" in (second.path / "sample.jsonl").read_text()
