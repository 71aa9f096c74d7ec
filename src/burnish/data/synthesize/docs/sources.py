"""The sources of `synthesize` on disk: which files they have, and what a row says of where it is from."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from burnish.core.context import Input
from burnish.core.errors import AskError
from burnish.core.inputs import git, packages
from burnish.core.naming import nearest
from burnish.data.files.folder import names_below
from burnish.data.record import ReadReport
from burnish.data.sources.repository import checkout, files_of, is_repository
from burnish.data.synthesize.docs.licences import of_folder, of_metadata

_PYTHON_LICENCE = "PSF-2.0"


@dataclass(frozen=True)
class Source:
    """One source. `files` are relative to `root`; `not_read` counts files that are left out, by the reason."""

    name: str
    repository: str
    """The reference without its revision."""
    revision: str
    """A commit, or the version of a package; "" for a folder or a file."""
    licence: str | None
    """An SPDX identifier, where it is known."""
    root: Path
    files: tuple[str, ...]
    is_standard_library: bool = False
    not_read: Counter[str] = field(default_factory=Counter[str])

    @property
    def title(self) -> str:
        """What a question calls it."""
        return "Python's standard library" if self.is_standard_library else f"`{self.name}`"


def open_source(input: Input, include: Sequence[str], exclude: Sequence[str], scratch: Path) -> Source:
    """List the files of an input. AskError `ask.wrong-value` for a glob of `include` that no file matches."""
    not_read: Counter[str] = Counter()
    if input.kind == "package":
        found = packages.find(input.ref.removeprefix("package:"))
        root, names, is_standard = found.root, list(found.files), not found.metadata
        name, repository = found.name, input.ref
        licence = _PYTHON_LICENCE if is_standard else of_metadata(found.metadata)
        revision = found.version
    else:
        root, is_standard = checkout(input, scratch), False
        names = _names(root, not_read)
        if root.is_file():
            root = root.parent
        repository, name, revision = _repository(input), "", input.revision
        name = re.split(r"[/:\\]", repository.rstrip("/"))[-1].removesuffix(".git") or root.name
        licence = of_folder(root)
    wanted = [re.compile(_pattern(glob)) for glob in include]
    for glob, pattern in zip(include, wanted, strict=True):
        if not any(map(pattern.fullmatch, names)):
            what = f"no file of {input.ref} matches include: {glob}"
            raise AskError("ask.wrong-value", what, f"`**/` matches any folders; {nearest(glob, names)}")
    unwanted = [re.compile(_pattern(glob)) for glob in exclude]
    kept = [file for file in names if not wanted or any(pattern.fullmatch(file) for pattern in wanted)]
    not_read["not included"] += len(names) - len(kept)
    files = [file for file in kept if not any(pattern.fullmatch(file) for pattern in unwanted)]
    not_read["excluded"] += len(kept) - len(files)
    return Source(name, repository, revision, licence, root, tuple(files), is_standard, not_read)


def _names(root: Path, not_read: Counter[str]) -> list[str]:
    """The files of a folder or repository, or the file itself."""
    if root.is_file():
        return [root.name]
    if is_repository(root):
        names = files_of(root)
        tracked = git.call(["-C", str(root), "ls-files", "-z", "--stage"], str(root)).split("\0")
        not_read["a link or a submodule"] += sum(line.startswith(("12", "16")) for line in tracked)
        return names
    reading = ReadReport()
    names = names_below(root, reading)
    not_read.update(reason for reason, _ in reading.skipped.values())
    return names


def _repository(input: Input) -> str:
    """The reference without revision, and without the path above a folder of this machine."""
    scheme, _, name = input.ref.partition(":")
    if scheme == "git":
        address, _ = git.split_name(name, lambda path: Path(path).exists())
        is_public = "://" in address and not address.startswith("file:")
        return address if is_public or ("@" in address and git.is_address(address)) else _last(address)
    return _last(name) if scheme == "file" else input.ref


def _last(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1] or path


def _pattern(glob: str) -> str:
    """A glob as a regular expression: `**` crosses folders, `*` and `?` do not."""
    parts: list[str] = []
    for token in re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", glob.removeprefix("./")):
        table = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        parts.append(table.get(token) or re.escape(token))
    return "".join(parts)
