"""What a model is called on its card and in the names of files: not by its version or recipe."""

import re

from burnish.core.context import Input
from burnish.core.runs.run import run_of_output
from burnish.specs.base import short_name


def model_name(source: Input) -> str:
    """`tune` of step:tune, support.tune@3 and that step's folder; `support` of support@3 and hub:me/support@v2."""
    name, _, version = short_name(source.ref).partition("@")
    run = run_of_output(source.path)
    if run is not None and (not version or name.endswith(f".{run.folder.name}")):
        return run.folder.name
    return short_name(source.ref) if source.ref.startswith("file:") else name


def file_name(source: Input) -> str:
    """The same as the start of a file's name."""
    return re.sub(r"[^\w.-]+", "-", model_name(source)).strip("-.") or "model"
