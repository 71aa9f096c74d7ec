"""What a process that runs a step logs: its libraries, and tracebacks with local variables, secrets masked."""

import faulthandler
import json
import logging
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burnish.core.runs.run import Run
from burnish.core.secrets import MASK, mask, masked, names_a_secret
from burnish.core.version import VERSION

if TYPE_CHECKING:
    from rich.traceback import Trace

_LONGEST_LOCAL, _SHOWN_OF_LOCAL, _SHOWN_OF_MESSAGE = 100_000, 200, 2_000
_log = logging.getLogger("burnish")


def log_to_stderr(run: Run) -> None:
    """Log everything at DEBUG to standard error, where libraries print: who started the process sends it to a file."""
    faulthandler.enable()
    sys.stdout, sys.stderr = masked(sys.stdout), masked(sys.stderr)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG)
    logging.captureWarnings(capture=True)
    quiet_libraries()
    _log.debug("burnish %s, python %s, pid %s, run %s", VERSION, platform.python_version(), os.getpid(), run.name)
    _log.debug("job %s", json.dumps(run.record_of("job.json"), ensure_ascii=False))


def quiet_libraries() -> None:
    """Log less of libraries that write lines for each request or file."""
    for noisy in ("matplotlib", "PIL", "asyncio", "urllib3", "filelock", "numba", "fsspec", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # INFO is a line for each request


def log_traceback(log: Path, error: Exception) -> None:
    """Append a traceback with local variables to a file, secrets masked."""
    from rich.console import Console
    from rich.traceback import Traceback

    trace = Traceback.from_exception(
        type(error), error, error.__traceback__, show_locals=True, locals_max_string=_LONGEST_LOCAL
    )
    _clean(trace.trace)
    with log.open("a", encoding="utf-8") as file:
        Console(file=masked(file), width=140, no_color=True).print(trace)


def _clean(trace: "Trace") -> None:
    """Mask and shorten what a traceback prints of an error, of those before it, and of those in a group."""
    for stack in trace.stacks:
        stack.exc_value = _shortened(mask(stack.exc_value), _SHOWN_OF_MESSAGE)
        stack.notes = [_shortened(mask(note), _SHOWN_OF_MESSAGE) for note in stack.notes]
        if stack.syntax_error is not None:
            stack.syntax_error.line = _shortened(mask(stack.syntax_error.line), _SHOWN_OF_MESSAGE)
            stack.syntax_error.msg = _shortened(mask(stack.syntax_error.msg), _SHOWN_OF_MESSAGE)
        for frame in stack.frames:
            for name, node in (frame.locals or {}).items():
                _mask_local(node, name)
        for other in stack.exceptions:
            _clean(other)


def _shortened(text: str, most: int) -> str:
    """Rich takes minutes to highlight a long text without spaces."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def _mask_local(node: Any, name: str) -> None:
    """Mask a value before it is truncated or wrapped, when a secret would no longer match."""
    if node.value_repr and names_a_secret(name):
        node.value_repr = repr(MASK)
    elif node.value_repr:
        node.value_repr = _shortened(mask(node.value_repr), _SHOWN_OF_LOCAL)
    for child in node.children or ():
        _mask_local(child, child.key_repr)
