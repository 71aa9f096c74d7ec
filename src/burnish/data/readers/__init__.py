"""Readers of files, one module per kind, in one table by file ending.

Other packages add kinds of files through the entry-point group `burnish.readers`: the entry's name is the ending
(`.xlsx`), its value a function (path, name, reading) → records and bad rows, as `burnish.data.record.Read` says.
"""

from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from burnish.data.opening import PACKED
from burnish.data.readers.json_document import read_json
from burnish.data.readers.json_lines import read_json_lines
from burnish.data.record import Read


@cache
def readers() -> dict[str, Read]:
    """Every reader of row files by ending: the built-in ones, then those of installed packages."""
    table: dict[str, Read] = {
        ".json": read_json,
        ".jsonl": read_json_lines,
        ".ndjson": read_json_lines,
    }
    for entry in entry_points(group="burnish.readers"):
        table[entry.name] = entry.load()
    return table


def ending_of(path: Path) -> str:
    """The ending that says what a file holds, without .gz or .zst: `.jsonl` of `rows.jsonl.gz`."""
    return (Path(path.stem) if path.suffix.lower() in PACKED else path).suffix.lower()
