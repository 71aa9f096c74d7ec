"""Answers a request of the control plane, which runs a module in a child process (`burnish.studio.workrooms.ask`)."""

import json
import os
import secrets
import sys
import traceback
from collections.abc import Callable
from typing import Any

from burnish.core.errors import BurnishError, RunError

_SHOWN = 2000
"""Characters of a traceback."""


def answer(function: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Call a function with the request, JSON on standard input; its result or its error is JSON on standard output."""
    json.dump(_answered(function, sys.stdin.read()), sys.stdout, ensure_ascii=False, default=str)


def answer_each(function: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The same for many requests, one a line, until standard input ends (`burnish.studio.kept_workrooms`).

    What libraries print goes to standard error.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            found = json.dumps(_answered(function, line), ensure_ascii=False, default=str)
            answers.write(found + "\n")  # halves of surrogate pairs, as in odd file names, become `?`
            answers.flush()


def _answered(function: Callable[[dict[str, Any]], dict[str, Any]], request: str) -> dict[str, Any]:
    """The answer to a request, or its error."""
    try:
        return function(json.loads(request))
    except BurnishError as error:
        return {"error": error.as_dict()}
    except Exception as error:  # a fault of burnish or of a library: its text and trace are for the log of who asks
        reference = secrets.token_hex(8)
        fix = f"try again; the log has the details under {reference}"
        known = RunError("run.failed", f"burnish failed unexpectedly ({type(error).__name__})", fix)
        trace = "".join(traceback.format_exception(error))[-_SHOWN:]
        return {"error": {**known.as_dict(), "reference": reference, "trace": trace}}
