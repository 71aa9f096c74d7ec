"""The sources of a mixed dataset: each is opened, its layout detected, and its rows read as often as needed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from burnish.core.context import Input
from burnish.core.errors import AskError
from burnish.data.dataset import is_prepared, read_rows, splits
from burnish.data.mapping import Found, Mapped, check_names, detect, map_rows, renamed
from burnish.data.reader import read
from burnish.data.record import Bad, ReadReport, Record
from burnish.data.sources import dataset_info
from burnish.data.sources.listing import find_files
from burnish.specs.base import path_in


@dataclass(frozen=True)
class Part:
    """One source: where it lies, how its rows are laid out, how many to take, the tag they carry.

    `found` is None for a prepared dataset, whose rows are canonical already and keep their splits.
    """

    name: str
    path: Path
    found: Found | None
    columns: Mapping[str, str]
    subset: str | None
    take: int | None = None
    tag: str | None = None
    encoding: str | None = None
    split: str = ""
    """The split of all its rows; by default the files, or the prepared dataset, decide."""
    number: int = 0
    """Its place among the parts, which its rows carry."""
    is_mixed: bool = False
    """Other parts may have files of the same name: the sources of its rows then begin with `folder`."""

    @property
    def folder(self) -> str:
        """Where its files lie, in the words of its reference: `a/` of `file:a/rows.jsonl`, `file:a` and `step:a`."""
        words = path_in(self.name.partition(":")[2] or self.name)
        folder = (words.parent if self.path.is_file() else words).as_posix()
        return "" if folder == "." else f"{folder}/"

    def refuse_settings(self, **settings: Any) -> None:
        """AskError `ask.wrong-value` when a prepared dataset is given settings that only raw rows have a use for."""
        named = [name for name, value in settings.items() if value and value != "auto"]
        if self.found is None and named:
            raise AskError(
                "ask.wrong-value",
                f"{self.name} is a prepared dataset, where {' and '.join(named)} has no effect",
                "remove the setting, or give it where the raw rows are prepared",
            )

    def items(self, reading: ReadReport) -> Iterator[Mapped | Bad]:
        """Every row from the start on."""
        tag = {} if self.tag is None else {"tag": self.tag}
        folder = self.folder if self.is_mixed else ""
        for item in self._mapped(reading):
            if isinstance(item, Mapped):
                row = item.row | {"source": f"{folder}{item.row['source']}"} | tag
                yield replace(item, row=row, split=self.split or item.split, part=self.number)
            else:
                yield replace(item, source=f"{folder}{item.source}")

    def _mapped(self, reading: ReadReport) -> Iterator[Mapped | Bad]:
        if self.found is None:
            for split in splits(self.path):
                for row in read_rows(self.path, split):
                    yield Mapped(row, split)
        else:
            yield from map_rows(self.records(reading), self.found)

    def records(self, reading: ReadReport) -> Iterator[Record | Bad]:
        """Every raw row as it stands in its file, its columns renamed."""
        reading.encoding, reading.used_encoding = self.encoding, False
        yield from renamed(read(self.path, reading, self.subset), self.columns)
        if self.encoding is not None and not reading.used_encoding:
            why = "none of its files is text without a byte-order mark"
            reading.warn(f"encoding: {self.encoding} has no effect on {self.name}: {why}")


def open_part(
    input: Input,
    path: Path,
    format: str,
    columns: Mapping[str, str],
    subset: str | None,
    roles: Mapping[str, str] | None = None,
    encoding: str | None = None,
) -> Part:
    """A part of raw rows, its layout detected from the first ones.

    DataError when it is unknown, or when `columns`, `roles` or a dataset_info.json name what no row has.
    """
    check_names(read(path, ReadReport(encoding=encoding), subset), columns, roles or {}, input.ref)
    if path.is_dir() and (described := dataset_info.entries(path)) is not None:
        adapt = dataset_info.adapter(dataset_info.chosen(described, subset, path.name))
        once = ReadReport(encoding=encoding)
        rows = (item for file in find_files(path, once, subset) for item in file.read(file.path, file.name, once))
        check_names(rows, adapt.columns, (), input.ref, f"columns of {dataset_info.FILE}")
    found, _ = detect(renamed(read(path, ReadReport(encoding=encoding), subset), columns), input.ref, format, roles)
    return Part(input.ref, path, found, columns, subset, encoding=encoding)


def open_prepared(input: Input) -> Part | None:
    """A part of rows that are prepared already, or None when the input is raw."""
    return Part(input.ref, input.path, None, {}, None) if is_prepared(input.path) else None


def named(parts: Iterable[Part]) -> dict[str, Part]:
    """Parts by a name of their own each: the reference, its subset, and a number where both are the same."""
    table: dict[str, Part] = {}
    for part in parts:
        name = part.name if part.subset is None else f"{part.name} (subset {part.subset})"
        same = sum(known == name or known.startswith(f"{name} #") for known in table)
        table[f"{name} #{same + 1}" if same else name] = part
    return table
