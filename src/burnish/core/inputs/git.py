"""Git repositories as inputs, pinned to a commit when planned: a new commit is a new input.

    git:PATH        git:PATH@revision       a repository on this machine
    git:URL         git:URL@revision        https, ssh, git and file URLs, and user@host:path

A revision is a branch, a tag or a commit; the default is HEAD. Only commits are read, never the working tree.
Credentials come from Git's usual sources: its credential helper, GIT_ASKPASS, ~/.netrc, an SSH agent. Private addresses
are refused as those of URLs are (`core/inputs/urls.py`), and redirects are not followed: they could lead to one.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from burnish.core.errors import AskError, BurnishError, MachineError
from burnish.core.inputs.urls import refuse_private_host
from burnish.core.naming import nearest
from burnish.core.paths import expanded, is_windows_path

_SAFE = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "http.followRedirects=false")
"""A repository's configuration may name programs; none of them may run when it is read."""
_REPOSITORY_VARIABLES = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE",
)  # fmt: skip
_URL = re.compile(r"(?P<host>(?!file:)[a-z][a-z0-9+.-]*://[^/]*/|(?:[\w-][\w.-]*@)?[\w-][\w.-]*:(?!//))(?P<path>.*)")
_FILE_URL = "file://"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
_SERVER = re.compile(r"(?:[A-Za-z0-9._+~-]*@)?(?:\[(?P<ip>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?=[:/])(?!::)")
"""A host, with its user, in letters that Git and the libraries below it read alike: no escapes, no backslashes."""
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REVISION = re.compile(r"(?!-)[^\s~^:?*\[\\\x00-\x20\x7f]+")
_NO_NETWORK = re.compile(r"(?i)could not resolve|failed to connect|connection (?:refused|timed out|reset)|unreachable")
_REDIRECTED = re.compile(r"returned error: 30\d")
_SECONDS = 60
_SHOWN = 5


@dataclass(frozen=True)
class Pin:
    """The commit that a reference resolves to. `note` describes it, with uncommitted changes that are not read."""

    commit: str
    path: Path | None
    """The repository, if it is local."""
    note: str


def pin(name: str, root: Path, allowed: Collection[str] = ()) -> Pin:
    """Resolve the part after `git:`; paths are relative to `root`, `allowed` are hosts that may be private.

    Errors: AskError `ask.bad-reference` if there is no such commit, `ask.private-address`; MachineError
    `machine.no-network`.
    """
    address, revision = split_name(name, lambda path: (root / expanded(path)).exists())
    if revision and not _REVISION.fullmatch(revision):
        raise _bad(name, f"'{revision}' is not a valid revision", "write a branch, a tag or a commit after the @")
    if not is_address(address):
        return _pin_folder(name, root / expanded(address), revision)
    if not address.startswith(_FILE_URL):
        _refuse_private(name, address, allowed)
    if _COMMIT.fullmatch(revision):
        return Pin(revision, None, "")
    return _pin_address(name, address, revision)


def split_name(name: str, exists: Callable[[str], bool]) -> tuple[str, str]:
    """`https://host/owner/name@feature/x` → (URL, `feature/x`). An existing path is not split at its @."""
    name = _of_drive(name)
    url = None if is_windows_path(name) else _URL.fullmatch(name)
    if url is not None:
        cut = url["path"].rfind("@")
        if cut > 0 and url["path"][cut - 1] != "/":
            return url["host"] + url["path"][:cut], url["path"][cut + 1 :]
        return name, ""
    scheme = _FILE_URL if name.startswith(_FILE_URL) else ""
    path = name.removeprefix(scheme)
    if not exists(path):
        cuts = [index for index, letter in enumerate(path) if letter == "@" and index]
        for cut in reversed(cuts):
            if exists(path[:cut]):
                return scheme + path[:cut], path[cut + 1 :]
    return name, ""


def is_address(address: str) -> bool:
    """Whether it is a URL rather than a folder."""
    return address.startswith(_FILE_URL) or (not is_windows_path(address) and _URL.fullmatch(address) is not None)


def _of_drive(name: str) -> str:
    """`C:/x` of file:///C:/x, which Git outside of Windows does not know; other names are returned as they are."""
    rest = name.removeprefix(f"{_FILE_URL}/")
    return rest if rest != name and is_windows_path(rest) else name


def address_of(name: str) -> str:
    """The URL in the part after `git:`, without its revision; empty for a folder."""
    address, _ = split_name(name, lambda path: Path(path).exists())
    return address if is_address(address) else ""


def fetch(address: str, commit: str, folder: Path, name: str) -> None:
    """Check out one commit, without its history, into an empty folder. The address is not stored there."""
    kind = ["--object-format=sha256"] if len(commit) == 64 else []
    call(["init", "--quiet", "--template=", *kind, str(folder)], name)
    get = ["-C", str(folder), "fetch", "--quiet", "--no-recurse-submodules"]
    shallow = _run([*get, "--no-tags", "--depth", "1", "--", address, commit])
    if shallow.returncode:  # old servers only serve refs, or no shallow clones
        call([*get, "--", address, "+refs/*:refs/fetched/*"], name)
    (folder / ".git" / "FETCH_HEAD").unlink()
    call(["-c", "core.autocrlf=false", "-C", str(folder), "checkout", "--quiet", "--detach", commit], name)


def call(arguments: list[str], name: str) -> str:
    """The output of a git command. AskError `ask.bad-reference` with Git's message; MachineError without network."""
    done = _run(arguments)
    if done.returncode:
        raise _refused(name, done)
    return done.stdout.decode("utf-8", "surrogateescape")


def _run(arguments: list[str], timeout: float | None = None) -> "subprocess.CompletedProcess[bytes]":
    if shutil.which("git") is None:
        raise MachineError("machine.no-package", "git: references need the git command", "install git")
    environment = {key: value for key, value in os.environ.items() if key not in _REPOSITORY_VARIABLES}
    environment |= {
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }
    command = ["git", *_SAFE, *arguments]
    try:
        return subprocess.run(command, capture_output=True, env=environment, check=False, timeout=timeout)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, b"", b"connection timed out")


def _refused(name: str, done: "subprocess.CompletedProcess[bytes]") -> BurnishError:
    message = done.stderr.decode("utf-8", "replace").strip()[-500:]
    if _NO_NETWORK.search(message):
        what = f"git:{name} cannot be reached: {message}"
        return MachineError(
            "machine.no-network", what, "check the network and the host, or use a local clone: git:PATH"
        )
    if _REDIRECTED.search(message):
        fix = "write the address that it leads to, which may be the same with .git at its end"
        return _bad(name, f"its server redirects, which is not followed: {message}", fix)
    return _bad(name, f"git: {message}", "check the address, the revision and your access")


def _bad(name: str, what: str, fix: str) -> AskError:
    return AskError("ask.bad-reference", f"git:{name}: {what}", fix)


def _pin_folder(name: str, path: Path, revision: str) -> Pin:
    if not path.exists():
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise _bad(name, f"there is no folder {path}", nearest(path.name, names) if names else "check the path")
    at = ["-C", str(path)]
    done = _run([*at, "rev-parse", "--is-inside-git-dir", "--show-prefix"]) if path.is_dir() else None
    if done is None or done.returncode:
        message = "" if done is None else done.stderr.decode("utf-8", "replace").strip()
        why = "" if done is None or "not a git repository" in message else f" (git: {message[-300:]})"
        raise _bad(name, f"{path} is not a Git repository{why}", f"write file:{name} to read its files")
    is_bare, _, prefix = done.stdout.decode("utf-8", "replace").partition("\n")
    if prefix.strip():
        top = call([*at, "rev-parse", "--show-toplevel"], name).strip()
        fix = f"write git:{top} for the repository, or file:{name} for this folder in the working tree"
        raise _bad(name, f"{path} is a folder inside the repository {top}", fix)
    if revision:
        commit = _local_commit(name, at, revision)
        return Pin(commit, path.resolve(), f"is commit {commit[:12]} ({revision})")
    commit = _commit_of(at, "HEAD")
    if not commit:
        raise _bad(name, "the repository has no commits", f"commit something, or write file:{name}")
    branch = _run([*at, "symbolic-ref", "--quiet", "--short", "HEAD"]).stdout.decode("utf-8", "replace").strip()
    note = f"is commit {commit[:12]} ({f'HEAD of {branch}' if branch else 'HEAD'})"
    changes = [] if is_bare == "true" else _changes(at, name)
    if changes:
        listed = ", ".join(changes[:_SHOWN]) + (", …" if len(changes) > _SHOWN else "")
        are = "1 uncommitted change is" if len(changes) == 1 else f"{len(changes)} uncommitted changes are"
        note += f"; {are} not read: {listed} (commit, or use file:{name})"
    return Pin(commit, path.resolve(), note)


def _local_commit(name: str, at: list[str], revision: str) -> str:
    branch, tag = (_commit_of(at, f"refs/{kind}/{revision}") for kind in ("heads", "tags"))
    if branch and tag and branch != tag:
        raise _ambiguous(name, revision)
    commit = branch or tag or _commit_of(at, revision)
    if not commit:
        existing = call([*at, "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags"], name).split()
        raise _bad(name, f"the repository has no revision '{revision}'", nearest(revision, existing))
    return commit


def _commit_of(at: list[str], revision: str) -> str:
    done = _run([*at, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"])
    return "" if done.returncode else done.stdout.decode().strip()


def _changes(at: list[str], name: str) -> list[str]:
    """The paths that differ from HEAD. Filters configured by the repository are programs and are disabled."""
    named = _run([*at, "config", "--name-only", "-z", "--get-regexp", r"^filter\..*\.(clean|process)$"])
    filters = [key for key in named.stdout.decode("utf-8", "surrogateescape").split("\0") if key]
    without = [word for key in filters for word in ("-c", f"{key}=")]
    without += [word for key in filters for word in ("-c", f"{key.rpartition('.')[0]}.required=false")]
    listed = call([*without, *at, "status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=all"], name)
    return [entry[3:] for entry in listed.split("\0") if entry]


def _refuse_private(name: str, address: str, allowed: Collection[str]) -> None:
    scheme = _SCHEME.match(address)
    found = _SERVER.match(address, scheme.end() if scheme else 0)
    if found is None:
        raise _bad(name, "no host can be read in its address", "write https://host/path, or user@host:path")
    host = found["ip"] or found["name"]
    try:
        refuse_private_host(host, allowed)
    except AskError as error:
        fix = f"fetch it in a step before: stage fetch, source git:{name}, allow_hosts: [{host}] "
        fix += f"(burnish fetch --source git:{name} --allow-hosts {host}); or clone it, and write git:PATH"
        raise AskError(error.code, f"git:{name}: {error.what}", fix) from None


def _pin_address(name: str, address: str, revision: str) -> Pin:
    wanted = ["HEAD"]
    if revision:
        full = [revision] if revision.startswith("refs/") else [f"refs/heads/{revision}", f"refs/tags/{revision}"]
        wanted = [ref for one in full for ref in (one, f"{one}^{{}}")]
    done = _run(["ls-remote", "--quiet", "--", address, *wanted], timeout=_SECONDS)
    if done.returncode:
        raise _refused(name, done)
    lines = (line.partition("\t") for line in done.stdout.decode("utf-8", "replace").splitlines())
    refs = {ref: commit for commit, _, ref in lines}
    commits = {ref: refs.get(f"{ref}^{{}}", refs[ref]) for ref in wanted if ref in refs}  # ^{} is what a tag points to
    if len(set(commits.values())) > 1:
        raise _ambiguous(name, revision)
    if not commits:
        raise _unknown_revision(name, address, revision)
    ref, commit = next(iter(commits.items()))
    kind = "branch " if ref.startswith("refs/heads/") else "tag " if ref.startswith("refs/tags/") else ""
    return Pin(commit, None, f"is commit {commit[:12]} ({kind}{revision or 'HEAD'})")


def _ambiguous(name: str, revision: str) -> AskError:
    fix = f"write @refs/heads/{revision} or @refs/tags/{revision}"
    return _bad(name, f"'{revision}' is both a branch and a tag, at different commits", fix)


def _unknown_revision(name: str, address: str, revision: str) -> AskError:
    if not revision:
        return _bad(name, "the repository has no commits", "check the address")
    listed = _run(["ls-remote", "--quiet", "--heads", "--tags", "--refs", "--", address], timeout=_SECONDS)
    existing = [
        line.rpartition("\t")[2].split("/", 2)[-1] for line in listed.stdout.decode("utf-8", "replace").splitlines()
    ]
    is_short = re.fullmatch(r"[0-9a-f]{4,39}", revision)
    fix = "write all 40 digits of the commit" if is_short else nearest(revision, existing)
    return _bad(name, f"the repository has no branch or tag '{revision}'", fix)
