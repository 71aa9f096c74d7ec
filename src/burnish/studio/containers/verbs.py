"""`up`, `down`, `bash` and `logs`: what `burnish` does with containers."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from burnish.core.errors import AskError
from burnish.core.naming import nearest
from burnish.core.runs.workspace import Workspace
from burnish.studio.containers.device import choose_device
from burnish.studio.containers.docker import Docker, attached
from burnish.studio.containers.journal import Journal, keep_logs
from burnish.studio.containers.project import (
    PROFILES,
    SERVICES,
    Project,
    check_profiles,
    is_rootless,
)
from burnish.studio.containers.start import Say, Start, UpResult, is_running


def up(
    profiles: Iterable[str],
    *,
    recipe: str | None = None,
    then: Iterable[str] = (),
    step: str | None = None,
    model: str | None = None,
    settings: Sequence[str] = (),
    device: str = "auto",
    dry_run: bool = False,
    arguments: Sequence[str] = (),
    workspace: Path | str | None = None,
    say: Say = lambda _: None,
    echo: Say = lambda _: None,
) -> UpResult:
    """Start containers; `train` runs to its end, then the stages of `then`, each on the result of the one before.

    `quantize` runs that stage on `model`. `settings` are those of the recipe (`tune.max_steps=9`) or of that stage.
    A stage that fails ends the chain, and `status` is its own. `arguments` go to the last command of compose. `say`
    gets notes, `echo` the output of the containers, by line.

    Errors: MachineError `machine.no-docker`, `machine.no-device`, `machine.port-in-use`, `machine.container-failed`;
    AskError for profiles, recipes and stages that do not fit.
    """
    names = check_profiles(profiles)
    place = Workspace.find(workspace)
    place.refuse_missing()
    docker = Docker("docker") if dry_run else Docker.find()
    info = None if dry_run else docker.check()
    found, why = choose_device(device, info)
    project = Project(place, docker, found)
    project.choose_all(info)
    started = Start(project, names, UpResult(found, why), say, echo)
    started.prepare(recipe, [*then], step, model, [*settings])
    if dry_run:
        started.plan(arguments)
    else:
        say(f"containers use {'the GPU' if found == 'cuda' else 'the CPU'}: {why}")
        if project.chosen.get("BURNISH_UID") == "0" and not is_rootless(info):
            say(f"containers run as root, which owns the workspace {place.root}")
        started.run(arguments)
    return started.result


def down(*, arguments: Sequence[str] = (), workspace: Path | str | None = None, say: Say = lambda _: None) -> int:
    """Stop and remove all containers; their logs are kept first. Returns the exit status of compose."""
    project = _project(workspace)
    journal = Journal.latest(project.workspace)
    if journal is not None:
        for path in keep_logs(project, journal):
            say(f"log kept in {path}")
    command = project.compose("down", *arguments, profiles=PROFILES)
    return attached(command, project.environment())


def bash(service: str, *, arguments: Sequence[str] = (), workspace: Path | str | None = None) -> int:
    """A shell in the container of a service: the one that runs, else a new one. Returns its exit status.

    A new one is for the device of the newest `up`, else for that of the machine.
    """
    if service not in SERVICES:
        raise AskError("ask.wrong-value", f"there is no service '{service}'", nearest(service, SERVICES))
    project = _project(workspace)
    if is_running(project, service):
        return attached(project.compose("exec", *arguments, service, "bash"), project.environment())
    journal = Journal.latest(project.workspace)
    recorded = None if journal is None else journal.device
    project.device = recorded or choose_device("auto", project.docker.check())[0]
    command = project.compose("run", "--rm", "--entrypoint", "bash", *arguments, service)
    return attached(command, project.environment())


def logs(
    services: Iterable[str] = (),
    *,
    follow: bool = False,
    arguments: Sequence[str] = (),
    workspace: Path | str | None = None,
    say: Say = lambda _: None,
) -> int:
    """Print the logs of services, all by default, and keep them in the folder of the newest `up`."""
    names = [*services]
    for name in names:
        if name not in SERVICES:
            raise AskError("ask.wrong-value", f"there is no service '{name}'", nearest(name, SERVICES))
    project = _project(workspace)
    words = ["logs", *(["--follow"] if follow else []), *arguments, *names]
    status = attached(project.compose(*words, profiles=PROFILES), project.environment())
    journal = Journal.latest(project.workspace)
    if journal is not None:
        for path in keep_logs(project, journal, names or SERVICES):
            say(f"log kept in {path}")
    return status


def _project(workspace: Path | str | None) -> Project:
    place = Workspace.find(workspace)
    docker = Docker.find()
    project = Project(place, docker)
    project.choose_all(docker.check())
    return project


def shown(command: Sequence[str]) -> str:
    """A command as it is typed."""
    return shlex.join(command)
