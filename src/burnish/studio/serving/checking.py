"""`doctor` in a process of its own: it reads the records of thousands of runs for seconds, in which a server would be
slow to answer everybody else."""

import json
import os
import sys
from pathlib import Path

from burnish.core.errors import BurnishError
from burnish.core.runs.workspace import Workspace
from burnish.studio.findings import Finding
from burnish.studio.machine import doctor
from burnish.studio.workrooms import ask

_NICE = 10
"""How much more willingly it gives way to others: nobody waits for it."""


def doctor_apart(workspace: Path | str | None = None) -> list[Finding]:
    """What `doctor` finds. Errors: those of `doctor`; RunError `run.failed` if the process ended without an answer."""
    place = Workspace.find(workspace)
    found = ask("burnish.studio.serving.checking", {"workspace": str(place.root)})
    return [Finding(**one) for one in found["findings"]]


def _main() -> None:
    if hasattr(os, "nice"):
        os.nice(_NICE)
    try:
        found = doctor(workspace=json.load(sys.stdin)["workspace"])
        answer = {"findings": [one.as_dict() for one in found]}
    except BurnishError as error:
        answer = {"error": error.as_dict()}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    _main()
