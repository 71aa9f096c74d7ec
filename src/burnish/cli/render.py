"""How the command line speaks: one place for consoles, errors, tables and JSON."""

import json as jsonlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from burnish.core.errors import BurnishError, RunError
from burnish.core.secrets import mask

if TYPE_CHECKING:
    from rich.console import Console

_GLOBAL_FLAGS = ("--json", "--debug")
_GLOBAL_VALUES = ("--workspace",)


def lifted_options(arguments: Sequence[str]) -> list[str]:
    """`--workspace`, `--json` and `--debug` may stand anywhere; they are moved before the command."""
    lifted: list[str] = []
    rest: list[str] = []
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if word == "--":
            rest += arguments[position:]
            break
        if word in _GLOBAL_FLAGS or word.startswith("--workspace="):
            lifted.append(word)
        elif word in _GLOBAL_VALUES and position + 1 < len(arguments):
            lifted += arguments[position : position + 2]
            position += 1
        else:
            rest.append(word)
        position += 1
    return lifted + rest


@dataclass(frozen=True)
class Face:
    """What the options before the command ask of the rendering."""

    workspace: str | None = None
    json: bool = False
    debug: bool = False

    @cached_property
    def console(self) -> "Console":
        """Colour and width come from the terminal; piped output is plain and not cut."""
        from rich.console import Console

        width = None if sys.stdout.isatty() else 160
        return Console(width=width, highlight=False, soft_wrap=not sys.stdout.isatty())

    def print_json(self, value: Any) -> None:
        print(mask(jsonlib.dumps(value, indent=2, ensure_ascii=False, default=str)))

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        self.console.print(make_table(title, columns, rows))


def make_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Any:
    """A table without lines; a column of numbers is set right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = [[_cell(value) for value in row] for row in rows]
    table = Table(title=title or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        numbers = bool(shown) and all(_is_number(row[index]) for row in shown)
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in shown:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def _is_number(text: str) -> bool:
    return text in ("–", "") or text.replace(",", "").replace(".", "").lstrip("+-−").replace("%", "").isdigit()


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def measures_in_short(metrics: Mapping[str, Any], most: int = 4) -> str:
    """The first numbers of an artifact's measures, as `name value`."""
    shown = [f"{name} {_cell(value)}" for name, value in metrics.items() if isinstance(value, int | float)]
    return ", ".join(shown[:most])


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """A curve as one line of text: `█▆▄▃▂▁`."""
    if not values:
        return ""
    ticks = "▁▂▃▄▅▆▇█"
    size = max(1, len(values) // width)
    means = [sum(part) / len(part) for i in range(0, len(values), size) if (part := values[i : i + size])]
    low, high = min(means), max(means)
    return "".join(ticks[round((mean - low) / (high - low) * 7) if high > low else 0] for mean in means)


def report_fault(error: Exception, *, debug: bool) -> int:
    """A fault of burnish itself: the traceback goes to a file, and to the terminal only with --debug."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="burnish-fault-", suffix=".log", delete=False) as file:
        file.write(mask("".join(traceback.format_exception(error))))
    what = f"burnish met a fault of its own: {type(error).__name__}: {error}"
    if debug:
        traceback.print_exception(error)
    fault = RunError("run.failed", what, f"please report it, with the traceback in {file.name}")
    return report_error(fault, as_json=False, debug=False)


def report_error(error: BurnishError, *, as_json: bool, debug: bool) -> int:
    """Print `error:` and `hint:` (or JSON) to stderr; gives the exit status."""
    if as_json:
        print(jsonlib.dumps({"error": error.as_dict()}, ensure_ascii=False, indent=2), file=sys.stderr)
    else:
        from rich.console import Console
        from rich.text import Text

        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(Text("error: ", "bold red") + Text(mask(error.what)))
        console.print(Text("hint:  ", "bold cyan") + Text(mask(error.fix)))
    if debug:
        import traceback

        traceback.print_exception(error)
    return error.exit_status
