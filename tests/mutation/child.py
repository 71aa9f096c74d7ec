"""What a forked child does: run chosen tests with pytest under the hook, and say through a pipe what happens."""

import builtins
import io
import json
import os
import resource
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mutation import hook
from mutation.scope import ROOT

MEMORY = 8 << 30
"""Bytes of data a child may hold: a mutant that fills the memory fails instead of ending its neighbours."""


@dataclass(frozen=True)
class Job:
    """Tests to be run in one child."""

    name: str
    files: tuple[str, ...]
    plan: Path
    chosen: dict[str, float] = field(default_factory=dict)
    """Test ids with their usual seconds, in the order in which they run; all tests of the files where it is empty."""
    first_failure_ends: bool = True
    root: Path = ROOT
    by_file: Callable[[list[int]], dict[str, str]] | None = None
    """Turns statements that ran into masks; the child then reports what each test ran."""


def run(job: Job, pipe: int, folder: Path) -> None:
    """Never returns."""
    status = 70
    try:
        os.setsid()
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout, sys.stderr = io.TextIOWrapper(io.FileIO(1, "w")), io.TextIOWrapper(io.FileIO(2, "w"))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        os.chdir(job.root)
        os.environ.update(hook.environment(job.plan), HYPOTHESIS_STORAGE_DIRECTORY=str(folder / "hypothesis"))
        hook.install()
        sys.path.insert(0, str(job.root / "src"))
        words = [*job.files, "-p", "no:cacheprovider", "--hypothesis-seed=0", f"--basetemp={folder / 'tmp'}"]
        words += ["-m", "not torture and not gpu", "-W", "ignore::pytest.PytestAssertRewriteWarning", "--tb=short"]
        words += ["-x"] if job.first_failure_ends else []
        status = int(pytest.main(words, plugins=[_Reporter(job, pipe)]))
        sys.stdout.flush()
        _tell(pipe, "modules", _third_party() if job.by_file else [])
    finally:
        _tell(pipe, "done", status)
        os._exit(0)


def _tell(pipe: int, *words: Any) -> None:
    data = json.dumps(words).encode() + b"\n"
    while data:
        data = data[os.write(pipe, data) :]


def _third_party() -> list[str]:
    """Modules that this child has loaded and that are not ours, in the order of loading."""
    site = str(Path(pytest.__file__).parents[1])
    return [
        name
        for name, module in list(sys.modules.items())
        if (getattr(getattr(module, "__spec__", None), "origin", None) or "").startswith(site)
        and getattr(module, "__name__", None) == name
    ]


class _Reporter:
    """The pytest plugin: selects and orders the tests, reports them, and notes what they run."""

    def __init__(self, job: Job, pipe: int):
        self.job, self.pipe = job, pipe
        self.seconds: dict[str, float] = {}
        self.of_fixtures: dict[str, set[int]] = {}
        self.noted: set[int] = set()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if self.job.chosen:
            order = {name: place for place, name in enumerate(self.job.chosen)}
            config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in order])
            items[:] = sorted((i for i in items if i.nodeid in order), key=lambda item: order[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            _tell(self.pipe, "failed", report.nodeid, _reason(report))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            _tell(self.pipe, "failed", report.nodeid, _reason(report))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        _tell(self.pipe, "start", item.nodeid)
        self._take()
        self.noted = set()
        try:
            return (yield)
        finally:
            self.noted |= self._take()
            for name in getattr(item, "fixturenames", ()):
                self.noted |= self.of_fixtures.get(name, set())
            ran = self.job.by_file(sorted(self.noted)) if self.job.by_file else {}
            _tell(self.pipe, "end", item.nodeid, self.seconds.get(item.nodeid, 0.0), ran)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        """What a fixture of a module or session runs counts for every test that requests it."""
        if fixturedef.scope == "function":
            return (yield)
        self.noted |= self._take()
        try:
            return (yield)
        finally:
            self.of_fixtures.setdefault(fixturedef.argname, set()).update(self._take())

    def _take(self) -> set[int]:
        """The statements that ran since the last call."""
        if self.job.by_file is None:
            return set()
        buffer = getattr(builtins, hook.COUNTER)
        taken, at = set(), buffer.find(b"\x01")
        while at >= 0:
            taken.add(at)
            buffer[at] = 0
            at = buffer.find(b"\x01", at + 1)
        return taken


def _reason(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    return text.strip()[:300]
