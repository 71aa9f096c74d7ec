"""The inputs of a step in its worker: checkpoints restored, watched for changes, and fetched on access."""

import contextlib
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

from burnish.core.catalog import restore_checkpoints
from burnish.core.context import Input
from burnish.core.errors import BurnishError
from burnish.core.events import Event, Note
from burnish.core.inputs.checkpoints import checkpoints_in, has_checkpoint
from burnish.core.inputs.checks import InputWatch, check_fetched
from burnish.core.inputs.references import fetched
from burnish.core.runs.checkpoints import held
from burnish.core.runs.ledger import ConsumptionLedger
from burnish.core.runs.run import Run
from burnish.core.runs.workspace import Workspace


class FetchedInputs(Mapping[str, Input]):
    """Inputs that are fetched on access, which is reported to the ledger."""

    def __init__(self, inputs: dict[str, Input], ledger: ConsumptionLedger, known: dict[str, Any]):
        self._inputs, self._ledger, self._known = inputs, ledger, known

    def __getitem__(self, path: str) -> Input:
        value = self._inputs[path]
        self._ledger.input_was_read(path)
        return check_fetched(fetched(value), self._known)

    def __iter__(self) -> Iterator[str]:
        return iter(self._inputs)

    def __len__(self) -> int:
        return len(self._inputs)


@contextlib.contextmanager
def cached_hashes(run: Run) -> Generator[dict[str, Any]]:
    """The hashes cached in the workspace; new ones are saved."""
    place = Workspace(run.workspace)
    known = place.hashes()
    before = dict(known)
    try:
        yield known
    finally:
        if known != before:
            place.remember_hashes({**place.hashes(), **known})


@contextlib.contextmanager
def watched(
    run: Run, inputs: Mapping[str, Input], known: dict[str, Any], job: Mapping[str, Any]
) -> Generator[InputWatch]:
    """Check that the inputs are those of the plan, before and after the stage.

    If an input changed while the stage ran, its checkpoints are removed. If the worker was killed before that check,
    the next attempt finds that the input was written.
    """
    record = run.scratch / "inputs.json"
    if job["spec"].get("resume") == "never" or not any(run.scratch.glob("checkpoints/*")):
        record.unlink(missing_ok=True)
    watch = InputWatch(inputs, known, run.record["created"], record)
    for clause in watch.rewritten():
        text = f"{clause} since this step first started: checkpoints may be of another content than the present one"
        run.events.append(Note(level="warning", text=f"{text}; resume: never starts over"))
    for ref in watch.start():
        text = f"{ref} is from an older burnish without recorded hashes: its files cannot be checked"
        run.events.append(Note(level="warning", text=text))
    try:
        yield watch
    finally:
        try:
            changed = watch.end()
        except BurnishError:
            shutil.rmtree(run.scratch, ignore_errors=True)
            raise
        for ref in changed:
            text = f"{ref} changed after this step read it: the artifact was made from the earlier content"
            run.events.append(Note(level="warning", text=text))


@contextlib.contextmanager
def restored(
    inputs: dict[str, Input], cache: Path, known: dict[str, Any], emit: Callable[[Event], None]
) -> Generator[dict[str, Input]]:
    """The inputs with every checkpoint restored to a folder that can be loaded; the checkpoint itself may then go."""
    with held(one for value in inputs.values() for one in checkpoints_in(value)):
        if any(map(has_checkpoint, inputs.values())):
            inputs = restore_checkpoints()(inputs, cache, known, emit)
    yield inputs
