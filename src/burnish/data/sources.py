"""Which files an input means, in a fixed order, how each of them is read, and that none of them lies outside."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from burnish.core.errors import DataError
from burnish.core.naming import nearest
from burnish.data import dataset_info, hub_folder
from burnish.data.dataset_info import Adapt
from burnish.data.readers import CODE, PROSE, ending_of, readers
from burnish.data.readers.texts import read_whole
from burnish.data.record import Read, Reading
from burnish.data.repository import is_repository, tracked_files

_NOT_ROWS = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}


@dataclass(frozen=True)
class SourceFile:
    """One file to read: where it lies, the name to show, who reads it, the split its name or card gives it."""

    path: Path
    name: str
    read: Read
    size: int
    split: str = ""
    adapt: Adapt | None = None


def find_files(path: Path, reading: Reading, subset: str | None = None) -> list[SourceFile]:
    """The files of a file, folder, hub dataset or repository. DataError `data.unreadable` when there are none."""
    if not path.exists():
        raise DataError("data.unreadable", f"there is no {path}", "check the path")
    if subset is not None and (path.is_file() or is_repository(path)):
        what = f"{path.name} has no subsets, and '{subset}' was asked for"
        raise DataError("data.unreadable", what, "leave `subset` out, or name the folder of a dataset")
    if path.is_file():
        return [_one_file(path, path.name)]
    if is_repository(path):
        return _repository(path, reading)
    if (table := dataset_info.entries(path)) is not None:
        return _described(path, dataset_info.chosen(table, subset, path.name))
    names = list(_names(path, reading))
    if listed := hub_folder.configs(path):
        return _of_card(path, names, hub_folder.chosen(listed, subset, path.name))
    if subset is not None:
        names = _of_subset(names, subset, path.name)
    return _of_folder(path, names, reading)


def inside(folder: Path, name: str) -> Path:
    """The path of a name that a file of the folder gave. DataError `data.unreadable` when it leads outside."""
    parts = PurePosixPath(name.replace("\\", "/"))
    path = folder / parts
    if parts.is_absolute() or ":" in parts.parts[0] or ".." in parts.parts or not _stays(folder, path):
        raise DataError("data.unreadable", f"'{name}' leads out of {folder.name}", "name a file inside the folder")
    if not path.exists():
        there = [entry.name for entry in folder.iterdir()]
        raise DataError("data.unreadable", f"there is no {name} in {folder.name}", nearest(parts.name, there))
    return path


def _stays(folder: Path, path: Path) -> bool:
    """A path lies in the folder after links are followed; the hub's cache links from snapshots/ to blobs/ beside it."""
    root, target = folder.resolve(), path.resolve()
    if target.is_relative_to(root):
        return True
    return root.parent.name == "snapshots" and target.is_relative_to(root.parent.parent / "blobs")


def _names(folder: Path, reading: Reading) -> Iterable[str]:
    """The paths of a folder's files, sorted; hidden ones and links that lead outside are left out, the latter aloud."""
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(base, name)
            if name.startswith(".") or not path.is_file():
                continue
            if _stays(folder, path):
                yield path.relative_to(folder).as_posix()
            else:
                reading.say(f"{path.relative_to(folder)} is a link that leads out of the folder, and is passed over")


def _one_file(path: Path, name: str, split: str = "", adapt: Adapt | None = None) -> SourceFile:
    read = readers().get(ending_of(path))
    if read is None and ending_of(path) in (*PROSE, *CODE):
        read = read_whole
    if read is None:
        raise DataError(
            "data.unreadable",
            f"{name} is of no type that is known by its ending '{ending_of(path)}'",
            f"known are {', '.join(sorted(readers()))}, each also as .gz and .zst, and files of text and source code",
        )
    return SourceFile(path, name, read, path.stat().st_size, split, adapt)


def _of_folder(folder: Path, names: list[str], reading: Reading) -> list[SourceFile]:
    """Files of rows if there are any; else each file of text or source code is one row."""
    rows = [name for name in names if _holds_rows(name)]
    taken = rows or [name for name in names if ending_of(Path(name)) in (*PROSE, *CODE)]
    if not taken:
        there = ", ".join(names[:5]) or "nothing"
        raise DataError(
            "data.unreadable", f"{folder.name} holds no file that can be read, but {there}", "check the path"
        )
    passed_over = Counter(Path(name).suffix or name for name in names if name not in set(taken))
    if passed_over:
        listed = ", ".join(f"{count} {ending}" for ending, count in passed_over.most_common(8))
        reading.say(f"{folder.name}: {len(taken)} files are read, and passed over: {listed}")
    if rows:
        return [_one_file(folder / name, name, hub_folder.split_by_name(name)) for name in rows]
    return [SourceFile(folder / name, name, read_whole, (folder / name).stat().st_size) for name in taken]


def _holds_rows(name: str) -> bool:
    path = Path(name)
    return ending_of(path) in readers() and ending_of(path) != ".txt" and path.name not in _NOT_ROWS


def _of_subset(names: list[str], subset: str, name: str) -> list[str]:
    """Without a card, a subset is a folder, as on the hub."""
    there = {part for path in names for part in PurePosixPath(path).parent.parts}
    if subset not in there:
        fix = nearest(subset, there) if there else "leave `subset` out"
        raise DataError("data.unreadable", f"{name} has no subset '{subset}'", fix)
    return [path for path in names if subset in PurePosixPath(path).parent.parts]


def _of_card(folder: Path, names: list[str], config: dict) -> list[SourceFile]:
    files: list[SourceFile] = []
    base = str(config.get("data_dir") or "").strip("/")
    for split, pattern in hub_folder.patterns(config):
        full = f"{base}/{pattern}" if base else pattern
        matched = [name for name in names if fnmatchcase(name, full.removeprefix("./"))]
        if not matched:
            what = f"the card of {folder.name} names {pattern}, and no file of that name is there"
            raise DataError("data.unreadable", what, "fetch the dataset whole, or mend its README.md")
        known = hub_folder.split_by_name(split)  # of `train_sft`: train
        files += [_one_file(folder / name, name, known or hub_folder.split_by_name(name)) for name in matched]
    return list({file.name: file for file in files}.values())


def _described(folder: Path, entry: dict) -> list[SourceFile]:
    path, adapt = inside(folder, dataset_info.file_name(entry)), dataset_info.adapter(entry)
    if path.is_file():
        return [_one_file(path, path.relative_to(folder).as_posix(), adapt=adapt)]
    names = [name for name in _names(path, Reading()) if _holds_rows(name) or name.endswith(".txt")]
    return [_one_file(path / name, f"{path.name}/{name}", adapt=adapt) for name in names]


def _repository(path: Path, reading: Reading) -> list[SourceFile]:
    tracked = [name for name in tracked_files(path) if (path / name).is_file() and not (path / name).is_symlink()]
    taken = [name for name in tracked if ending_of(Path(name)) in (*PROSE, *CODE)]
    if not taken:
        raise DataError("data.unreadable", f"{path.name} tracks no file of text or source code", "check the repository")
    reading.say(f"{path.name}: {len(taken)} of its {len(tracked)} tracked files are text or source code, one row each")
    return [SourceFile(path / name, name, read_whole, (path / name).stat().st_size) for name in taken]
