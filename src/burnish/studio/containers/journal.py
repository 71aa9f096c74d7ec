"""What `burnish up` did: its commands, their statuses, and the logs of its containers, in `runs/up/<number>/`."""

import contextlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from burnish.core.files import write_atomically, write_json
from burnish.core.runs.workspace import Workspace
from burnish.core.secrets import mask, masked_value
from burnish.studio.containers.device import Device
from burnish.studio.containers.docker import output_of
from burnish.studio.containers.project import PROFILES, SERVICES, Project

RECIPE = "up"
"""The folder of `runs/` that holds one folder for each `burnish up`."""


class Journal:
    """The folder of one `burnish up`: `up.json`, and a log for each stage and container."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._record: dict[str, Any] = {"started": time.time(), "commands": []}

    @classmethod
    def new(cls, workspace: Workspace, **values: Any) -> "Journal":
        """A folder with the next number."""
        journal = cls(workspace.runs / RECIPE / str(workspace.claim_number(RECIPE)))
        journal._record |= values
        journal.write()
        return journal

    @classmethod
    def latest(cls, workspace: Workspace) -> "Journal | None":
        """That of the newest `burnish up`; None if there is none."""
        folder = workspace.runs / RECIPE
        numbers = [int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit()] if folder.is_dir() else []
        return cls(folder / str(max(numbers))) if numbers else None

    @property
    def device(self) -> Device | None:
        """What its containers used; None if the record does not say."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            found = json.loads((self.folder / "up.json").read_text(encoding="utf-8")).get("device")
            return found if found in ("cpu", "cuda") else None
        return None

    def log(self, name: str) -> Path:
        """The log of a stage, numbered in the order of the stages."""
        return self.folder / f"{len(self._record['commands']) + 1:02}-{name}.log"

    def done(self, name: str, command: list[str], status: int, began: float) -> None:
        """Record a command that has ended."""
        step = {"name": name, "command": command, "status": status, "seconds": round(time.time() - began, 3)}
        self._record["commands"].append(step)
        self.write()

    def write(self) -> None:
        write_json(self.folder / "up.json", masked_value(self._record))


def keep_logs(project: Project, journal: Journal, services: Iterable[str] = SERVICES) -> list[Path]:
    """Write the log of each container that has one to the journal's folder; returns the files."""
    kept: list[Path] = []
    for service in services:
        command = project.compose("logs", "--no-color", "--no-log-prefix", "--timestamps", service, profiles=PROFILES)
        status, output = output_of(command, project.environment())
        if status == 0 and output.strip():
            path = journal.folder / f"{service}.log"
            with contextlib.suppress(OSError):
                write_atomically(path, mask(output.decode(errors="replace")))
                kept.append(path)
    return kept
