"""How the command line speaks: one place for consoles, errors, tables and JSON."""

import errno
import io
import json
import math
import os
import shutil
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from typer.exceptions import TyperException

from burnish.core.errors import AskError, BurnishError, MachineError, RunError
from burnish.core.faults import misplaced_path
from burnish.core.files import jsonable
from burnish.core.paths import current_folder_gone
from burnish.core.printable import printable, printable_json
from burnish.core.secrets import mask, masked, masked_value

if TYPE_CHECKING:
    from rich.console import Console

_GLOBAL_FLAGS = ("--json", "--debug")
_GLOBAL_VALUES = ("--workspace",)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OUTPUT = "standard output"
_TELLING = ("last_loss", "best_eval_loss")


def open_closed_streams() -> None:
    """Give the null device to each standard stream that the caller closed, as `>&-` does.

    Python has no stream then, and the next file that is opened would take its number and what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w" if number else "r", encoding="utf-8"))  # noqa: SIM115


class _NamedOutput:
    """Standard output that names itself when it is full, so that it is not taken for the disk of the workspace."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            raise _named(error) from None

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            raise _named(error) from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _named(error: OSError) -> OSError:
    if error.errno in _FULL:
        error.filename = _OUTPUT
    return error


def print_any_text() -> None:
    """Let standard output and error take every character: what their encoding lacks is printed as `?`.

    Standard output names itself from now on when it is full.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if not isinstance(sys.stdout, _NamedOutput):
        sys.stdout = cast(TextIO, _NamedOutput(sys.stdout))


def lifted_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """`--workspace`, `--json` and `--debug` may stand anywhere; they are moved before the command.

    Gives all arguments in the new order, and the moved ones alone.
    """
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
    return lifted + rest, lifted


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
        console = Console(file=masked(sys.stdout), width=width, highlight=False, soft_wrap=not sys.stdout.isatty())
        return harmless(console)

    def print_json(self, value: Any) -> None:
        print(json_text(value, indent=True))

    def warn(self, text: str) -> None:
        """One line on stderr, so that JSON on stdout stays JSON."""
        from rich.console import Console
        from rich.text import Text

        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(Text("warning: ", "bold yellow") + Text(plain(text)))

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        self.console.print(make_table(title, columns, rows))


def harmless(console: "Console") -> "Console":
    """The console, which from now on writes out the control characters of whatever is printed on it."""
    from rich.console import RenderHook
    from rich.segment import Segment

    class Shown:
        def __init__(self, inner: Any):
            self._inner = inner

        def __rich_console__(self, console: Any, options: Any) -> Any:
            for text, style, control in console.render(self._inner, options):
                yield Segment(text if control else printable(text), style, control)

    class Hook(RenderHook):
        def process_renderables(self, renderables: list[Any]) -> list[Any]:
            return [Shown(renderable) for renderable in renderables]

    console.push_render_hook(Hook())
    return console


def json_text(value: Any, *, indent: bool = False, stream: TextIO | None = None) -> str:
    """JSON that every program can read: secrets masked, null for a number that is none, in what `stream` (standard
    output) can encode."""
    import orjson

    options = orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    shown = masked_value(value)
    try:
        text = orjson.dumps(shown, default=str, option=options).decode()
    except orjson.JSONEncodeError:  # the name of a file that is no UTF-8
        readable = json.dumps(jsonable(shown), default=str, ensure_ascii=False).encode(errors="replace")
        text = orjson.dumps(orjson.loads(readable), option=options).decode()
    try:
        text.encode((stream or sys.stdout).encoding or "utf-8")
    except UnicodeEncodeError:  # a terminal that shows less
        text = json.dumps(orjson.loads(text), indent=2 if indent else None)
    return printable_json(text)


def make_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], unbroken: Collection[str] = ()
) -> Any:
    """A table without lines; a column of numbers is set right, and those in `unbroken` keep their words whole."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = [[cell(value) for value in row] for row in rows]
    table = Table(title=title or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        numbers = bool(shown) and all(_is_number(row[index]) for row in shown)
        table.add_column(column, justify="right" if numbers else "left", overflow="fold", no_wrap=column in unbroken)
    for row in shown:
        table.add_row(*(Text(cell) for cell in row))
    return table


def cell(value: Any) -> str:
    """A value as a table shows it: four digits, thousands parted, nothing that steers the terminal."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return plain(str(value))


def plain(text: str) -> str:
    """Text from rows, models or libraries as a terminal may show it: secrets masked, control characters as escapes."""
    return printable(mask(text))


def _is_number(text: str) -> bool:
    return text in ("–", "") or text.replace(",", "").replace(".", "").lstrip("+-−").replace("%", "").isdigit()


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None:
        return "–"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def measures_in_short(metrics: Mapping[str, Any], most: int = 4) -> str:
    """The most telling numbers of an artifact's measures, else the first, as `name value`."""
    numbers = [name for name, value in metrics.items() if isinstance(value, int | float)]
    numbers.sort(key=lambda name: name not in _TELLING)
    return ", ".join(f"{name} {cell(metrics[name])}" for name in numbers[:most])


def program(start: Path | None = None) -> str:
    """How to call burnish from a folder (the current one): by its name, or by its path if the shell cannot find it."""
    script, folder = Path(sys.executable).with_name("burnish"), (start or Path()).resolve()
    if shutil.which("burnish") or not script.is_file():
        return "burnish"
    return str(script.relative_to(folder)) if script.is_relative_to(folder) else str(script)


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """A curve as one line of text: `█▆▄▃▂▁`."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    ticks = "▁▂▃▄▅▆▇█"
    size = -(-len(finite) // width)
    means = [sum(part) / len(part) for i in range(0, len(finite), size) if (part := finite[i : i + size])]
    low, high = min(means), max(means)
    return "".join(ticks[round((mean - low) / (high - low) * 7) if high > low else 0] for mean in means)


def as_burnish_error(error: Exception) -> BurnishError:
    """Any error as one that says what to do: a wrong option, a full disk, and at last a fault of burnish itself.

    Of a fault the traceback goes to a file, not at the person.
    """
    if isinstance(error, BurnishError):
        return error
    if isinstance(error, TyperException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "burnish"
        return AskError("ask.wrong-value", error.format_message(), f"see `{command} --help`")
    if isinstance(error, OSError) and error.filename == _OUTPUT:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left cannot be printed at the end
        fix = "print into another file, or through a pipe; finished steps are kept and reused"
        return MachineError("machine.no-disk", "standard output cannot be written: it is full", fix)
    if isinstance(error, OSError) and error.errno in _FULL:
        return MachineError("machine.no-disk", str(error), "free some space, or use another --workspace")
    if isinstance(error, FileNotFoundError) and not error.filename and not _has_current_folder():
        return current_folder_gone()
    misplaced = misplaced_path(error)
    if misplaced is not None:
        return misplaced
    if isinstance(error, OSError) and error.filename:
        return RunError("run.failed", str(error), "check who may read and write there, or use another --workspace")

    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="burnish-fault-", suffix=".log", delete=False) as file:
        file.write(mask("".join(traceback.format_exception(error))))
    what = f"burnish met a fault of its own: {type(error).__name__}: {error}"
    return RunError("run.failed", what, f"please report it, with the traceback in {file.name}")


def _has_current_folder() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def report_error(error: BurnishError, origin: Exception, *, as_json: bool, debug: bool) -> int:
    """Print `error:` and `hint:` (or JSON) to stderr, with `debug` the traceback of `origin`; gives the status."""
    if as_json:
        print(json_text({"error": error.as_dict()}, indent=True, stream=sys.stderr), file=sys.stderr)
    else:
        from rich.console import Console
        from rich.text import Text

        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(Text("error: ", "bold red") + Text(plain(error.what)))
        console.print(Text("hint:  ", "bold cyan") + Text(plain(error.fix)))
    if debug:
        import traceback

        sys.stderr.write(plain("".join(traceback.format_exception(origin))))
    return error.exit_status
