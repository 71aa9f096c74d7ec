"""A reward by tests: the Python code of the answer runs in a sandbox."""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from burnish.core.context import wait_for
from burnish.core.errors import DataError
from burnish.core.processes import usable_cores
from burnish.evals.scoring.columns import column_of, value_of
from burnish.specs.rewards import CodeReward
from burnish.train.rewards.code_tests import Asserts, Programs, row_tests
from burnish.train.rewards.reward import Completion, Rewarded
from burnish.train.rewards.sandbox.process import Finished, Limits, Verdict, isolation_of, run_program, run_tests

_FENCE = re.compile(
    r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE
)
_CLOCK = 6
"""Seconds on the clock for each of processor time: enough that the load of the machine decides nothing."""
_PYTHON = ("python", "python3", "py", "")


class Code:
    """The tests of the row that the answer's code passes: all of them, or the share.

    `emit` receives a sentence on how the code is confined. Errors: MachineError `machine.no-sandbox`; DataError for
    tests that are not of a known form.
    """

    def __init__(
        self,
        spec: CodeReward,
        name: str,
        emit: Callable[[str], None] = lambda text: None,
        is_stopping: Callable[[], bool] = lambda: False,
    ):
        self.name, self.weight, self._is_stopping = name, spec.weight, is_stopping
        self.column, self.setup, self.shares = spec.tests, spec.setup, spec.score == "share"
        seconds = spec.time_limit
        self.limits = Limits(seconds, _CLOCK * seconds, spec.memory, spec.output, spec.packages, spec.isolation)
        self._processes = usable_cores() if spec.processes == "auto" else spec.processes
        self.isolation = isolation_of(self.limits)
        emit(f"reward '{name}' runs the code of answers confined by {self.isolation}")

    def __call__(self, completions: Sequence[Completion]) -> list[Rewarded]:
        jobs = [self._job(completion) for completion in completions]
        with ThreadPoolExecutor(self._processes) as pool:
            futures = [pool.submit(job) for job in jobs]
            try:
                wait_for(futures, self._is_stopping)
                return [future.result() for future in futures]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def close(self) -> None:
        """Nothing is held: every process has ended with its answer."""

    def _job(self, completion: Completion) -> Callable[[], Rewarded]:
        """What is to be done for a completion; reading its tests fails here, before anything runs."""
        found = self._tests(completion)
        if isinstance(found, Rewarded):
            return lambda: found
        code = code_in(completion.visible)
        if not code.strip():
            return lambda: Rewarded(0.0, "the answer has no code")
        return lambda: self._rewarded(self._verdicts(code, found))

    def _tests(self, completion: Completion) -> Asserts | Programs | Rewarded:
        try:
            value = value_of(completion.row, self.column)
            setup = None if self.setup is None else column_of(completion.row, self.setup)
        except DataError as error:
            fix = f"set `tests` and `setup` of the reward to columns that the rows have ({error.fix})"
            return Rewarded(None, error.reason, fix)
        entry_point = (completion.row.get("extra") or {}).get("entry_point")
        return row_tests(value, setup, entry_point, completion.place)

    def _verdicts(self, code: str, tests: Asserts | Programs) -> list[Verdict]:
        if isinstance(tests, Asserts):
            return run_tests(code, tests.setup, tests.texts, tests.counts, self.limits)
        verdicts: list[Verdict] = []
        for given, wanted in tests.pairs:
            done = run_program(code, given, self.limits)
            verdicts.append(_compared(done, given, wanted))
            if done.is_late or (not self.shares and not verdicts[-1].passed):
                break
        missing = [Verdict(False, "not run")] * (len(tests.pairs) - len(verdicts))
        return [*verdicts, *missing]

    def _rewarded(self, verdicts: list[Verdict]) -> Rewarded:
        passed = sum(verdict.passed for verdict in verdicts)
        first = next((verdict.reason for verdict in verdicts if not verdict.passed), "")
        value = passed / len(verdicts) if self.shares else float(not first and passed == len(verdicts))
        return Rewarded(value, f"{passed} of {len(verdicts)} tests pass{'; ' if first else ''}{first}")


def code_in(answer: str) -> str:
    """The last fenced block of Python or of no language, to the end if it is not closed; else the whole answer."""
    blocks = [block for _, language, block in _FENCE.findall(answer) if language.lower() in _PYTHON]
    return blocks[-1] if blocks else answer


def _compared(done: Finished, given: str, wanted: str) -> Verdict:
    if done.problem:
        return Verdict(False, f"for the input {_shown(given)}: {done.problem}")
    printed = done.output.decode("utf-8", "replace")
    if _lines(printed) == _lines(wanted):
        return Verdict(True, "")
    return Verdict(False, f"for the input {_shown(given)}: printed {_shown(printed)} instead of {_shown(wanted)}")


def _lines(text: str) -> list[str]:
    """The lines without white space at their ends, and without empty lines at the end."""
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
