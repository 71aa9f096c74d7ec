"""Which files of a dataset on a hub are read, and the split of each: from its card, its folders and their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from burnish.core.errors import DataError
from burnish.core.naming import nearest
from burnish.data.files.endings import ENDINGS, archive_ending
from burnish.data.files.folder import is_hidden
from burnish.data.readers import CODE, PROSE, ending_of
from burnish.data.record import ReadReport
from burnish.data.sources import hub_folder
from burnish.data.sources.listing import holds_rows
from burnish.data.splits.names import split_by_name

_NUMBERED = re.compile(r"(.+)-\d{4,}-of-\d{4,}")
CARD = "README.md"


@dataclass(frozen=True)
class Choice:
    """What was requested of a dataset: its subset, or a folder or patterns of files; and its splits, all if none."""

    subset: str | None = None
    data_dir: str | None = None
    data_files: Sequence[str] = ()
    splits: Sequence[str] = ()


def choose(
    names: Sequence[str], card: dict[str, Any], choice: Choice, shown: str, reading: ReadReport
) -> list[tuple[str, str]]:
    """(path, split) of the files to read, in order. `names` are those of the repository, `card` the head of its card.

    Errors: DataError `data.unreadable` if there are none.
    """
    found = _of_splits(_chosen(names, card, choice, shown), choice.splits, shown)
    taken = {name for name, _ in found}
    others = [name for name in names if name not in taken and holds_rows(name)]
    reading.skip(shown, others, "of another subset or split, or not chosen", matters=False)
    return found


def split_of(name: str) -> str:
    """The split of a file by its name, as the hub reads it: `train_sft` of data/train_sft-00000-of-00002.parquet."""
    path = PurePosixPath(name)
    stem = path.name.partition(".")[0]
    numbered = _NUMBERED.fullmatch(stem)
    if numbered and (path.parent.name == "data" or split_by_name(numbered[1])):
        return numbered[1]
    if stem.isdecimal() and split_by_name(path.parent.name):  # default/train/0000.parquet of converted datasets
        return path.parent.name.removeprefix("partial-")
    return split_by_name(name) or "train"


def _chosen(names: Sequence[str], card: dict[str, Any], choice: Choice, shown: str) -> list[tuple[str, str]]:
    if choice.data_files:
        return _by_patterns([("", pattern) for pattern in choice.data_files], names, shown, "data_files names")
    if choice.data_dir is not None:
        folder = choice.data_dir.strip("/")
        inside = [name for name in names if name.startswith(f"{folder}/")]
        return _readable(inside, f"the folder {folder} of {shown}")
    configs = hub_folder.configs_in(card)
    if configs:
        config = hub_folder.chosen(configs, choice.subset, shown)
        if named := hub_folder.patterns(config):
            return _by_patterns(named, names, shown, "the card names")
        folder = hub_folder.folder_of(config)
        inside = [name for name in names if name.startswith(f"{folder}/") and not is_hidden(name)]
        return _readable(inside, f"the folder {folder} of {shown}, which its card names,")
    names = [name for name in names if not is_hidden(name)]
    if choice.subset is not None:
        there = {part for name in names for part in PurePosixPath(name).parent.parts}
        if choice.subset not in there:
            fix = nearest(choice.subset, there) if there else "leave `subset` out"
            raise DataError("data.unreadable", f"{shown} has no subset '{choice.subset}'", fix)
        names = [name for name in names if choice.subset in PurePosixPath(name).parent.parts]
    return _readable(names, shown)


def _by_patterns(
    patterns: Sequence[tuple[str, str]], names: Sequence[str], shown: str, who: str
) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for split, pattern in patterns:
        matched = [name for name in names if hub_folder.matches(pattern, name)]
        if not matched and "*" not in pattern:  # a folder stands for its files
            matched = [
                name for name in names if hub_folder.matches(f"{pattern.rstrip('/')}/**", name) and holds_rows(name)
            ]
        if not matched:
            there = [name for name in names if holds_rows(name)]
            raise DataError(
                "data.unreadable", f"{who} {pattern}, and {shown} has no such file", nearest(pattern, there)
            )
        found |= {name: split or split_of(name) for name in matched if name not in found}
    return list(found.items())


def _readable(names: Sequence[str], shown: str) -> list[tuple[str, str]]:
    """Files of rows if there are any, else archives, else files of text."""
    rows = [name for name in names if holds_rows(name)]
    archives = [name for name in names if archive_ending(name) in ENDINGS]
    texts = [name for name in names if ending_of(Path(name)) in (*PROSE, *CODE) and PurePosixPath(name).name != CARD]
    taken = rows or archives or [name for name in texts if not name.startswith(".")]
    if taken and not (taken == texts and all(ending_of(Path(name)) == ".py" for name in taken)):
        return [(name, split_of(name)) for name in taken]
    what = f"{shown} holds no file that can be read, but {', '.join(list(names)[:5]) or 'nothing'}"
    raise DataError(
        "data.unreadable",
        what,
        "if its rows are made by a program, which burnish does not run, the hub may have them converted: "
        "hub:owner/name@refs/convert/parquet",
    )


def _of_splits(files: list[tuple[str, str]], splits: Sequence[str], shown: str) -> list[tuple[str, str]]:
    if not splits:
        return files
    there = list(dict.fromkeys(split for _, split in files))
    for split in splits:
        if split not in there:
            fix = f"{nearest(split, there)}; a part of a split is `limit`"
            raise DataError("data.unreadable", f"{shown} has no split '{split}'", fix)
    return [(name, split) for name, split in files if split in splits]
