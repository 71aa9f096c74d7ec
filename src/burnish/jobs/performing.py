"""Run the stage of a step in this process: its inputs, its context, what is recorded of it.

Of several processes of one training, the first one reports and writes into the run folder; each of the others has a
folder of its own in the scratch folder, and says nothing.
"""

import contextlib
import gc
import re
import shutil
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from burnish.core.catalog import Stage
from burnish.core.context import Context, Input, Outcome, ShareDoneError
from burnish.core.errors import MachineError
from burnish.core.events import Event, Note
from burnish.core.inputs.checks import write_base_record
from burnish.core.inputs.endpoints import identities_of
from burnish.core.inputs.references import fetched
from burnish.core.plugins import PluginWarning
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.core.runs.run import PARTIAL, Run
from burnish.core.runs.workspace import Workspace
from burnish.jobs.inputs import FetchedInputs, cached_hashes, restored, watched
from burnish.specs.base import Spec


def processes_of(spec: Spec) -> int:
    """How many processes run the stage."""
    return getattr(getattr(spec, "launch", None), "processes", 1)


def perform(run: Run, row: Stage, spec: Spec, job: Mapping[str, Any], is_stopping: Callable[[], bool]) -> Outcome:
    """Run the stage, as the only or the first process; its output is in `run.partial`. Errors: the stage's."""
    for leftover in (*run.folder.glob(f"{PARTIAL}*"), run.out):  # of an attempt killed before it wrote its record
        shutil.rmtree(leftover, ignore_errors=True)
    run.partial.mkdir()
    run.scratch.mkdir(exist_ok=True)
    cache = Workspace(run.workspace).cache
    with (
        cached_hashes(run) as known,
        restored(_planned(run, job), cache, known, run.events.append) as inputs,
        watched(run, inputs, known, job) as watch,
        ConsumptionLedger(spec) as ledger,
        _plugins_reported(run.events.append),
    ):
        context = Context(
            out=run.partial,
            scratch=run.scratch,
            inputs=FetchedInputs(inputs, ledger, known),
            emit=run.events.append,
            is_stopping=is_stopping,
            check_settings=ledger.check,
            cache=cache,
            release_input=watch.release,
            processes=processes_of(spec),
        )
        models = identities_of(spec)
        outcome = _called(row, spec, context)
        ledger.check()
        if outcome.kind == "adapter" and "base" in inputs:
            base = write_base_record(run.partial, fetched(inputs["base"]), known)
            outcome = replace(outcome, provenance={**outcome.provenance, "base": base})
        if models:
            outcome = replace(outcome, provenance={**outcome.provenance, "endpoints": models})
    return outcome


def perform_beside(
    run: Run,
    row: Stage,
    spec: Spec,
    job: Mapping[str, Any],
    is_stopping: Callable[[], bool],
    rank: int,
) -> None:
    """Run the stage beside the first process; nothing but its share of the work is used. Errors: the stage's."""
    place = Workspace(run.workspace)
    own = run.scratch / "ranks" / str(rank)
    shutil.rmtree(own, ignore_errors=True)
    (own / "out").mkdir(parents=True)
    known = dict(place.hashes())
    with restored(_planned(run, job), place.cache, known, _say_nothing) as inputs, ConsumptionLedger(spec) as ledger:
        context = Context(
            out=own / "out",
            scratch=own,
            inputs=FetchedInputs(inputs, ledger, known),
            emit=_say_nothing,
            is_stopping=is_stopping,
            check_settings=lambda: None,
            cache=place.cache,
            rank=rank,
            processes=processes_of(spec),
            first_scratch=run.scratch,
        )
        with contextlib.suppress(ShareDoneError):
            _called(row, spec, context)


def _planned(run: Run, job: Mapping[str, Any]) -> dict[str, Input]:
    return {path: Input.from_json(value, run.workspace) for path, value in job["inputs"].items()}


def _called(row: Stage, spec: Spec, context: Context) -> Outcome:
    try:
        return _imported(row)(spec, context)
    except ModuleNotFoundError as error:
        raise _no_package(row, error) from error


def _imported(row: Stage) -> Callable[[Spec, Context], Outcome]:
    """The function of a stage. What it imports stays: to collect garbage meanwhile would take a seventh of the time."""
    gc.disable()
    try:
        return row.function()
    finally:
        gc.freeze()
        gc.enable()


def _say_nothing(event: Event) -> None:
    """The first process reports."""


@contextlib.contextmanager
def _plugins_reported(emit: Callable[[Event], None]) -> Generator[None]:
    """Report the plugins that the stage leaves out, such as readers of files, as notes of the run."""
    show = warnings.showwarning

    def report(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, PluginWarning):
            emit(Note(level="warning", text=str(message)))
        show(message, category, *place, **more)

    warnings.showwarning = report
    try:
        yield
    finally:
        warnings.showwarning = show


def _no_package(row: Stage, error: ModuleNotFoundError) -> Exception:
    """MachineError with the extra that provides the package; the error itself if the package is installed."""
    from importlib.metadata import requires

    missing = (error.name or "").partition(".")[0]
    if not missing or find_spec(missing) is not None:
        return error
    extra = extra_with(missing, requires("burnish") or ()) or row.extra
    return MachineError(
        "machine.no-package",
        f"stage '{row.name}' needs the package {missing}, which is not installed",
        f"pip install 'burnish[{extra}]'" if extra else f"pip install {missing}",
    )


def extra_with(package: str, requirements: Iterable[str]) -> str | None:
    """The extra, other than dev, whose lines (`numpy>=2; extra == 'tokens'`) list a package."""
    name = package.replace("_", "-").lower()
    for line in requirements:
        found = re.match(rf"{re.escape(name)}\b.*extra == ['\"]([\w-]+)['\"]", line, re.IGNORECASE)
        if found and found[1] != "dev":
            return found[1]
    return None
