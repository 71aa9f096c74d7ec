"""Output of the command line: consoles, errors, tables and JSON."""

import contextlib
import errno
import io
import json
import math
import os
import shutil
import sys
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

from typer.exceptions import TyperException

from burnish.core.errors import AskError, BurnishError, MachineError, RunError
from burnish.core.faults import misplaced_path
from burnish.core.files import jsonable
from burnish.core.paths import current_folder_gone
from burnish.core.plugins import PluginWarning
from burnish.core.printable import printable, printable_json
from burnish.core.secrets import mask, masked, masked_value

if TYPE_CHECKING:
    from rich.console import Console

    from burnish.cli.table import StackingTable

_GLOBAL_FLAGS = ("--json", "--debug")
_GLOBAL_VALUES = ("--workspace",)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OUTPUT = "standard output"
_CLOSED = "standard output was closed"
"""The only argument of its error: click ends with status 1 on an error with the number EPIPE."""
_KEY_METRICS = ("last_loss", "best_eval_loss")
_MOST_ROWS = 30
_Row = TypeVar("_Row")


def reopen_closed_streams() -> None:
    """Open the null device for each standard stream that the caller closed, as `>&-` does.

    Otherwise the next opened file takes the descriptor, and with it everything printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w" if number else "r", encoding="utf-8"))  # noqa: SIM115


class _NamedOutput:
    """Standard output that sets `filename` on its OSErrors, to tell them from errors of the workspace's disk."""

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
    if isinstance(error, BrokenPipeError):
        return BrokenPipeError(_CLOSED)
    if error.errno in _FULL:
        error.filename = _OUTPUT
    return error


def replace_unencodable() -> None:
    """Print `?` for characters that the encoding of standard output or error lacks.

    Also wraps standard output in `_NamedOutput`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if not isinstance(sys.stdout, _NamedOutput):
        sys.stdout = cast(TextIO, _NamedOutput(sys.stdout))


def move_global_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Move `--workspace`, `--json` and `--debug`, which are accepted anywhere, before the command.

    Returns all arguments in the new order, and the moved ones alone.
    """
    moved: list[str] = []
    rest: list[str] = []
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if word == "--":
            rest += arguments[position:]
            break
        if word in _GLOBAL_FLAGS or word.startswith("--workspace="):
            moved.append(word)
        elif word in _GLOBAL_VALUES and position + 1 < len(arguments):
            moved += arguments[position : position + 2]
            position += 1
        else:
            rest.append(word)
        position += 1
    return moved + rest, moved


@dataclass(frozen=True)
class Output:
    """How a command prints its result, from the global options."""

    workspace: str | None = None
    json: bool = False
    debug: bool = False

    @cached_property
    def console(self) -> "Console":
        """The console of standard output. Piped output is plain and not truncated."""
        from rich.console import Console

        width = None if sys.stdout.isatty() else 160
        console = Console(file=masked(sys.stdout), width=width, highlight=False, soft_wrap=not sys.stdout.isatty())
        return safe_console(console)

    def print_json(self, value: Any) -> None:
        print(json_text(value, indent=True))

    def warn(self, text: str) -> None:
        """Print a warning on stderr, so that JSON on stdout stays valid."""
        warn(text)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        self.console.print(make_table(title, columns, rows))

    def first(self, rows: Sequence[_Row], most: int | None) -> Sequence[_Row]:
        """The rows to show: `most` of them, by default 30, and all in JSON, which a program reads."""
        return rows[:most] if most is not None else rows if self.json else rows[:_MOST_ROWS]

    def say_more(self, left: int) -> None:
        """Say below a table how many rows `first` left out."""
        if left:
            self.console.print(f"{left:,} more: --most")


def warn(text: str) -> None:
    """Print a warning on stderr."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text("warning: ", "bold yellow") + Text(plain(text)))


def show_plugin_warnings() -> None:
    """Print each `PluginWarning` as a warning of the command line; none while the shell completes a word."""
    show = warnings.showwarning

    def shown(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if not issubclass(category, PluginWarning):
            show(message, category, *place, **more)
        elif "_BURNISH_COMPLETE" not in os.environ:
            warn(str(message))

    warnings.showwarning = shown


def safe_console(console: "Console") -> "Console":
    """Escape the control characters of everything printed on the console; returns the console."""
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
    console.on_broken_pipe = lambda: _refuse_closed(console)
    return console


def _refuse_closed(console: "Console") -> None:
    """Print nothing more, and raise BrokenPipeError; Rich would exit with status 1."""
    console.quiet = True
    discard_output()
    raise BrokenPipeError(_CLOSED)


def discard_output() -> None:
    """Send what is still buffered for standard output to the null device: its reader is gone."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def json_text(value: Any, *, indent: bool = False, stream: TextIO | None = None) -> str:
    """Valid JSON: secrets masked, null for NaN, in the encoding of `stream` (default: standard output)."""
    import orjson

    options = orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    shown = masked_value(value)
    try:
        text = orjson.dumps(shown, default=str, option=options).decode()
    except orjson.JSONEncodeError:  # a file name that is not UTF-8
        readable = json.dumps(jsonable(shown), default=str, ensure_ascii=False).encode(errors="replace")
        text = orjson.dumps(orjson.loads(readable), option=options).decode()
    try:
        text.encode((stream or sys.stdout).encoding or "utf-8")
    except UnicodeEncodeError:  # the terminal lacks a character
        text = json.dumps(orjson.loads(text), indent=2 if indent else None)
    return printable_json(text)


def make_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], unbroken: Collection[str] = ()
) -> "StackingTable":
    """A table of values. Columns of numbers are right-aligned, those in `unbroken` are not wrapped."""
    from burnish.cli.table import StackingTable

    return StackingTable(title, columns, [[cell(value) for value in row] for row in rows], unbroken)


def cell(value: Any) -> str:
    """A value as text: four digits, thousands separators, control characters escaped."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return plain(str(value))


def plain(text: str) -> str:
    """Text for a terminal: secrets masked, control characters escaped."""
    return printable(mask(text))


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


def metrics_summary(metrics: Mapping[str, Any], most: int = 4) -> str:
    """Up to `most` numbers of an artifact's measures as `name value`, the key metrics first."""
    numbers = [name for name, value in metrics.items() if isinstance(value, int | float)]
    numbers.sort(key=lambda name: name not in _KEY_METRICS)
    return ", ".join(f"{name} {cell(metrics[name])}" for name in numbers[:most])


def program(start: Path | None = None) -> str:
    """The command that starts burnish from a folder (default: the current one): its name if on PATH, else its path."""
    script, folder = Path(sys.executable).with_name("burnish"), (start or Path()).resolve()
    if shutil.which("burnish") or not script.is_file():
        return "burnish"
    return str(script.relative_to(folder)) if script.is_relative_to(folder) else str(script)


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """A curve in one line of text: `█▆▄▃▂▁`."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    ticks = "▁▂▃▄▅▆▇█"
    size = -(-len(finite) // width)
    means = [sum(part) / len(part) for i in range(0, len(finite), size) if (part := finite[i : i + size])]
    low, high = min(means), max(means)
    return "".join(ticks[round((mean - low) / (high - low) * 7) if high > low else 0] for mean in means)


def as_burnish_error(error: Exception) -> BurnishError:
    """Convert any exception to a BurnishError with a fix.

    An unexpected exception is a bug of burnish: its traceback is written to a file.
    """
    if isinstance(error, BurnishError):
        return error
    if isinstance(error, TyperException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "burnish"
        return AskError("ask.wrong-value", error.format_message(), f"see `{command} --help`")
    if isinstance(error, OSError) and error.filename == _OUTPUT:
        discard_output()
        fix = "redirect to another file or a pipe; finished steps are reused"
        return MachineError("machine.no-disk", "cannot write to standard output: no space left", fix)
    if isinstance(error, OSError) and error.errno in _FULL:
        return MachineError("machine.no-disk", str(error), "free disk space, or use another --workspace")
    if isinstance(error, FileNotFoundError) and not error.filename and not _has_current_folder():
        return current_folder_gone()
    misplaced = misplaced_path(error)
    if misplaced is not None:
        return misplaced
    if isinstance(error, OSError) and error.filename:
        return RunError("run.failed", str(error), "check the permissions, or use another --workspace")

    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="burnish-fault-", suffix=".log", delete=False) as file:
        file.write(mask("".join(traceback.format_exception(error))))
    what = f"internal error: {type(error).__name__}: {error}"
    return RunError("run.failed", what, f"report it, with the traceback in {file.name}")


def _has_current_folder() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def report_error(error: BurnishError, origin: Exception, *, as_json: bool, debug: bool) -> int:
    """Print `error:` and `hint:` on stderr, or JSON with the results so far; returns the exit status.

    With `debug` the traceback is printed too.
    """
    if as_json:
        value = {"error": error.as_dict(), **(error.result or {})}
        print(json_text(value, indent=True, stream=sys.stderr), file=sys.stderr)
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
