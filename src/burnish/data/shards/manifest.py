"""The manifest of a folder of rows: which shards belong to it, written last, so that a partial folder is not read."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from burnish.core.errors import DataError
from burnish.core.files import write_json
from burnish.data.files.folder import inside

FILE = "manifest.json"
FORMAT = "burnish rows 1"
_FAMILY, _HEAD = "burnish rows ", 100


@dataclass(frozen=True)
class Shard:
    """One file of rows; `split` is the name that the source gave it, such as `train`."""

    file: str
    split: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The shards of a folder in their order, and `about`: source, revision, licence and what else is known."""

    shards: tuple[Shard, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    """The type of each column."""
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(shard.rows for shard in self.shards)

    @property
    def splits(self) -> dict[str, int]:
        """Rows by split."""
        found: dict[str, int] = {}
        for shard in self.shards:
            found[shard.split] = found.get(shard.split, 0) + shard.rows
        return found

    def write(self, folder: Path) -> None:
        """Write it: the folder is whole from then on."""
        write_json(
            folder / FILE,
            {
                "format": FORMAT,
                **self.about,
                "rows": self.rows,
                "splits": self.splits,
                "columns": dict(self.columns),
                "shards": [asdict(shard) for shard in self.shards],
            },
        )


def begin(folder: Path) -> None:
    """Mark a folder whose shards are being written, so that it is not taken for a folder of other files."""
    write_json(folder / FILE, {"format": FORMAT, "unfinished": True})


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder of rows; None for any other folder.

    Errors: DataError `data.unreadable` for one that is not finished, damaged, or of another version.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    content = file.read_bytes()
    try:
        record: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        if _FAMILY.encode() in content[:_HEAD]:
            raise broken(file, f"is damaged: {error}", "run the step that wrote it again") from error
        return None  # another program's
    name = record.get("format") if isinstance(record, dict) else None
    if not isinstance(name, str) or not name.startswith(_FAMILY):
        return None
    if name != FORMAT:
        raise broken(file, f"has the format '{name}', and this version of burnish reads '{FORMAT}'", "update burnish")
    if record.get("unfinished"):
        raise broken(file, "says that its rows were not written to the end", "run the step that writes them again")
    try:
        shards = tuple(_shard(entry) for entry in record.pop("shards"))
        columns = record.pop("columns")
        _refuse_repeats(shards)
        _refuse_other_counts(record, shards)
    except (KeyError, TypeError, ValueError) as error:
        raise broken(file, f"is damaged: {error}", "run the step that wrote it again") from error
    about = {key: value for key, value in record.items() if key not in ("format", "rows", "splits")}
    return Manifest(shards, columns, about)


def shard_files(folder: Path, manifest: Manifest) -> list[tuple[Shard, Path]]:
    """Every shard with its file. DataError `data.unreadable` names one that is missing or has another size."""
    found: list[tuple[Shard, Path]] = []
    for shard in manifest.shards:
        path = inside(folder, shard.file) if (folder / shard.file).exists() else None
        if path is None or not path.is_file():
            raise broken(folder / FILE, f"lists {shard.file}, which is missing", "run the step again")
        if (size := path.stat().st_size) != shard.bytes:
            what = f"says that {shard.file} has {shard.bytes:,} bytes, and it has {size:,}"
            raise broken(folder / FILE, what, "run the step again")
        found.append((shard, path))
    return found


def _shard(entry: Mapping[str, Any]) -> Shard:
    """Errors: TypeError for a member that is missing, unknown or of another type."""
    shard = Shard(**entry)
    for name, value in vars(shard).items():
        if type(value) is not (int if name in ("rows", "bytes") else str):
            raise TypeError(f"`{name}` of a shard is {value!r:.50}")
    return shard


def _refuse_repeats(shards: Sequence[Shard]) -> None:
    """ValueError for a shard that is listed twice: its rows would be read twice."""
    count = Counter(shard.file for shard in shards)
    twice = next((name for name in count if count[name] > 1), None)
    if twice is not None:
        raise ValueError(f"it lists {twice} twice")


def _refuse_other_counts(record: Mapping[str, Any], shards: Sequence[Shard]) -> None:
    """ValueError where the rows of all shards are not those of the whole: one is left out, or was added."""
    counted = Manifest(tuple(shards))
    if (counted.rows, counted.splits) != (record["rows"], record["splits"]):
        raise ValueError(f"it says {record['rows']} rows, and its shards have {counted.rows:,}")


def broken(file: Path, what: str, fix: str) -> DataError:
    """The error of a manifest."""
    return DataError("data.unreadable", f"{file} {what}", fix)
