"""Servers of the studio, forked by a process that has imported them: 0.2 s of a core for each instead of 1.7.

What a server does is the same; only its parent differs. `burnish ui` and its server are started as commands in
`page`, `test_ui.py`, `test_served.py` and wherever a test is about a start.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from burnish.core.processes import module_command
from burnish.jobs import worker
from burnish.jobs.forkserver import IS_SUPPORTED, ForkedWorker, ForkServer, _inherited


def _serve(arguments: Sequence[str]) -> NoReturn:
    """In a forked process: `python -m burnish.server WORDS`, whose errors go to the second descriptor."""
    from burnish.server import __main__ as server

    *words, parent, errors = arguments
    os.dup2(int(errors), 2)
    os.close(int(errors))
    sys.argv = ["burnish.server", *words, "--parent", parent]
    status: Any = 0
    try:
        server.main()
    except SystemExit as ended:
        status = ended.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    os._exit(status if isinstance(status, int) else 1)


if getattr(sys.modules["__main__"].__spec__, "name", None) == "burnish.jobs.forking":
    worker.main = _serve


class StudioServers:
    """Starts servers; those in the surroundings of the first are forked."""

    def __init__(self) -> None:
        self._forking: ForkServer | None = None

    def start(
        self, options: Sequence[str], *, is_forked: bool
    ) -> tuple["subprocess.Popen[bytes] | ForkedWorker", IO[bytes]]:
        """A server that ends with this process, and what it prints."""
        if is_forked and self._forking is None and IS_SUPPORTED:
            paths = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(Path(__file__).parent))))
            libraries = ("burnish.server.__main__", Path(__file__).stem)
            self._forking = ForkServer({**os.environ, "PYTHONPATH": paths}, libraries)
            self._forking._inherited = _inherited(os.environ)
        said, saying = os.pipe()
        try:
            process = self._forking.start(options, os.environ, saying, 2) if is_forked and self._forking else None
            if process is None:
                command = module_command("burnish.server", *options, "--parent", str(os.getpid()))
                process = subprocess.Popen(command, stdout=saying)
        finally:
            os.close(saying)
        return process, os.fdopen(said, "rb")

    def close(self) -> None:
        if self._forking is not None:
            self._forking.close()
            self._forking = None


SERVERS = StudioServers()
"""Of this process; closed by the tests of `server`."""
