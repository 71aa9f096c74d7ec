"""Which files an input means, in a fixed order, and how each of them is read."""

from dataclasses import dataclass
from pathlib import Path

from burnish.core.errors import DataError
from burnish.data.readers import ending_of, readers
from burnish.data.record import Read, Reading


@dataclass(frozen=True)
class SourceFile:
    """One file to read: where it lies, the name to show, who reads it, the split its name or card gives it."""

    path: Path
    name: str
    read: Read
    size: int
    split: str = ""


def find_files(path: Path, reading: Reading, subset: str | None = None) -> list[SourceFile]:
    if not path.exists():
        raise DataError("data.unreadable", f"there is no {path}", "check the path")
    known = readers()
    if path.is_file():
        if ending_of(path) not in known:
            raise DataError("data.unreadable", f"{path.name} is of no known type", f"known: {', '.join(known)}")
        return [SourceFile(path, path.name, known[ending_of(path)], path.stat().st_size)]
    return [
        SourceFile(file, str(file.relative_to(path)), known[ending_of(file)], file.stat().st_size)
        for file in sorted(path.rglob("*"))
        if file.is_file() and ending_of(file) in known
    ]
