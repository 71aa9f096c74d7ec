"""Try mutants: each in a child of the server, against its tests; and prove that the harness can kill and can spare."""

import ast
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from difflib import unified_diff
from pathlib import Path

from mutation.child import Job
from mutation.choice import Chooser, Mutant
from mutation.hook import write
from mutation.scope import CACHE
from mutation.server import Result, Server

KILLED = ("failed", "timeout", "crash")


class HarnessError(Exception):
    """The harness itself cannot be believed."""


@dataclass
class Trial:
    """What came of one mutant."""

    identity: tuple[str, ...]
    room: str
    name: str
    operator: str
    diff: str
    outcome: str
    """failed | timeout | crash | survived | not covered | equivalent"""
    by: str = ""
    """The test that killed it."""
    reason: str = ""
    tests: tuple[str, ...] = ()
    left: int = 0
    """Tests that run the statement and were left out for their time."""
    seconds: float = 0.0

    @property
    def is_alive(self) -> bool:
        return self.outcome in ("survived", "not covered")


def diff(mutant: Mutant) -> str:
    """The changed lines, as a unified diff without context."""
    source = mutant.source.read()
    changed = mutant.mutation.applied(source)
    lines = unified_diff(source.decode().splitlines(), changed.decode().splitlines(), n=0, lineterm="")
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def _plan(path: Path, mutant: Mutant | None, source: bytes | None = None) -> Path:
    codes = {}
    if mutant is not None:
        text = mutant.mutation.applied(mutant.source.read()) if source is None else source
        codes[str(mutant.source.path)] = compile(text, str(mutant.source.path), "exec", dont_inherit=True)
    return write(path, codes)


def _job(name: str, tests: dict[str, float], plan: Path) -> Job:
    return Job(name, tuple(dict.fromkeys(test.partition("::")[0] for test in tests)), plan, tests)


def prove(server: Server, chooser: Chooser, mutants: list[Mutant]) -> str:
    """A certain mutant dies and an unchanged copy of its module lives, by the same road as all others.

    The certain mutant is the first of the sample in a function: that function raises. Errors: HarnessError.
    """
    for mutant in mutants:
        tests, _ = chooser.tests(mutant)
        planted = _raising(mutant)
        if not tests or planted is None:
            continue
        text = mutant.source.read()
        for name, source in (("planted", planted), ("unchanged", text)):
            plan = _plan(server.folder / f"{name}.plan", mutant, source)
            result = next(iter(server.run([_job(name, tests, plan)])))
            if (name == "planted") != (result.outcome == "failed"):
                raise HarnessError(f"{mutant.name}, {name}: {result.outcome}, {result.reason}\n{result.log}")
        return f"{mutant.source.name}:{mutant.mutation.function}"
    raise HarnessError(
        "no mutant of the sample is in a function that a test runs: nothing proves that one can be killed"
    )


def _raising(mutant: Mutant) -> bytes | None:
    """The module with a `raise` before the mutated statement; None at the level of the module."""
    source = mutant.source.read()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = None
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            for statement in node.body:
                start = starts[statement.lineno - 1] + statement.col_offset
                end = starts[(statement.end_lineno or 1) - 1] + (statement.end_col_offset or 0)
                if start <= mutant.mutation.start < end and type(statement) in (ast.Return, ast.Assign, ast.Expr):
                    found = start
    if found is None:
        return None
    return source[:found] + b"raise SystemError('planted'); " + source[found:]


def trials(
    server: Server,
    chooser: Chooser,
    mutants: list[Mutant],
    equivalent: Callable[[Mutant], bool],
    say: Callable[[str], None] = print,
) -> list[Trial]:
    """All trials, in the order of the mutants."""
    by_name: dict[str, Trial] = {}
    jobs: list[Job] = []
    for number, mutant in enumerate(mutants):
        tests, left = chooser.tests(mutant)
        outcome = "equivalent" if equivalent(mutant) else "not covered" if not tests else ""
        trial = Trial(
            mutant.identity,
            mutant.source.room,
            mutant.name,
            mutant.mutation.operator,
            diff(mutant),
            outcome,
            tests=tuple(tests),
            left=left,
        )
        by_name[str(number)] = trial
        if not outcome:
            jobs.append(_job(str(number), tests, server.folder / f"{number}.plan"))

    def planned() -> Iterable[Job]:
        for job in jobs:
            _plan(job.plan, mutants[int(job.name)])
            yield job

    for count, result in enumerate(server.run(planned()), start=1):
        result.job.plan.unlink()
        trial = by_name[result.job.name]
        _take(trial, result)
        by = f" by {trial.by}" if trial.by else ""
        if count % 20 == 0:
            save([trial for trial in by_name.values() if trial.outcome], CACHE / "last.json")  # of a run cut short
        say(f"{count}/{len(jobs)} {trial.name} [{trial.operator}]: {trial.outcome}{by}, {trial.seconds:.1f} s")
    return list(by_name.values())


def _take(trial: Trial, result: Result) -> None:
    trial.outcome = "survived" if result.outcome == "passed" else result.outcome
    trial.by, trial.reason = result.test if result.outcome != "passed" else "", result.reason
    trial.seconds = round(result.seconds, 2)


def control(server: Server, chooser_seconds: dict[str, float], tried: list[Trial]) -> dict[str, str]:
    """Run every test that killed once more, without a mutant; gives those that fail then too."""
    killers = sorted({trial.by for trial in tried if trial.outcome in KILLED and trial.by in chooser_seconds})
    files: dict[str, dict[str, float]] = {}
    for test in killers:
        files.setdefault(test.partition("::")[0], {})[test] = chooser_seconds[test]
    plan = _plan(server.folder / "control.plan", None)
    jobs = [Job(name, (name,), plan, tests, first_failure_ends=False) for name, tests in files.items()]
    failed: dict[str, str] = {}
    for result in server.run(jobs):
        failed.update(result.failed)
        if result.outcome in ("timeout", "crash"):
            failed[result.test] = result.outcome
    return failed


def save(tried: list[Trial], path: Path) -> None:
    path.write_text(json.dumps([asdict(trial) for trial in tried], indent=1))


def load(path: Path) -> list[Trial]:
    rows = json.loads(path.read_text())
    return [Trial(**{**row, "identity": tuple(row["identity"]), "tests": tuple(row["tests"])}) for row in rows]
