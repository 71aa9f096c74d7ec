"""Where evaluations are: runs whose artifact is an evaluation or a comparison."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from burnish.core.errors import AskError, BurnishError
from burnish.core.runs.artifact import Artifact
from burnish.core.runs.records import broken
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace
from burnish.studio.datasets.names import refuse_damage

KINDS = ("evaluation", "comparison")


def evaluation_of(name: str, place: Workspace) -> tuple[Run, Artifact]:
    """The step `recipe/number/step`, and what it has made. Errors: AskError `ask.no-such-run`, RunError
    `run.broken-record`, `run.damaged-artifact`."""
    run = place.find_run(name)
    made = run.artifact()
    if made is None:
        raise AskError("ask.no-such-run", f"{name} has made nothing yet", f"its state is {run.state}")
    if made.kind not in KINDS:
        fix = "name a step of evaluate, judge or compare"
        raise AskError("ask.no-such-run", f"{name} has made no evaluation: its artifact is of kind {made.kind}", fix)
    refuse_damage(made, run.name, place)
    return run, made


def evaluations_in(name: str, place: Workspace) -> dict[str, Run]:
    """The evaluations of a run, or the one of a step, by the names of their steps; others are left out."""
    found: dict[str, Run] = {}
    for run in place.find_runs(name):
        try:
            made = run.artifact()
        except BurnishError:  # damaged: its own screen says so
            continue
        if made is not None and made.kind == KINDS[0]:
            found[run.folder.name] = run
    return found


def read_record(path: Path) -> dict[str, Any]:
    """A file of JSON that a step has written. Errors: RunError `run.broken-record`."""
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise broken(path, f"cannot be read ({error})") from None


@contextmanager
def as_written(path: Path) -> Generator[None]:
    """RunError `run.broken-record` where a file, read meanwhile, has not the shape that steps write."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"has not the shape of a step's file ({error})"
        raise broken(path, what) from None
