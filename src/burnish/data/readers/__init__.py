"""Readers of files, one module per kind, in one table by file ending.

Other packages add kinds of files through the entry-point group `burnish.readers`: the entry's name is the ending
(`.xlsx` or `xlsx`), its value a function (path, name, reading) → records and bad rows, as `data.record.Read` says.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from burnish.core.errors import MachineError
from burnish.core.plugins import Plugin, plugins, warn_left_out
from burnish.data.files.opening import PACKED
from burnish.data.readers.columnar import read_arrow, read_parquet
from burnish.data.readers.json_document import read_json
from burnish.data.readers.json_lines import read_json_lines
from burnish.data.readers.tables import read_csv, read_tsv
from burnish.data.readers.texts import read_text
from burnish.data.record import Bad, Read, ReadReport, Record

PROSE = (".txt", ".text", ".md", ".markdown", ".rst", ".tex", ".org", ".adoc", ".html", ".htm", ".xml")
CODE = (
    *(".py", ".pyi", ".ipynb", ".js", ".mjs", ".jsx", ".ts", ".tsx", ".vue", ".svelte", ".css", ".scss"),
    *(".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".cu", ".cuh", ".m", ".mm", ".swift", ".go", ".rs", ".zig"),
    *(".java", ".kt", ".kts", ".scala", ".groovy", ".clj", ".cs", ".fs", ".vb", ".rb", ".php", ".pl", ".pm"),
    *(".lua", ".r", ".jl", ".hs", ".ml", ".mli", ".ex", ".exs", ".erl", ".dart", ".nim", ".d", ".f90", ".asm"),
    *(".sh", ".bash", ".zsh", ".fish", ".ps1", ".bat", ".sql", ".proto", ".graphql", ".tf", ".cmake", ".mk"),
    *(".yaml", ".yml", ".toml", ".ini", ".cfg", ".gradle", ".jinja", ".v", ".sv", ".vhd", ".sol", ".el", ".lisp"),
)
"""Endings of files that are documents by themselves: in a folder or repository, each such file is one row."""


STREAMED = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt")
"""Endings whose readers take a stream, and so a file inside an archive, too."""


@cache
def readers() -> dict[str, Read]:
    """Every reader of row files by ending: the built-in ones, then those of installed packages."""
    table: dict[str, Read] = {
        ".json": read_json,
        ".jsonl": read_json_lines,
        ".ndjson": read_json_lines,
        ".csv": read_csv,
        ".tsv": read_tsv,
        ".parquet": read_parquet,
        ".arrow": read_arrow,
        ".txt": read_text,
    }
    added: dict[str, Plugin] = {}
    for plugin in plugins("burnish.readers"):
        ending = f".{plugin.name.lower().removeprefix('.')}"
        if ending in added:
            error = plugin.refused(f"reads {ending}, as {added[ending]} does: neither is used")
            table[ending] = _refusing(error)
        elif ending in table:
            warn_left_out(plugin.refused(f"reads {ending}, whose reader is built in and stays"))
        else:
            added[ending] = plugin
            try:
                table[ending] = _named(plugin, plugin.load())
            except MachineError as error:
                table[ending] = _refusing(error)
    return table


def _named(plugin: Plugin, read: Read) -> Read:
    """A reader whose errors name its package and the file. Errors: MachineError `machine.broken-plugin`."""

    def named(path: Any, name: str, reading: ReadReport) -> Iterator[Record | Bad]:
        try:
            with plugin.guarded():
                for item in read(path, name, reading):
                    if not isinstance(item, Record | Bad):
                        raise plugin.refused(
                            f"gave a {type(item).__name__} instead of a {Record.__module__}.Record or Bad"
                        )
                    yield item
        except MachineError as error:
            raise error.at(name) from error.__cause__

    return named


def _refusing(error: MachineError) -> Read:
    """A reader that refuses every file, so that files of other endings can still be read."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise error

    return refuse


def ending_of(path: Path) -> str:
    """The ending that names the file type, without .gz or .zst: `.jsonl` of `rows.jsonl.gz`."""
    return (Path(path.stem) if path.suffix.lower() in PACKED else path).suffix.lower()
