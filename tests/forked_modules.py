"""Processes of tests that import torch, forked by servers which have imported it: 0.1 s of a core instead of 3 to 5.

A server that imports this file also runs modules, as `python -m MODULE` does. What a library reads when it is imported
is the same as in a process of its own (`jobs.forkserver`); a test that starts `burnish` as a command is not served.
"""

import io
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from burnish.core.processes import module_command
from burnish.jobs import forkserver, worker
from pictures import save_unpainted

_MODULE = "--module"
_MOST = 3
"""Servers with torch, of 400 MB each, which they share with what they fork."""
_STAGES = tuple(
    f"burnish.stages.{name}"
    for name in ("data.prepare", "train.sft", "train.dpo", "evals.evaluate", "models.generate", "models.merge")
)
"""Imported too, 0.8 s of a core for each worker. Their modules keep nothing that a run or its surroundings change."""
_OTHERS = ("forked_data", "transformers.models.qwen3.modeling_qwen3")
"""Of data, and of the embedded model."""
_usual_main = worker.main


def _main(arguments: Sequence[str]) -> None:
    """In a forked process: a worker, or a module with its three streams on files."""
    if arguments[0] != _MODULE:
        _usual_main(arguments)
        return
    module, folder, *words = arguments[1:-2]
    os.close(int(arguments[-1]))
    for number, (name, flags) in enumerate((("in", os.O_RDONLY), ("out", os.O_WRONLY), ("err", os.O_WRONLY))):
        os.dup2(os.open(Path(folder, name), flags), number)
    sys.stdin, sys.stdout, sys.stderr = (
        io.TextIOWrapper(os.fdopen(number, mode), encoding="utf-8", line_buffering=number == 2)
        for number, mode in ((0, "rb"), (1, "wb"), (2, "wb"))
    )
    sys.argv = [module, *words]
    status: Any = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        status = ended.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1)


if getattr(sys.modules["__main__"].__spec__, "name", None) == "burnish.jobs.forking":
    worker.main = _main
    os.fsync = lambda descriptor: os.fstat(descriptor) and None  # as in the process of the tests
    Figure.savefig = save_unpainted
    import_module("transformers.conversion_mapping").get_checkpoint_conversion_mapping("qwen3")  # makes a large table


_WITHOUT_TORCH = ("burnish.stages.ship.smoke_test", "burnish.stages.models.served_chat")
"""Modules that import no torch: a process of their own takes 0.3 s, a server 8 s."""


class TorchServers:
    """A server for the first surroundings, and for others that are met a second time: those that were met last."""

    def __init__(self) -> None:
        self._servers: dict[str, forkserver.ForkServer] = {}
        """Those used last come last."""
        self._met: Counter[str] = Counter()

    def of(self, environment: Mapping[str, str]) -> forkserver.ForkServer | None:
        inherited = forkserver._inherited(environment)
        surroundings = repr(inherited)
        self._met[surroundings] += 1
        server = self._servers.pop(surroundings, None)
        is_wanted = self._met[surroundings] > 1 or not self._servers
        if server is None and forkserver.IS_SUPPORTED and is_wanted:
            if len(self._servers) == _MOST:
                self._servers.pop(next(iter(self._servers))).close()
            paths = os.pathsep.join(filter(None, (environment.get("PYTHONPATH"), str(Path(__file__).parent))))
            libraries = (*forkserver.LIBRARIES, Path(__file__).stem, *_STAGES, *_OTHERS)
            server = forkserver.ForkServer({**environment, "PYTHONPATH": paths}, libraries)
            server._inherited = inherited
        if server is not None:
            self._servers[surroundings] = server
        return server

    def close(self) -> None:
        for server in self._servers.values():
            server.close()

    def run(
        self,
        command: Sequence[str],
        *,
        input: bytes = b"",
        capture_output: bool = False,
        env: Mapping[str, str],
        check: bool,
    ) -> subprocess.CompletedProcess[bytes]:
        """As `subprocess.run` for `python -m MODULE WORDS`; output that is not captured is printed."""
        server = None if command[2] in _WITHOUT_TORCH else self.of(env)
        worker = None
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for stream, content in {"in": input, "out": b"", "err": b""}.items():
                (folder / stream).write_bytes(content)
            if server is not None and command[:3] == module_command(command[3])[:3]:
                null = os.open(os.devnull, os.O_RDWR)
                worker = server.start([_MODULE, command[3], name, *command[4:]], env, null, null)
                os.close(null)
            if worker is None:
                taken = {"input": input} if capture_output else {}
                return subprocess.run(command, capture_output=capture_output, env=dict(env), check=check, **taken)
            done = subprocess.CompletedProcess(
                command, worker.wait(), (folder / "out").read_bytes(), (folder / "err").read_bytes()
            )
        if not capture_output:
            sys.stdout.write(done.stdout.decode())
            sys.stderr.write(done.stderr.decode())
        assert not check
        return done
