"""Git repositories as text: the tracked files of a local clone, or of a clone made here through the git command."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from burnish.core.context import Input
from burnish.core.errors import AskError, DataError, MachineError

_SAFE = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
"""A repository's own configuration may name programs; listing its files must run none of them."""


def is_repository(path: Path) -> bool:
    return (path / ".git").exists()


def checkout(input: Input, scratch: Path) -> Path:
    """Where an input's files lie. `git:URL` or `git:URL@revision` is cloned into `scratch`, once."""
    if input.kind != "git" or input.path.exists():
        return input.path
    url, revision = _url_and_revision(input.ref.removeprefix("git:"))
    if "://" not in url and not url.startswith("git@"):
        raise AskError(
            "ask.bad-reference", f"{input.ref}: there is no folder {input.path}", "check the path, or give a URL"
        )
    folder = scratch / f"repository-{hashlib.sha256(input.ref.encode()).hexdigest()[:16]}"
    if not (folder / ".git" / "burnish-complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        branch = ["--branch", revision] if revision else []
        _git(
            ["clone", "--quiet", "--depth", "1", "--no-recurse-submodules", *branch, "--", url, str(folder)], input.ref
        )
        (folder / ".git" / "burnish-complete").touch()
    return folder


def tracked_files(path: Path) -> list[str]:
    """The paths of a clone's tracked regular files, sorted; links and submodules are left out."""
    listed = _git(["-C", str(path), "ls-files", "-z", "--stage"], str(path))
    entries = [entry.split("\t", 1) for entry in listed.split("\0") if entry]
    return sorted({name for meta, name in entries if meta.startswith("100")})


def _url_and_revision(name: str) -> tuple[str, str]:
    """`https://host/owner/name@v1` → (URL, `v1`); an @ before the last slash belongs to the URL."""
    url, at, revision = name.rpartition("@")
    if not at or "/" in revision or ":" in revision:
        return name, ""
    return url, revision


def _git(arguments: list[str], name: str) -> str:
    if shutil.which("git") is None:
        raise MachineError(
            "machine.no-package", f"{name} is a Git repository and there is no git command", "install git"
        )
    environment = os.environ | {"GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file", "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(["git", *_SAFE, *arguments], capture_output=True, env=environment, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise DataError(
            "data.unreadable", f"{name}: git says: {said[-500:]}", "check the URL, the revision and your access"
        )
    return done.stdout.decode("utf-8", "surrogateescape")
