"""Copies of artifacts outside the workspace."""

import shutil
from pathlib import Path

from burnish.core.errors import AskError
from burnish.core.files import publish_folder
from burnish.studio.executing.results import StepResult


def copy_artifact(step: StepResult, folder: Path) -> None:
    """Copy the artifact of a step to a new folder, which appears when it is complete.

    Errors: RunError `run.damaged-artifact`; AskError `ask.wrong-value` if the folder exists.
    """
    if folder.exists():
        raise AskError("ask.wrong-value", f"{folder} exists", "name a new folder, or remove it")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(step.path, partial)
        publish_folder(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
