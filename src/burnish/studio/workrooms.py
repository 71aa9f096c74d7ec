"""Ask a workroom in a child process: it needs packages that the control plane does not import."""

import json
import logging
import os
import secrets
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from burnish.core.errors import BurnishError, MachineError, RunError, error_from_dict
from burnish.core.processes import module_command
from burnish.core.secrets import mask
from burnish.jobs.environment import worker_environment

_log = logging.getLogger(__name__)
SHOWN = 2_000
"""Bytes of what a child process printed."""


def require(package: str, extra: str) -> None:
    """Raise MachineError `machine.no-package` if a package of the child process is not installed."""
    if find_spec(package) is None:
        raise MachineError(
            "machine.no-package",
            f"this needs the package {package}, which is not installed",
            f"pip install 'burnish[{extra}]'",
        )


def ask(module: str, request: dict[str, Any]) -> dict[str, Any]:
    """Run a module in a child process with a JSON request; returns its answer or raises its error."""
    done = subprocess.run(
        module_command(module),
        input=json.dumps(request).encode(),
        capture_output=True,
        env=worker_environment(),
        check=False,
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise broken(f"{module} exited with status {done.returncode}", done.stderr) from None
    if "error" in answer:
        raise error_of(module, answer["error"])
    return answer


def error_of(module: str, record: Mapping[str, Any]) -> BurnishError:
    """The error that a workroom answered with. One that it did not expect is logged with its trace, which holds paths
    of this machine, under the reference that its fix names."""
    if "trace" in record:
        _log.error("%s failed (%s):\n%s", module, record["reference"], mask(record["trace"]))
    return error_from_dict(record)


def end_of_file(path: Path) -> bytes:
    """The end of what a child process printed to a file, as much as `broken` logs."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - SHOWN))
        return file.read(SHOWN)


def broken(what: str, printed: bytes, kind: type[RunError] = RunError, code: str = "run.failed") -> RunError:
    """The error of a child process that gave no answer. The end of what it printed, which holds paths of this machine,
    is logged under the reference that the fix names."""
    reference, tail = secrets.token_hex(8), printed[-SHOWN:].decode(errors="replace").strip()
    _log.error("%s (%s); it printed:\n%s", what, reference, mask(tail) or "nothing")
    return kind(code, what, f"try again; the log has the details under {reference}")
