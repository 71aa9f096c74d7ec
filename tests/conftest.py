"""Doubles that several rooms need: an empty workspace, and a package of quick stages as pip would have installed it."""

import contextlib
import ctypes
import gc
import importlib
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure

import burnish
from burnish.core.catalog import needs_torch, stages
from burnish.core.memory import available_memory
from burnish.core.runs.workspace import Workspace
from burnish.jobs import forkserver
from burnish.jobs.environment import worker_environment
from burnish.studio import exploration, workrooms
from burnish.studio.executing import execution
from forked_modules import TorchServers
from pictures import PAINTED, save_unpainted
from some_cases import leave_to_torture

_ORDER = (
    "page/test_journey.py",
    "e2e",
    "page/test_screens.py",
    "museum",
    "page/test_payloads.py",
    "studio",
    "page",
    "train",
    "cli",
    "export",
    "stages",
    "models",
    "tokens",
    "evals",
    "gpu",
    "jobs",
    "server",
    "serve",
)
"""Folders and files. Those that start a browser lie apart, so that no two workers run them at a time."""
IN_MEMORY = "/dev/shm"


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several workers share whole files, those whose tests start many processes go first, and short ones last."""
    leave_to_torture(items)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _place(item.path.relative_to(Path(__file__).parent).as_posix()))


def _place(path: str) -> int:
    return next((place for place, start in enumerate(_ORDER) if f"{path}/".startswith(f"{start}/")), len(_ORDER))


def pytest_configure(config: pytest.Config) -> None:
    """Files of tests are kept in memory where there is plenty: to remove a folder from a disk takes a millisecond."""
    is_chosen = config.option.basetemp or "PYTEST_DEBUG_TEMPROOT" in os.environ
    is_there = os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free >= 8 << 30
    if is_there and not is_chosen and (available_memory() or 0) >= 12 << 30:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = IN_MEMORY


gc.disable()  # importing the test files makes objects that stay: collections would take a quarter of the time


def pytest_collection_finish() -> None:
    """A full collection takes 0.7 s of a core, most of it for the objects of imported libraries: they are left out."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(7_000, 10, 10)  # ten times the usual objects: building a model makes that many
    # each change of a level empties the caches of all loggers: `quiet_transformers` finds them quiet
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if "transformers" in sys.modules:
        sys.modules["transformers"].logging.set_verbosity_error()


@pytest.fixture(scope="session", autouse=True)
def _unflushed_disks():
    """No test cuts the power: flushing thousands of small files would keep workers waiting for a third of the time.

    That files are flushed, and in which order, is what `core/test_files.py` and the tests of checkpoints watch.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda descriptor: os.fstat(descriptor) and None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _unpainted_charts():
    """No test but those that ask for `painted` looks at the pixels of a chart."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Figure, "savefig", save_unpainted)
        yield


@pytest.fixture
def painted(monkeypatch):
    """Charts are painted in this process."""
    monkeypatch.setattr(Figure, "savefig", PAINTED)


@pytest.fixture(scope="session", autouse=True)
def _forked_workers(quick_site):
    """Workers of runs in this process are forked also where they need no torch: 0.03 s of a core instead of 0.4 to 1.3.

    A server is started for surroundings that are met a second time; the six that were used last stay. Workers and
    children with a process of their own are tested in `jobs`, and by every test that starts `burnish` as a command.
    """
    servers, met, with_torch = {}, Counter(), TorchServers()
    usual = worker_environment().get("PYTHONPATH")
    often_met = {usual, os.pathsep.join(filter(None, (str(quick_site), usual)))}

    def server_for(self, step):
        environment = worker_environment()
        if needs_torch(step.step.stage):
            return with_torch.of(environment)
        inherited = forkserver._inherited(environment)
        surroundings = repr(inherited)
        met[surroundings] += 1
        server = servers.pop(surroundings, None)
        if server is None and forkserver.IS_SUPPORTED and met[surroundings] > 1:
            if len(servers) == 6:
                servers.pop(next(iter(servers))).close()
            path = environment.get("PYTHONPATH")
            paths = os.pathsep.join(filter(None, (path, str(Path(__file__).parent))))
            libraries = ("forked_data", "quick_stages") if path in often_met else ("quick_stages",)
            server = forkserver.ForkServer({**environment, "PYTHONPATH": paths}, libraries)
            server._inherited = inherited
        if server is not None:
            servers[surroundings] = server  # those used last come last
        return server

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(execution.Execution, "_server_for", server_for)
        for module in (workrooms, exploration):
            patched.setattr(module, "subprocess", SimpleNamespace(run=with_torch.run))
        yield
    with_torch.close()
    for server in servers.values():
        server.close()


@pytest.fixture(scope="session")
def postgresql():
    """A real PostgreSQL server; `postgresql.database()` gives the address of a new database."""
    from postgresql import PostgreSQL

    server = PostgreSQL()
    yield server
    server.close()


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    root = tmp_path / "work"
    root.mkdir()
    return Workspace(root)


@pytest.fixture(scope="session")
def quick_site(tmp_path_factory) -> Path:
    """A folder that looks like site-packages with one package in it, which extends burnish through its entry points."""
    site = tmp_path_factory.mktemp("site")
    shutil.copy(Path(__file__).with_name("quick_stages.py"), site)
    info = site / "quick_stages-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quick-stages\nVersion: 1.0\n")
    names = ("make", "join", "slow", "talk", "fail", "model", "share")
    rows = "".join(f"{name} = quick_stages:{name.upper()}\n" for name in names)
    (info / "entry_points.txt").write_text(f"[burnish.stages]\n{rows}")
    return site


@pytest.fixture
def quick_stages(quick_site, monkeypatch):
    """The quick stages stand in the catalog, here and in every worker."""
    monkeypatch.syspath_prepend(str(quick_site))
    monkeypatch.setenv("PYTHONPATH", str(quick_site), prepend=os.pathsep)  # a checkout may be on it
    monkeypatch.delenv("BURNISH_WORKSPACE", raising=False)
    stages.cache_clear()
    yield importlib.import_module("quick_stages")
    sys.modules.pop("quick_stages", None)
    stages.cache_clear()


@pytest.fixture
def install(tmp_path_factory, monkeypatch):
    """Install a package as pip would: `install("extra", {"burnish.stages": {"x": "extra:X"}}, "X = 1")`."""
    installed = []

    def install(package, groups, code="", version="1.0"):
        site = tmp_path_factory.mktemp("site")
        info = site / f"{package}-{version}.dist-info"
        info.mkdir()
        (site / f"{package.replace('-', '_')}.py").write_text(code)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        sections = (
            "\n".join([f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())])
            for group, entries in groups.items()
        )
        (info / "entry_points.txt").write_text("\n".join(sections) + "\n")
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        installed.append(package.replace("-", "_"))
        stages.cache_clear()
        return site

    yield install
    for module in installed:
        sys.modules.pop(module, None)
    stages.cache_clear()


@pytest.fixture
def recipe(quick_stages):
    """Two quick steps, of which the second takes what the first one made."""
    return {
        "name": "r",
        "steps": {
            "make": {"stage": "quick-make", "word": "hi"},
            "join": {"stage": "quick-join", "source": [{"ref": "step:make", "take": 1}]},
        },
    }


@pytest.fixture
def in_background(workspace):
    """Run a recipe in a thread; the end of the test waits for it. Gives the list that its error lands in."""
    threads = []

    def in_background(recipe, **options):
        errors = []

        def go():
            try:
                burnish.run(recipe, workspace=workspace.root, **options)
            except burnish.BurnishError as error:
                errors.append(error)

        thread = threading.Thread(target=go)
        thread.start()
        threads.append(thread)
        return thread, errors

    yield in_background
    for thread in threads:
        thread.join(20)


@pytest.fixture
def command(quick_stages, workspace):
    """Start `burnish run` on a recipe, as a shell does."""
    processes = []

    def command(recipe, *words, **options):
        path = workspace.root / "recipe.json"
        path.write_text(json.dumps(recipe))
        script = Path(sys.executable).with_name("burnish")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        process = subprocess.Popen([script, "--workspace", str(workspace.root), "run", str(path), *words], **pipes)
        processes.append(process)
        return process

    yield command
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def until():
    """Wait until something holds."""

    def until(holds, seconds=60.0):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, "it never held"
            time.sleep(0.01)

    return until


@pytest.fixture(scope="session")
def bound_by_permissions():
    """A context in which root is bound by the permissions of files as everybody is, where the kernel lets it be."""
    libc = ctypes.CDLL(None, use_errno=True)
    override = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH

    def effective(change):
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3 of the call, this process
        sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: the low words, then the high ones
        assert libc.capget(header, sets) == 0
        sets[0] = change(sets[0], sets[1])
        assert libc.capset(header, sets) == 0

    @contextlib.contextmanager
    def bound_by_permissions():
        if os.geteuid() != 0:
            yield
            return
        effective(lambda now, _: now & ~override)
        try:
            yield
        finally:
            effective(lambda now, permitted: now | permitted & override)

    return bound_by_permissions
