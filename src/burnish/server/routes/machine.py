"""The machine: versions, memory and disk, devices, and what `burnish doctor` finds."""

from typing import Any, Literal

from pydantic import BaseModel

from burnish.server.routing import Place, Router
from burnish.server.shared.cached import Kept
from burnish.studio import machine as studio
from burnish.studio.findings import Finding as Found
from burnish.studio.serving.checking import doctor_apart

router = Router(tags=["machine"])
_devices: Kept[dict[str, Any]] = Kept(300.0)
"""To ask torch takes two seconds of a processor; devices seldom change."""
_findings: Kept[list[Found]] = Kept(30.0)


class Hardware(BaseModel):
    """The processors, memory and disk of the server's machine."""

    cores: int
    memory_bytes: int | None
    free_disk_bytes: int


class Machine(BaseModel):
    """The server's machine. Of secrets in `environment`, only whether they are set."""

    burnish: str
    python: str
    platform: str
    packages: dict[str, str | None]
    machine: Hardware
    paths: dict[str, str]
    environment: dict[str, str | bool | None]
    from_env_file: list[str]
    """The variables that came from the `.env` of the workspace."""


class Devices(BaseModel):
    """What torch can compute on; `error` if it cannot be asked."""

    names: list[str] = []
    torch: str | None = None
    cuda: str | None = None
    error: str | None = None


class Finding(BaseModel):
    """The result of one check, and how to fix what it found."""

    level: Literal["ok", "warning", "problem"]
    subject: str
    what: str
    fix: str


@router.get("/machine", scope="read")
def show_machine(place: Place) -> Machine:
    """Versions, memory, disk, paths and endpoints."""
    return Machine.model_validate(studio.env(devices=False, workspace=place))


@router.get("/devices", scope="read", work="slow")
def list_devices(place: Place) -> Devices:
    """The devices of this machine; kept for five minutes."""
    return Devices.model_validate(_devices.get(place, lambda: studio.env(workspace=place)["devices"]))


@router.get("/doctor", scope="read", work="slow")
def list_findings(place: Place) -> list[Finding]:
    """What is wrong with this machine and workspace, and how to fix it; kept for half a minute."""
    found = _findings.get(place, lambda: doctor_apart(place))
    return [Finding.model_validate(one.as_dict()) for one in found]
