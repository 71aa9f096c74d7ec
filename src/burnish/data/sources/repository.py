"""Git repositories as text: the commit that an input was pinned to, checked out here, and the files to read."""

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from burnish.core.inputs import git

if TYPE_CHECKING:
    from burnish.core.context import Input


def is_repository(path: Path) -> bool:
    return (path / ".git").exists()


def checkout(input: "Input", scratch: Path) -> Path:
    """The folder of an input's files. Of a Git reference its commit is fetched into `scratch`, once.

    DataError `data.unreadable` for a folder of rows whose shards are not the ones that were written.
    """
    if input.kind != "git":
        from burnish.data.shards.content import check_content  # brings the settings, which workers do without

        check_content(input)
        return input.path
    name = input.ref.removeprefix("git:")
    address = git.address_of(name) or str(input.path)
    stem = re.split(r"[/:]", address.rstrip("/"))[-1].removesuffix(".git")
    folder = scratch / f"{stem or 'repository'}-{input.revision[:12]}"
    mark = folder / ".git" / "burnish-complete"
    if not mark.exists():
        shutil.rmtree(folder, ignore_errors=True)
        git.fetch(address, input.revision, folder, name)
        mark.touch()
    return folder


def files_of(path: Path) -> list[str]:
    """The paths of a repository's regular files, tracked ones and new ones that are not ignored, sorted.

    Links and submodules are left out.
    """
    at = ["-C", str(path), "ls-files", "-z"]
    listed = git.call([*at, "--stage"], str(path))
    entries = [entry.split("\t", 1) for entry in listed.split("\0") if entry]
    tracked = {name for meta, name in entries if meta.startswith("100")}
    new = {name for name in git.call([*at, "--others", "--exclude-standard"], str(path)).split("\0") if name}
    return sorted(name for name in tracked | new if (path / name).is_file() and not (path / name).is_symlink())
