"""One `burnish up`: what is checked before, and the commands that it runs in order."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.core.errors import AskError, MachineError
from burnish.core.paths import expanded, is_windows_path, of_reference
from burnish.core.recipes.recipe import Recipe
from burnish.studio.containers.chain import QUANTIZER, Link, chain
from burnish.studio.containers.docker import attached, output_of
from burnish.studio.containers.journal import Journal, keep_logs
from burnish.studio.containers.ports import holder, is_free
from burnish.studio.containers.project import (
    JOBS,
    LOOPBACK,
    PORTS,
    PROFILES,
    STARTS,
    Project,
    in_container,
    source,
)
from burnish.studio.containers.served import choose_model, named_model
from burnish.studio.planning import as_recipe, shipped_recipes, stage_recipe

Say = Callable[[str], None]
_WAIT_SECONDS = 1800
"""How long servers may take to be ready: a large model is downloaded, converted and loaded."""
_LOCAL = (LOOPBACK, "::1")


@dataclass
class UpResult:
    """What `up` did. `status` is 0, or that of the stage that failed; `skipped` are the stages after it."""

    device: str
    why: str
    commands: list[list[str]] = field(default_factory=list[list[str]])
    variables: dict[str, str] = field(default_factory=dict[str, str])
    addresses: dict[str, str] = field(default_factory=dict[str, str])
    status: int = 0
    failed: str | None = None
    skipped: list[str] = field(default_factory=list[str])
    folder: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "folder": None if self.folder is None else str(self.folder)}


def is_running(project: Project, service: str) -> bool:
    """Whether a container of the service runs."""
    command = project.compose("ps", "--status", "running", "--quiet", service, profiles=PROFILES)
    status, output = output_of(command, project.environment())
    return status == 0 and bool(output.strip())


class Start:
    """One `up`: what it starts, in order."""

    def __init__(self, project: Project, profiles: list[str], result: UpResult, say: Say, echo: Say):
        self._project, self._say, self._echo, self.result = project, say, echo, result
        self._jobs = [name for name in profiles if name in JOBS]
        self._servers = list(
            dict.fromkeys(service for name in profiles if name not in JOBS for service in STARTS.get(name, (name,)))
        )
        self._links: list[Link] = []
        self._words: list[str] = []
        """What the job runs."""

    def prepare(
        self, recipe: str | None, then: list[str], step: str | None, model: str | None, settings: list[str]
    ) -> None:
        """Check everything that can be checked before a container starts."""
        project = self._project
        self._refuse_unused(recipe, then, step, model, settings)
        if "train" in self._jobs:
            given = recipe or project.value("BURNISH_RECIPE", "first-adapter")
            loaded = as_recipe(given, settings)
            self._words = ["run", self._seen(given, loaded)]
            self._links = chain(loaded, then, step)
        self._later = bool(self._links) and self._links[-1].stage == "serve"
        if self._later and ("serve" in self._servers or model is not None):
            what = "the end of --then is what is served"
            raise AskError(
                "ask.wrong-value", what, "remove --model and the profiles serve and webui, or serve of --then"
            )
        if "quantize" in self._jobs:
            ref = named_model(project, model)
            values = {"model": ref, "environment": QUANTIZER}
            stage_recipe("quantize", (), settings, values)
            self._words = ["quantize", *(word for key, value in values.items() for word in (f"--{key}", value))]
        self._words += [word for setting in settings for word in ("--set", setting)]
        if "serve" in self._servers:
            self._say(f"serving {choose_model(project, model)}")
        self.result.variables = project.chosen
        self._refuse_open()
        if source() is None and not project.is_set("BURNISH_SOURCE") and not project.is_set("BURNISH_IMAGE"):
            what = "this burnish is an installed package, and images are built from its source"
            fix = "set BURNISH_SOURCE to a checkout, or BURNISH_IMAGE to images of a registry"
            raise AskError("ask.missing-key", what, fix)

    def _refuse_unused(
        self, recipe: str | None, then: list[str], step: str | None, model: str | None, settings: list[str]
    ) -> None:
        """AskError `ask.wrong-value` for an option without effect, and for profiles that exclude each other."""
        takes = {
            "--recipe": (recipe, ("train",)),
            "--then": (then, ("train",)),
            "--step": (step, ("train",)),
            "--set": (settings, JOBS),
            "--model": (model, ("quantize", "serve", "train" if then else "quantize")),
        }
        for option, (value, profiles) in takes.items():
            if value and not {*profiles} & {*self._jobs, *self._servers}:
                fix = f"add the profile {' or '.join(dict.fromkeys(profiles))}, or remove {option}"
                raise AskError("ask.wrong-value", f"{option} has no effect here", fix)
        if len(self._jobs) > 1 or ("quantize" in self._jobs and "serve" in self._servers):
            what = f"{' and '.join([*self._jobs, *self._servers])} do not start together"
            raise AskError("ask.wrong-value", what, "chain them: burnish up train --then merge,quantize,serve")

    def plan(self, arguments: Sequence[str]) -> None:
        """The commands, without running them."""
        self.result.commands = [command for _, command in self._commands(arguments)]

    def run(self, arguments: Sequence[str]) -> None:
        """Run the commands in order; the first that fails ends it."""
        project = self._project
        self._refuse_busy()
        data = project.workspace.root / "data"
        if project.holds_workspace and not data.exists():
            data.mkdir()
            self._say(f"created {data}, which the containers have as /workspace/data")
        journal = Journal.new(project.workspace, device=self.result.device, why=self.result.why)
        self.result.folder = journal.folder
        steps = self._commands(arguments)
        for position, (name, command) in enumerate(steps):
            if name == "serve" and self._later:
                project.chosen.pop("BURNISH_MODEL", None)
                self._say(f"serving {choose_model(project, self._links[-1].ref)}")
            began = time.time()
            status = attached(command, project.environment(), journal.log(name), self._echo)
            journal.done(name, command, status, began)
            self.result.commands.append(command)
            if status:
                self._fail(name, status, journal, [later for later, _ in steps[position + 1 :]])
                return
        if self._servers or self._later:
            keep_logs(project, journal, self._started())
            for service in self._started():
                self.result.addresses[service] = f"http://{project.address(service)}:{project.port(service)}"

    def _started(self) -> list[str]:
        return [*self._servers, *(["serve"] if self._later else [])]

    def _fail(self, name: str, status: int, journal: Journal, left: list[str]) -> None:
        """Keep the logs. A server or a build that fails is an error; a stage's status becomes that of the command."""
        self.result.status, self.result.failed, self.result.skipped = status, name, left
        if name in ("servers", "serve") or name.startswith("build"):
            kept = keep_logs(self._project, journal, self._started())
            where = ", ".join(map(str, kept)) or str(journal.folder)
            what = f"docker compose ended with status {status} ({name})"
            raise MachineError("machine.container-failed", what, f"read the logs: {where}")

    def _commands(self, arguments: Sequence[str]) -> list[tuple[str, list[str]]]:
        """Name and command of each step: builds, servers, the training, the stages after it, the server after them."""
        project, steps = self._project, list[tuple[str, list[str]]]()
        images = dict.fromkeys([*self._jobs, *(link.service for link in self._links), *self._servers])
        if project.is_set("BURNISH_IMAGE"):
            images = {}
        for service in images:
            if service in ("webui", "logs", "tensorboard") or (service == "serve" and project.device == "cuda"):
                continue
            steps.append((f"build-{service}", project.compose("build", service, profiles=PROFILES)))
        if self._servers:
            steps.append(("servers", self._up(self._servers)))
        for job in self._jobs:
            steps.append((job, self._run(job, *self._words)))
        for link in self._links:
            if link.stage == "serve":
                steps.append(("serve", self._up(["serve"])))
            else:
                steps.append((link.stage, self._run(link.service, *link.words)))
        name, command = steps[-1]
        steps[-1] = (name, _with_arguments(command, arguments))
        return steps

    def _up(self, services: Sequence[str]) -> list[str]:
        return self._project.compose(
            "up", "--detach", "--wait", "--wait-timeout", str(_WAIT_SECONDS), *services, profiles=PROFILES
        )

    def _run(self, service: str, *words: str) -> list[str]:
        return self._project.compose("run", "--rm", "--no-TTY", service, *words)

    def _seen(self, given: str, recipe: Recipe) -> str:
        """The recipe as the container sees it. AskError `ask.bad-reference` for files outside of the workspace."""
        project, place = self._project, self._project.workspace
        if given in shipped_recipes():
            return given
        if project.holds_workspace:
            for step in recipe.steps:
                for ref, _ in step.references().values():
                    _refuse_absolute(ref, in_container(ref, place), step.name)
            return in_container(f"file:{expanded(given).absolute()}", place).removeprefix("file:")
        return given

    def _refuse_busy(self) -> None:
        """MachineError `machine.port-in-use`, with the process that has the port if it is known."""
        project = self._project
        for service in self._started():
            port = project.port(service)
            if is_free(project.address(service), port) or is_running(project, service):
                continue
            by = holder(port)
            what = f"port {port}, of the service {service}, is in use{f' by {by}' if by else ''}"
            raise MachineError(
                "machine.port-in-use", what, f"stop that program, or set {PORTS[service][0]} to another port"
            )

    def _refuse_open(self) -> None:
        """A server that other machines reach needs a key."""
        project = self._project
        open_to_all = [name for name in self._started() if project.address(name) not in _LOCAL]
        if not open_to_all:
            return
        opens = f"BURNISH_BIND={project.address(open_to_all[0])} opens the ports to other machines"
        if not project.value("BURNISH_API_KEY").strip():
            what = f"{opens}, and BURNISH_API_KEY is not set"
            raise AskError("ask.missing-key", what, "set BURNISH_API_KEY, or remove BURNISH_BIND")
        login = project.value("WEBUI_AUTH", "true")
        if "webui" in open_to_all and login.strip().lower() != "true":
            what = f"{opens}, and WEBUI_AUTH={login} lets everybody in, who then has the key of the server"
            raise AskError("ask.wrong-value", what, "remove WEBUI_AUTH, or BURNISH_BIND")


def _refuse_absolute(ref: str, inside: str, step: str) -> None:
    """AskError `ask.bad-reference` for a path of this machine, which is another one in the containers."""
    if ref.startswith("file:") and (is_windows_path(ref[5:]) or of_reference(ref[5:]).is_absolute()):
        what = f"step '{step}': {ref} is not at that path in the containers"
        raise AskError("ask.bad-reference", what, f"write it relative to the workspace: {inside}")


def _with_arguments(command: list[str], arguments: Sequence[str]) -> list[str]:
    """Further arguments of compose, after its subcommand and its own options."""
    if not arguments:
        return command
    at = next(index for index, word in enumerate(command) if word in ("up", "run", "build")) + 1
    return [*command[:at], *arguments, *command[at:]]
