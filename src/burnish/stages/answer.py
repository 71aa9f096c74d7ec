"""Answers a request of the control plane, which runs a module in a child process (`burnish.studio.workrooms.ask`)."""

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

from burnish.core.errors import BurnishError, RunError
from burnish.core.faults import reason

_SHOWN = 2000
"""Characters of a traceback."""


def answer(function: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Call a function with the request, JSON on standard input; its result or its error is JSON on standard output."""
    try:
        found = function(json.load(sys.stdin))
    except BurnishError as error:
        found = {"error": error.as_dict()}
    except Exception as error:  # a fault of burnish or of a library
        trace = "".join(traceback.format_exception(error))[-_SHOWN:]
        found = {"error": RunError("run.failed", f"{type(error).__name__}: {reason(error)}", trace).as_dict()}
    json.dump(found, sys.stdout, ensure_ascii=False, default=str)
