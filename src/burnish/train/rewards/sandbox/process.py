"""Starts the child processes of an answer, waits for them, and ends them."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from burnish.core.errors import MachineError
from burnish.train.rewards.sandbox.child import READY, UNCONFINED

_ROOT = Path(__file__).parents[4]
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from burnish.train.rewards.sandbox.child import main; main()"
_LONGEST_REPORT = 1 << 22
_LATE = "it took more than"


@dataclass(frozen=True)
class Limits:
    """What a child process may use: `seconds` of processor time, `clock` seconds in all, `memory` in MiB, `output` in
    bytes."""

    seconds: int
    clock: float
    memory: int
    output: int
    packages: bool
    isolation: str


@dataclass(frozen=True)
class Finished:
    """How a program ended; `problem` is "" if it ended by itself with status 0. `is_late`: its time was up."""

    output: bytes
    problem: str
    is_late: bool = False


@dataclass(frozen=True)
class Verdict:
    """The result of one test."""

    passed: bool
    reason: str


def run_program(code: str, given: str, limits: Limits) -> Finished:
    """Run an answer as a program with standard input."""
    with _Workplace() as place:
        stdin, stdout = place.file(given.encode("utf-8", "replace")), place.file()
        child = place.start({"role": "program", "code": code}, limits, stdin, stdout)
        problem = child.wait(limits)
        stdout.seek(0)
        return Finished(stdout.read(limits.output), problem, problem.startswith(_LATE))


def run_tests(code: str, setup: str, tests: Sequence[str], counts: Sequence[int], limits: Limits) -> list[Verdict]:
    """Run the asserts of texts against an answer, in another process than the answer's; one verdict for each test.

    `counts` has the number of tests in each text. A test without a verdict has failed.
    """
    with _Workplace() as place:
        left, right = socket.socketpair()
        with left, right:
            answer = place.start({"role": "answer", "code": code, "socket": left.fileno()}, limits)
            job = {"role": "tests", "setup": setup, "tests": list(tests), "socket": right.fileno()}
            judge = place.start(job, limits)
        problem = judge.wait(limits)
        if not problem.startswith(_LATE):
            answer.end()
            problem = answer.problem(limits) or problem
        found = judge.verdicts()
    missing = Verdict(False, f"the test was not finished: {problem or 'its process ended'}")
    return [
        found.get((text, test)) or found.get((text, None)) or missing
        for text, count in enumerate(counts)
        for test in range(count)
    ]


@cache
def isolation_of(limits: Limits) -> str:
    """How the processes are confined, found out by trying.

    Errors: MachineError `machine.no-sandbox`.
    """
    with _Workplace() as place:
        stdout = place.file()
        child = place.start({"role": "program", "code": "print(6 * 7)"}, limits, None, stdout)
        problem = child.wait(limits)
        report = child.report()
        stdout.seek(0)
        printed, said = stdout.read(100), child.errors()
    fix = "run on Linux, or accept a weaker isolation: isolation: python"
    if report.startswith(UNCONFINED):
        why = report.removeprefix(UNCONFINED).decode("utf-8", "replace")
        raise MachineError("machine.no-sandbox", f"code of answers cannot be isolated here: {why}", fix)
    if not report.startswith(READY) or printed != b"42\n" or problem:
        why = problem or said or "it printed nothing"
        fix = "raise memory, or check that this Python can start child processes"
        raise MachineError("machine.no-sandbox", f"a trial program did not run in the sandbox: {why}", fix)
    return report.removeprefix(READY).splitlines()[0].decode()


class _Child:
    """A child process, with the file of its report and that of its errors."""

    def __init__(self, process: "subprocess.Popen[bytes]", report: IO[bytes], errors: IO[bytes]):
        self.process, self._report, self._errors = process, report, errors
        self._began = time.monotonic()
        self._was_ended = False

    def wait(self, limits: Limits) -> str:
        """Wait for the end, or the time limit. Returns why it did not end by itself with status 0."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, self._began + limits.clock - time.monotonic()))
        late = self.process.poll() is None
        self.end()
        return f"{_LATE} {limits.clock:g} s" if late else self.problem(limits)

    def problem(self, limits: Limits) -> str:
        """Why it ended, in words; "" for status 0, and for a process that was ended from here."""
        status = self.process.returncode
        if not status or self._was_ended:
            return ""
        if status in (-signal.SIGXCPU, -signal.SIGKILL):
            return f"{_LATE} {limits.seconds} s of processor time"
        if status < 0:
            return f"it was ended by {signal.Signals(-status).name}"
        return f"it ended with status {status}{': ' if self.errors() else ''}{self.errors()}"

    def end(self) -> None:
        """End the process and its group."""
        if self.process.poll() is None:
            self._was_ended = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
        self.process.wait()

    def report(self) -> bytes:
        """What it reported."""
        self._report.seek(0)
        return self._report.read(_LONGEST_REPORT)

    def errors(self) -> str:
        """The last line of its error output."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - 500))
        lines = self._errors.read(500).decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:200] if lines else ""

    def verdicts(self) -> dict[tuple[int, int | None], Verdict]:
        """The verdicts in its report, by text and test; test None is for the whole text."""
        found: dict[tuple[int, int | None], Verdict] = {}
        for line in self.report().splitlines()[2:]:
            with contextlib.suppress(ValueError):
                text, test, passed, reason = json.loads(line)
                found[text, test] = Verdict(passed is True, str(reason))
        return found


class _Workplace:
    """An empty folder, and what is started and opened for one answer; all of it is gone at the end."""

    def __enter__(self) -> "_Workplace":
        self._stack = ExitStack()
        self._folder = self._stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def file(self, content: bytes = b"") -> IO[bytes]:
        """An open file without a name."""
        file = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the stack)
        self._stack.callback(file.close)
        file.write(content)
        file.seek(0)
        return file

    def start(
        self, job: dict[str, Any], limits: Limits, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None
    ) -> _Child:
        """Start a child with its job; without files its input is empty and its output is discarded."""
        report, errors = self.file(), self.file()
        confined = {
            "isolation": limits.isolation,
            "seconds": limits.seconds,
            "memory": limits.memory << 20,
            "output": _LONGEST_REPORT if job["role"] == "tests" else limits.output,
        }
        whole = {**job, "report": report.fileno(), "packages": limits.packages, "limits": confined}
        written = self.file(json.dumps(whole).encode())
        inherited = [written.fileno(), report.fileno(), *([job["socket"]] if "socket" in job else [])]
        options = ["-P", "-s", "-B", "-X", "utf8", *([] if limits.packages else ["-S"])]
        process = subprocess.Popen(
            [sys.executable, *options, "-c", _BOOT, str(_ROOT), str(written.fileno())],
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or subprocess.DEVNULL,
            stderr=errors,
            cwd=self._folder,
            env=dict(_environment()),
            pass_fds=inherited,
            start_new_session=True,
        )
        child = _Child(process, report, errors)
        self._stack.callback(child.end)
        return child


def _environment() -> Iterator[tuple[str, str]]:
    """The environment of a child: nothing of this process's but where its libraries are."""
    yield "PYTHONHASHSEED", "0"  # the order of sets is the same in every run
    yield "LC_ALL", "C.UTF-8"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        yield name, "1"
    if libraries := os.environ.get("LD_LIBRARY_PATH"):
        yield "LD_LIBRARY_PATH", libraries
