"""metadata.json: what was run to quantize a model and how it ended, written on failure too."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from burnish.core.errors import BurnishError
from burnish.core.files import read_json, write_json
from burnish.core.secrets import mask, masked_value
from burnish.core.version import VERSION
from burnish.export.quantize.supervised import Ended, tail

NAME = "metadata.json"
_TAIL = 60


class Metadata:
    """The record of one attempt, in a file that is rewritten as it goes on."""

    def __init__(self, path: Path, settings: Mapping[str, Any]):
        self.path = path
        self._values: dict[str, Any] = {
            "burnish": VERSION,
            "state": "running",
            "settings": dict(settings),
            "environment": None,
            "command": [],
            "started": time.time(),
            "ended": None,
            "seconds": None,
            "exit_status": None,
            "peak_memory_bytes": None,
            "versions": {},
            "phases": [],
            "error": None,
            "log": [],
        }
        self._write()

    def runs_in(self, environment: str, command: Sequence[str]) -> None:
        """The environment and the command."""
        self._values |= {"environment": environment, "command": list(command)}
        self._write()

    def ran_here(self, versions: Mapping[str, str]) -> None:
        """The packages that quantized in this process."""
        self._values |= {"environment": sys.executable, "versions": dict(versions)}
        self._write()

    def ended(self, ended: Ended | None, log: Path, report: Path | None = None) -> None:
        """How the command ended, the end of its log, and what its own report says."""
        if ended is not None:
            seconds = round(ended.seconds, 3)
            self._values |= {"exit_status": ended.status, "cause": ended.cause or None, "command_seconds": seconds}
            self._values["peak_memory_bytes"] = ended.peak_memory_bytes
        self._values["log"] = [mask(line) for line in tail(log, _TAIL)]
        if report is not None:
            own = read_report(report)
            self._values |= {name: own[name] for name in ("versions", "phases", "python") if name in own}
        self._write()

    def close(self, error: BaseException | None = None) -> None:
        """The end, with the error if there was one."""
        now = time.time()
        self._values |= {"ended": now, "seconds": round(now - self._values["started"], 3)}
        self._values["state"] = "succeeded" if error is None else "failed"
        if isinstance(error, BurnishError):
            self._values["error"] = error.as_dict()
        elif error is not None:
            self._values["error"] = {"what": f"{type(error).__name__}: {error}"}
        self._write()

    def _write(self) -> None:
        write_json(self.path, masked_value(self._values))


def read_report(path: Path) -> dict[str, Any]:
    """What the launcher wrote; empty if it did not get that far."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
