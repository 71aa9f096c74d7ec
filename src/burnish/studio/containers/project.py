"""The compose project of burnish: its files, profiles and ports, and the variables that a workspace gives it."""

import hashlib
import ipaddress
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.core.access.env_file import read_env_file
from burnish.core.errors import AskError
from burnish.core.naming import nearest
from burnish.core.paths import of_reference
from burnish.core.runs.workspace import Workspace
from burnish.studio.containers.device import Device
from burnish.studio.containers.docker import Docker

JOBS = ("train", "quantize")
"""Profiles that end with their work; the others are servers."""
PORTS = {
    "serve": ("SERVE_PORT", 8080),
    "webui": ("WEBUI_PORT", 3000),
    "logs": ("LOGS_PORT", 9999),
    "tensorboard": ("TENSORBOARD_PORT", 6006),
}
"""Server → the variable of the port that it is published on, and its default."""
PROFILES = (*JOBS, *PORTS)
SERVICES = PROFILES
STARTS = {"webui": ("serve", "webui")}
"""Profile → the services that it starts, if they are others than its own."""
LOOPBACK = "127.0.0.1"
WITHOUT_KEY = ("logs", "tensorboard")
"""Servers that ask for no key: this machine alone reaches them."""
IN_CONTAINER = "/workspace"
CHECKED = ("BURNISH_API_KEY", "BURNISH_BIND", "WEBUI_AUTH")
"""What decides who may ask: compose gets the values that were checked, however it reads .env itself."""


def check_profiles(names: Iterable[str]) -> list[str]:
    """The profiles, each once. AskError `ask.wrong-value` for an unknown one."""
    found = list(dict.fromkeys(names))
    for name in found:
        if name == "ui":
            fix = f"start the page with `burnish ui`, or one of these profiles: {', '.join(PROFILES)}"
            raise AskError("ask.wrong-value", "there is no profile 'ui': the page runs without a container", fix)
        if name not in PROFILES:
            raise AskError("ask.wrong-value", f"there is no profile '{name}'", nearest(name, PROFILES))
    if not found:
        raise AskError("ask.missing-key", "no profile is named", f"name some of {', '.join(PROFILES)}")
    return found


def files() -> Path:
    """The folder of the compose files: of the checkout, or of the package."""
    package = Path(__file__).parents[2]
    return next((f for f in (package / "docker", package.parents[1] / "docker") if f.is_dir()), package / "docker")


def source() -> Path | None:
    """The checkout that images are built from; None for an installed package."""
    root = files().parent
    return root if (root / "pyproject.toml").is_file() else None


@dataclass
class Project:
    """A compose project for a workspace. `chosen` are the variables that burnish sets: those that the user did not."""

    workspace: Workspace
    docker: Docker
    device: Device = "cpu"
    chosen: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def env_file(self) -> Path:
        return self.workspace.root / ".env"

    def compose(self, *words: str, profiles: Iterable[str] = ()) -> list[str]:
        """A command of compose."""
        folder = files()
        command = [self.docker.program, "compose", "--project-directory", self.docker.path(folder)]
        command += ["--project-name", self.value("COMPOSE_PROJECT_NAME", "burnish")]
        for name in ("compose.yaml", f"compose.{self.device}.yaml"):
            command += ["--file", self.docker.path(folder / name)]
        if self.env_file.is_file():
            command += ["--env-file", self.docker.path(self.env_file)]
        for profile in profiles:
            command += ["--profile", profile]
        return [*command, *words]

    def environment(self) -> dict[str, str]:
        """The environment of a command of compose."""
        checked = {name: self.value(name) for name in CHECKED}
        environment = {**os.environ, **checked, **self.chosen}
        if self.docker.is_of_windows:  # WSL passes on the variables that WSLENV names
            passed = [name for name in os.environ.get("WSLENV", "").split(":") if name]
            environment["WSLENV"] = ":".join(dict.fromkeys([*passed, *self.chosen]))
        return environment

    def value(self, name: str, default: str = "") -> str:
        """A variable as compose sees it: of the shell, of .env, or as chosen here."""
        return self._given(name) or self.chosen.get(name) or default

    def is_set(self, name: str) -> bool:
        """Whether the user has set a variable, in the shell or in .env."""
        return bool(self._given(name))

    def _given(self, name: str) -> str:
        """What the user has set: in the shell, also to nothing, or else in .env. AskError for what cannot be read."""
        if name in os.environ:
            return os.environ[name]
        value = read_env_file(self.env_file, os.environ).get(name, "")
        if value is None:
            what = f"{self.env_file}: the value of {name} has a variable in a form that burnish does not read"
            raise AskError("ask.wrong-value", what, f"write the value itself, or set {name} in the shell")
        return value

    def choose(self, name: str, value: str) -> None:
        """Set a variable, unless the user has."""
        if not self.is_set(name):
            self.chosen[name] = value

    def choose_all(self, info: Mapping[str, Any] | None) -> None:
        """The variables that follow from the workspace and the machine. `data` of the workspace must exist."""
        root = self.workspace.root
        if ":" in str(root) and not self.docker.is_of_windows and os.name != "nt" and self.holds_workspace:
            what = f"the path of the workspace, {root}, has a colon, which ends a path in compose"
            raise AskError(
                "ask.wrong-value", what, "rename that folder, or set BURNISH_OUTPUTS to the name of a volume"
            )
        self.choose("COMPOSE_PROJECT_NAME", f"burnish-{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:8]}")
        self.choose("BURNISH_OUTPUTS", self.docker.path(root))
        self.choose("BURNISH_DATA", self.docker.path(root / "data") if self.holds_workspace else "data")
        user, group = _owner(root, info)
        self.choose("BURNISH_UID", str(user))
        self.choose("BURNISH_GID", str(group))
        if (checkout := source()) is not None:
            self.choose("BURNISH_SOURCE", self.docker.path(checkout))

    @property
    def holds_workspace(self) -> bool:
        """Whether the containers have this workspace, rather than a volume or a folder that the user named."""
        return not self.is_set("BURNISH_OUTPUTS")

    def port(self, service: str) -> int:
        """The port that a service is published on. AskError `ask.wrong-value` for one that is no number."""
        name, default = PORTS[service]
        text = self.value(name, str(default))
        if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
            raise AskError("ask.wrong-value", f"{name}={text} is not a port", "write a number from 1 to 65535")
        return int(text)

    def address(self, service: str) -> str:
        """The address of this machine that the port of a service is published on. AskError for what is none."""
        address = LOOPBACK if service in WITHOUT_KEY else self.value("BURNISH_BIND", LOOPBACK)
        try:
            ipaddress.ip_address(address.strip("[]"))
        except ValueError:
            fix = "write an IP address, such as 0.0.0.0 for all of this machine"
            raise AskError("ask.wrong-value", f"BURNISH_BIND={address} is not an address", fix) from None
        return address


def in_container(ref: str, workspace: Workspace) -> str:
    """A `file:` reference as containers see it. AskError `ask.bad-reference` for a file outside of the workspace."""
    if not ref.startswith("file:"):
        return ref
    path = (workspace.root / of_reference(ref[5:])).resolve()
    if not path.is_relative_to(workspace.root):
        what = f"{ref} is outside of the workspace {workspace.root}, which is all that containers see"
        raise AskError("ask.bad-reference", what, "copy it into the workspace, or use another --workspace")
    return f"file:{path.relative_to(workspace.root).as_posix()}"


def is_rootless(info: Mapping[str, Any] | None) -> bool:
    """Whether the daemon runs as the user."""
    return any("rootless" in str(option) for option in (info or {}).get("SecurityOptions") or ())


def _owner(root: Path, info: Mapping[str, Any] | None) -> tuple[int, int]:
    """The user and group that can write the workspace from a container."""
    if not hasattr(os, "getuid") or "Docker Desktop" in str((info or {}).get("OperatingSystem", "")):
        return 1000, 1000  # Docker Desktop maps every user to the one who runs it
    if is_rootless(info):
        return 0, 0  # root of a rootless daemon is the user who runs it
    status = root.stat()
    return status.st_uid, status.st_gid
