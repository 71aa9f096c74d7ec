"""Which test runs which statement: made by running every test file once under the instrumented package, then cached.

What is kept for a test file holds until that file, a file of support, or a source that it ran has changed.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutation.child import Job
from mutation.hits import Instrumentation
from mutation.scope import CACHE, ROOT, TESTS, sources, test_files
from mutation.server import Result, Server


@dataclass
class Coverage:
    """The statements and the seconds of every test."""

    seconds: dict[str, float] = field(default_factory=dict)
    ran: dict[str, dict[str, int]] = field(default_factory=dict)
    """By file of the package: test → bit mask; bit n + 1 is statement n."""
    modules: list[str] = field(default_factory=list)
    """Packages of others that the tests load; a fork server loads them once."""
    failed: dict[str, str] = field(default_factory=dict)
    """Tests that fail without any mutant."""
    unstable: list[str] = field(default_factory=list)
    """Tests that failed and, run again, passed: they judge no mutant."""

    def add(self, kept: dict[str, Any]) -> None:
        self.unstable += kept["unstable"]
        for test, (seconds, masks) in kept["tests"].items():
            if test in kept["unstable"]:
                continue
            self.seconds[test] = seconds
            for name, mask in masks.items():
                self.ran.setdefault(name, {})[test] = int(mask, 16)
        self.modules += [name for name in kept["modules"] if name not in self.modules]
        self.failed.update(kept["failed"])

    def tests_of(self, name: str, statements: list[int]) -> set[str]:
        """The tests that run one of these statements of a file."""
        wanted = sum(1 << (number + 1) for number in set(statements))
        return {test for test, mask in self.ran.get(name, {}).items() if mask & wanted}


def _sha(*paths: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()[:24]


def _support(test: Path) -> list[Path]:
    """The test file and what it may import from `tests/`."""
    beside = [path for path in (ROOT / test).parent.glob("*.py") if not path.name.startswith("test_")]
    shared = [path for path in TESTS.glob("*.py") if not path.name.startswith("test_")]
    folders = [path.parent / "conftest.py" for path in (ROOT / test).parents if TESTS in path.parents]
    packages = [path for init in TESTS.glob("*/__init__.py") for path in init.parent.glob("*.py")]
    packages = [path for path in packages if path.parent.name != "mutation"]
    return sorted({ROOT / test, *beside, *shared, *(path for path in folders if path.exists()), *packages})


def measured(server: Server, *, say: Callable[[str], None] = print, only: set[str] | None = None) -> Coverage:
    """The coverage of all test files, or of those named; stale ones are run again."""
    instrumentation = Instrumentation(sources(), server.folder)
    (CACHE / "map").mkdir(parents=True, exist_ok=True)
    coverage, jobs = Coverage(), []
    for test in test_files():
        if only is not None and str(test) not in only:
            continue
        if (kept := _kept(test, instrumentation.shas)) is not None:
            coverage.add(kept)
        else:
            jobs.append(_job(str(test), instrumentation))
    if jobs:
        say(f"coverage: {len(jobs)} test files to run")
    records = {}
    for number, result in enumerate(server.run(jobs), start=1):
        records[result.job.name] = _keep(_record(result, instrumentation.shas), result.job.name)
        say(f"coverage {number}/{len(jobs)}: {result.job.name}, {result.seconds:.0f} s, {result.outcome}")
    again = [name for name, kept in records.items() if kept["failed"]]
    for result in server.run(_job(name, instrumentation) for name in again):
        say(f"coverage, again: {result.job.name}, {result.seconds:.0f} s, {result.outcome}")
        unstable = sorted(records[result.job.name]["failed"])
        kept = {**_record(result, instrumentation.shas), "unstable": unstable}
        records[result.job.name] = _keep(kept, result.job.name)
    for kept in records.values():
        coverage.add(kept)
    return coverage


def _job(test: str, instrumentation: Instrumentation) -> Job:
    plan = instrumentation.plan(_key(Path(test)))
    return Job(test, (test,), plan, first_failure_ends=False, by_file=instrumentation.by_file)


def known_modules() -> list[str]:
    """Packages of others that test files loaded when they were last run."""
    path = CACHE / "modules.json"
    return json.loads(path.read_text()) if path.exists() else []


def remember_modules(coverage: Coverage) -> None:
    (CACHE / "modules.json").write_text(json.dumps(coverage.modules))


def _key(test: Path) -> str:
    return "-".join(test.with_suffix("").parts)


def _place(test: Path) -> Path:
    return CACHE / "map" / f"{_key(test)}.json"


def _kept(test: Path, shas: dict[str, str]) -> dict[str, Any] | None:
    path = _place(test)
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    is_same = kept["sha"] == _sha(*_support(test)) and all(shas.get(n) == sha for n, sha in kept["sources"].items())
    return kept if is_same else None


def _keep(kept: dict[str, Any], test: str) -> dict[str, Any]:
    if not kept["failed"]:
        _place(Path(test)).write_text(json.dumps(kept))
    return kept


def _record(result: Result, shas: dict[str, str]) -> dict[str, Any]:
    """What is kept of a run; its plan is removed."""
    result.job.plan.with_suffix(".hits").unlink()
    result.job.plan.unlink()
    failed = dict(result.failed)
    if result.outcome in ("timeout", "crash"):
        failed[result.test or result.job.name] = f"{result.outcome}: {result.reason}\n{result.log}"
    names = {name for _, masks in result.ran.values() for name in masks}
    return {
        "sha": _sha(*_support(Path(result.job.name))),
        "sources": {name: shas[name] for name in sorted(names)},
        "modules": result.modules,
        "failed": failed,
        "unstable": [],
        "tests": result.ran,
    }
