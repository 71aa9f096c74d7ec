"""A fork server: everything slow is imported once, and each job runs in a fork of this process.

Nothing of burnish is imported here, so that a child imports it through the hook. No thread may run when a child is
forked; torch starts none as long as it computes nothing.
"""

import contextlib
import gc
import importlib
import json
import os
import selectors
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutation import child
from mutation.child import Job

FIRST = ("numpy", "torch", "transformers", "peft", "safetensors.torch", "pyarrow.parquet", "pydantic", "typer", "rich")
_WITHOUT_THREADS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
TO_COLLECT, TO_TEARDOWN = 120.0, 60.0
AT_LEAST, FACTOR = 20.0, 8.0
"""A test may take AT_LEAST seconds and FACTOR times its usual ones before it counts as timed out."""


@dataclass
class Result:
    """What came of a job."""

    job: Job
    outcome: str = "passed"
    """passed | failed | timeout | crash"""
    test: str = ""
    reason: str = ""
    ran: dict[str, tuple[float, dict[str, str]]] = field(default_factory=dict)
    """Seconds and statements by test."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    seconds: float = 0.0
    log: str = ""


class _Child:
    def __init__(self, job: Job, folder: Path):
        self.result, self.folder = Result(job), folder
        self.rest, self.started = b"", time.monotonic()
        self.deadline = self.started + TO_COLLECT
        self.is_done = False
        reading, writing = os.pipe()
        gc.freeze()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            child.run(job, writing, folder)
        os.close(writing)
        self.pipe = reading

    def read(self) -> bool:
        """Take in what the child has said; False at the end of the pipe."""
        data = os.read(self.pipe, 1 << 16)
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self._heard(*json.loads(line))
        return bool(data)

    def _heard(self, kind: str, *words: Any) -> None:
        result, now = self.result, time.monotonic()
        if kind == "start":
            result.test = words[0]
            self.deadline = now + AT_LEAST + FACTOR * result.job.chosen.get(words[0], 60.0)
        elif kind == "end":
            result.ran[words[0]] = (words[1], words[2])
            self.deadline = now + TO_TEARDOWN
        elif kind == "failed":
            result.failed.append((words[0], words[1]))
        elif kind == "modules":
            result.modules = words[0]
        elif kind == "done":
            self.is_done = True
            if result.failed:
                result.outcome, (result.test, result.reason) = "failed", result.failed[0]
            elif words[0] not in (0, 5):
                result.outcome, result.reason = "crash", f"pytest ended with status {words[0]}"

    def end(self) -> Result:
        """Reap the child, with every process of its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.pipe)
        if not self.is_done and self.result.outcome == "passed":
            self.result.outcome = "crash"
            self.result.reason = f"the process ended with wait status {status}"
        self.result.seconds = time.monotonic() - self.started
        log = self.folder / "log"
        self.result.log = log.read_text(errors="replace")[-8000:] if log.exists() else ""
        shutil.rmtree(self.folder, ignore_errors=True)
        return self.result


class Server:
    """Runs jobs, `workers` at a time."""

    def __init__(self, workers: int, modules: Iterable[str] = (), first: Iterable[str] = FIRST):
        self.workers = workers
        os.environ.update(_WITHOUT_THREADS, MPLBACKEND="Agg")
        for name in (*first, *modules):
            if name not in sys.modules:
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(1)
        ours = [name for name in sys.modules if name.partition(".")[0] == "burnish"]
        if ours or threading.active_count() > 1 or len(os.listdir("/proc/self/task")) > 1:
            raise RuntimeError(f"the fork server is not clean: {ours}, {threading.enumerate()}")
        gc.collect()
        self.folder = Path(tempfile.mkdtemp(prefix="mutants-"))

    def run(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Results in the order in which they come."""
        waiting, running = iter(jobs), {}
        with selectors.DefaultSelector() as selector:
            try:
                while True:
                    while len(running) < self.workers and (job := next(waiting, None)) is not None:
                        # a new name for each: a process that a killed child left may still write into its folder
                        one = _Child(job, Path(tempfile.mkdtemp(dir=self.folder)))
                        running[one.pipe] = one
                        selector.register(one.pipe, selectors.EVENT_READ)
                    if not running:
                        return
                    ended = [running[key.fd] for key, _ in selector.select(0.2) if not running[key.fd].read()]
                    for one in list(running.values()):
                        if one not in ended and time.monotonic() > one.deadline:
                            one.result.outcome, one.result.reason = "timeout", "took too long"
                            ended.append(one)
                    for one in ended:
                        selector.unregister(one.pipe)
                        del running[one.pipe]
                        yield one.end()
            finally:
                for one in running.values():
                    one.end()

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
