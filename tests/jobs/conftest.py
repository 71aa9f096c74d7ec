"""Workers of quick stages, started as the launcher starts them; databases of both kinds."""

from types import SimpleNamespace

import pytest

import database_processes
from burnish.core.recipes.recipe import recipe_of
from burnish.jobs.database.database import Database
from burnish.jobs.database.engines import parse
from burnish.jobs.environment import worker_environment
from burnish.jobs.forkserver import ForkServer
from burnish.jobs.launchers.local import LocalLauncher


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request, workspace):
    """The address of a database without a schema: each test runs with both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{workspace.database}"
    return request.getfixturevalue("postgresql").database()


@pytest.fixture(scope="session")
def made(postgresql):
    """The name of a PostgreSQL database that has the schema, to be copied: a copy takes 50 ms, a migration a second."""
    url = postgresql.database()
    Database(parse(url)).close()
    return url.partition("@/")[2].partition("?")[0]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, workspace):
    """The address of a database without jobs: each test runs with both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{workspace.database}"
    return request.getfixturevalue("postgresql").database(request.getfixturevalue("made"))


@pytest.fixture
def in_process():
    """Call a function of `database_processes` in a process of its own, which does not outlive the test."""
    started = []

    def in_process(function, *arguments):
        process = database_processes.CONTEXT.Process(target=function, args=arguments, daemon=True)
        process.start()
        started.append(process)
        return process

    yield in_process
    for process in started:
        process.kill()
        process.join(30)


@pytest.fixture
def prepared(quick_stages, workspace):
    """Make a run folder of one step without starting it: `prepared("quick-make", word="x")`."""

    def prepared(stage: str, **values):
        recipe = recipe_of({"name": "r", "steps": {"s": {"stage": stage, **values}}})
        run = workspace.run("r", workspace.claim_number("r"), "s")
        number = int(run.folder.parent.name)
        run.create(
            {
                "recipe": "r",
                "number": number,
                "step": "s",
                "stage": stage,
                "fingerprint": "f",
                "spec": recipe.steps[0].spec.model_dump(mode="json", exclude_unset=True),
                "inputs": {},
            }
        )
        workspace.record_plan("r", number, {"recipe": "r", "steps": [{"step": "s", "folder": run.name}]})
        return run

    return prepared


@pytest.fixture(scope="session")
def servers():
    """Fork servers that have imported nothing, by their PYTHONPATH."""
    found = {}
    yield found
    for server in found.values():
        server.close()


@pytest.fixture(params=["process", "fork"])
def launcher(request, quick_stages, servers):
    """Each test runs with both kinds of workers."""
    if request.param == "process":
        return LocalLauncher()
    environment = worker_environment()
    if environment["PYTHONPATH"] not in servers:
        servers[environment["PYTHONPATH"]] = ForkServer(environment, libraries=())
    return LocalLauncher(servers[environment["PYTHONPATH"]])


@pytest.fixture
def started(launcher):
    """Start a worker; it is killed after the test, whatever happened."""
    processes = []

    def started(run):
        process = launcher.start(run)
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def finish(launcher, started):
    """Start a worker and wait for its end; gives its status and what it left."""

    def finish(run, process=None):
        process = process or started(run)
        process.wait(30)
        status = launcher.poll(process, run)
        error = run.record.get("error") or {}
        return SimpleNamespace(
            status=status, state=run.state, **{"code": "", "what": "", "fix": "", "log": "", "exit_status": 0, **error}
        )

    return finish
