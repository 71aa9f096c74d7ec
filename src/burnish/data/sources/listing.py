"""Which files an input means, in a fixed order, and how each of them is read."""

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from burnish.core.errors import DataError
from burnish.core.naming import nearest
from burnish.data.files.archive import Member, members
from burnish.data.files.endings import ENDINGS, archive_ending
from burnish.data.files.folder import inside, names_below
from burnish.data.readers import CODE, PROSE, STREAMED, ending_of, readers
from burnish.data.readers.texts import read_whole
from burnish.data.record import Read, ReadReport
from burnish.data.shards.manifest import Manifest, read_manifest, shard_files
from burnish.data.sources import dataset_info, hub_folder
from burnish.data.sources.dataset_info import Adapt
from burnish.data.sources.repository import files_of, is_repository
from burnish.data.splits.names import split_by_name

_NOT_ROWS = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json"}
_ARCHIVE = ".zip"
_OFTEN_ROWS = (".txt", ".zip", ".tar", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".xlsx", ".xls", ".pkl", ".db", ".sqlite")
"""File types that often hold rows: when one of them is not read, a warning says so."""


@dataclass(frozen=True)
class SourceFile:
    """One file to read: its path, the name to show, its reader, the split its name or card gives it."""

    path: Path | Member
    name: str
    read: Read
    size: int
    split: str = ""
    adapt: Adapt | None = None
    named: str = ""
    """The split as the source calls it, such as `train_sft`, where it gives a name."""


def find_files(path: Path, reading: ReadReport, subset: str | None = None) -> list[SourceFile]:
    """The files of a file, folder, hub dataset or repository. DataError `data.unreadable` when there are none."""
    if not path.exists():
        raise DataError("data.unreadable", f"there is no {path}", "check the path")
    is_archive = path.is_file() and path.suffix.lower() == _ARCHIVE
    if subset is not None and not is_archive and (path.is_file() or is_repository(path)):
        what = f"{path.name} has no subsets, and `subset: {subset}` was requested"
        raise DataError("data.unreadable", what, "leave `subset` out, or name the folder of a dataset")
    if is_archive:
        return _of_archive(path, reading, subset)
    if path.is_file():
        return [one_file(path, path.name)]
    if (manifest := read_manifest(path)) is not None:
        return _of_shards(path, manifest, subset)
    if is_repository(path):
        return _repository(path, reading)
    if (table := dataset_info.entries(path)) is not None:
        return _described(path, dataset_info.chosen(table, subset, path.name), reading)
    names = names_below(path, reading)
    if listed := hub_folder.configs(path):
        return _of_card(path, names, hub_folder.chosen(listed, subset, path.name), reading)
    if subset is not None:
        names = _of_subset(names, subset, path.name)
    return _of_folder(path, names, reading)


def one_file(path: Path, name: str, split: str = "", adapt: Adapt | None = None) -> SourceFile:
    """A file and its reader. DataError `data.unreadable` for an ending that has none."""
    read = readers().get(ending_of(path))
    if read is None and ending_of(path) in (*PROSE, *CODE):
        read = read_whole
    if read is None and (ending := archive_ending(name)):
        packed = (
            f"`burnish fetch {name}` unpacks it, and its rows are" if ending in ENDINGS else "unpack it: its folder is"
        )
        raise DataError("data.unreadable", f"{name} is an archive, which is not read in place", f"{packed} a source")
    if read is None:
        raise DataError(
            "data.unreadable",
            f"{name} is of no type that is known by its ending '{ending_of(path)}'",
            f"known are {', '.join(sorted(readers()))}, each also as .gz and .zst, .zip with such files, and files of "
            "text and source code",
        )
    return SourceFile(path, name, read, path.stat().st_size, split, adapt)


def _of_shards(folder: Path, manifest: Manifest, subset: str | None) -> list[SourceFile]:
    """The shards that `fetch` or `clean` wrote, in their order. Other files of the folder are no rows."""
    if subset is not None:
        what = f"{folder.name} holds rows that were fetched or cleaned: they have no subsets"
        raise DataError("data.unreadable", what, "leave `subset` out: it is chosen when the rows are fetched")
    files = [
        replace(one_file(path, shard.file, split_by_name(shard.split)), named=shard.split)
        for shard, path in shard_files(folder, manifest)
    ]
    if not files:
        raise DataError("data.unreadable", f"{folder.name} holds no rows", "check the step that wrote it")
    return files


def _of_folder(folder: Path, names: list[str], reading: ReadReport) -> list[SourceFile]:
    """Files of rows if there are any, else archives; else each file of text or source code is one row."""
    rows = [name for name in names if holds_rows(name)]
    archives = [name for name in names if Path(name).suffix.lower() == _ARCHIVE]
    taken = rows or archives or _documents(names)
    if not taken:
        raise _nothing_to_read(folder.name, names)
    _skip_others(folder.name, names, taken, reading)
    if rows:
        return [one_file(folder / name, name, split_by_name(name)) for name in rows]
    if archives:
        return [file for name in archives for file in _of_archive(folder / name, reading, None, name)]
    return [SourceFile(folder / name, name, read_whole, (folder / name).stat().st_size) for name in taken]


def _of_archive(path: Path, reading: ReadReport, subset: str | None, shown: str | None = None) -> list[SourceFile]:
    """The files of a .zip, as those of a folder; those that can only be read from the disk are refused."""
    shown = shown or path.name
    table = members(path, reading)
    names = list(table) if subset is None else _of_subset(list(table), subset, shown)
    rows = [name for name in names if holds_rows(name)]
    taken = rows or _documents(names)
    if not taken:
        raise _nothing_to_read(shown, names)
    odd = next((name for name in rows if ending_of(Path(name)) not in STREAMED), None)
    if odd is None and dataset_info.FILE in {Path(name).name for name in names}:
        odd = dataset_info.FILE
    if odd is not None:
        what = f"{shown} holds {odd}, which cannot be read inside an archive"
        raise DataError("data.unreadable", what, "unpack it, and give the folder")
    _skip_others(shown, names, taken, reading)
    known = readers() if rows else {}
    return [
        SourceFile(
            table[name],
            f"{shown}/{name}",
            known.get(ending_of(Path(name)), read_whole),
            table[name].size,
            split_by_name(name) if rows else "",
        )
        for name in taken
    ]


def _skip_others(folder: str, names: list[str], taken: list[str], reading: ReadReport) -> None:
    kept = set(taken)
    others = [name for name in names if name not in kept]
    rows = [name for name in others if ending_of(Path(name)) in _OFTEN_ROWS]
    reading.skip(folder, rows, "a kind of file that is not read beside the others")
    reading.skip(folder, [name for name in others if name not in set(rows)], "another kind of file", matters=False)


def _documents(names: list[str]) -> list[str]:
    return [name for name in names if ending_of(Path(name)) in (*PROSE, *CODE)]


def _nothing_to_read(name: str, names: list[str]) -> DataError:
    there = ", ".join(names[:5]) or "nothing"
    return DataError("data.unreadable", f"{name} holds no file that can be read, but {there}", "check the path")


def holds_rows(name: str) -> bool:
    """Whether a file's name says that it is one of rows, and not of settings or of text."""
    path = Path(name)
    return ending_of(path) in readers() and ending_of(path) != ".txt" and path.name not in _NOT_ROWS


def _of_subset(names: list[str], subset: str, name: str) -> list[str]:
    """Without a card, a subset is a folder, as on the hub."""
    there = {part for path in names for part in PurePosixPath(path).parent.parts}
    if subset not in there:
        fix = nearest(subset, there) if there else "leave `subset` out"
        raise DataError("data.unreadable", f"{name} has no subset '{subset}'", fix)
    return [path for path in names if subset in PurePosixPath(path).parent.parts]


def _of_card(folder: Path, names: list[str], config: dict, reading: ReadReport) -> list[SourceFile]:
    files: list[SourceFile] = []
    named = hub_folder.patterns(config)
    if not named:
        inside = [name for name in names if name.startswith(f"{hub_folder.folder_of(config)}/")]
        files = _of_folder(folder, inside, reading)
    for split, pattern in named:
        matched = [name for name in names if hub_folder.matches(pattern, name)]
        if not matched:
            what = f"the card of {folder.name} names {pattern}, and no file of that name is there"
            raise DataError("data.unreadable", what, "fetch the dataset whole, or fix its README.md")
        known = split_by_name(split)  # of `train_sft`: train
        listed = (one_file(folder / name, name, known or split_by_name(name)) for name in matched)
        files += [replace(file, named=split) for file in listed]
    found = {file.name: file for file in files}
    others = [name for name in names if name not in found and holds_rows(name)]
    reading.skip(folder.name, others, "not named by the card for this subset", matters=False)
    return list(found.values())


def _described(folder: Path, entry: dict, reading: ReadReport) -> list[SourceFile]:
    path, adapt = inside(folder, dataset_info.file_name(entry)), dataset_info.adapter(entry)
    if path.is_file():
        return [one_file(path, path.relative_to(folder).as_posix(), adapt=adapt)]
    names = [name for name in names_below(path, reading) if holds_rows(name) or name.endswith(".txt")]
    return [one_file(path / name, f"{path.name}/{name}", adapt=adapt) for name in names]


def _repository(path: Path, reading: ReadReport) -> list[SourceFile]:
    names = files_of(path)
    taken = [name for name in names if ending_of(Path(name)) in (*PROSE, *CODE)]
    if not taken:
        raise DataError("data.unreadable", f"{path.name} holds no file of text or source code", "check the repository")
    kinds = "text or source code, one row each; what Git ignores is not read"
    reading.note(f"{path.name}: {len(taken)} of its {len(names)} files are {kinds}")
    return [SourceFile(path / name, name, read_whole, (path / name).stat().st_size) for name in taken]
